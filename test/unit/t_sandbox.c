/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confinement is for good, so every case runs in a child, which tells by its
 * exit status what happened: 0, the errno of the call tried, or the signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/sandbox_landlock.h"
#include "test/tap.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Exit statuses above any errno. */
#define EXIT_APPLY 200 /* sandbox_apply() failed */
#define EXIT_WRONG 201 /* the call gave a wrong result */

/* What remains of a call when a signal ended the child. */
#define KILLED (-SIGSYS)

static const int allow[] = { __NR_read, __NR_write, __NR_close, __NR_exit_group,
	__NR_mmap, __NR_munmap, __NR_mprotect, __NR_brk, __NR_rt_sigreturn,
	__NR_getpid, __NR_kill, -1 };
static const int refused[] = { __NR_openat, __NR_getppid, -1 };
static const int denied[] = { __NR_ptrace, __NR_kexec_load, -1 };
static const int denied_softly[] = { __NR_socket, -1 };

static const struct sandbox_profile worker = {
	.name = "worker", .allow = allow, .eacces_list = refused
};
static const struct sandbox_profile parent = {
	.name = "parent", .kill_list = denied, .eacces_list = denied_softly
};

/* The result of a system call as an exit status. */
static int
status_of(long r)
{
	return r >= 0 ? 0 : errno;
}

/* Runs try() in a confined child.  Returns its status, or -signal. */
static int
confined(
    const struct sandbox_profile *p, enum sandbox_mode mode, int (*try)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (sandbox_apply(p, mode) != 0)
			_exit(EXIT_APPLY);
		_exit(try());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return EXIT_WRONG;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int
try_nothing(void)
{
	return 0;
}

static int
try_open(void)
{
	return status_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

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
try_getppid(void)
{
	return status_of(syscall(SYS_getppid));
}

static int
try_socket(void)
{
	return status_of(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int
try_exec(void)
{
	char *argv[] = { NULL };

	return status_of(execv("/bin/true", argv));
}

static int
try_ptrace(void)
{
	return status_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
try_prctl(void)
{
	return status_of(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void *
page(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int
try_map(void)
{
	return page(PROT_READ | PROT_WRITE) != MAP_FAILED ? 0 : errno;
}

static int
try_map_exec(void)
{
	return page(PROT_READ | PROT_EXEC) != MAP_FAILED ? 0 : errno;
}

static int
try_protect(void)
{
	void *p = page(PROT_READ | PROT_WRITE);

	return p != MAP_FAILED ? status_of(mprotect(p, 4096, PROT_READ))
			       : errno;
}

static int
try_protect_exec(void)
{
	void *p = page(PROT_READ | PROT_WRITE);

	return p != MAP_FAILED ? status_of(mprotect(p, 4096, PROT_EXEC))
			       : errno;
}

/* The x32 numbers of x86-64 are another architecture's. */
static int
try_x32(void)
{
	return status_of(syscall(0x40000000 + SYS_getpid));
}

static void
test_worker(void)
{
	const enum sandbox_mode m = SANDBOX_ENFORCE;

	EQ_INT(confined(&worker, m, try_nothing), 0, "an allowed call");
	EQ_INT(confined(&worker, m, try_open), EACCES, "open fails");
	EQ_INT(confined(&worker, m, try_getppid), EACCES, "so does getppid");
	EQ_INT(confined(&worker, m, try_socket), KILLED, "socket kills");
	EQ_INT(confined(&worker, m, try_exec), KILLED, "exec kills");
	EQ_INT(confined(&worker, m, try_ptrace), KILLED, "ptrace kills");
	EQ_INT(confined(&worker, m, try_prctl), KILLED, "prctl kills");
	EQ_INT(confined(&worker, m, try_map), 0, "memory can be had");
	EQ_INT(confined(&worker, m, try_map_exec), KILLED, "not executable");
	EQ_INT(confined(&worker, m, try_protect), 0, "and protected");
	EQ_INT(confined(&worker, m, try_protect_exec), KILLED,
	    "not made executable");
#ifdef __x86_64__
	EQ_INT(confined(&worker, m, try_x32), KILLED, "no x32 calls");
#endif
}

static void
test_parent(void)
{
	const enum sandbox_mode m = SANDBOX_ENFORCE;

	EQ_INT(confined(&parent, m, try_open), 0, "what is not listed runs");
	EQ_INT(confined(&parent, m, try_socket), EACCES, "socket fails");
	EQ_INT(confined(&parent, m, try_ptrace), KILLED, "ptrace kills");
	EQ_INT(confined(&parent, m, try_map_exec), 0,
	    "executable memory is "
	    "the linker's");
	EQ_INT(confined(&parent, m, try_exec), 0, "exec runs");
}

static int
try_worker_inside(void)
{
	if (sandbox_apply(&worker, SANDBOX_ENFORCE) != 0)
		return EXIT_APPLY;
	return try_open();
}

static int
try_worker_socket(void)
{
	if (sandbox_apply(&worker, SANDBOX_ENFORCE) != 0)
		return EXIT_APPLY;
	return try_socket();
}

/* A worker's filter goes on top of its parent's; the strictest wins. */
static void
test_stacked(void)
{
	EQ_INT(confined(&parent, SANDBOX_ENFORCE, try_worker_inside), EACCES,
	    "a worker below a parent");
	EQ_INT(confined(&parent, SANDBOX_ENFORCE, try_worker_socket), KILLED,
	    "kill beats an error");
}

static void
test_audit(void)
{
	const enum sandbox_mode m = SANDBOX_AUDIT;

	EQ_INT(confined(&worker, m, try_open), 0, "audit: open runs");
	EQ_INT(confined(&worker, m, try_socket), 0, "audit: socket runs");
	EQ_INT(confined(&worker, m, try_map_exec), 0, "audit: exec memory");
	EQ_INT(confined(&parent, m, try_socket), 0, "audit: socket of parent");
	EQ_INT(confined(&parent, m, try_ptrace), 0, "audit: ptrace of parent");
}

static int
try_no_new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : EXIT_WRONG;
}

static void
test_off(void)
{
	EQ_INT(confined(&worker, SANDBOX_OFF, try_socket), 0, "off: no filter");
	EQ_INT(confined(&worker, SANDBOX_OFF, try_no_new_privileges), 0,
	    "off: no new privileges all the same");
	EQ_INT(sandbox_mode_compiled(), SANDBOX_MODE, "the build's mode");
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

static pid_t outsider;

static int
try_signal_outside(void)
{
	return status_of(kill(outsider, 0));
}

static int
try_signal_self(void)
{
	return status_of(kill(getpid(), 0));
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
	outsider = getpid();
	EQ_INT(confined(&worker, m, try_signal_outside), abi >= 6 ? EPERM : 0,
	    "a worker cannot signal others");
	EQ_INT(confined(&worker, m, try_signal_self), 0, "but itself");
	EQ_INT(confined(&parent, m, try_signal_outside), 0, "a parent can");
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

static void
test_inconsistent(void)
{
	const struct sandbox_profile a = {
		.name = "a", .allow = allow, .eacces_list = allow
	};
	const struct sandbox_profile b = {
		.name = "b", .allow = allow, .kill_list = allow
	};
	const struct sandbox_profile c = {
		.name = "c", .kill_list = denied, .eacces_list = denied
	};

	EQ_INT(sandbox_apply(&a, SANDBOX_ENFORCE), -DT_ERR_INTERNAL,
	    "allowed and refused");
	EQ_INT(sandbox_apply(&b, SANDBOX_ENFORCE), -DT_ERR_INTERNAL,
	    "allowed and killed");
	EQ_INT(sandbox_apply(&c, SANDBOX_ENFORCE), -DT_ERR_INTERNAL,
	    "refused and killed");
	EQ_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, "nothing applied");
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

/* Valgrind makes system calls of its own that a filter would kill. */
static bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

int
main(void)
{
	if (under_valgrind()) {
		printf("1..0 # SKIP valgrind\n");
		return 0;
	}
	log_init("t_sandbox", LOG_LEVEL_INFO);
	if (!SANITIZED) {
		test_worker();
		test_parent();
		test_stacked();
		test_landlock();
		test_landlock_abis();
		test_confine();
	}
	test_audit();
	test_off();
	test_limits();
	test_inconsistent();
	test_drop_root();
	return tap_done();
}
