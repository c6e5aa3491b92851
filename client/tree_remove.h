/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder of our own with everything in it. */
#ifndef CLIENT_TREE_REMOVE_H
#define CLIENT_TREE_REMOVE_H

#include <stdint.h>

/* Deeper than anything archive_unpack makes. */
#define TREE_REMOVE_MAX_DEPTH 256

/**
 * tree_remove(): @name in @dir.  Links are removed, never followed; folders
 * that their owner may not read are opened up first.
 *
 * Returns 0 (also when it was not there), -DT_ERR_LIMIT (too deep), -errno; as
 * much as possible is gone then.
 */
int tree_remove(int dir, const char *name);

/**
 * tree_remove_some(): likewise, but not more than @left files and folders.
 * @left: less those that were removed, or tried.
 *
 * Returns as tree_remove(); -DT_ERR_LIMIT also when there were more.
 */
int tree_remove_some(int dir, const char *name, uint64_t *left);

#endif
