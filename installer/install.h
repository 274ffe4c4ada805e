/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "change.h"
#include "config.h"
#include "engine.h"
#include "options.h"
#include "screen.h"

#include <time.h>

/* What the steps of one run share. Each step has a struct of its own in here, which no other step writes to. */

/* What preflight has found. */
typedef struct Host {
        char *name;               /* "Debian GNU/Linux 12 (bookworm)" */
        const char *architecture; /* dpkg's name of it; a literal */
        bool systemd;             /* is PID 1 */
        bool docker;              /* answers */
} Host;

typedef struct Keyring {
        Change change;
} Keyring;

typedef struct AptSource {
        Change change;
        Change *taken; /* older files of the same repository */
        size_t taken_size;
        cJSON *entry;    /* of the record, while they are described */
        const char *url; /* of the record, while they are given back */
} AptSource;

/* What a step of apt's has added to the host. */
typedef struct Packages {
        Buffer before;    /* "name version" of all that was installed, a line each; empty: nothing was begun */
        bool lists;       /* apt's index of our source was fetched */
        bool keep_config; /* remove, do not purge: somebody's data would go with them */
} Packages;

typedef struct Registration {
        char *path; /* of daemon.json: where it really is */
        bool begun; /* what follows is known */
        bool was_there;
        Buffer old; /* its text when the run began */
        struct timespec old_time;
        bool folder_was_there, tilde_was_there;
        bool written;  /* by this run */
        bool replaces; /* another registration of the name */
        char *copy;    /* path of the dated copy that this run made */
} Registration;

typedef struct Install {
        const Options *options;
        Loop loop;
        Screen screen;
        Trouble trouble;
        Engine engine;
        Config *config; /* of --refresh-runtimes; else NULL */
        Buffer note;    /* lines of the step that is at work */
        cJSON *record;  /* record.h */

        Host host;
        Packages docker_packages;
        Keyring keyring;
        AptSource source;
        Packages runsc_packages;
        char *runsc_found;  /* by --source none */
        char *runsc_before; /* version of the package that was there before */
        char *runsc_now;    /* and that this run has installed */
        Registration registration;
        bool left_to_person; /* Docker's reload; what follows from it has to wait */
        cJSON *document;     /* for --json: what the run did */
} Install;

/* Adds a line about what the step found, would do or did. Best effort: without memory, the line is missing. */
void install_note(Install *install, const char *format, ...) PRINTF_LIKE(2, 3);

/* Where the OCI runtime's program is, or will be. */
const char *install_runsc_path(const Install *install);

/* ---- the steps ---- */

typedef enum StepState {
        STEP_DONE,  /* nothing to do; the notes say what is there */
        STEP_TO_DO, /* the notes say what would be done */
        STEP_CHECK, /* runs each time, and changes nothing */
} StepState;

/* All return 0 or a negative errno with trouble set (-EINTR may come without). NULL: nothing of the kind. */
typedef struct Step {
        const char *name;
        int exit_status;                                     /* of the program when this step fails */
        int (*look)(Install *install, StepState *ret_state); /* changes nothing on the host */
        int (*apply)(Install *install);                      /* what it has begun when it fails, undo takes back */
        int (*undo)(Install *install);  /* takes back what apply of this run did, or does nothing */
        void (*keep)(Install *install); /* there is no way back any more */
        /* Says in the record's entry what apply makes: before it, and again behind it. */
        int (*describe)(Install *install, cJSON *entry);
        /* For --uninstall: what earlier runs made, as the entry tells. */
        int (*look_back)(Install *install, const cJSON *entry, StepState *ret_state);
        int (*take_away)(Install *install, const cJSON *entry);
} Step;

extern const Step step_preflight, step_docker_package, step_keyring, step_source, step_runsc, step_register,
        step_docker, step_verify;
