/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tar stream of a peer's as a folder.  libarchive parses; names are judged
 * and files are made here, relative to descriptors, in a new folder of mode
 * 0700 beside the target, where nothing but this module ever puts anything. So
 * no entry can meet a link, a device, or a file that was there before.  Only
 * folders and regular files are taken; the first thing wrong ends it.
 *
 *	archive_unpack_open()    the hidden folder
 *	archive_unpack_run()     blocks: in a process of its own
 *	archive_unpack_commit()  synced, then it gets its name
 *	archive_unpack_free()    always; without a commit nothing remains
 *
 * What kill -9 leaves the next one into the same place removes (out_stale.h).
 */
#ifndef CLIENT_ARCHIVE_UNPACK_H
#define CLIENT_ARCHIVE_UNPACK_H

#include <stdint.h>

#include "client/archive_report.h"

/* Each level holds a descriptor. */
#define ARCHIVE_UNPACK_MAX_DEPTH 200
/* A tar of nothing but empty files, 2 GiB long, makes that many inodes. */
#define ARCHIVE_UNPACK_MAX_ENTRIES (INT64_C(1) << 22)

struct archive_unpack_params {
	const char *output;  /* of -o; NULL or "" for none; borrowed */
	const char *name;    /* the peer's, sanitised; borrowed */
	int64_t max_entries; /* 0: ARCHIVE_UNPACK_MAX_ENTRIES */
	/* Contents of files; at most the tar's announced size makes sense.
	 * 0: no limit but the stream itself (sparse entries are refused). */
	int64_t max_bytes;
	/* May be called in the process that runs archive_unpack_run(). */
	archive_report_fn *on_problem;
	void *arg;
};

struct archive_unpack;

/**
 * archive_unpack_open():
 *
 * Returns 0, the errors of out_target_resolve(), -EEXIST (something is there
 * already, an empty folder included), -ELIBACC (no libarchive), -ENOMEM, other
 * -errno.
 */
int archive_unpack_open(const struct archive_unpack_params *params,
    struct archive_unpack **ret_unpack);

/**
 * archive_unpack_run(): read @fd to its end.  Once.
 * @fd: blocking.
 *
 * Modes are the entry's low nine bits less umask, times are the entry's;
 * folders get theirs when they are left.  The archive must end with two zero
 * blocks; zeros may follow, nothing else.
 *
 * Returns 0; -DT_ERR_PEER_PROTOCOL (UNSAFE, TYPE, TWICE, LIMIT, FORMAT were
 * reported), -DT_ERR_TRUNCATED (the stream ends inside), -ENOMEM, or -errno of
 * our side: -ENOSPC, -EDQUOT, -EROFS, -EFBIG, -EIO, ...
 */
int archive_unpack_run(
    struct archive_unpack *u, int fd, struct archive_totals *ret_totals);

/**
 * archive_unpack_commit(): sync what run() made and give it its name.  Blocks.
 *
 * Returns 0, -EEXIST (somebody took the name meanwhile), other -errno; the
 * name is untouched then.
 */
int archive_unpack_commit(struct archive_unpack *u);

/** archive_unpack_set_problem(): another listener than of open(). */
void archive_unpack_set_problem(
    struct archive_unpack *u, archive_report_fn *on_problem, void *arg);

/** archive_unpack_dir(): the hidden folder, all that run() touches; borrowed.
 */
int archive_unpack_dir(const struct archive_unpack *u);

/** archive_unpack_peek_path(): for messages; may need escaping. */
const char *archive_unpack_peek_path(const struct archive_unpack *u);
/** archive_unpack_peek_leaf(): its last component. */
const char *archive_unpack_peek_leaf(const struct archive_unpack *u);

/** archive_unpack_free(): what was not committed is removed.  NULL is fine.
 * End the process that runs it first. */
void archive_unpack_free(struct archive_unpack *u);

#endif
