/* SPDX-License-Identifier: BSD-3-Clause */
/* Dates of --expires. */
#ifndef CLIENT_CLI_DATE_H
#define CLIENT_CLI_DATE_H

#include <stdint.h>

/**
 * cli_date_parse(): RFC 3339 ("2030-01-31T12:00:00Z", any fraction, which is
 * dropped, offsets up to 24 hours), or "2030-01-31" for the *start* of that day
 * in local time.  Upper case T and Z only, as scripts know it.
 *
 * Returns 0 or -DT_ERR_SYNTAX.
 */
int cli_date_parse(const char *text, int64_t *ret_unix);

#endif
