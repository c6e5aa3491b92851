/* SPDX-License-Identifier: BSD-3-Clause */
/* From the text of a token to what a claiming session needs. */
#ifndef DAEMON_CLAIM_TOKEN_H
#define DAEMON_CLAIM_TOKEN_H

#include "daemon/session.h"
#include "proto/token/token_text.h"

/**
 * claim_token_decode(): session tokens, and derptun client tokens.
 * @capabilities: what a session token must be good for.
 * @text: terminated.
 * @ret_claim: the caller wipes it.
 * @ret_error: on failure what the user shall read.
 *
 * Returns 0 or a negative error.
 */
int claim_token_decode(struct session_claim *ret_claim, const char *text,
    uint32_t capabilities, int64_t now_unix, struct token_error *ret_error);

#endif
