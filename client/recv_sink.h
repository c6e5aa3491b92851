/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where something received goes: stdout, a file, a folder.  Opens it, keeps it,
 * and undoes it.
 */
#ifndef CLIENT_RECV_SINK_H
#define CLIENT_RECV_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "client/archive_report.h"
#include "lib/loop.h"

struct recv_sink;

#define RECV_SINK_MAX_REASON 512

/* For the worker. */
struct recv_fd {
	int fd; /* the caller's, to pass on */
	bool positioned;
	bool sparse; /* zeros need not be written */
	int64_t offset;
};

struct recv_sink_params {
	struct loop *loop;
	const char *output; /* of -o, or "" */
	/* What runs beside failed before there was anything to save; see
	 * recv_sink_reason(). */
	void (*on_failed)(void *arg, int r);
	/* The outcome of recv_sink_save(), perhaps before it returned. */
	void (*on_saved)(void *arg, int r);
	void *arg;
};

/** recv_sink_new(): NULL when memory is out. */
struct recv_sink *recv_sink_new(const struct recv_sink_params *p);
/** recv_sink_free(): what was not saved disappears.  NULL is fine. */
void recv_sink_free(struct recv_sink *s);

/*
 * Exactly one of them, once.  Each returns 0 or a negative error, with
 * recv_sink_reason().
 */
/** recv_sink_stdout(): @in_order: after something of our own in the same file.
 */
int recv_sink_stdout(
    struct recv_sink *s, bool in_order, struct recv_fd *ret_fd);
/**
 * recv_sink_file():
 * @name: sanitised.  @size: announced; -1 unknown.
 * @blocks: only a regular file will do.
 */
int recv_sink_file(struct recv_sink *s, const char *name, int64_t size,
    bool blocks, struct recv_fd *ret_fd);
int recv_sink_folder(
    struct recv_sink *s, const char *name, struct recv_fd *ret_fd);

/** recv_sink_peek_leaf(): of a file or folder: its last component. */
const char *recv_sink_peek_leaf(const struct recv_sink *s);
/** recv_sink_flush(): now and then, so that saving is quick. */
void recv_sink_flush(struct recv_sink *s);
/** recv_sink_save(): the worker wrote @count bytes and closed its copy. */
void recv_sink_save(struct recv_sink *s, int64_t count);
/** recv_sink_give_up(): it is not wanted any more: what is not saved by now
 * will not be, and nobody is told. */
void recv_sink_give_up(struct recv_sink *s);
/** recv_sink_reason(): of the last failure: one line, to be escaped. */
const char *recv_sink_reason(const struct recv_sink *s);
/** recv_sink_totals(): of a folder that was saved, or NULL. */
const struct archive_totals *recv_sink_totals(const struct recv_sink *s);

/** recv_sink_is_regular(): could -o @output be written by offset? */
bool recv_sink_is_regular(const char *output);

#endif
