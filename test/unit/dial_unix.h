/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_UNIT_DIAL_UNIX_H
#define TEST_UNIT_DIAL_UNIX_H

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/fd.h"

/* A connection to the UNIX socket at @path; -1 when there is none. */
static inline int
dial_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0)
		fd_close(&fd);
	return fd;
}

#endif
