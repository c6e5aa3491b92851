/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory of the user's own daemon. */
#ifndef CLIENT_DAEMON_DIR_H
#define CLIENT_DAEMON_DIR_H

#include <stdint.h>

/* The address of a UNIX socket has 108 bytes, so longer paths are of no use. */
#define DAEMON_DIR_MAX 128
/* With the longest name in it, derptund.log. */
#define DAEMON_DIR_MAX_FILE (DAEMON_DIR_MAX + 16)

struct daemon_dir {
	char path[DAEMON_DIR_MAX];
};

/**
 * daemon_dir_find(): $XDG_RUNTIME_DIR/derptund, else derptund-UID under $TMPDIR
 * or /tmp.  Nothing is made.
 *
 * Returns 0 or -ENAMETOOLONG.
 */
int daemon_dir_find(struct daemon_dir *ret_dir);

/** daemon_dir_for_netns(): ns-INODE below it.  0 or -ENAMETOOLONG. */
int daemon_dir_for_netns(struct daemon_dir *dir, uint64_t netns);

/**
 * daemon_dir_check(): is it a directory of ours that nobody else can enter?
 * Returns 0, -ENOENT, -EPERM (of somebody else, open to others, or no real
 * directory), or another -errno.
 */
int daemon_dir_check(const struct daemon_dir *dir);

/** daemon_dir_make(): 0700 if it is missing, then check. */
int daemon_dir_make(const struct daemon_dir *dir);

/** daemon_dir_file(): path of a file in it; @name of at most 14 characters. */
void daemon_dir_file(const struct daemon_dir *dir, const char *name,
    char ret[static DAEMON_DIR_MAX_FILE]);

/** daemon_dir_netns(): inode of our own network namespace, 0 if unknown. */
uint64_t daemon_dir_netns(void);

#endif
