/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/daemon_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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
wait_readable(int fd, struct mono deadline, const sigset_t *wait_mask)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = mono_diff(deadline, mono_now());
	struct timespec timeout = { .tv_sec = left / MONO_SEC,
		.tv_nsec = left % MONO_SEC * (1000000000 / MONO_SEC) };
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = ppoll(&p, 1, &timeout, wait_mask);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

/* Takes the first line and nothing after it: that is its reader's who comes
 * next. */
static int
read_line(int fd, struct mono deadline, const sigset_t *wait_mask,
    char line[MAX_HELLO], size_t *ret_len)
{
	size_t len = 0;
	int r;

	while (len < MAX_HELLO) {
		size_t room = MAX_HELLO - len;
		ssize_t n = recv(fd, line + len, room, MSG_DONTWAIT | MSG_PEEK);
		const char *end;

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return -DT_ERR_CLOSED;
		if (n > 0) {
			end = memchr(line + len, '\n', (size_t)n);
			if (end != NULL)
				n = end - (line + len) + 1;
			n = recv(fd, line + len, (size_t)n, MSG_DONTWAIT);
		}
		if (n > 0) {
			len += (size_t)n;
			if (line[len - 1] == '\n') {
				*ret_len = len - 1;
				return 0;
			}
			continue;
		}
		if (errno != EAGAIN)
			return -errno;
		r = wait_readable(fd, deadline, wait_mask);
		if (r < 0)
			return r;
	}
	return -DT_ERR_SYNTAX;
}

static int
parse_hello(const char *line, size_t len, uint64_t *ret_netns)
{
	struct rpc_message m;
	int code, r = -DT_ERR_SYNTAX;

	if (rpc_parse(line, len, &m, &code) < 0)
		return -DT_ERR_SYNTAX;
	if (m.kind == RPC_NOTIFICATION && strcmp(m.method, "hello") == 0) {
		r = json_integer_value(json_object_get(m.params, "protocol")) ==
			    RPC_PROTOCOL
			? 0
			: -DT_ERR_VERSION;
		*ret_netns = (uint64_t)json_integer_value(
		    json_object_get(m.params, "netns"));
	}
	rpc_fini(&m);
	return r;
}

int
daemon_connect(const char *path, struct mono deadline,
    const sigset_t *wait_mask, int *ret_fd, uint64_t *ret_netns)
{
	struct sockaddr_un address;
	char line[MAX_HELLO];
	uint64_t netns = 0;
	size_t len = 0;
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
		r = read_line(fd, deadline, wait_mask, line, &len);
	if (r == 0)
		r = parse_hello(line, len, &netns);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	*ret_netns = netns;
	return 0;
}
