/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/sandbox_relay.h"

#include <stddef.h>
#include <sys/syscall.h>

static const int allowed[] = {
	/* relay_accept, relay_conn, relay_stun, relay_notify */
	__NR_accept4, __NR_recvfrom, __NR_sendto, __NR_recvmsg, __NR_sendmsg,
	__NR_getsockopt, __NR_shutdown, __NR_close,
	/* lib/loop: libevent on epoll, its signals and timers */
	__NR_epoll_wait, __NR_epoll_pwait, __NR_epoll_ctl, __NR_timerfd_settime,
	__NR_read, __NR_rt_sigreturn, __NR_restart_syscall,
	/* lib/log, the banner, libevent's wake-up */
	__NR_write, __NR_writev, __NR_fstat,
	/* lib/mono, where the vDSO falls back to the kernel */
	__NR_clock_gettime, __NR_time, __NR_gettimeofday,
	/* random numbers of libsodium and OpenSSL, which checks for forks */
	__NR_getrandom, __NR_getpid,
	/* malloc; PROT_EXEC is refused by the sandbox itself */
	__NR_brk, __NR_mmap, __NR_munmap, __NR_mremap, __NR_madvise, __NR_futex,
	/* exit, and abort() of a failed assertion: its cause must stay visible
	 */
	__NR_exit_group, __NR_exit, __NR_rt_sigprocmask, __NR_rt_sigaction,
	__NR_gettid, __NR_tgkill, -1
};

/* Asked by libraries that probe; they take no for an answer. */
static const int soft[] = { __NR_open, __NR_openat, __NR_stat, __NR_lstat,
	__NR_newfstatat, __NR_access, __NR_faccessat, __NR_readlink,
	__NR_readlinkat, __NR_ioctl, -1 };

const struct sandbox_profile sandbox_relay = {
	.name = "relay",
	.allow = allowed,
	.eacces_list = soft,
	.deny_filesystem = true,
	.deny_tcp = true,
	.max_fds = 0,   /* raised to what the clients need, see main */
	.max_bytes = 0, /* bounded by clients times queue */
	.no_children = true,
};
