/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What confined workers must not do kills them, what libraries probe with is
 * refused, and what they need runs.
 *
 * usage: sandbox_workers PATH_OF_SANDBOX_PROBE
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/tap.h"

#define EXIT_REFUSED 10
#define EXIT_SKIP 77

enum outcome { RUNS, REFUSED, KILLED, SKIPPED, ODD };

static const char *const outcome_names[] = { "runs", "is refused", "kills",
	"is not enforced in this build", "ends oddly" };

static const char *probe;

static enum outcome
attempt(const char *profile, const char *call)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl(probe, probe, profile, call, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return ODD;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : ODD;
	switch (WEXITSTATUS(status)) {
	case 0:
		return RUNS;
	case EXIT_REFUSED:
		return REFUSED;
	case EXIT_SKIP:
		return SKIPPED;
	default:
		return ODD;
	}
}

static void
expect(const char *profile, const char *call, enum outcome want)
{
	enum outcome got = attempt(profile, call);

	if (!OK(got == want, "%s: %s %s", profile, call, outcome_names[want]))
		printf("# it %s\n", outcome_names[got]);
}

static void
test_profile(const char *profile)
{
	static const char *const forbidden[] = { "socket", "socketpair",
		"connect", "bind", "listen", "setsockopt", "sendto", "execve",
		"execveat", "ptrace", "process_vm_readv", "kill", "clone",
		"clone3", "fork", "io_uring_setup", "bpf", "perf_event_open",
		"userfaultfd", "prctl", "seccomp", "mount", "umount2", "chroot",
		"unshare", "setns", "setuid", "keyctl", "memfd_create",
		"pidfd_open", "fcntl", "ioctl", "dup", "openat2", "unlink",
		"rename", "chmod", "getdents64", "mmap_exec", "mprotect_exec" };
	static const char *const refused[] = { "open", "openat", "newfstatat",
		"access", "readlink" };
	static const char *const needed[] = { "read", "write", "recvmsg",
		"sendmsg", "close", "getrandom", "mmap" };

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		expect(profile, forbidden[i], KILLED);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		expect(profile, refused[i], REFUSED);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		expect(profile, needed[i], RUNS);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 99;
	probe = argv[1];
	if (attempt("gate", "close") == SKIPPED) {
		printf("1..0 # SKIP this build does not enforce\n");
		return 0;
	}
	test_profile("gate");
	test_profile("session");
	expect("session", "accept4", RUNS);
	expect("session", "shutdown", RUNS);
	expect("gate", "accept4", KILLED);
	expect("gate", "shutdown", KILLED);
	OK(attempt("session", "nonsense") == ODD, "unknown calls are noticed");
	return tap_done();
}
