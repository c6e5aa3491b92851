/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading JSON of a peer as Go reads it, over jansson.  Jansson alone knows no
 * integers above 2^63 - 1 and fails on numbers out of its range even in members
 * that nobody looks at.  So the text is scanned first: nesting is bounded, and
 * the numbers jansson must not see are put aside.
 */
#ifndef PROTO_RENDEZVOUS_JSONIN_H
#define PROTO_RENDEZVOUS_JSONIN_H

#include <jansson.h>
#include <stdint.h>

/* Longest text: an envelope. */
#define JSONIN_MAX_TEXT 16384
/* Our messages nest four deep; the rest is room for unknown members. */
#define JSONIN_MAX_DEPTH 32
/* Integers above 2^63 - 1 in one text; two members can hold one. */
#define JSONIN_MAX_BIG 64

/* Owner: the caller; jsonin_fini() when jsonin_parse() succeeded. */
struct jsonin {
	json_t *root;                 /* an object */
	uint64_t big[JSONIN_MAX_BIG]; /* integers above 2^63 - 1 */
	size_t n_big;
};

/**
 * jsonin_parse(): an object, nothing before or after it but white space.
 * Duplicate members and invalid UTF-8 are refused.
 *
 * Returns 0, -DT_ERR_SYNTAX, -DT_ERR_TOO_LONG, -ENOMEM.
 */
int jsonin_parse(struct jsonin *ret_in, const char *text, size_t len);
void jsonin_fini(struct jsonin *in);

/** jsonin_get_uint(): @v as unsigned integer up to @max.
 * Returns 0 or -DT_ERR_SYNTAX. */
int jsonin_get_uint(const struct jsonin *in, const json_t *v, uint64_t max,
    uint64_t *ret_value);

/** jsonin_get_int(): @v as signed 64-bit integer. */
int jsonin_get_int(const json_t *v, int64_t *ret_value);

#endif
