/* SPDX-License-Identifier: BSD-3-Clause */
/* Which system calls fail, kill or run; see t_sandbox_landlock.c for files and
 * addresses, t_sandbox_limits.c for numbers and users. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/sandbox_landlock.h"
#include "test/unit/sandbox_child.h"

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

static int
try_nothing(void)
{
	return 0;
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

/* Where Landlock can scope signals. */
static void
test_signals(void)
{
	const enum sandbox_mode m = SANDBOX_ENFORCE;
	int abi = sandbox_landlock_abi();

	outsider = getpid();
	EQ_INT(confined(&worker, m, try_signal_outside), abi >= 6 ? EPERM : 0,
	    "a worker cannot signal others");
	EQ_INT(confined(&worker, m, try_signal_self), 0, "but itself");
	EQ_INT(confined(&parent, m, try_signal_outside), 0, "a parent can");
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

int
main(void)
{
	log_init("t_sandbox", LOG_LEVEL_INFO);
	if (!SANITIZED) {
		test_worker();
		test_parent();
		test_stacked();
		test_signals();
	}
	test_audit();
	test_off();
	test_inconsistent();
	return tap_done();
}
