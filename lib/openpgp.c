/* SPDX-License-Identifier: Apache-2.0 */

/* What apt needs is the binary key in a file, and what a person needs to know is that it is the right one. The
 * fingerprint is a hash of the primary key alone (RFC 4880, 12.2), so a file that held a second primary key behind the
 * right one would have apt trust that, too: it is refused. Subkeys are bound by the primary key's signatures, which is
 * for apt to check. */

#include "openpgp.h"
#include "digest.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define ARMOUR_BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----"
#define ARMOUR_END "-----END PGP PUBLIC KEY BLOCK-----"
#define ARMOUR_SECRET "-----BEGIN PGP PRIVATE KEY BLOCK-----"
#define SECRET_KEY "it is a secret key, not a public one"
#define PACKET_MAX 65535U /* a fingerprint's length field holds no more */

enum {
        TAG_SIGNATURE = 2,
        TAG_SECRET_KEY = 5,
        TAG_PUBLIC_KEY = 6,
        TAG_USER_ID = 13,
        TAG_PUBLIC_SUBKEY = 14,
        TAG_USER_ATTRIBUTE = 17,
};

static int fault(const char **ret_reason, const char *reason) {
        *ret_reason = reason;
        return -EINVAL;
}

/* ---- armour (RFC 4880, 6.2) ---- */

static uint32_t crc24(const uint8_t *data, size_t size) {
        uint32_t crc = 0xb704ceU;

        for (size_t i = 0; i < size; i++) {
                crc ^= (uint32_t) data[i] << 16;
                for (unsigned bit = 0; bit < 8; bit++) {
                        crc <<= 1;
                        if (crc & 0x1000000U)
                                crc ^= 0x1864cfbU;
                }
        }
        return crc & 0xffffffU;
}

typedef struct Line {
        const char *text;
        size_t size; /* without what ends it, and white space before that */
} Line;

/* Takes the next line off the text; false at its end. */
static bool next_line(const char **at, const char *end, Line *ret) {
        const char *start = *at, *newline;

        if (start == end)
                return false;
        newline = memchr(start, '\n', (size_t) (end - start));
        *at = newline ? newline + 1 : end;
        ret->text = start;
        ret->size = (size_t) ((newline ? newline : end) - start);
        while (ret->size > 0 && isspace((unsigned char) start[ret->size - 1]))
                ret->size--;
        return true;
}

static bool line_is(const Line *line, const char *text) {
        return line->size == strlen(text) && memcmp(line->text, text, line->size) == 0;
}

static int check_crc(const Line *line, const Buffer *binary, const char **ret_reason) {
        Buffer sum = BUFFER_INIT(3);
        int r = base64_decode(&sum, line->text + 1, line->size - 1);
        bool fits = r >= 0 && sum.size == 3 &&
                    crc24(binary->data, binary->size) ==
                            ((uint32_t) sum.data[0] << 16 | (uint32_t) sum.data[1] << 8 | sum.data[2]);

        buffer_deinit(&sum);
        if (r == -ENOMEM)
                return r;
        return fits ? 0 : fault(ret_reason, "its check sum is wrong: it is damaged");
}

static int read_armour(const char *at, const char *end, Buffer *binary, Buffer *base64, const char **ret_reason) {
        Line line;
        bool has_body = false;
        int r = 0;

        while (next_line(&at, end, &line) && line.size > 0) /* headers: "Version: …" */
                if (!memchr(line.text, ':', line.size))
                        return fault(ret_reason, "its armour has no empty line before the key");
        while (r >= 0 && next_line(&at, end, &line)) {
                if (line_is(&line, ARMOUR_END)) {
                        while (next_line(&at, end, &line))
                                if (line.size > 0)
                                        return fault(ret_reason, "something stands behind the key");
                        if (!has_body) /* no check sum, as RFC 9580 allows */
                                r = base64_decode(binary, (const char *) base64->data, base64->size);
                        return r == -EINVAL ? fault(ret_reason, "its armour is no base64") : r;
                }
                if (has_body)
                        return fault(ret_reason, "something stands behind its check sum");
                if (line.size == 5 && line.text[0] == '=') {
                        has_body = true;
                        r = base64_decode(binary, (const char *) base64->data, base64->size);
                        if (r >= 0)
                                r = check_crc(&line, binary, ret_reason);
                        else if (r == -EINVAL)
                                r = fault(ret_reason, "its armour is no base64");
                } else {
                        r = buffer_append(base64, line.text, line.size);
                }
        }
        return r < 0 ? r : fault(ret_reason, "its armour does not end: it was cut off");
}

/* White space before the armour is all that may stand there. */
static const char *armour_start(const char *text, size_t size) {
        const char *at = text, *end = text + size;
        Line line;

        while (next_line(&at, end, &line)) {
                if (line_is(&line, ARMOUR_BEGIN))
                        return at;
                if (line.size > 0)
                        return NULL;
        }
        return NULL;
}

/* ---- packets (RFC 4880, 4.2) ---- */

typedef struct Packet {
        unsigned tag;
        const uint8_t *body;
        size_t size;
} Packet;

/* Bytes of the length field, with the length; 0 for one that no key has (partial, indeterminate, cut off). */
static size_t read_length(const uint8_t *data, size_t left, bool is_new, unsigned old_type, size_t *ret_length) {
        if (is_new) {
                if (left >= 1 && data[0] < 192) {
                        *ret_length = data[0];
                        return 1;
                }
                if (left >= 2 && data[0] < 224) {
                        *ret_length = ((size_t) (data[0] - 192) << 8) + data[1] + 192;
                        return 2;
                }
                if (left >= 5 && data[0] == 255) {
                        *ret_length = (size_t) data[1] << 24 | (size_t) data[2] << 16 | (size_t) data[3] << 8 | data[4];
                        return 5;
                }
                return 0;
        }
        size_t bytes = (size_t) 1 << old_type; /* 1, 2 or 4 */

        if (old_type > 2 || left < bytes)
                return 0;
        *ret_length = 0;
        for (size_t i = 0; i < bytes; i++)
                *ret_length = *ret_length << 8 | data[i];
        return bytes;
}

static bool next_packet(const uint8_t **at, const uint8_t *end, Packet *ret) {
        size_t left = (size_t) (end - *at), field;
        const uint8_t *data = *at;
        bool is_new;

        if (left < 1 || !(data[0] & 0x80U))
                return false;
        is_new = data[0] & 0x40U;
        ret->tag = is_new ? data[0] & 0x3fU : (data[0] >> 2) & 0x0fU;
        field = read_length(data + 1, left - 1, is_new, data[0] & 3U, &ret->size);
        if (field == 0 || ret->size > left - 1 - field)
                return false;
        ret->body = data + 1 + field;
        *at = ret->body + ret->size;
        return true;
}

static int fingerprint(const Packet *key, char ret_text[OPENPGP_FINGERPRINT_SIZE]) {
        const uint8_t head[3] = {0x99, (uint8_t) (key->size >> 8), (uint8_t) key->size};
        Buffer hashed = BUFFER_INIT(sizeof(head) + PACKET_MAX);
        int r = buffer_append(&hashed, head, sizeof(head));

        if (r >= 0)
                r = buffer_append(&hashed, key->body, key->size);
        if (r >= 0)
                r = digest_sha1(hashed.data, hashed.size, ret_text);
        buffer_deinit(&hashed);
        for (char *p = ret_text; r >= 0 && *p; p++)
                *p = (char) toupper((unsigned char) *p);
        return r;
}

static int read_packets(const Buffer *binary, char ret_text[OPENPGP_FINGERPRINT_SIZE], const char **ret_reason) {
        const uint8_t *at = binary->data, *end = at + binary->size;
        Packet packet;

        if (!next_packet(&at, end, &packet) || (packet.tag != TAG_PUBLIC_KEY && packet.tag != TAG_SECRET_KEY))
                return fault(ret_reason, "it does not begin with a public key");
        if (packet.tag == TAG_SECRET_KEY)
                return fault(ret_reason, SECRET_KEY);
        if (packet.size < 6 || packet.size > PACKET_MAX || packet.body[0] != 4)
                return fault(ret_reason, "its key is of a version that is not known here (only version 4 is)");
        Packet key = packet;
        while (at < end) {
                if (!next_packet(&at, end, &packet))
                        return fault(ret_reason, "it is cut off or damaged");
                if (packet.tag == TAG_PUBLIC_KEY)
                        return fault(ret_reason, "it holds more than one key");
                if (packet.tag != TAG_SIGNATURE && packet.tag != TAG_USER_ID && packet.tag != TAG_PUBLIC_SUBKEY &&
                    packet.tag != TAG_USER_ATTRIBUTE)
                        return fault(ret_reason, "it holds something that is no part of a public key");
        }
        return fingerprint(&key, ret_text);
}

bool openpgp_keyring_has(const void *data, size_t size, const char *wanted, size_t *ret_keys) {
        const uint8_t *at = data, *end = at + size;
        char found[OPENPGP_FINGERPRINT_SIZE];
        bool has = false;
        Packet packet;

        *ret_keys = 0;
        while (at < end && next_packet(&at, end, &packet)) {
                if (packet.tag != TAG_PUBLIC_KEY)
                        continue;
                ++*ret_keys;
                has |= packet.size <= PACKET_MAX && fingerprint(&packet, found) >= 0 && strcasecmp(found, wanted) == 0;
        }
        return has;
}

int openpgp_key_read(const void *data, size_t size, Buffer *binary, char ret_fingerprint[OPENPGP_FINGERPRINT_SIZE],
                     const char **ret_reason) {
        const char *text = data, *body = size > 0 ? armour_start(text, size) : NULL;
        Buffer base64 = BUFFER_INIT(size);
        int r;

        if (size == 0)
                return fault(ret_reason, "it is empty");
        if (body)
                r = read_armour(body, text + size, binary, &base64, ret_reason);
        else if ((uint8_t) text[0] & 0x80U)
                r = buffer_append(binary, data, size);
        else
                r = fault(ret_reason, memmem(text, size, ARMOUR_SECRET, strlen(ARMOUR_SECRET))
                                              ? SECRET_KEY
                                              : "it is no OpenPGP key at all");
        buffer_deinit(&base64);
        if (r < 0)
                return r;
        return binary->size > 0 ? read_packets(binary, ret_fingerprint, ret_reason) : fault(ret_reason, "it is empty");
}
