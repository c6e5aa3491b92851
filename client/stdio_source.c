/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/stdio_source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/fd.h"

/* Not in the headers of all. */
#ifndef TRACEFS_MAGIC
#define TRACEFS_MAGIC 0x74726163
#endif

/* Files made up when they are read: their sizes say nothing. */
static bool
is_made_up(int fd)
{
	static const long kinds[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC,
		DEBUGFS_MAGIC, TRACEFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fs.f_type == kinds[i])
			return true;
	return false;
}

/* Others of that sort, in file systems not listed: empty, but with contents. */
static bool
is_more_than_its_size(int fd, const struct stat *st)
{
	char c;

	return st->st_size == 0 && pread(fd, &c, 1, 0) == 1;
}

static enum stdio_source_kind
kind_of(int fd, const struct stat *st, enum stdio_source_direction direction)
{
	if (S_ISFIFO(st->st_mode))
		return STDIO_SOURCE_PIPE;
	if (S_ISSOCK(st->st_mode))
		return STDIO_SOURCE_SOCKET;
	if (isatty(fd))
		return STDIO_SOURCE_TTY;
	if (!S_ISREG(st->st_mode) || is_made_up(fd))
		return STDIO_SOURCE_DEVICE;
	if (direction == STDIO_SOURCE_IN && is_more_than_its_size(fd, st))
		return STDIO_SOURCE_DEVICE;
	return STDIO_SOURCE_FILE;
}

static bool
is_open_for(int flags, enum stdio_source_direction direction)
{
	int mode = flags & O_ACCMODE;

	if ((flags & O_PATH) != 0)
		return false;
	return mode == O_RDWR ||
	       mode == (direction == STDIO_SOURCE_IN ? O_RDONLY : O_WRONLY);
}

static int
open_file(struct stdio_source *s, const struct stat *st)
{
	bool is_in = s->direction == STDIO_SOURCE_IN;

	s->offset = lseek(s->user_fd, 0, SEEK_CUR);
	if (s->offset < 0)
		return -errno;
	if (is_in)
		s->size = st->st_size > s->offset ? st->st_size - s->offset : 0;
	s->fd = fd_reopen(s->user_fd, is_in ? O_RDONLY : O_WRONLY);
	if (s->fd < 0)
		s->fd = fcntl(s->user_fd, F_DUPFD_CLOEXEC, 0);
	return s->fd >= 0 ? 0 : -errno;
}

/* Pipes, terminals and devices: non-blocking for the worker, if it is allowed;
 * what only pretends to be a file could not be waited for. */
static void
open_other(struct stdio_source *s, const struct stat *st)
{
	int flags = s->direction == STDIO_SOURCE_IN ? O_RDONLY : O_WRONLY;
	int fd = -1;

	if (s->kind != STDIO_SOURCE_SOCKET && !S_ISREG(st->st_mode))
		fd = fd_reopen(s->user_fd, flags | O_NONBLOCK);
	s->fd = fd >= 0 ? fd : -1;
}

int
stdio_source_open(int fd, enum stdio_source_direction direction,
    struct stdio_source *ret_source)
{
	struct stdio_source s = {
		.direction = direction, .user_fd = fd, .fd = -1, .size = -1
	};
	int flags = fcntl(fd, F_GETFL), r = 0;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!is_open_for(flags, direction))
		return -EBADF;
	s.is_append = direction == STDIO_SOURCE_OUT && (flags & O_APPEND) != 0;
	s.kind = kind_of(fd, &st, direction);
	if (s.kind == STDIO_SOURCE_FILE)
		r = open_file(&s, &st);
	else
		open_other(&s, &st);
	if (r == 0)
		*ret_source = s;
	return r;
}

bool
stdio_source_is_positioned(const struct stdio_source *s)
{
	return s->kind == STDIO_SOURCE_FILE && !s->is_append;
}

/* The length, and what the disk has to say. */
static int
finish_output(const struct stdio_source *s, off_t end)
{
	if (!s->is_append && ftruncate(s->user_fd, end) != 0)
		return -errno;
	/* EINVAL, EROFS: of what cannot be synced. */
	if (fsync(s->user_fd) != 0 && errno != EINVAL && errno != EROFS)
		return -errno;
	return 0;
}

int
stdio_source_finish(struct stdio_source *s, int64_t count)
{
	int64_t end;

	if (s->kind != STDIO_SOURCE_FILE)
		return 0;
	if (count < 0 || count > INT64_MAX - s->offset)
		return -EINVAL;
	end = s->offset + count;
	if (!s->is_append && lseek(s->user_fd, end, SEEK_SET) < 0)
		return -errno;
	return s->direction == STDIO_SOURCE_OUT ? finish_output(s, end) : 0;
}

void
stdio_source_fini(struct stdio_source *s)
{
	fd_close(&s->fd);
}
