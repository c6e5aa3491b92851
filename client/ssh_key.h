/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One OpenSSH public key, as text that came from somewhere.  Pure.
 */
#ifndef CLIENT_SSH_KEY_H
#define CLIENT_SSH_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* peer v0.18.2 sends any file; RSA of 16384 bits has 2.8 KiB. */
#define SSH_KEY_MAX_TEXT 16384
#define SSH_KEY_MAX_TYPE 48
#define SSH_KEY_MAX_COMMENT 256

/* Owner: anybody; plain memory. */
struct ssh_key {
	char type[SSH_KEY_MAX_TYPE];
	char blob[SSH_KEY_MAX_TEXT];       /* base64 */
	char comment[SSH_KEY_MAX_COMMENT]; /* "" when there is none */
};

/**
 * ssh_key_parse(): exactly one well-formed key: `type base64 [comment]`.
 * @text: @len bytes; white space around it does not count.
 * @ret_why: may be NULL; on failure a static text for the user, which begins
 *           with "invalid public key" as the peer's.
 *
 * Types: ed25519, ecdsa (three curves), rsa (from 1024 bits), and the two sk-
 * ones.  The blob must be canonical base64 of exactly one key of that type. No
 * options, no second line, no control characters but tabs between the fields,
 * UTF-8 only.
 *
 * Returns 0, -DT_ERR_TOO_LONG (SSH_KEY_MAX_TEXT, or comment), -DT_ERR_SYNTAX,
 * -DT_ERR_UNSUPPORTED (type), -DT_ERR_KEY (what the blob holds).
 */
int ssh_key_parse(struct ssh_key *ret_key, const char *text, size_t len,
    const char **ret_why);

/**
 * ssh_key_is_in(): does a line of authorized_keys hold this key, whatever its
 * options and comment?  Comments and other keys do not.
 */
bool ssh_key_is_in(const struct ssh_key *key, const char *line, size_t len);

/** ssh_key_id(): third field of the text as the peer shows it (the first word
 * of the comment), or "unknown".  Printable. */
const char *ssh_key_id(
    const struct ssh_key *key, char buf[static SSH_KEY_MAX_COMMENT]);

/**
 * ssh_key_print(): the line, without newline and without terminator.
 *
 * Returns its length, or 0 when @cap is too small (SSH_KEY_MAX_LINE is not).
 */
#define SSH_KEY_MAX_LINE                                                       \
	(SSH_KEY_MAX_TYPE + SSH_KEY_MAX_TEXT + SSH_KEY_MAX_COMMENT + 2)
size_t ssh_key_print(const struct ssh_key *key, char *out, size_t cap);

#endif
