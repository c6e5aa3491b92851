/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a confined process may have, and as whom it runs. */
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "lib/log.h"
#include "test/unit/sandbox_child.h"

static int
try_fds(void)
{
	int n = 0;

	while (dup(0) >= 0)
		n++;
	return errno == EMFILE && n <= 20 ? 0 : EXIT_WRONG;
}

static int
try_memory(void)
{
	void *p = mmap(NULL, (size_t)1 << 30, PROT_READ,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int
try_raise_limit(void)
{
	const struct rlimit more = { 21, 21 };

	if (sandbox_drop_root("nobody") != 0)
		return EXIT_APPLY;
	return status_of(setrlimit(RLIMIT_NOFILE, &more));
}

static int
try_fork(void)
{
	pid_t pid;

	/* The limit does not bind root. */
	if (sandbox_drop_root("nobody") != 0)
		return EXIT_APPLY;
	pid = fork();
	if (pid == 0)
		_exit(0);
	return status_of(pid);
}

static int
try_limits_twice(void)
{
	const struct sandbox_profile lax = { .name = "lax", .max_fds = 4096 };
	struct rlimit limit;

	if (sandbox_apply(&lax, SANDBOX_OFF) != 0 ||
	    getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return EXIT_APPLY;
	return limit.rlim_max == 20 ? 0 : EXIT_WRONG;
}

static void
test_limits(void)
{
	const struct sandbox_profile p = { .name = "limits",
		.max_fds = 20,
		.max_bytes = (uint64_t)1 << 29,
		.no_children = true };
	const struct sandbox_profile none = { .name = "none" };

	EQ_INT(confined(&p, SANDBOX_OFF, try_fds), 0, "20 descriptors");
	EQ_INT(confined(&p, SANDBOX_OFF, try_memory), SANITIZED ? 0 : ENOMEM,
	    "no gigabyte of memory");
	EQ_INT(confined(&none, SANDBOX_OFF, try_memory), 0, "unless unlimited");
	EQ_INT(confined(&p, SANDBOX_OFF, try_raise_limit), EPERM, "for good");
	EQ_INT(confined(&p, SANDBOX_OFF, try_limits_twice), 0,
	    "a lower limit stays");
	EQ_INT(confined(&p, SANDBOX_OFF, try_fork), SANITIZED ? 0 : EAGAIN,
	    "no children");
	EQ_INT(confined(&none, SANDBOX_OFF, try_fork), 0, "unless permitted");
}

/* The capability lines of /proc/self/status must be zero, save the bounding
 * set where it could not be lowered. */
static bool
no_capabilities(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	bool good = f != NULL;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if ((strncmp(line, "CapEff:", 7) == 0 ||
			strncmp(line, "CapPrm:", 7) == 0 ||
			strncmp(line, "CapBnd:", 7) == 0 ||
			strncmp(line, "CapInh:", 7) == 0) &&
		    strtoull(line + 7, NULL, 16) != 0)
			good = false;
	if (f != NULL)
		(void)fclose(f);
	return good;
}

static int
drop_and_check(const char *name)
{
	const gid_t group = 5;
	uid_t u[3] = { 0 };

	if (setgroups(1, &group) != 0 || sandbox_drop_root(name) != 0)
		return EXIT_APPLY;
	if (getresuid(&u[0], &u[1], &u[2]) != 0 || u[0] == 0 || u[1] != u[0] ||
	    u[2] != u[0] || getgid() == 0 || getgroups(0, NULL) != 0)
		return EXIT_WRONG;
	if (setuid(0) == 0 || setgid(0) == 0 || !no_capabilities())
		return EXIT_WRONG;
	return sandbox_drop_root(name) == 0 ? 0 : EXIT_WRONG;
}

static int
try_drop(void)
{
	return drop_and_check("daemon");
}

static int
try_drop_unknown(void)
{
	return drop_and_check("no-such-user-here");
}

static int
try_drop_null(void)
{
	return drop_and_check(NULL);
}

static int
try_drop_to_root(void)
{
	return sandbox_drop_root("root") == -EPERM && geteuid() == 0
		   ? 0
		   : EXIT_WRONG;
}

static void
test_drop_root(void)
{
	const struct sandbox_profile p = { .name = "none" };

	if (geteuid() != 0) {
		EQ_INT(
		    sandbox_drop_root("nobody"), 0, "not root: nothing to do");
		return;
	}
	EQ_INT(confined(&p, SANDBOX_OFF, try_drop), 0, "drop to a user");
	EQ_INT(
	    confined(&p, SANDBOX_OFF, try_drop_unknown), 0, "else to nobody");
	EQ_INT(confined(&p, SANDBOX_OFF, try_drop_null), 0, "no name: nobody");
	EQ_INT(confined(&p, SANDBOX_OFF, try_drop_to_root), 0, "not to root");
}

int
main(void)
{
	log_init("t_sandbox_limits", LOG_LEVEL_INFO);
	test_limits();
	test_drop_root();
	return tap_done();
}
