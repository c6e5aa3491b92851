/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/fd.h"
#include "lib/log.h"

int
relay_notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len = path != NULL ? strlen(path) : 0;
	int fd = -1;

	if (len < 2 || len >= sizeof(sa.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';   /* the abstract namespace */
	(void)unsetenv("NOTIFY_SOCKET"); /* a valid name cannot fail */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				       len)) < 0) {
		log_warn_r(-errno, "relay", "service manager's socket");
		fd_close(&fd);
	}
	return fd;
}

void
relay_notify_send(int fd, const char *text)
{
	if (fd >= 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_warn_r(-errno, "relay", "service manager's socket");
}
