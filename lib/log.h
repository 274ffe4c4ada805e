/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <syslog.h>

/* One record. Priorities are those of syslog(3). With journald as stderr (systemd sets $JOURNAL_STREAM) the record goes
 * there with its fields; elsewhere its message goes to stderr. Records of LOG_DEBUG are dropped unless $TEE_DEBUG is
 * set. Failure to log is not reported: there is nobody left to report it to. */

/* Name that stands before each line on stderr and as SYSLOG_IDENTIFIER. Must outlive all logging. */
void log_open(const char *identifier);

/* The same for a program whose stderr is for people: its records go to journald alone, or nowhere. */
void log_open_journal(const char *identifier);

/* fields: NULL or an array of "NAME=value" ended by NULL. message_id: NULL or 32 hexadecimal digits. */
void log_record(int priority, const char *message_id, const char *const *fields, const char *format, ...)
        PRINTF_LIKE(4, 5);

#define log_line(priority, ...) log_record((priority), NULL, NULL, __VA_ARGS__)

/* A record of one of the kinds in message-ids.h. */
#define log_message(priority, message_id, ...) log_record((priority), (message_id), NULL, __VA_ARGS__)
