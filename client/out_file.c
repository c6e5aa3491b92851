/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three ways to the same end:
 *
 *	UNNAMED  O_TMPFILE.  Gets its name by linkat(); kill -9 leaves nothing.
 *	HIDDEN   .derphole-*.part, where a file system has no O_TMPFILE, or
 *	         /proc, through which such a file is named, is not there.  What
 *	         kill -9 leaves the next one removes (out_stale.h).
 *	DIRECT   a device, pipe or terminal that the user named with -o.
 *
 * A file is replaced by renaming over it, so that readers see the old one or
 * the new one; an unnamed one gets a hidden name for that moment.
 */
#include "client/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "client/out_stale.h"
#include "lib/err.h"
#include "lib/fd.h"

#define PERMISSIONS 0777
#define NEW_MODE 0666
/* While it arrives it is nobody else's. */
#define ARRIVING_MODE 0600
#define MAX_PROC_PATH 32 /* "/proc/self/fd/2147483647" */

enum how { UNNAMED, HIDDEN, DIRECT };

/* Owner: the caller of out_file_open(). */
struct out_file {
	struct out_target target;
	enum how how;
	int fd;
	char temp[OUT_TARGET_TEMP]; /* "" while it has no hidden name */
	int64_t size;               /* -1 unknown */
	bool replaces;
	struct stat old; /* what is replaced */
	bool sparse;
	mode_t mode;
	bool has_mtime;
	struct timespec mtime;
};

static void
proc_path(int fd, char path[static MAX_PROC_PATH])
{
	(void)snprintf(path, MAX_PROC_PATH, "/proc/self/fd/%d", fd); /* fits */
}

/* The user named a link: what it leads to becomes the target. */
static int
follow(struct out_file *f, const char *name)
{
	char proc[MAX_PROC_PATH], path[OUT_TARGET_MAX_PATH];
	struct out_target real;
	struct stat st;
	ssize_t n;
	int fd, r;

	fd = openat(f->target.dir, f->target.leaf, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ELOOP : -errno;
	r = fstat(fd, &f->old) == 0 ? 0 : -errno;
	proc_path(fd, proc);
	n = readlink(proc, path, sizeof(path));
	fd_close(&fd);
	if (r < 0 || !S_ISREG(f->old.st_mode))
		return r;
	if (n <= 0 || (size_t)n == sizeof(path))
		return -ELOOP;
	path[n] = '\0';
	r = out_target_resolve(path, name, false, &real);
	if (r < 0)
		return r;
	if (fstatat(real.dir, real.leaf, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    st.st_ino != f->old.st_ino || st.st_dev != f->old.st_dev) {
		out_target_fini(&real);
		return -ELOOP; /* moved or unlinked under our eyes */
	}
	out_target_fini(&f->target);
	f->target = real;
	return 0;
}

static int
judge_regular(struct out_file *f, enum out_file_replace policy, bool is_named)
{
	if (policy == OUT_FILE_REPLACE_NEVER ||
	    (policy == OUT_FILE_REPLACE_NAMED && !is_named))
		return -EEXIST;
	/* Renaming asks the folder only; a read-only file is to stay. */
	if (faccessat(f->target.dir, f->target.leaf, W_OK, AT_EACCESS) != 0)
		return -errno;
	f->replaces = true;
	return 0;
}

/* Is the target free, to be replaced, or something to write into? */
static int
judge(struct out_file *f, const struct out_file_params *p)
{
	bool is_named = f->target.is_named;
	int r;

	if (fstatat(f->target.dir, f->target.leaf, &f->old,
		AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(f->old.st_mode) && is_named) {
		r = follow(f, p->name);
		if (r < 0)
			return r;
	}
	if (S_ISREG(f->old.st_mode))
		return judge_regular(f, p->replace, is_named);
	if (is_named && (S_ISCHR(f->old.st_mode) || S_ISFIFO(f->old.st_mode))) {
		f->how = DIRECT;
		return 0;
	}
	return -EEXIST;
}

/* Not waiting for a reader of a named pipe, now or later: whoever writes has
 * other things to do.  Nobody else has this open file. */
static int
open_direct(struct out_file *f)
{
	f->fd = openat(f->target.dir, f->target.leaf,
	    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return f->fd >= 0 ? 0 : -errno;
}

static int
try_hidden(struct out_file *f)
{
	int r = out_stale_name(&f->target, f->temp);

	if (r < 0)
		return r;
	f->fd = openat(f->target.dir, f->temp,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, ARRIVING_MODE);
	if (f->fd >= 0)
		return out_stale_hold(&f->target, f->temp, f->fd);
	r = -errno;
	f->temp[0] = '\0';
	return r;
}

static int
open_hidden(struct out_file *f)
{
	int r = -EAGAIN;

	f->how = HIDDEN;
	for (int i = 0; i < OUT_STALE_TRIES && r == -EAGAIN; i++) {
		fd_close(&f->fd);
		r = try_hidden(f);
	}
	return r;
}

static bool
is_unsupported(int r)
{
	return r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL || r == -ENOENT;
}

static int
open_temporary(struct out_file *f, bool hidden)
{
	char proc[MAX_PROC_PATH];
	int r;

	if (hidden)
		return open_hidden(f);
	f->how = UNNAMED;
	f->fd = openat(
	    f->target.dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, ARRIVING_MODE);
	r = f->fd >= 0 ? 0 : -errno;
	if (r < 0)
		return is_unsupported(r) ? open_hidden(f) : r;
	proc_path(f->fd, proc);
	if (faccessat(AT_FDCWD, proc, F_OK, 0) == 0)
		return out_stale_hold(&f->target, "", f->fd);
	fd_close(&f->fd); /* no /proc to name it by */
	return open_hidden(f);
}

/* In memory every page is made when it is reserved, while the sender waits:
 * 0.4 s for each GiB.  What is left tells as much. */
static bool
is_in_memory(const struct out_file *f, bool *ret_fits)
{
	struct statfs fs;
	uint64_t page;

	if (fstatfs(f->fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC ||
	    fs.f_bsize <= 0)
		return false;
	page = (uint64_t)fs.f_bsize;
	*ret_fits = fs.f_blocks == 0 /* no limit */ ||
		    ((uint64_t)f->size + page - 1) / page <= fs.f_bavail;
	return true;
}

static int
reserve(const struct out_file *f)
{
	struct rlimit limit;
	bool fits;

	if (f->size <= 0)
		return 0;
	/* The worker's limit is the daemon's, but the file is the user's. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < (uint64_t)f->size)
		return -EFBIG;
	if (f->sparse)
		return 0;
	if (is_in_memory(f, &fits))
		return fits ? 0 : -ENOSPC;
	/* The length stays 0, and tells later how far the worker wrote. */
	while (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, 0, f->size) != 0)
		if (errno != EINTR)
			return errno == EOPNOTSUPP || errno == ENOSYS ? 0
								      : -errno;
	return 0;
}

static void
init(struct out_file *f, const struct out_file_params *p)
{
	f->fd = -1;
	f->target.dir = -1;
	f->size = p->size < 0 ? -1 : p->size;
	f->sparse = p->sparse;
	f->mode = p->mode & PERMISSIONS;
	f->has_mtime = p->mtime != NULL;
	if (f->has_mtime)
		f->mtime = *p->mtime;
}

int
out_file_open(const struct out_file_params *params, struct out_file **ret_file)
{
	struct out_file *f = calloc(1, sizeof(*f));
	int r;

	if (f == NULL)
		return -ENOMEM;
	init(f, params);
	r = out_target_resolve(params->output, params->name, false, &f->target);
	if (r == 0)
		r = judge(f, params);
	if (r == 0 && f->how == DIRECT)
		r = open_direct(f);
	else if (r == 0) {
		out_stale_sweep(&f->target);
		r = open_temporary(f, params->hidden);
	}
	if (r == 0 && f->how != DIRECT)
		r = reserve(f);
	if (r < 0) {
		out_file_free(f);
		return r;
	}
	if (f->mode == 0)
		f->mode = f->replaces ? f->old.st_mode & PERMISSIONS
				      : NEW_MODE & ~out_target_umask();
	*ret_file = f;
	return 0;
}

int
out_file_fd(const struct out_file *f)
{
	return f->fd;
}

bool
out_file_is_regular(const struct out_file *f)
{
	return f->how != DIRECT;
}

bool
out_file_is_replacing(const struct out_file *f)
{
	return f->replaces;
}

const char *
out_file_peek_path(const struct out_file *f)
{
	return f->target.path;
}

const char *
out_file_peek_leaf(const struct out_file *f)
{
	return f->target.leaf;
}

void
out_file_flush(struct out_file *f)
{
	/* A hint; the sync at the end reports what goes wrong. */
	if (f->how != DIRECT)
		(void)sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int
check_length(struct out_file *f, int64_t count)
{
	struct stat st;

	if (f->size >= 0 && count != f->size)
		return count < f->size ? -DT_ERR_TRUNCATED : -DT_ERR_TRAILING;
	if (f->how == DIRECT)
		return 0;
	if (fstat(f->fd, &st) != 0)
		return -errno;
	if (st.st_size < count && f->sparse) {
		if (ftruncate(f->fd, count) != 0)
			return -errno;
		st.st_size = count;
	}
	if (st.st_size == count)
		return 0;
	return st.st_size < count ? -DT_ERR_TRUNCATED : -DT_ERR_TRAILING;
}

static int
set_attributes(const struct out_file *f)
{
	mode_t mode = f->mode;
	struct stat st;
	int r;

	if (f->replaces && fstat(f->fd, &st) == 0 &&
	    (st.st_uid != f->old.st_uid || st.st_gid != f->old.st_gid) &&
	    fchown(f->fd, f->old.st_uid, f->old.st_gid) != 0)
		mode &= ~(mode_t)S_IRWXG; /* meant for another group */
	r = out_target_set_mode(f->fd, mode);
	if (r == 0)
		r = out_target_set_mtime(
		    f->fd, f->has_mtime ? &f->mtime : NULL);
	if (r < 0)
		return r;
	return fsync(f->fd) == 0 ? 0 : -errno;
}

/* What was reserved and never written becomes a hole.  It may stay as it is. */
static void
make_holes(const struct out_file *f, int64_t count)
{
	off_t hole = lseek(f->fd, 0, SEEK_HOLE), data;

	while (hole >= 0 && hole < count) {
		data = lseek(f->fd, hole, SEEK_DATA);
		if (data < 0)
			data = (off_t)count;
		if (data <= hole ||
		    fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			hole, data - hole) != 0)
			return;
		hole = lseek(f->fd, data, SEEK_HOLE);
	}
}

/* Names an unnamed file; never over anything. */
static int
link_as(const struct out_file *f, const char *name)
{
	char proc[MAX_PROC_PATH];

	proc_path(f->fd, proc);
	return linkat(AT_FDCWD, proc, f->target.dir, name, AT_SYMLINK_FOLLOW) ==
		       0
		   ? 0
		   : -errno;
}

static int
replace(struct out_file *f)
{
	int r = 0;

	if (f->how == UNNAMED) {
		r = out_stale_name(&f->target, f->temp);
		if (r == 0)
			r = link_as(f, f->temp);
		if (r < 0)
			f->temp[0] = '\0';
	}
	if (r == 0 && renameat(f->target.dir, f->temp, f->target.dir,
			  f->target.leaf) != 0)
		r = -errno;
	if (r < 0)
		return r;
	f->temp[0] = '\0';
	return out_target_sync(&f->target);
}

static int
publish(struct out_file *f)
{
	int r;

	if (f->replaces)
		return replace(f);
	if (f->how == UNNAMED) {
		r = link_as(f, f->target.leaf);
		return r == 0 ? out_target_sync(&f->target) : r;
	}
	r = out_target_publish(&f->target, f->temp);
	if (r == 0)
		f->temp[0] = '\0';
	return r;
}

int
out_file_commit(struct out_file *f, int64_t count)
{
	int r = check_length(f, count);

	if (r < 0 || f->how == DIRECT)
		return r;
	make_holes(f, count);
	r = set_attributes(f);
	return r == 0 ? publish(f) : r;
}

void
out_file_free(struct out_file *f)
{
	if (f == NULL)
		return;
	if (f->temp[0] != '\0')
		(void)unlinkat(f->target.dir, f->temp, 0);
	fd_close(&f->fd);
	out_target_fini(&f->target);
	free(f);
}
