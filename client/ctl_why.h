/* SPDX-License-Identifier: BSD-3-Clause */
/* The answer of session.why as a story for people. */
#ifndef CLIENT_CTL_WHY_H
#define CLIENT_CTL_WHY_H

#include <jansson.h>

/** ctl_why_print(): @result of session.why to standard output.  Returns an
 * exit code; a failed write is said. */
int ctl_why_print(const json_t *result);

#endif
