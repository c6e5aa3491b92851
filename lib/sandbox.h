/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confinement of a process: no new privileges, rlimits, Landlock, seccomp.  A
 * profile is data, kept beside the program it belongs to.  Filters and Landlock
 * domains are inherited through exec, so the daemon's must permit whatever its
 * helpers need.
 */
#ifndef LIB_SANDBOX_H
#define LIB_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_mode {
	SANDBOX_OFF,     /* rlimits and no-new-privileges only */
	SANDBOX_AUDIT,   /* forbidden calls are logged by the kernel, and run */
	SANDBOX_ENFORCE, /* forbidden calls kill the process */
};

/*
 * Lists are arrays of system call numbers (__NR_*), ended by -1.  NULL means
 * none.  allow: everything not listed anywhere kills (allow-list profiles).
 * When allow is NULL the profile is a deny-list: kill_list kills, the rest
 * runs.  eacces_list fails with EACCES, for calls libraries probe with.
 */
struct sandbox_profile {
	const char *name;
	const int *allow;
	const int *eacces_list;
	const int *kill_list;
	bool deny_filesystem; /* Landlock: no path may be opened any more */
	bool deny_tcp;        /* Landlock: no TCP bind or connect */
	uint64_t max_fds;     /* RLIMIT_NOFILE; 0 leaves it */
	uint64_t max_bytes;   /* RLIMIT_AS; 0 leaves it (sanitizers: always) */
	bool no_children;     /* RLIMIT_NPROC 0 */
};

/** sandbox_mode_compiled(): what the build option says. */
enum sandbox_mode sandbox_mode_compiled(void);

/**
 * sandbox_apply(): confine this process, for good.
 * @p: the profile.
 * @mode: usually sandbox_mode_compiled().
 *
 * mmap and mprotect with PROT_EXEC always kill in allow-list profiles. Landlock
 * is applied in enforce mode as far as the kernel has it; its ABI is logged at
 * debug.  Allow-list profiles also lose signals and abstract sockets to
 * processes outside (ABI 6).
 *
 * Returns 0, -errno, or -DT_ERR_INTERNAL when a call is on two lists: the
 * caller must exit (fail closed).
 */
int sandbox_apply(const struct sandbox_profile *p, enum sandbox_mode mode);

/**
 * sandbox_confine(): before sandbox_apply() of a profile that does not deny the
 * file system: leave of it one folder, to make and write folders and regular
 * files in.  Where there is Landlock, and in enforce mode only.
 * @dir: the folder; stays open.
 *
 * Returns 0, or -errno: the caller must exit.
 */
int sandbox_confine(int dir, enum sandbox_mode mode);

/**
 * sandbox_drop_root(): when running as root, become user @name (else "nobody")
 * with no groups and no capabilities.  Returns 0, or -errno.
 */
int sandbox_drop_root(const char *name);

#endif
