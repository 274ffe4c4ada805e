/* SPDX-License-Identifier: Apache-2.0 */

#include "download.h"
#include "transfer.h"

#include <errno.h>
#include <string.h>

#define DOWNLOAD_MS UINT64_C(120000)

typedef struct Download {
        Install *install;
        const char *label, *url;
        Buffer *content;
        bool done;
        int error; /* trouble is set */
} Download;

static void on_progress(uint64_t received, uint64_t expected, void *userdata) {
        Download *download = userdata;
        char text[SCREEN_SIZE_MAX];

        screen_progress(&download->install->screen, download->label,
                        expected > 0 ? (int) (received * 100 / expected) : -1, "%s, %s", screen_size(received, text),
                        download->url);
}

static void on_done(Transfer *transfer, const TransferResult *result, void *userdata) {
        Download *download = userdata;
        Trouble *trouble = &download->install->trouble;

        (void) transfer;
        download->done = true;
        if (result->error < 0)
                download->error = trouble_set(trouble, result->error, NULL, "%s: %s", download->url, result->message);
        else if (result->status < 200 || result->status > 299)
                download->error = trouble_set(trouble, -ENOENT, NULL, "%s: the server answers with status %u",
                                              download->url, result->status);
        else if (buffer_append(download->content, result->body->data, result->body->size) < 0)
                download->error = trouble_set(trouble, -ENOMEM, NULL, "%s: out of memory", download->url);
}

int download(Install *install, const char *label, const char *url, Buffer *content) {
        Download download = {.install = install, .label = label, .url = url, .content = content};
        TransferRequest request = {
                .follow = true,
                .progress = on_progress,
                .method = "GET",
                .url = url,
                .timeout_ms = DOWNLOAD_MS,
                .response_limit = content->limit,
        };
        Transport *transport = NULL;
        Transfer *transfer = NULL;
        int r = transport_new(install->loop.event, &transport);

        if (r >= 0)
                r = transfer_start(transport, &request, on_done, NULL, &download, &transfer);
        if (r >= 0)
                r = loop_await(&install->loop, &download.done, 2 * DOWNLOAD_MS * USEC_PER_MSEC);
        transfer_free(transfer);
        transport_free(transport);
        screen_clear(&install->screen);
        if (r >= 0)
                return download.error;
        return r == -EINTR ? r : trouble_errno(&install->trouble, r, url);
}
