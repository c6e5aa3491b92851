/* SPDX-License-Identifier: BSD-3-Clause */
/* What `send` sends: a text, a file, or a folder, with its header. */
#ifndef CLIENT_SEND_SOURCE_H
#define CLIENT_SEND_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop.h"
#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_name.h"

struct send_source;

/* What the request says of it. */
struct send_facts {
	enum transfer_kind kind;
	char name[TRANSFER_NAME_MAX + 1]; /* "" for a text */
	int64_t size;                     /* payload; -1: unknown */
	bool positioned;
	int64_t offset;
	bool from_stdin;
};

/**
 * send_source_open(): look at it; nothing runs yet.
 * @what: a path, or a text; "" is stdin.
 *
 * Returns an exit code, with everything said.
 */
int send_source_open(const char *what, struct send_source **ret_source);
void send_source_free(struct send_source *s);

const struct send_facts *send_source_facts(const struct send_source *s);
/** send_source_header(): whole, without the string to verify. 0 or an error. */
int send_source_header(const struct send_source *s, struct buf_writer *w);

/**
 * send_source_start(): now somebody will read.
 * @on_failed: what runs beside broke; said.  Never before this returned.
 * @ret_fd: for the worker; the caller's.
 *
 * Returns 0 or a negative error.
 */
int send_source_start(struct send_source *s, struct loop *loop,
    void (*on_failed)(void *arg, int r), void *arg, int *ret_fd);

/** send_source_finish(): all @count bytes are there.  Returns an exit code: not
 * everything may have been readable. */
int send_source_finish(struct send_source *s, int64_t count);

#endif
