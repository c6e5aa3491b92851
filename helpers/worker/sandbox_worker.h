/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that every worker needs, each beside the code that makes it, and
 * those that libraries probe with.  For the initialisers of the workers'
 * profiles; what a worker needs besides is listed there.
 */
#ifndef HELPERS_WORKER_SANDBOX_WORKER_H
#define HELPERS_WORKER_SANDBOX_WORKER_H

#include <sys/syscall.h>

/* clang-format off */
#define SANDBOX_WORKER_ALLOW                                                   \
	/* lib/fd, lib/chan: the two channels, and the flush before the end */ \
	__NR_recvmsg, __NR_sendmsg, __NR_close, __NR_poll, __NR_ppoll,         \
	/* lib/loop: libevent on epoll, its wake-up and timers */              \
	__NR_epoll_wait, __NR_epoll_pwait, __NR_epoll_ctl,                     \
	__NR_timerfd_settime, __NR_read, __NR_write, __NR_rt_sigreturn,        \
	__NR_restart_syscall,                                                  \
	/* lib/mono, where the vDSO falls back to the kernel */                \
	__NR_clock_gettime, __NR_time, __NR_gettimeofday,                      \
	/* random numbers of libsodium and GnuTLS */                           \
	__NR_getrandom,                                                        \
	/* malloc and locks; PROT_EXEC is refused by the sandbox itself */     \
	__NR_brk, __NR_mmap, __NR_munmap, __NR_mremap, __NR_madvise,           \
	__NR_futex,                                                            \
	/* exit, and abort(): the cause must stay visible */                   \
	__NR_exit_group, __NR_exit, __NR_rt_sigprocmask, __NR_rt_sigaction,    \
	__NR_gettid, __NR_getpid, __NR_tgkill

/* They take no for an answer. */
#define SANDBOX_WORKER_SOFT                                                    \
	__NR_open, __NR_openat, __NR_stat, __NR_lstat, __NR_newfstatat,        \
	__NR_access, __NR_faccessat, __NR_readlink, __NR_readlinkat
/* clang-format on */

#endif
