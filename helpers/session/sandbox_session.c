/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/sandbox_session.h"

#include <sys/syscall.h>

/*
 * No setsockopt, fcntl, ioctl: whoever passes a descriptor has prepared it
 * (O_NONBLOCK, TCP_NODELAY, buffers).  No socket, connect, bind, open.
 */
static const int allowed[] = {
	/* lib/fd, lib/chan: the channels and the flush before the end */
	__NR_recvmsg, __NR_sendmsg, __NR_close,
	/* chan_flush(), signer_ask() */
	__NR_poll, __NR_ppoll,
	/* splice.c: local sockets, pipes and files; local.c: the listener */
	__NR_read, __NR_write, __NR_shutdown, __NR_accept4,
	/* lib/loop: libevent on epoll and its timers */
	__NR_epoll_wait, __NR_epoll_pwait, __NR_epoll_ctl, __NR_timerfd_settime,
	__NR_rt_sigreturn, __NR_restart_syscall,
	/* lib/mono, where the vDSO falls back to the kernel */
	__NR_clock_gettime, __NR_time, __NR_gettimeofday,
	/* GnuTLS and libsodium: random numbers */
	__NR_getrandom,
	/* malloc, and GnuTLS's locks; PROT_EXEC is refused by the sandbox */
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

const struct sandbox_profile sandbox_session = {
	.name = "session",
	.allow = allowed,
	.eacces_list = soft,
	.deny_filesystem = true,
	.deny_tcp = true,
	/* SESSION_MAX_SPLICES sockets, parked ones, channels, passed ones */
	.max_fds = 1200,
	/* Libraries map 60 MiB; the rest bounds what a peer can make us hold:
	 * 1024 connections at their initial windows. */
	.max_bytes = (uint64_t)4 << 30,
	.no_children = true,
};
