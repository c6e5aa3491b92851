/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree that grows below a folder of our own, path by path as an archive of a
 * stranger's names them.  Every component is made or opened relative to its
 * parent's descriptor, never through a link; nothing that is there is opened
 * for writing.  Memory is one record for each level of the current path.
 */
#ifndef CLIENT_ARCHIVE_TREE_H
#define CLIENT_ARCHIVE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "client/archive_report.h"

struct archive_tree;

struct archive_tree_params {
	int dir; /* borrowed; empty, ours alone */
	size_t max_depth;
	int64_t max_inodes;            /* files and folders that may be made */
	archive_report_fn *on_problem; /* NULL: nobody listens */
	void *arg;
};

/** archive_tree_new(): NULL when memory is out. */
struct archive_tree *archive_tree_new(const struct archive_tree_params *params);
/** archive_tree_free(): without attributes for folders still open. */
void archive_tree_free(struct archive_tree *t);

/*
 * Both: @path as in the archive; empty and "." components do not count.  Where
 * they return -DT_ERR_PEER_PROTOCOL, what is wrong with @path was reported
 * (UNSAFE, TWICE, LIMIT); otherwise -errno of our side (WRITE was reported), or
 * -ENOMEM.  Components are changed as transfer_name_component() does (RENAMED
 * is reported once for each path).
 */

/** archive_tree_folder(): @mode: 0777 at most. */
int archive_tree_folder(struct archive_tree *t, const char *path, mode_t mode,
    const struct timespec *mtime);

/** archive_tree_file(): a new file, empty.
 * @mode: 0777 at most; less umask.
 * @ret_fd: for writing; the caller's. */
int archive_tree_file(
    struct archive_tree *t, const char *path, mode_t mode, int *ret_fd);

/** archive_tree_finish(): nothing more comes: modes and times of the folders
 * that are still open; the top gets 0755 less umask.  0 or -errno. */
int archive_tree_finish(struct archive_tree *t);

struct archive_tree_counts {
	int64_t files;
	int64_t folders;
	int64_t renamed;
};
struct archive_tree_counts archive_tree_counts(const struct archive_tree *t);

#endif
