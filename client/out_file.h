/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A regular file that arrives.  Nobody sees it before it is whole: it is
 * written without a name (or under a hidden one, where the file system cannot
 * do that), synced, and gets its name last, with mode and time already right.
 *
 *	out_file_open()    before anything is asked of the peer
 *	out_file_fd()      to the worker, which writes by offset
 *	out_file_flush()   now and then, so that the end is quick
 *	out_file_commit()  when the worker counted every byte
 *	out_file_free()    always; without a commit nothing remains
 */
#ifndef CLIENT_OUT_FILE_H
#define CLIENT_OUT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "client/out_target.h"

enum out_file_replace {
	/* A regular file may be replaced if the user named it with -o; what the
	 * peer named never replaces anything. */
	OUT_FILE_REPLACE_NAMED,
	OUT_FILE_REPLACE_NEVER,
	OUT_FILE_REPLACE_ALWAYS,
};

struct out_file_params {
	const char *output; /* of -o; NULL or "" for none; borrowed */
	const char *name;   /* the peer's, sanitised; borrowed */
	int64_t size;       /* announced; -1 unknown */
	enum out_file_replace replace;
	/* Holes: no space is reserved, and the end may be a hole.  Else the
	 * announced size is reserved, so that a full disk is known at once. */
	bool sparse;
	/* Use a hidden name even where a nameless file would do; for tests. */
	bool hidden;
	mode_t mode; /* 0: 0666 less umask, or that of the replaced file */
	const struct timespec *mtime; /* NULL: now; copied */
};

struct out_file;

/**
 * out_file_open():
 *
 * -o may also name a device, a pipe or a terminal: it is opened as it is, gets
 * bytes in order, and commit only checks the count.  A symbolic link that the
 * user named is followed to a regular file, which is replaced where it lies.
 *
 * Returns 0, or the errors of out_target_resolve(), and: -EEXIST (the target
 * exists and may not be replaced), -EACCES (folder, or the file to replace, is
 * read-only to us), -EROFS, -ENOSPC, -EDQUOT, -EFBIG (for this file system or
 * user), -EISDIR, -ELOOP (a link to nothing), -ENXIO (a pipe that nobody
 * reads), -ENOMEM, other -errno.
 */
int out_file_open(
    const struct out_file_params *params, struct out_file **ret_file);

/** out_file_fd(): borrowed, writable; non-blocking unless it is regular. */
int out_file_fd(const struct out_file *f);
/** out_file_is_regular(): may be written by offset; else in order only. */
bool out_file_is_regular(const struct out_file *f);
/** out_file_is_replacing(): a file of that name was there at the start; say so.
 */
bool out_file_is_replacing(const struct out_file *f);
/** out_file_peek_path(): for messages; may need escaping. */
const char *out_file_peek_path(const struct out_file *f);
/** out_file_peek_leaf(): its last component. */
const char *out_file_peek_leaf(const struct out_file *f);

/** out_file_flush(): begin to write out what has come; does not wait. */
void out_file_flush(struct out_file *f);

/**
 * out_file_commit(): all is there: sync, set mode and time, give the name.
 * Blocks for the sync.
 * @count: bytes the worker wrote.
 *
 * Returns 0: the file has its name and survives a crash.  Else nothing has the
 * name, or what had it has it still: -DT_ERR_TRUNCATED, -DT_ERR_TRAILING
 * (@count or the file's length is not the announced size, or they differ),
 * -EEXIST (somebody took the name meanwhile), -ENOSPC, -EDQUOT, -EIO, other
 * -errno.  After an error of the folder's own sync it has the name already.
 */
int out_file_commit(struct out_file *f, int64_t count);

/** out_file_free(): an uncommitted file disappears.  NULL is fine.  Not for
 * signal handlers. */
void out_file_free(struct out_file *f);

#endif
