/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Order: rlimits, no-new-privileges, Landlock, seccomp; each step needs calls
 * that the next may forbid.  Everything fails closed but a kernel without
 * Landlock.
 *
 * Audit mode is for sanitizer builds and for finding missing calls: what would
 * be refused or killed is logged by the kernel and runs.  Landlock cannot do
 * that, so it is left out then.
 */
#include "lib/sandbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/sandbox_landlock.h"

/* Sanitizers reserve terabytes of address space, and make threads at exit. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

enum sandbox_mode
sandbox_mode_compiled(void)
{
	return SANDBOX_MODE;
}

/* Lowers a limit for good; one that is lower already stays. */
static int
lower_limit(__rlimit_resource_t what, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(what, &limit) != 0)
		return -errno;
	if (value > limit.rlim_max)
		value = limit.rlim_max;
	limit.rlim_cur = value;
	limit.rlim_max = value;
	return setrlimit(what, &limit) == 0 ? 0 : -errno;
}

static int
apply_limits(const struct sandbox_profile *p)
{
	int r = 0;

	if (p->max_fds != 0)
		r = lower_limit(RLIMIT_NOFILE, p->max_fds);
	if (r == 0 && p->max_bytes != 0 && !SANDBOX_SANITIZED)
		r = lower_limit(RLIMIT_AS, p->max_bytes);
	if (r == 0 && p->no_children && !SANDBOX_SANITIZED)
		r = lower_limit(RLIMIT_NPROC, 0);
	return r;
}

static int
apply_landlock(const struct sandbox_profile *p)
{
	int abi = sandbox_landlock_abi();

	if (abi < 0) {
		log_debug("sandbox", "no Landlock in this kernel");
		return 0;
	}
	log_debug("sandbox", "Landlock abi=%d profile=%s", abi, p->name);
	/* A worker has no one to talk to but over what it was given. */
	return sandbox_landlock_restrict(
	    abi, p->deny_filesystem, p->deny_tcp, p->allow != NULL);
}

static bool
listed(const int *list, int number)
{
	for (; list != NULL && *list != -1; list++)
		if (*list == number)
			return true;
	return false;
}

static int
add_all(scmp_filter_ctx ctx, uint32_t action, const int *list)
{
	int r = 0;

	for (; list != NULL && *list != -1 && r == 0; list++)
		r = seccomp_rule_add(ctx, action, *list, 0);
	return r;
}

/* Permits calls; those that make memory executable only without that. */
static int
add_allowed(scmp_filter_ctx ctx, const int *list)
{
	int r = 0;

	for (; *list != -1 && r == 0; list++) {
		if (*list == __NR_mmap || *list == __NR_mprotect ||
		    *list == __NR_pkey_mprotect)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *list, 1,
			    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		else
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *list, 0);
	}
	return r;
}

/* kill, refuse: what forbidden calls lead to; the same in audit mode. */
static int
add_rules(scmp_filter_ctx ctx, const struct sandbox_profile *p, uint32_t kill,
    uint32_t refuse)
{
	int r;

	if (p->allow != NULL) {
		/* What is listed nowhere is killed by default, and so is what
		 * is on the kill list.  libseccomp refuses rules that equal the
		 * default, which is so for refuse in audit mode. */
		r = add_allowed(ctx, p->allow);
		if (r == 0 && refuse != kill)
			r = add_all(ctx, refuse, p->eacces_list);
		return r;
	}
	r = add_all(ctx, kill, p->kill_list);
	return r == 0 ? add_all(ctx, refuse, p->eacces_list) : r;
}

static int
apply_seccomp(const struct sandbox_profile *p, enum sandbox_mode mode)
{
	bool audit = mode == SANDBOX_AUDIT;
	uint32_t kill = audit ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
	uint32_t refuse = audit ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EACCES);
	scmp_filter_ctx ctx;
	int r;

	ctx = seccomp_init(p->allow != NULL ? kill : SCMP_ACT_ALLOW);
	if (ctx == NULL)
		return -ENOMEM;
	/* Other architectures' numbers are never right; a library's thread must
	 * not escape; the tree makes long lists cheap. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, kill);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_rules(ctx, p, kill, refuse);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* A call on two lists is a mistake that must not be resolved by chance. */
static bool
is_consistent(const struct sandbox_profile *p)
{
	for (const int *n = p->eacces_list; n != NULL && *n != -1; n++)
		if (listed(p->allow, *n) || listed(p->kill_list, *n))
			return false;
	for (const int *n = p->kill_list; n != NULL && *n != -1; n++)
		if (listed(p->allow, *n))
			return false;
	return true;
}

int
sandbox_confine(int dir, enum sandbox_mode mode)
{
	int abi = sandbox_landlock_abi();

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	if (mode != SANDBOX_ENFORCE || abi < 0)
		return 0;
	return sandbox_landlock_confine(abi, dir);
}

int
sandbox_apply(const struct sandbox_profile *p, enum sandbox_mode mode)
{
	int r;

	if (!is_consistent(p))
		return -DT_ERR_INTERNAL;
	r = apply_limits(p);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	if (mode == SANDBOX_OFF)
		return 0;
	if (mode == SANDBOX_ENFORCE) {
		r = apply_landlock(p);
		if (r < 0)
			return r;
	}
	return apply_seccomp(p, mode);
}
