/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packing and unpacking in a child process, so that the caller's loop never
 * waits for a disk or a pipe, and so that the parser of a peer's archive can
 * reach nothing but the hidden folder (Landlock, where there is).
 *
 * The child ends when the pipe's other side does, or when the caller dies.
 */
#ifndef CLIENT_ARCHIVE_PROC_H
#define CLIENT_ARCHIVE_PROC_H

#include "client/archive_pack.h"
#include "client/archive_unpack.h"
#include "lib/loop.h"

struct archive_proc;

struct archive_proc_params {
	struct loop *loop;
	archive_report_fn
	    *on_problem; /* in the caller's process; may be NULL */
	/* Once, never before start returned; the child is gone.  r as of
	 * archive_pack_write() or archive_unpack_run(), or
	 * -DT_ERR_WORKER_LOST.  @totals: NULL when r is not 0. */
	void (*on_done)(void *arg, int r, const struct archive_totals *totals);
	void *arg;
};

/**
 * archive_proc_pack(): archive_pack_write() in a child.
 * @pack: copied; its on_problem is not used.
 * @ret_fd: read the stream here; the caller's to pass on and close.
 *
 * Returns 0, -errno, -ENOMEM.
 */
int archive_proc_pack(const struct archive_proc_params *params,
    const struct archive_pack_params *pack, int *ret_fd,
    struct archive_proc **ret_proc);

/**
 * archive_proc_unpack(): archive_unpack_run() in a child.
 * @unpack: must outlive the proc; commit or free it after on_done() or
 *          archive_proc_free().
 * @ret_fd: write the stream here; the caller's to pass on and close.
 */
int archive_proc_unpack(const struct archive_proc_params *params,
    struct archive_unpack *unpack, int *ret_fd, struct archive_proc **ret_proc);

/** archive_proc_poll(): take what the child has said by now; on_done() may be
 * called.  Who saw the end of its stream has the result after this. */
void archive_proc_poll(struct archive_proc *p);

/** archive_proc_free(): a child still there is killed and waited for.  NULL is
 * fine. */
void archive_proc_free(struct archive_proc *p);

#endif
