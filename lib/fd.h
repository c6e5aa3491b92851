/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File descriptors: made close-on-exec, owned like memory, -1 when closed, and
 * passed between processes with SCM_RIGHTS.
 */
#ifndef LIB_FD_H
#define LIB_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Most fds in one message: stdin and stdout of a caller, one to spare. */
#define FD_MAX_PASSED 4
/* Most that the kernel lets others send us in one (SCM_MAX_FD). */
#define FD_MAX_RECEIVED 253

/** fd_close(): close *@fd unless it is -1, and set it to -1. */
void fd_close(int *fd);
/** fd_set_closer(): fd_close() asks @take first, which may keep the descriptor
 * and close it elsewhere (true).  NULL: nobody is asked. */
void fd_set_closer(bool (*take)(int fd));

/** fd_set_nonblock(): O_NONBLOCK on a descriptor that is ours alone.
 * Returns 0 or -errno. */
int fd_set_nonblock(int fd);

/** fd_set_inherit(): clear (@inherit != 0) or set FD_CLOEXEC.  0 or -errno. */
int fd_set_inherit(int fd, int inherit);

/**
 * fd_seqpacket_pair(): AF_UNIX SOCK_SEQPACKET pair, both close-on-exec and
 * non-blocking.
 * @bufsize: SO_SNDBUF and SO_RCVBUF to ask for, in bytes; 0 keeps the default.
 *
 * Returns 0 or -errno; *@ret_a and *@ret_b only on success.
 */
int fd_seqpacket_pair(int *ret_a, int *ret_b, int bufsize);

/**
 * fd_send(): one message with descriptors, on SEQPACKET or STREAM.
 * @p, @len: at least one byte (an empty message would read as end of file).
 * @fds, @n_fds: up to FD_MAX_PASSED; stay open and owned by the caller.
 *
 * Never raises SIGPIPE, never blocks.  Returns the bytes sent, or -errno
 * (-EAGAIN when the peer's queue is full).
 */
ssize_t fd_send(
    int fd, const void *p, size_t len, const int *fds, size_t n_fds);

/**
 * fd_recv(): one message (SEQPACKET) or some bytes (STREAM) with descriptors.
 * @ret_fds: room for FD_MAX_PASSED; received ones are close-on-exec and owned
 *           by the caller.
 * @ret_n_fds: how many came.
 *
 * Never blocks.  Returns bytes (0 = peer closed), -errno, -DT_ERR_TOO_LONG when
 * data or descriptors were cut off (everything received is closed then).
 */
ssize_t fd_recv(int fd, void *p, size_t cap, int ret_fds[static FD_MAX_PASSED],
    size_t *ret_n_fds);

/**
 * fd_recv_all(): as fd_recv(), for peers that may be hostile: whatever was sent
 * is received, as what the kernel had to drop instead would be released by this
 * very call, and that may wait for a file system.  Nothing is cut.
 * @ret_fds: room for FD_MAX_RECEIVED.
 */
ssize_t fd_recv_all(int fd, void *p, size_t cap,
    int ret_fds[static FD_MAX_RECEIVED], size_t *ret_n_fds);

/**
 * fd_recv_bare(): receive from a stream what has no descriptors.
 * @ret_has_fds: what comes next has some: it was copied to @p and stays unread.
 *
 * Never blocks.  Returns as fd_recv().
 */
ssize_t fd_recv_bare(int fd, void *p, size_t cap, bool *ret_has_fds);

/**
 * fd_close_from(): close every descriptor from @first on.  For the moment
 * between fork and exec: async-signal-safe.
 */
void fd_close_from(int first);

/** fd_close_others(): the same, but for @keep, in any order. */
void fd_close_others(int first, const int *keep, size_t n_keep);

/**
 * fd_reopen(): a descriptor of our own for the same pipe, terminal or file, so
 * that O_NONBLOCK on it does not touch the user's.
 * @flags: O_RDONLY or O_WRONLY, plus O_NONBLOCK if wanted.
 *
 * Returns the descriptor, or -errno (sockets cannot be reopened: -ENXIO).
 */
int fd_reopen(int fd, int flags);

#endif
