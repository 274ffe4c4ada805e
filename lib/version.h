/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The version of all programs of this tree. An image's guest must be of exactly the agent's. */
#define TEE_VERSION "0.1.0"

/* Label of a runtime's image that carries the version of the guest in it. */
#define TEE_IMAGE_LABEL_GUEST "tee.guest.version"
#define TEE_IMAGE_LABEL_RECIPE "tee.recipe" /* tee-install made it: a digest of all that went into it */
