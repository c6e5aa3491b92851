/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  The lock is flock(2)'s: it belongs to the open file,
 * which the receiver shares with the child that unpacks and the worker that
 * writes, and ends with the last of them.
 *
 * Between making something and locking it, a sweeper may take it for dead.  A
 * sweeper removes only what it has locked itself; so whoever comes second sees
 * that, or finds the name gone.
 */
#include "client/out_stale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "client/tree_remove.h"
#include "lib/fd.h"

/* Not in <linux/magic.h> everywhere. */
#define MAGIC_XFS 0x58465342
#define MAGIC_ZFS 0x2fc12fc1
#define MAGIC_F2FS 0xf2f52010
#define MAGIC_EXFAT 0x2011bab0
#define MAGIC_BCACHEFS 0xca451a4e

/* Is @name, an entry of the folder, still what @fd is? */
static bool
is_still(const struct out_target *t, const char *name, int fd)
{
	struct stat by_name, by_fd;

	return fstatat(t->dir, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
	       by_name.st_dev == by_fd.st_dev;
}

/* Elsewhere (NFS, CIFS, FUSE, what a virtual machine shares with its host) a
 * lock may be known to one of several machines only. */
static bool
is_local(int fd)
{
	static const uint32_t known[] = { EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC,
		MAGIC_XFS, MAGIC_ZFS, MAGIC_F2FS, MAGIC_EXFAT, MAGIC_BCACHEFS };
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((uint32_t)fs.f_type == known[i])
			return true;
	return false;
}

int
out_stale_name(
    const struct out_target *target, char ret_name[static OUT_TARGET_TEMP])
{
	return out_target_temp(is_local(target->dir), ret_name);
}

int
out_stale_hold(const struct out_target *target, const char *temp, int fd)
{
	if (!is_local(fd)) /* where it might also wait for a server */
		return 0;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EAGAIN : 0;
	return *temp == '\0' || is_still(target, temp, fd) ? 0 : -EAGAIN;
}

/* A file or folder of ours; not followed, and nothing that answers. */
static int
open_ours(const struct out_target *t, const char *name)
{
	struct stat st;
	int fd, flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	if (fstatat(t->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    st.st_uid != geteuid() ||
	    (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return -1;
	fd = openat(t->dir, name, flags);
	if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_uid != geteuid()))
		fd_close(&fd);
	return fd;
}

/* Of a folder that changes only with what is directly in it: hence days. */
static bool
is_old(int fd)
{
	struct timespec now;
	struct stat st;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	       fstat(fd, &st) == 0 &&
	       now.tv_sec - st.st_mtim.tv_sec >= OUT_STALE_AGE &&
	       now.tv_sec - st.st_ctim.tv_sec >= OUT_STALE_AGE;
}

static void
sweep_one(
    const struct out_target *t, const char *name, bool is_here, uint64_t *left)
{
	int fd = open_ours(t, name);

	if (fd < 0)
		return;
	if ((is_here || is_old(fd)) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    is_still(t, name, fd))
		(void)tree_remove_some(t->dir, name, left);
	fd_close(&fd);
}

/* Nobody else can give something of ours such a name. */
static bool
is_private(int dir)
{
	struct stat st;

	return fstat(dir, &st) == 0 &&
	       (st.st_uid == geteuid() || st.st_uid == 0) &&
	       ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
		   (st.st_mode & S_ISVTX) != 0);
}

void
out_stale_sweep(const struct out_target *target)
{
	uint64_t left = OUT_STALE_MAX_REMOVED;
	int fd = openat(target->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;
	bool is_here;
	DIR *d;

	if (fd < 0)
		return; /* a folder we may write but not read */
	d = is_local(fd) && is_private(fd) ? fdopendir(fd) : NULL;
	if (d == NULL) {
		fd_close(&fd);
		return;
	}
	for (int n = 0; n < OUT_STALE_MAX_SEEN && left > 0; n++) {
		e = readdir(d);
		if (e == NULL)
			break;
		if (out_target_is_temp(e->d_name, &is_here))
			sweep_one(target, e->d_name, is_here, &left);
	}
	(void)closedir(d);
}
