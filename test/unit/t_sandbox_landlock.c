/* SPDX-License-Identifier: BSD-3-Clause */
/* Files and TCP, as far as this kernel's Landlock goes. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/log.h"
#include "lib/sandbox_landlock.h"
#include "test/unit/sandbox_child.h"

static int
try_create(void)
{
	int fd =
	    open("/tmp/t_sandbox.file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int status = status_of(fd);

	if (fd >= 0)
		(void)unlink("/tmp/t_sandbox.file");
	return status;
}

static int
try_tcp(void)
{
	const struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return status_of(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)));
}

static int
try_udp(void)
{
	const struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return status_of(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)));
}

static void
test_landlock(void)
{
	const enum sandbox_mode m = SANDBOX_ENFORCE;
	struct sandbox_profile p = { .name = "landlock" };
	int abi = sandbox_landlock_abi();

	printf("# Landlock ABI %d\n", abi);
	p.deny_filesystem = true;
	EQ_INT(confined(&p, m, try_open), abi >= 1 ? EACCES : 0, "open");
	EQ_INT(confined(&p, m, try_create), abi >= 1 ? EACCES : 0, "create");
	EQ_INT(confined(&p, m, try_exec), abi >= 1 ? EACCES : 0, "exec");
	EQ_INT(confined(&p, m, try_tcp), 0, "TCP is not files");
	EQ_INT(confined(&p, SANDBOX_AUDIT, try_open), 0, "audit: open runs");
	p.deny_filesystem = false;
	p.deny_tcp = true;
	EQ_INT(confined(&p, m, try_tcp), abi >= 4 ? EACCES : 0, "TCP");
	EQ_INT(confined(&p, m, try_udp), 0, "UDP is not TCP");
	EQ_INT(confined(&p, m, try_open), 0, "nor are files");
}

/* Every older ABI's subset must be accepted by this kernel. */
static int
try_abi(int abi)
{
	return sandbox_landlock_restrict(abi, true, true, true) == 0
		   ? try_open()
		   : EXIT_APPLY;
}

static void
test_landlock_abis(void)
{
	int status = 0;

	for (int abi = 1; abi <= sandbox_landlock_abi(); abi++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			_exit(try_abi(abi));
		}
		(void)waitpid(pid, &status, 0);
		EQ_INT(WEXITSTATUS(status), EACCES, "rights of ABI %d", abi);
	}
}

/* One folder is left. */
static char folder[] = "/tmp/t_sandbox.XXXXXX";

static int
try_in_folder(void)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (sandbox_confine(dir, SANDBOX_ENFORCE) != 0)
		return EXIT_APPLY;
	if (mkdirat(dir, "sub", 0700) != 0 ||
	    openat(dir, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0)
		return errno;
	fd = openat(
	    dir, "sub/file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : errno;
}

static int
try_out_of_folder(void)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;

	if (sandbox_confine(dir, SANDBOX_ENFORCE) != 0)
		return EXIT_APPLY;
	status = try_create();
	if (status == 0 || openat(dir, "..", O_RDONLY | O_CLOEXEC) >= 0 ||
	    symlinkat("/", dir, "link") == 0 ||
	    mknodat(dir, "pipe", S_IFIFO | 0600, 0) == 0 ||
	    openat(dir, "sub/file", O_RDONLY | O_CLOEXEC) >= 0 ||
	    unlinkat(dir, "sub/file", 0) == 0 ||
	    renameat(dir, "sub/file", dir, "other") == 0)
		return 0;
	return try_open();
}

static int
try_auditing(void)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return sandbox_confine(dir, SANDBOX_AUDIT) == 0 ? try_open()
							: EXIT_APPLY;
}

static void
test_confine(void)
{
	const struct sandbox_profile none = { .name = "none" };
	int abi = sandbox_landlock_abi(), dir;

	dir = mkdtemp(folder) != NULL
		  ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
		  : -1;
	EQ_INT(confined(&none, SANDBOX_OFF, try_in_folder), 0,
	    "one folder: what is needed there");
	EQ_INT(confined(&none, SANDBOX_OFF, try_out_of_folder),
	    abi >= 1 ? EACCES : 0, "and nothing else");
	EQ_INT(confined(&none, SANDBOX_OFF, try_auditing), 0,
	    "everything stays permitted when auditing");
	(void)unlinkat(dir, "sub/file", 0);
	(void)unlinkat(dir, "sub", AT_REMOVEDIR);
	(void)close(dir);
	EQ_INT(rmdir(folder), 0, "nothing else was made");
}

int
main(void)
{
	log_init("t_sandbox_landlock", LOG_LEVEL_INFO);
	test_landlock();
	test_landlock_abis();
	test_confine();
	return tap_done();
}
