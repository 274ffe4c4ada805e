/* SPDX-License-Identifier: Apache-2.0 */

/* The archive is never in memory: of each entry that stands in the table only the header is made, when its turn comes,
 * and files are read from their descriptors. Everything that could differ between two runs is left out of it (owners,
 * times, the order of addition), so that a digest of the bytes is a digest of the tree. */

#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX ((size_t) 65536)
#define SIZE_MAX_USTAR (UINT64_C(1) << 33) /* eleven octal digits */

/* ---- one entry ---- */

typedef struct Header {
        char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, target[100];
        char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], filler[12];
} Header;

_Static_assert(sizeof(Header) == 512, "a header is one block");

static void put_octal(char *field, size_t width, uint64_t value) {
        for (size_t i = width - 1; i-- > 0; value >>= 3)
                field[i] = (char) ('0' + (value & 7));
}

/* Where a name beyond its field is parted: at a slash, with a part on both sides that fits. 0 for nowhere. */
static size_t find_cut(const char *name, size_t size) {
        const size_t prefix_max = sizeof(((Header *) NULL)->prefix), name_max = sizeof(((Header *) NULL)->name);

        for (size_t i = size - 2; i > 0 && size - i - 1 <= name_max; i--)
                if (i <= prefix_max && name[i] == '/')
                        return i;
        return 0;
}

/* A folder's name ends with a slash. */
static int put_name(Header *header, const TarEntry *entry) {
        char name[sizeof(header->prefix) + sizeof(header->name) + 2];
        int n = snprintf(name, sizeof(name), "%s%s", entry->name, entry->type == TAR_FOLDER ? "/" : "");
        size_t size = (size_t) n, cut;

        if (n < 0 || size >= sizeof(name))
                return -ENAMETOOLONG;
        if (size <= sizeof(header->name)) {
                memcpy(header->name, name, size);
                return 0;
        }
        cut = find_cut(name, size);
        if (cut == 0)
                return -ENAMETOOLONG;
        memcpy(header->prefix, name, cut);
        memcpy(header->name, name + cut + 1, size - cut - 1);
        return 0;
}

int tar_append_header(Buffer *buffer, const TarEntry *entry) {
        Header header = {.type = (char) entry->type, .magic = "ustar", .version = {'0', '0'}};
        uint64_t size = entry->type == TAR_FILE ? entry->size : 0;
        unsigned sum = 0;
        int r = put_name(&header, entry);

        if (r < 0)
                return r;
        if (size >= SIZE_MAX_USTAR)
                return -EFBIG;
        if (entry->type == TAR_LINK) {
                if (strlen(entry->target) > sizeof(header.target))
                        return -ENAMETOOLONG;
                memcpy(header.target, entry->target, strlen(entry->target));
        }
        put_octal(header.mode, sizeof(header.mode), entry->mode & 07777);
        put_octal(header.uid, sizeof(header.uid), 0);
        put_octal(header.gid, sizeof(header.gid), 0);
        put_octal(header.size, sizeof(header.size), size);
        put_octal(header.mtime, sizeof(header.mtime), 0);
        put_octal(header.major, sizeof(header.major), 0);
        put_octal(header.minor, sizeof(header.minor), 0);

        /* The sum takes its own field for spaces, and is followed by a NUL and one. */
        memset(header.checksum, ' ', sizeof(header.checksum));
        for (size_t i = 0; i < sizeof(header); i++)
                sum += ((const uint8_t *) &header)[i];
        put_octal(header.checksum, sizeof(header.checksum) - 1, sum);
        header.checksum[6] = '\0';
        return buffer_append(buffer, &header, sizeof(header));
}

/* ---- an archive that is written ---- */

typedef struct Node {
        char *name;
        TarType type;
        mode_t mode;
        uint64_t size;
        char *target;
        uint8_t *bytes; /* the content, or */
        int fd;         /* where it is; -1 for none */
} Node;

struct Tar {
        Node *nodes;
        size_t size, allocated;
        bool sorted;

        /* where reading stands */
        size_t next;     /* node */
        Buffer block;    /* a header, or what fills up a file, or the end */
        Node *file;      /* whose content is under way */
        uint64_t offset; /* within it */
        bool ended;
};

int tar_new(Tar **ret_tar) {
        Tar *tar = calloc(1, sizeof(*tar));

        if (!tar)
                return -ENOMEM;
        tar->block = BUFFER_INIT(2 * TAR_BLOCK);
        *ret_tar = tar;
        return 0;
}

static void node_deinit(Node *node) {
        free(node->name);
        free(node->target);
        free(node->bytes);
        (void) close_fd(node->fd);
}

Tar *tar_free(Tar *tar) {
        if (!tar)
                return NULL;
        for (size_t i = 0; i < tar->size; i++)
                node_deinit(&tar->nodes[i]);
        free(tar->nodes);
        buffer_deinit(&tar->block);
        free(tar);
        return NULL;
}

static Node *find(const Tar *tar, const char *name, size_t size) {
        for (size_t i = 0; i < tar->size; i++)
                if (strncmp(tar->nodes[i].name, name, size) == 0 && tar->nodes[i].name[size] == '\0')
                        return &tar->nodes[i];
        return NULL;
}

/* No "//", "/./", "/../", and nothing but a name at the end. */
static bool path_is_plain(const char *path) {
        if (path[0] != '/')
                return false;
        while (*path == '/') {
                size_t size = strcspn(++path, "/");

                if (size == 0 || (size == 1 && path[0] == '.') || (size == 2 && path[0] == '.' && path[1] == '.'))
                        return false;
                path += size;
        }
        return true;
}

static int make_room(Tar *tar) {
        size_t allocated = tar->allocated > 0 ? 2 * tar->allocated : 64;
        Node *nodes;

        if (tar->size < tar->allocated)
                return 0;
        if (allocated > ENTRIES_MAX)
                return -EFBIG;
        nodes = reallocarray(tar->nodes, allocated, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        tar->nodes = nodes;
        tar->allocated = allocated;
        return 0;
}

/* Takes the node's parts, also on failure; its header is made once to see whether it fits. */
static int append(Tar *tar, Node node, const char *name, size_t size) {
        CLEANUP_BUFFER Buffer header = BUFFER_INIT(TAR_BLOCK);
        int r = make_room(tar);

        node.name = strndup(name, size);
        if (r >= 0 && !node.name)
                r = -ENOMEM;
        if (r >= 0) {
                TarEntry entry = {node.type, node.name, node.mode, node.size, node.target};

                r = tar_append_header(&header, &entry);
        }
        if (r < 0) {
                node_deinit(&node);
                return r;
        }
        tar->nodes[tar->size++] = node;
        return 0;
}

static int add_parents(Tar *tar, const char *name) {
        for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
                size_t size = (size_t) (slash - name);
                const Node *node = find(tar, name, size);
                int r;

                if (node && node->type != TAR_FOLDER)
                        return -ENOTDIR;
                if (node)
                        continue;
                r = append(tar, (Node){.type = TAR_FOLDER, .mode = 0755, .fd = -1}, name, size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Takes the node's parts, also on failure. */
static int add(Tar *tar, const char *path, Node node) {
        int r = tar->sorted                             ? -EBUSY
                : !path_is_plain(path)                  ? -EINVAL
                : find(tar, path + 1, strlen(path + 1)) ? -EEXIST
                                                        : add_parents(tar, path + 1);

        if (r < 0) {
                node_deinit(&node);
                return r;
        }
        return append(tar, node, path + 1, strlen(path + 1));
}

int tar_add_folder(Tar *tar, const char *path, mode_t mode) {
        Node *there = path[0] == '/' ? find(tar, path + 1, strlen(path + 1)) : NULL;

        if (there && there->type == TAR_FOLDER && !tar->sorted) {
                there->mode = mode;
                return 0;
        }
        return add(tar, path, (Node){.type = TAR_FOLDER, .mode = mode, .fd = -1});
}

int tar_add_link(Tar *tar, const char *path, const char *target) {
        Node node = {.type = TAR_LINK, .mode = 0777, .target = strdup(target), .fd = -1};

        return node.target ? add(tar, path, node) : -ENOMEM;
}

int tar_add_bytes(Tar *tar, const char *path, mode_t mode, const void *data, size_t size) {
        Node node = {.type = TAR_FILE, .mode = mode, .size = size, .bytes = malloc(size + 1), .fd = -1};

        if (!node.bytes)
                return -ENOMEM;
        if (size > 0)
                memcpy(node.bytes, data, size);
        return add(tar, path, node);
}

int tar_add_file(Tar *tar, const char *path, mode_t mode, const char *source) {
        /* O_NONBLOCK: what is no regular file must not make this wait. */
        CLEANUP_FD int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat status;
        Node node;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EISDIR;
        node = (Node){.type = TAR_FILE, .mode = mode, .size = (uint64_t) status.st_size, .fd = take_fd(&fd)};
        return add(tar, path, node);
}

size_t tar_entries(const Tar *tar) {
        return tar->size;
}

static uint64_t filled_up(uint64_t size) {
        return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

uint64_t tar_size(const Tar *tar) {
        uint64_t size = 2 * TAR_BLOCK;

        for (size_t i = 0; i < tar->size; i++)
                size += TAR_BLOCK + (tar->nodes[i].type == TAR_FILE ? filled_up(tar->nodes[i].size) : 0);
        return size;
}

static int compare_nodes(const void *a, const void *b) {
        return strcmp(((const Node *) a)->name, ((const Node *) b)->name);
}

static int append_zeros(Buffer *buffer, size_t size) {
        static const uint8_t zeros[2 * TAR_BLOCK];

        return buffer_append(buffer, zeros, size);
}

/* Makes tar->block, or tar->file, what comes next. */
static int go_on(Tar *tar) {
        if (tar->file) { /* has been read to its end */
                size_t fill = (size_t) (filled_up(tar->file->size) - tar->file->size);

                tar->file = NULL;
                if (fill > 0)
                        return append_zeros(&tar->block, fill);
        }
        if (tar->next == tar->size) {
                tar->ended = true;
                return append_zeros(&tar->block, 2 * TAR_BLOCK);
        }

        Node *node = &tar->nodes[tar->next++];
        TarEntry entry = {node->type, node->name, node->mode, node->size, node->target};

        if (node->type == TAR_FILE)
                tar->file = node;
        tar->offset = 0;
        return tar_append_header(&tar->block, &entry);
}

static ssize_t read_file(Tar *tar, void *data, size_t size) {
        Node *node = tar->file;
        uint64_t left = node->size - tar->offset;
        ssize_t n;

        if (size > left)
                size = (size_t) left;
        if (node->bytes) {
                memcpy(data, node->bytes + tar->offset, size);
                n = (ssize_t) size;
        } else {
                do
                        n = pread(node->fd, data, size, (off_t) tar->offset);
                while (n < 0 && errno == EINTR);
                if (n <= 0)
                        return n < 0 ? -errno : -ESTALE;
        }
        tar->offset += (uint64_t) n;
        return n;
}

ssize_t tar_read(void *data, size_t size, void *userdata) {
        Tar *tar = userdata;
        size_t n;

        if (!tar->sorted) {
                if (tar->size > 0)
                        qsort(tar->nodes, tar->size, sizeof(*tar->nodes), compare_nodes);
                tar->sorted = true;
        }
        while (tar->block.size == 0) {
                int r;

                if (tar->ended)
                        return 0;
                if (tar->file && tar->offset < tar->file->size)
                        return read_file(tar, data, size);
                r = go_on(tar);
                if (r < 0)
                        return r;
        }
        n = tar->block.size < size ? tar->block.size : size;
        memcpy(data, tar->block.data, n);
        buffer_consume(&tar->block, n);
        return (ssize_t) n;
}

void tar_rewind(Tar *tar) {
        buffer_clear(&tar->block);
        tar->next = 0;
        tar->file = NULL;
        tar->offset = 0;
        tar->ended = false;
}

/* ---- an archive that is read ---- */

/* Digits, then a NUL or a space; no more than a field holds. GNU's binary sizes are for 8 GB and more. */
static int get_octal(const char *field, size_t width, uint64_t *ret) {
        uint64_t value = 0;
        size_t i = 0;

        while (i < width && field[i] == ' ')
                i++;
        for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
                value = value << 3 | (uint64_t) (field[i] - '0');
        if (i < width && field[i] != '\0' && field[i] != ' ')
                return -EBADMSG;
        *ret = value;
        return 0;
}

static bool sum_is_right(const uint8_t *block, uint64_t told) {
        const size_t begin = offsetof(Header, checksum), size = sizeof(((Header *) NULL)->checksum);
        uint64_t sum = 0;

        for (size_t i = 0; i < TAR_BLOCK; i++)
                sum += i >= begin && i < begin + size ? ' ' : block[i];
        return sum == told;
}

static int take_header(TarReader *reader) {
        uint64_t told = 0, size = 0;
        Header header;

        memcpy(&header, reader->header, sizeof(header));
        if (get_octal(header.checksum, sizeof(header.checksum), &told) < 0 || !sum_is_right(reader->header, told) ||
            get_octal(header.size, sizeof(header.size), &size) < 0)
                return -EBADMSG;
        reader->in_file = header.type == TAR_FILE || header.type == '\0';
        if (header.type == TAR_LINK || header.type == TAR_FOLDER || header.type == '1')
                size = 0;
        reader->left = size;
        reader->padding = filled_up(size) - size;
        if (!reader->in_file)
                return 0;
        reader->found = true;
        reader->size = size;
        reader->whole = size == 0;
        return 0;
}

static bool is_zero(const uint8_t *block) {
        return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

/* All of these return how many bytes they took, or a negative errno. */

static ssize_t feed_header(TarReader *reader, const uint8_t *data, size_t size) {
        size_t n = TAR_BLOCK - reader->header_size < size ? TAR_BLOCK - reader->header_size : size;
        int r = 0;

        memcpy(reader->header + reader->header_size, data, n);
        reader->header_size += n;
        if (reader->header_size == TAR_BLOCK) {
                reader->header_size = 0;
                r = is_zero(reader->header) ? 0 : take_header(reader);
        }
        return r < 0 ? r : (ssize_t) n;
}

static ssize_t feed_content(TarReader *reader, const uint8_t *data, size_t size) {
        size_t n = reader->left < size ? (size_t) reader->left : size;
        int r = reader->in_file ? reader->take(data, n, reader->userdata) : 0;

        if (r < 0)
                return r;
        reader->left -= n;
        reader->whole = reader->in_file && reader->left == 0;
        return (ssize_t) n;
}

static ssize_t feed_padding(TarReader *reader, size_t size) {
        size_t n = reader->padding < size ? (size_t) reader->padding : size;

        reader->padding -= n;
        return (ssize_t) n;
}

int tar_reader_feed(TarReader *reader, const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0 && !reader->whole) {
                ssize_t n = reader->left > 0      ? feed_content(reader, p, size)
                            : reader->padding > 0 ? feed_padding(reader, size)
                                                  : feed_header(reader, p, size);

                if (n < 0)
                        return (int) n;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}
