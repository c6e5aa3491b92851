/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/secret.h"

static int
read_all(int fd, char *p, size_t cap, size_t *ret_len)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, p + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len == cap)
		return -DT_ERR_TOO_LONG;
	p[len] = '\0';
	*ret_len = len;
	return 0;
}

int
relay_files_read(int dirfd, const char *path, char **ret_text, size_t *ret_len)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text;
	int r;

	if (fd < 0)
		return -errno;
	text = malloc(RELAY_FILES_MAX + 1);
	r = text == NULL ? -ENOMEM
			 : read_all(fd, text, RELAY_FILES_MAX + 1, ret_len);
	fd_close(&fd);
	if (r < 0) {
		relay_files_free(text, RELAY_FILES_MAX);
		return r;
	}
	*ret_text = text;
	return 0;
}

void
relay_files_free(char *text, size_t len)
{
	if (text == NULL)
		return;
	secret_wipe(text, len);
	free(text);
}

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int
relay_files_write(
    int dirfd, const char *path, const char *text, size_t len, mode_t mode)
{
	char temp[PATH_MAX];
	int fd, r;

	r = snprintf(temp, sizeof(temp), "%s.new", path);
	if (r < 0 || (size_t)r >= sizeof(temp))
		return -ENAMETOOLONG;
	/* A leftover of a crash; also keeps us from following a link. */
	(void)unlinkat(dirfd, temp, 0);
	fd = openat(dirfd, temp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	fd_close(&fd);
	if (r == 0 && renameat(dirfd, temp, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, temp, 0);
	return r;
}

/* The child: wait until the relay is gone, then clean up. */
static _Noreturn void
clean_up(int guard, const char *dir, const char *path)
{
	ssize_t n;
	char byte;

	/* A terminal's Ctrl-C reaches the whole group. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	if (dup2(guard, 0) == 0)
		fd_close_from(1);
	do {
		n = read(0, &byte, 1);
	} while (n < 0 && errno == EINTR);
	(void)unlink(path);
	(void)rmdir(dir);
	_exit(0);
}

static int
start_cleaner(const char *dir, const char *path, int *ret_guard)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		clean_up(fds[0], dir, path);
	fd_close(&fds[0]);
	if (pid < 0) {
		int r = -errno;

		fd_close(&fds[1]);
		return r;
	}
	*ret_guard = fds[1];
	return 0;
}

int
relay_files_publish(const char *name, const char *text, mode_t dir_mode,
    char ret_path[static 4096], int *ret_guard)
{
	const char *base = getenv("TMPDIR");
	char dir[PATH_MAX];
	int r;

	if (base == NULL || base[0] != '/')
		base = "/tmp";
	r = snprintf(dir, sizeof(dir), "%s/derptun-relay.XXXXXX", base);
	if (r < 0 || (size_t)r >= sizeof(dir))
		return -ENAMETOOLONG;
	if (mkdtemp(dir) == NULL)
		return -errno;
	r = snprintf(ret_path, 4096, "%s/%s", dir, name);
	r = r < 0 || r >= 4096 ? -ENAMETOOLONG : 0;
	if (r == 0 && chmod(dir, dir_mode) < 0)
		r = -errno;
	if (r == 0)
		r = relay_files_write(
		    AT_FDCWD, ret_path, text, strlen(text), 0644);
	if (r == 0)
		r = start_cleaner(dir, ret_path, ret_guard);
	if (r < 0) {
		(void)unlink(ret_path);
		(void)rmdir(dir);
	}
	return r;
}
