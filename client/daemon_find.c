/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/daemon_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/daemon_connect.h"
#include "client/daemon_dir.h"
#include "client/daemon_spawn.h"
#include "lib/err.h"
#include "lib/fd.h"

#define SYSTEM_SOCKET "/run/derptund/control.sock"
/* A running daemon greets at once unless its machine is overloaded. */
#define GREET_US (5 * MONO_SEC)

static int
fail(char *ret_error, const char *what, int r)
{
	(void)snprintf(
	    ret_error, DAEMON_FIND_MAX_ERROR, "%s: %s", what, err_str(r));
	return r;
}

static int
greet(const char *path, const sigset_t *wait_mask, int *ret_fd,
    uint64_t *ret_netns)
{
	return daemon_connect(
	    path, mono_add(mono_now(), GREET_US), wait_mask, ret_fd, ret_netns);
}

static int
find_named(
    const char *path, const sigset_t *wait_mask, int *ret_fd, char *ret_error)
{
	uint64_t any;
	int r = greet(path, wait_mask, ret_fd, &any);

	if (r >= 0 || r == -EINTR)
		return r;
	(void)snprintf(ret_error, DAEMON_FIND_MAX_ERROR,
	    "cannot reach derptund at %.256s: %s", path, err_str(r));
	return r;
}

/* Sets *dir to where the own daemon of this namespace is or belongs.  Returns 0
 * when it runs and was reached. */
static int
find_own(struct daemon_dir *dir, const sigset_t *wait_mask, int *ret_fd)
{
	uint64_t netns = daemon_dir_netns(), its;
	char path[DAEMON_DIR_MAX_FILE];
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		r = daemon_dir_check(dir);
		if (r < 0)
			return r;
		daemon_dir_file(dir, "control.sock", path);
		r = greet(path, wait_mask, ret_fd, &its);
		if (r < 0 || its == netns)
			return r;
		/* It lives elsewhere: ours has a folder of its own. */
		fd_close(ret_fd);
		r = i == 0 ? daemon_dir_for_netns(dir, netns) : -ENOENT;
	}
	return r;
}

int
daemon_find(const struct daemon_find_params *p, int *ret_fd, char *ret_error)
{
	uint64_t its;
	const char *named = p->socket;
	struct daemon_dir dir;
	int r;

	ret_error[0] = '\0';
	if (*named == '\0')
		named = getenv("DERPTUND_SOCKET");
	if (named != NULL && *named != '\0')
		return find_named(named, p->wait_mask, ret_fd, ret_error);
	r = greet(SYSTEM_SOCKET, p->wait_mask, ret_fd, &its);
	if (r == 0 && its == daemon_dir_netns())
		return 0;
	if (r == 0)
		fd_close(ret_fd);
	if (r == -EINTR)
		return r;
	r = daemon_dir_find(&dir);
	if (r < 0)
		return fail(ret_error, "directory of derptund", r);
	r = find_own(&dir, p->wait_mask, ret_fd);
	if (r == 0 || r == -EINTR)
		return r;
	if (p->may_start)
		return daemon_spawn(&dir, p->wait_mask, ret_fd, ret_error);
	if (r != -ENOENT && r != -ECONNREFUSED && r != -DT_ERR_CLOSED)
		return fail(ret_error, dir.path, r);
	(void)snprintf(
	    ret_error, DAEMON_FIND_MAX_ERROR, "no daemon is running");
	return r;
}
