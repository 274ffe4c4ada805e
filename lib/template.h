/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"
#include "json.h"

/* What a sandbox is made of. Nothing in here comes from a client but the two figures, which request.c has bounded. */
typedef struct TemplateInput {
        const Config *config;
        const ConfigRuntime *runtime;
        const char *image_id; /* of the image that was checked, not a tag that may have moved since */
        const char *instance; /* not the configuration's, which may have been reloaded with another one */
        const char *boot_id;  /* of this run of the agent */
        const char *execution_id;
        uint64_t memory_mb;
        uint64_t disk_mb;
} TemplateInput;

/* Labels of our containers. */
#define TEMPLATE_LABEL_INSTANCE "tee.instance"
#define TEMPLATE_LABEL_BOOT "tee.boot"
#define TEMPLATE_LABEL_EXECUTION "tee.execution"

/* The body of POST /containers/create, owned by the caller, or NULL on ENOMEM. */
cJSON *template_new(const TemplateInput *input);
