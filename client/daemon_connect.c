/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/daemon_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "proto/rpc/rpc.h"

/* The hello has seven short members. */
#define MAX_HELLO 1024

int
daemon_connect_address(struct sockaddr_un *ret_address, const char *path)
{
	size_t len = strlen(path);

	if (len >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, path, len + 1);
	return 0;
}

static int
wait_readable(int fd, struct mono deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = mono_diff(deadline, mono_now());
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)(left / MONO_MS) + 1);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

static int
read_line(int fd, struct mono deadline, char line[MAX_HELLO], size_t *ret_len)
{
	size_t len = 0;
	int r;

	while (len < MAX_HELLO) {
		ssize_t n = recv(fd, line + len, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return -DT_ERR_CLOSED;
		if (n == 1 && line[len] == '\n') {
			*ret_len = len;
			return 0;
		}
		if (n == 1) {
			len++;
			continue;
		}
		if (errno != EAGAIN)
			return -errno;
		r = wait_readable(fd, deadline);
		if (r < 0)
			return r;
	}
	return -DT_ERR_SYNTAX;
}

static int
parse_hello(const char *line, size_t len, struct daemon_hello *ret_hello)
{
	struct daemon_hello h;
	struct rpc_message m;
	const char *version;
	int code, r = -DT_ERR_SYNTAX;

	memset(&h, 0, sizeof(h));
	if (rpc_parse(line, len, &m, &code) < 0)
		return -DT_ERR_SYNTAX;
	if (m.kind == RPC_NOTIFICATION && strcmp(m.method, "hello") == 0) {
		h.protocol =
		    json_integer_value(json_object_get(m.params, "protocol"));
		h.pid = json_integer_value(json_object_get(m.params, "pid"));
		h.netns = (uint64_t)json_integer_value(
		    json_object_get(m.params, "netns"));
		h.system = json_is_true(json_object_get(m.params, "system"));
		version =
		    json_string_value(json_object_get(m.params, "version"));
		(void)snprintf(h.version, sizeof(h.version), "%s",
		    version != NULL ? version : "");
		r = h.protocol == RPC_PROTOCOL ? 0 : -DT_ERR_VERSION;
	}
	rpc_fini(&m);
	if (r == 0)
		*ret_hello = h;
	return r;
}

int
daemon_connect(const char *path, struct mono deadline, int *ret_fd,
    struct daemon_hello *ret_hello)
{
	struct sockaddr_un address;
	char line[MAX_HELLO];
	size_t len;
	int fd, r;

	r = daemon_connect_address(&address, path);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		r = -errno;
	if (r == 0)
		r = read_line(fd, deadline, line, &len);
	if (r == 0)
		r = parse_hello(line, len, ret_hello);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}
