/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON exactly as Go's encoding/json prints it: message authentication covers
 * this text, so every octet counts.  Only values; the caller writes structure.
 */
#ifndef PROTO_RENDEZVOUS_GOJSON_H
#define PROTO_RENDEZVOUS_GOJSON_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

/**
 * gojson_put_string(): quotes and escapes, HTML escapes included.
 * @p: @n octets; each octet that is no valid UTF-8 becomes a raw U+FFFD, so
 *     that what is signed is what the peer will parse.
 */
void gojson_put_string(struct buf_writer *w, const char *p, size_t n);

/**
 * gojson_utf8_len(): octets of the UTF-8 character at @p, 0 if there is none.
 * @n: octets at @p, at least 1.
 *
 * No overlong forms, no surrogates, nothing above U+10FFFF.
 */
size_t gojson_utf8_len(const uint8_t *p, size_t n);

/** gojson_cut(): the longest length up to @max at which cutting @p does not
 * split a character. */
size_t gojson_cut(const char *p, size_t n, size_t max);

void gojson_put_int(struct buf_writer *w, int64_t v);
void gojson_put_uint(struct buf_writer *w, uint64_t v);

/** gojson_put_octets(): a fixed array, "[1,2,3]". */
void gojson_put_octets(struct buf_writer *w, const uint8_t *p, size_t n);

/** gojson_put_base64(): a variable octet string, quoted, with padding. */
void gojson_put_base64(struct buf_writer *w, const uint8_t *p, size_t n);

#endif
