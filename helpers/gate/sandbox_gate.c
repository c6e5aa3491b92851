/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/gate/sandbox_gate.h"

#include <sys/syscall.h>

static const int allowed[] = {
	/* lib/fd, lib/chan: the two channels, and the flush before the end */
	__NR_recvmsg, __NR_sendmsg, __NR_close, __NR_poll, __NR_ppoll,
	/* lib/loop: libevent on epoll, its wake-up and timers */
	__NR_epoll_wait, __NR_epoll_pwait, __NR_epoll_ctl, __NR_timerfd_settime,
	__NR_read, __NR_write, __NR_rt_sigreturn, __NR_restart_syscall,
	/* lib/mono, where the vDSO falls back to the kernel */
	__NR_clock_gettime, __NR_time, __NR_gettimeofday,
	/* libsodium's random numbers */
	__NR_getrandom,
	/* malloc; PROT_EXEC is refused by the sandbox itself */
	__NR_brk, __NR_mmap, __NR_munmap, __NR_mremap, __NR_madvise, __NR_futex,
	/* exit, and abort() of a failed assertion: its cause must stay visible
	 */
	__NR_exit_group, __NR_exit, __NR_rt_sigprocmask, __NR_rt_sigaction,
	__NR_gettid, __NR_getpid, __NR_tgkill, -1
};

/* Asked by libraries that probe; they take no for an answer. */
static const int soft[] = { __NR_open, __NR_openat, __NR_stat, __NR_lstat,
	__NR_newfstatat, __NR_access, __NR_faccessat, __NR_readlink,
	__NR_readlinkat, -1 };

const struct sandbox_profile sandbox_gate = {
	.name = "gate",
	.allow = allowed,
	.eacces_list = soft,
	.deny_filesystem = true,
	.deny_tcp = true,
	.max_fds = 16,         /* 0-4, epoll, timers; it is never given more */
	.max_bytes = 64 << 20, /* libraries map 20 MiB; envelopes are 16 KiB */
	.no_children = true,
};
