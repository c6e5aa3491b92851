/* SPDX-License-Identifier: BSD-3-Clause */
/* A report in the words, keys and order of peer v0.18.2. */
#ifndef CLIENT_NETCHECK_PRINT_H
#define CLIENT_NETCHECK_PRINT_H

#include <stdio.h>

#include "client/netcheck_report.h"

/** netcheck_print_human(): a page of text; write errors show in @f. */
void netcheck_print_human(FILE *f, const struct netcheck_report *report);

/**
 * netcheck_print_json(): one object, indented by two, as Go's encoding/json
 * prints it (which escapes "<", ">" and "&"); no newline at its end.
 *
 * Returns text for the caller to free, or NULL when memory is out.
 */
char *netcheck_print_json(const struct netcheck_report *report);

#endif
