/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host-facts.h"
#include "inspection.h"
#include "tally.h"

#include <stdio.h>

/* The report for people: a row for each check as soon as it is done. On a terminal it has colours, long lines go on
 * below themselves, and the check that runs is shown; elsewhere a row is one line. */
typedef struct Table {
        FILE *out;
        bool terminal, colour;
        size_t columns;  /* of the terminal */
        size_t id_width; /* of the longest id */
} Table;

/* Takes from out and the environment ($TERM, $NO_COLOR) what it is printed on. */
void table_init(Table *table, FILE *out, const CheckPlace *places, size_t size);

void table_head(const Table *table, const HostFacts *host);

/* The check begins. */
void table_running(const Table *table, const Check *check);

void table_row(const Table *table, const Inspected *inspected);

/* It has, and there is no row for it. */
void table_clear(const Table *table);

/* The last line: the counts, and what they come to. */
void table_foot(const Table *table, const Tally *tally);

/* How much of it --fix would mend, if anything. */
void table_hint(const Table *table, const Inspected *inspected, size_t size);

/* A page of text, whose first line is its title. */
void table_page(const Table *table, const char *text);

/* For --list: ids and titles. */
void table_list(const Table *table, const CheckPlace *places, size_t size);
