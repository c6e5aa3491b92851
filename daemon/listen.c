/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/fd.h"

/* First descriptor of sd_listen_fds(3). */
#define LISTEN_FD 3
#define LISTEN_BACKLOG 64

static int
check_socket(int fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	int listening = 0, type = 0;
	socklen_t int_len = sizeof(int);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return -errno;
	if (sa.sun_family != AF_UNIX ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) != 0 ||
	    type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_len) !=
		0 ||
	    listening == 0)
		return -EPROTOTYPE;
	return 0;
}

int
listen_inherited(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char own[24];
	int r;

	(void)snprintf(own, sizeof(own), "%d", (int)getpid());
	if (pid == NULL || fds == NULL || strcmp(pid, own) != 0)
		return -ENOENT;
	r = strcmp(fds, "1") == 0 ? check_socket(LISTEN_FD) : -EINVAL;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (r == 0)
		r = fd_set_inherit(LISTEN_FD, 0);
	if (r == 0)
		r = fd_set_nonblock(LISTEN_FD);
	return r < 0 ? r : LISTEN_FD;
}

/* Does anybody accept there?  0: no, remove it. */
static int
check_living(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, r = 0;

	if (lstat(sa->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ||
	    errno == EAGAIN) /* a full queue has an owner, too */
		r = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		r = -errno;
	fd_close(&fd);
	return r;
}

static int
bind_to(int fd, const struct sockaddr_un *sa, bool shared)
{
	mode_t old = umask(shared ? 0117 : 0177);
	int r = 0;

	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0)
		r = -errno;
	(void)umask(old);
	if (r == 0 && listen(fd, LISTEN_BACKLOG) != 0)
		r = -errno;
	return r;
}

int
listen_bind(const char *path, bool shared)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, r;

	/* An abstract address would have no permissions. */
	if (path[0] == '\0')
		return -EINVAL;
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	r = check_living(&sa);
	if (r < 0)
		return r;
	(void)unlink(path); /* stale, or not there */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = bind_to(fd, &sa, shared);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	return fd;
}
