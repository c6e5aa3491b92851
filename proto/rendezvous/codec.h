/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes any message by its schema. */
#ifndef PROTO_RENDEZVOUS_CODEC_H
#define PROTO_RENDEZVOUS_CODEC_H

#include "lib/buf.h"
#include "proto/rendezvous/schema.h"

/* Owns all that the texts and lists of one parsed message point to. */
struct codec_memory;

/**
 * codec_parse(): read a JSON object into the struct that @schema describes.
 * @ret_message: @size bytes; all zero where a member is absent or null.
 * @text: @len octets, at most 16384; not needed afterwards.
 * @ret_memory: release with codec_free() when the message is done with.
 *
 * Returns 0, -DT_ERR_SYNTAX, -ENOMEM.
 */
int codec_parse(void *ret_message, size_t size, const struct schema *schema,
    const char *text, size_t len, struct codec_memory **ret_memory);

/** codec_free(): NULL is fine. */
void codec_free(struct codec_memory *memory);

/** codec_encode(): canonical text.  @w tells whether it fitted. */
void codec_encode(
    struct buf_writer *w, const void *message, const struct schema *schema);

/** codec_max_len(): octets that codec_encode() of a message parsed from @len
 * octets cannot exceed. */
size_t codec_max_len(size_t len);

#endif
