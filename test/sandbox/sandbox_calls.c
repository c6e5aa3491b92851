/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sandbox/sandbox_calls.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char root[] = "/";
static const char passwd[] = "/etc/passwd";

#define P(text) ((long)(uintptr_t)(text))

const struct sandbox_call sandbox_calls[] = {
	{ "socket", __NR_socket, AF_INET, SOCK_STREAM, 0, 0 },
	{ "socketpair", __NR_socketpair, AF_UNIX, SOCK_STREAM, 0, 0 },
	{ "connect", __NR_connect, 0, 0, 0, 0 },
	{ "bind", __NR_bind, 0, 0, 0, 0 },
	{ "listen", __NR_listen, 0, 1, 0, 0 },
	{ "setsockopt", __NR_setsockopt, 0, SOL_SOCKET, SO_LINGER, 0 },
	{ "sendto", __NR_sendto, 0, 0, 0, 0 },
	{ "execve", __NR_execve, P("/bin/true"), 0, 0, 0 },
	{ "execveat", __NR_execveat, AT_FDCWD, P("/bin/true"), 0, 0 },
	{ "ptrace", __NR_ptrace, PTRACE_TRACEME, 0, 0, 0 },
	{ "process_vm_readv", __NR_process_vm_readv, 1, 0, 0, 0 },
	{ "kill", __NR_kill, 1, 0, 0, 0 },
	{ "clone", __NR_clone, SIGCHLD, 0, 0, 0 },
	{ "clone3", __NR_clone3, 0, 0, 0, 0 },
	{ "fork", __NR_fork, 0, 0, 0, 0 },
	{ "io_uring_setup", __NR_io_uring_setup, 1, 0, 0, 0 },
	{ "bpf", __NR_bpf, BPF_PROG_LOAD, 0, 0, 0 },
	{ "perf_event_open", __NR_perf_event_open, 0, 0, 0, 0 },
	{ "userfaultfd", __NR_userfaultfd, 0, 0, 0, 0 },
	{ "prctl", __NR_prctl, PR_SET_DUMPABLE, 1, 0, 0 },
	{ "seccomp", __NR_seccomp, 0, 0, 0, 0 },
	{ "mount", __NR_mount, P(root), P(root), 0, 0 },
	{ "umount2", __NR_umount2, P(root), 0, 0, 0 },
	{ "chroot", __NR_chroot, P(root), 0, 0, 0 },
	{ "unshare", __NR_unshare, CLONE_NEWUSER, 0, 0, 0 },
	{ "setns", __NR_setns, 0, 0, 0, 0 },
	{ "setuid", __NR_setuid, 0, 0, 0, 0 },
	{ "keyctl", __NR_keyctl, 0, 0, 0, 0 },
	{ "memfd_create", __NR_memfd_create, P("x"), 0, 0, 0 },
	{ "pidfd_open", __NR_pidfd_open, 1, 0, 0, 0 },
	{ "fcntl", __NR_fcntl, 0, F_GETFL, 0, 0 },
	{ "ioctl", __NR_ioctl, 0, 0, 0, 0 },
	{ "dup", __NR_dup, 0, 0, 0, 0 },
	{ "openat2", __NR_openat2, AT_FDCWD, P(passwd), 0, 0 },
	{ "unlink", __NR_unlink, P("/nonexistent"), 0, 0, 0 },
	{ "rename", __NR_rename, P("/nonexistent"), P("/none"), 0, 0 },
	{ "chmod", __NR_chmod, P("/nonexistent"), 0, 0, 0 },
	{ "getdents64", __NR_getdents64, 0, 0, 0, 0 },
	{ "mmap_exec", __NR_mmap, 0, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS },
	{ "mprotect_exec", __NR_mprotect, 0, 4096, PROT_READ | PROT_EXEC, 0 },
	{ "open", __NR_open, P(passwd), O_RDONLY, 0, 0 },
	{ "openat", __NR_openat, AT_FDCWD, P(passwd), O_RDONLY, 0 },
	{ "newfstatat", __NR_newfstatat, AT_FDCWD, P(passwd), 0, 0 },
	{ "access", __NR_access, P(passwd), 0, 0, 0 },
	{ "readlink", __NR_readlink, P("/proc/self/exe"), 0, 0, 0 },
	{ "read", __NR_read, -1, 0, 0, 0 },
	{ "write", __NR_write, -1, 0, 0, 0 },
	{ "recvmsg", __NR_recvmsg, -1, 0, 0, 0 },
	{ "sendmsg", __NR_sendmsg, -1, 0, 0, 0 },
	{ "recvmmsg", __NR_recvmmsg, -1, 0, 0, 0 },
	{ "sendmmsg", __NR_sendmmsg, -1, 0, 0, 0 },
	{ "accept4", __NR_accept4, -1, 0, 0, 0 },
	{ "shutdown", __NR_shutdown, -1, 0, 0, 0 },
	{ "close", __NR_close, -1, 0, 0, 0 },
	{ "getrandom", __NR_getrandom, 0, 0, 0, 0 },
	{ "mmap", __NR_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS },
};

const size_t sandbox_calls_count =
    sizeof(sandbox_calls) / sizeof(sandbox_calls[0]);
