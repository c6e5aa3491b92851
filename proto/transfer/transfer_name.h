/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer's file name: what of it may become one component of a path of ours,
 * and what of it may reach a terminal.  Pure.
 */
#ifndef PROTO_TRANSFER_TRANSFER_NAME_H
#define PROTO_TRANSFER_TRANSFER_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define TRANSFER_NAME_MAX 255 /* octets; NAME_MAX of Linux file systems */

/* Octets of the longest quoted form of @n octets, with quotes and NUL: each can
 * become a "\x00". */
#define TRANSFER_NAME_QUOTED(n) (4 * (n) + 3)

struct transfer_name {
	char text[TRANSFER_NAME_MAX + 1]; /* terminated; safe as a component */
	bool changed; /* differs from the last element that was given */
};

/**
 * transfer_name_component(): the last element of a peer's name, made safe.
 * @p: @n octets; '/' separates, trailing ones do not count.
 *
 * Replaced by '_': control characters (C0, DEL, C1), line and paragraph
 * separators, bidirectional embeddings, overrides and isolates, which show a
 * name as another one, and octets that are no UTF-8.  Left alone: blanks,
 * backslashes, leading dashes and dots: callers use it after a directory, never
 * as an argument.
 *
 * Returns 0, -ENOENT when nothing is left ("", ".", "/"), -EPERM for "..",
 * -EINVAL with NUL inside, -ENAMETOOLONG above TRANSFER_NAME_MAX.
 */
int transfer_name_component(
    struct transfer_name *ret_name, const char *p, size_t n);

/**
 * transfer_name_error(): text for a negative result, as peer v0.18.2 words it
 * where it refuses too.
 * @directory: of a directory, else of a file.
 */
const char *transfer_name_error(int r, bool directory);

/**
 * transfer_name_quote(): as messages show a name: in double quotes, with Go's
 * escapes for everything that does not print.  Never emits a control character,
 * and cuts with "..." before the closing quote when @cap is too small.
 * @cap: of @out, at least 8; TRANSFER_NAME_QUOTED(n) never cuts.
 *
 * Returns the length without terminator.
 */
size_t transfer_name_quote(char *out, size_t cap, const char *p, size_t n);

#endif
