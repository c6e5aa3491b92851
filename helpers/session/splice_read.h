/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the local side of a splice into its first lane. */
#ifndef HELPERS_SESSION_SPLICE_READ_H
#define HELPERS_SESSION_SPLICE_READ_H

struct splice;

/** splice_read_some(): the descriptor is readable: up to 256 KiB, or until the
 * stream is full. */
void splice_read_some(struct splice *sp);

/** splice_read_tail(): try again to queue what did not fit. */
void splice_read_tail(struct splice *sp);

#endif
