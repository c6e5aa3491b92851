/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exchange of ssh invite and accept over one stream: the accepter opens it
 * with one octet, each side says which of the two it is, and the accepter's
 * public key follows.
 */
#ifndef CLIENT_SSH_TALK_H
#define CLIENT_SSH_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ssh_key.h"
#include "lib/loop.h"
#include "proto/transfer/transfer_header.h"

struct ssh_talk;

struct ssh_talk_params {
	struct loop *loop;
	int fd; /* non-blocking stream socket; taken, also on failure */
	enum transfer_kind own, peer;
	/* What follows our header; then our direction ends.  NULL: nothing
	 * follows, and it stays open. */
	const char *text;
	/* The peer is what it should be; may be NULL. */
	void (*on_header)(void *arg);
	/* The peer's direction ended (0), or what is wrong with it; once.
	 * @why: static, for the user; or NULL. */
	void (*on_end)(void *arg, int r, const char *why);
	void *arg;
};

/** ssh_talk_new(): NULL when memory is out. */
struct ssh_talk *ssh_talk_new(const struct ssh_talk_params *p);
void ssh_talk_free(struct ssh_talk *t);

/** ssh_talk_poll(): take what is there already; on_end() may be called. */
void ssh_talk_poll(struct ssh_talk *t);
/** ssh_talk_has_sent(): all of ours went into the socket. */
bool ssh_talk_has_sent(const struct ssh_talk *t);
/** ssh_talk_has_header(): the peer is what it should be. */
bool ssh_talk_has_header(const struct ssh_talk *t);
/** ssh_talk_peek_text(): what came behind the header, terminated. */
const char *ssh_talk_peek_text(const struct ssh_talk *t, size_t *ret_len);

#endif
