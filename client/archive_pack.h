/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A folder as a tar stream: ustar with pax records where ustar is too small,
 * two zero blocks at the end and nothing after them, folders and regular files
 * only, parents first and names in byte order.  Says nothing of the user: owner
 * and group are 0, without names.  Links are not followed, below the top.
 *
 * Both calls block; run archive_pack_write() in a process of its own
 * (archive_proc.h).
 */
#ifndef CLIENT_ARCHIVE_PACK_H
#define CLIENT_ARCHIVE_PACK_H

#include <stdbool.h>

#include "client/archive_report.h"

/* Each level holds a descriptor. */
#define ARCHIVE_PACK_MAX_DEPTH 200

struct archive_pack_params {
	int dir; /* the top; borrowed, O_RDONLY */
	/* Peer v0.18.2 refuses to send a folder with a link in it, and so do we
	 * unless this says to leave links out. */
	bool skip_links;
	archive_report_fn *on_problem;
	void *arg;
};

/**
 * archive_pack_measure(): walk without reading contents.
 * @ret_totals: what archive_pack_write() will give if nothing changes; tar_size
 *              is exact.
 *
 * Returns 0, -DT_ERR_UNSUPPORTED (a link; reported as LINK), -ELIBACC (no
 * libarchive), -ENOMEM, -errno of the top.  Everything else is reported and
 * counted.
 */
int archive_pack_measure(const struct archive_pack_params *params,
    struct archive_totals *ret_totals);

/**
 * archive_pack_write(): the stream.
 * @fd: blocking; SIGPIPE is ignored.
 * @ret_totals: of what was written.  faults > 0: tell the user, and end with an
 *              error; the archive is well-formed.
 *
 * Returns 0, the errors of archive_pack_measure(), -EIO (a file shrank or could
 * not be read to its end; reported, and the archive is cut there), -EPIPE and
 * other -errno of @fd.
 */
int archive_pack_write(const struct archive_pack_params *params, int fd,
    struct archive_totals *ret_totals);

#endif
