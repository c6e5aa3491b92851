/* SPDX-License-Identifier: BSD-3-Clause */
/* Durations as the sibling tools take them. */
#ifndef CLIENT_CLI_DURATION_H
#define CLIENT_CLI_DURATION_H

#include <stdint.h>

/* Longer texts are refused; nobody needs as many parts. */
#define CLI_DURATION_MAX_TEXT 128

/**
 * cli_duration_parse(): "5s", "1.5h", "2m30s", "250ms", "+.5s", "0"; blanks
 * around it do not count.  Units are ns, us (or with the micro sign), ms, s, m
 * and h; each number needs one.
 * @ret_us: microseconds, rounded away from zero, so that only 0 gives 0.
 *
 * Returns 0 or -DT_ERR_SYNTAX (also beyond 2^63 ns, about 292 years).
 */
int cli_duration_parse(const char *text, int64_t *ret_us);

#endif
