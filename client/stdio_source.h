/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stdin and stdout are, and a descriptor of our own for them: O_NONBLOCK
 * or a file offset that a worker sets must not touch the user's, which the
 * shell and other programs share.
 */
#ifndef CLIENT_STDIO_SOURCE_H
#define CLIENT_STDIO_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

enum stdio_source_kind {
	STDIO_SOURCE_FILE, /* regular: by offset, with pread and pwrite */
	STDIO_SOURCE_PIPE,
	STDIO_SOURCE_TTY,
	STDIO_SOURCE_SOCKET,
	STDIO_SOURCE_DEVICE, /* and files that only pretend, as in /proc */
};

enum stdio_source_direction { STDIO_SOURCE_IN, STDIO_SOURCE_OUT };

/* Owner: whoever called stdio_source_open(). */
struct stdio_source {
	enum stdio_source_kind kind;
	enum stdio_source_direction direction;
	int user_fd; /* borrowed */
	/* Our own open file, or -1: it has to be pumped (pump.h).  Of pipes,
	 * terminals and devices it is non-blocking.  A FILE that we may not
	 * open anew is shared: use offsets only, change no flags. */
	int fd;
	int64_t offset; /* FILE: where the user's stands, at open */
	int64_t size;   /* FILE, IN: bytes from there to its end; else -1 */
	bool is_append; /* OUT: writes go to the end whatever the offset says */
};

/**
 * stdio_source_open(): call it late: after the last own output to that
 * descriptor.
 *
 * Returns 0, -EBADF (closed, or not open for this direction), -EISDIR, -errno.
 */
int stdio_source_open(int fd, enum stdio_source_direction direction,
    struct stdio_source *ret_source);

/** stdio_source_is_positioned(): may a worker use offsets?  A FILE, not
 * appending. */
bool stdio_source_is_positioned(const struct stdio_source *s);

/**
 * stdio_source_finish(): leave the user's descriptor as if it had been read or
 * written in order: a FILE's offset moves by @count; an output that is not
 * appended to ends there.  An output FILE reaches the disk: blocks for that.
 *
 * Returns 0 or -errno (-ENOSPC, -EDQUOT, -EIO of a late write; -EFBIG).
 */
int stdio_source_finish(struct stdio_source *s, int64_t count);

void stdio_source_fini(struct stdio_source *s);

#endif
