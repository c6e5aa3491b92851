/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/sandbox_daemon.h"

#include <stddef.h>
#include <sys/syscall.h>

/*
 * What neither the daemon nor a worker ever needs, and an intruder would like:
 * looking into other processes, loading code into the kernel, changing the
 * view of the file system, the clock or the machine.
 */
static const int never[] = { __NR_ptrace, __NR_process_vm_readv,
	__NR_process_vm_writev, __NR_kcmp, __NR_perf_event_open, __NR_bpf,
	__NR_userfaultfd, __NR_init_module, __NR_finit_module,
	__NR_delete_module, __NR_kexec_load,
#ifdef __NR_kexec_file_load
	__NR_kexec_file_load,
#endif
	__NR_add_key, __NR_request_key, __NR_keyctl, __NR_mount, __NR_umount2,
	__NR_pivot_root, __NR_chroot, __NR_setns, __NR_unshare,
#ifdef __NR_open_tree
	__NR_open_tree, __NR_move_mount, __NR_fsopen, __NR_fsconfig,
	__NR_fsmount, __NR_fspick,
#endif
	__NR_name_to_handle_at, __NR_open_by_handle_at, __NR_swapon,
	__NR_swapoff, __NR_reboot, __NR_acct, __NR_quotactl, __NR_settimeofday,
	__NR_clock_settime, __NR_clock_adjtime, __NR_adjtimex, __NR_sethostname,
	__NR_setdomainname,
#ifdef __NR_iopl
	__NR_iopl, __NR_ioperm,
#endif
#ifdef __NR_io_uring_setup
	__NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register,
#endif
	__NR_syslog, __NR_vhangup, __NR_personality, -1 };

const struct sandbox_profile sandbox_daemon_profile = {
	.name = "derptund",
	.kill_list = never,
};
