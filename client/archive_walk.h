/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A folder, entry by entry: parents first, names in byte order, links not
 * followed.  Memory holds the names of the folders on the way down only.
 */
#ifndef CLIENT_ARCHIVE_WALK_H
#define CLIENT_ARCHIVE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "client/archive_report.h"

struct archive_walk;

/* Borrowed until the next call. */
struct archive_walk_entry {
	const char *path; /* below the top */
	int dir;          /* the folder it is in */
	const char *name; /* in that folder */
	size_t depth;     /* 0: right below the top */
	int r;            /* 0, or why @st could not be had */
	struct stat st;
};

/**
 * archive_walk_new():
 * @dir: the top; borrowed for the life of the walk.
 * @max_depth: folders that may be entered below each other.
 *
 * Returns 0, -ENOMEM, or -errno of reading the top.
 */
int archive_walk_new(int dir, size_t max_depth, struct archive_walk **ret_walk);
void archive_walk_free(struct archive_walk *w);

/** archive_walk_next(): 1 with an entry, 0 at the end, -ENOMEM.  An entry whose
 * path is longer than ARCHIVE_REPORT_MAX_PATH comes with -ENAMETOOLONG and its
 * folder's path. */
int archive_walk_next(
    struct archive_walk *w, struct archive_walk_entry *ret_entry);

/**
 * archive_walk_enter(): go on inside the entry just given, a folder.
 *
 * Returns 0, -DT_ERR_LIMIT (too deep), -ENOMEM, -errno: it is left out.
 */
int archive_walk_enter(struct archive_walk *w);

#endif
