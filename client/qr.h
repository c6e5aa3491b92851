/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive code for cameras. */
#ifndef CLIENT_QR_H
#define CLIENT_QR_H

#include "client/cli_out.h"

/** qr_print_token(): the code as the sibling's app reads it, on stderr; if it
 * cannot be drawn, why, and the line to copy instead. */
void qr_print_token(const struct cli_out *out, const char *token);

#endif
