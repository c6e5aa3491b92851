/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/transfer/transfer_policy.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/transfer/blocks_tx.h"
#include "proto/transfer/transfer_header.h"

#define MODE_FIXED "fixed"
#define MODE_AUTO "auto"
#define MODE_BLOCKS "blocks-v1"
#define MODE_BULK "bulk-packets-v1"
#define MODE_DIRECT_TCP "direct-tcp-files-v1"

bool
transfer_policy_is_issuer(enum transfer_role role)
{
	return role == TRANSFER_RECEIVE_ISSUER || role == TRANSFER_SEND_ISSUER;
}

bool
transfer_policy_is_sender(enum transfer_role role)
{
	return role == TRANSFER_SEND_CLAIMANT || role == TRANSFER_SEND_ISSUER;
}

struct transfer_parallel
transfer_policy_fixed(unsigned n)
{
	if (n < 1)
		n = 1;
	if (n > TRANSFER_MAX_STREAMS)
		n = TRANSFER_MAX_STREAMS;
	return (struct transfer_parallel){ .initial = n, .cap = n };
}

struct transfer_parallel
transfer_policy_normalise(
    struct message_text mode, int64_t initial, int64_t cap)
{
	struct transfer_parallel p;
	bool automatic = envelope_text_equal(mode, MODE_AUTO);

	if (!automatic && !envelope_text_equal(mode, MODE_FIXED))
		initial = 0;
	if (initial < 1)
		initial = TRANSFER_PEER_STREAMS;
	if (initial > TRANSFER_MAX_STREAMS)
		initial = TRANSFER_MAX_STREAMS;
	p = transfer_policy_fixed((unsigned)initial);
	if (automatic) {
		p.automatic = true;
		p.cap = cap < initial || cap > TRANSFER_MAX_STREAMS
			    ? TRANSFER_MAX_STREAMS
			    : (unsigned)cap;
	}
	return p;
}

struct message_text
transfer_policy_mode_text(const struct transfer_parallel *p)
{
	return p->automatic ? MESSAGE_TEXT(MODE_AUTO)
			    : MESSAGE_TEXT(MODE_FIXED);
}

struct transfer_parallel
transfer_policy_answer(const struct transfer_parallel *claimed, bool relay_only)
{
	unsigned most = relay_only ? 1 : TRANSFER_OWN_STREAMS;

	return transfer_policy_fixed(
	    claimed->initial < most ? claimed->initial : most);
}

bool
transfer_policy_is_server(enum transfer_role role, enum transfer_path path)
{
	if (path == TRANSFER_PATH_RAW)
		return !transfer_policy_is_sender(role);
	return transfer_policy_is_issuer(role);
}

/* Sizes, and that the header is one of a file of that size. */
static int
check_blocks(
    const struct transfer_blocks *b, int64_t chunk, char *reason, size_t cap)
{
	struct transfer_header *h;
	const char *error = "out of memory";
	int r;

	if (!blocks_tx_is_valid(b->size, chunk)) {
		(void)snprintf(reason, cap,
		    "unacceptable block size %" PRId64 " or chunk %" PRId64,
		    b->size, chunk);
		return -DT_ERR_PEER_PROTOCOL;
	}
	if (b->header.n == 0)
		return 0;
	h = malloc(sizeof(*h));
	r = h != NULL
		? transfer_header_decode(h, b->header.p, b->header.n, &error)
		: -ENOMEM;
	if (r < 0) {
		(void)snprintf(reason, cap, "%s", error);
	} else if (h->kind != TRANSFER_KIND_FILE) {
		(void)snprintf(reason, cap,
		    "unsupported block transfer kind %s%s%s",
		    h->kind_text[0] != '\0' ? "" : "\"",
		    h->kind_text[0] != '\0'
			? h->kind_text
			: transfer_header_kind_name(h->kind),
		    h->kind_text[0] != '\0' ? "" : "\"");
		r = -DT_ERR_PEER_PROTOCOL;
	} else if (h->size != b->size) {
		(void)snprintf(reason, cap,
		    "block payload size mismatch: got %" PRId64
		    ", want header size %" PRId64,
		    b->size, h->size);
		r = -DT_ERR_PEER_PROTOCOL;
	}
	free(h);
	return r < 0 && r != -ENOMEM ? -DT_ERR_PEER_PROTOCOL : r;
}

static int
found_blocks(const struct transfer_blocks *b, int64_t chunk,
    struct transfer_blocks *ret_blocks, char *reason, size_t cap)
{
	int r = check_blocks(b, chunk, reason, cap);

	if (r < 0)
		return r;
	*ret_blocks = *b;
	ret_blocks->chunk_size = (uint32_t)chunk;
	return 1;
}

int
transfer_policy_claim_blocks(const struct message_v2_claim *claim,
    struct transfer_blocks *ret_blocks, char *reason, size_t cap)
{
	struct transfer_blocks b = { .size = claim->block_size,
		.header = claim->block_header };

	if (!envelope_text_equal(claim->transfer_mode, MODE_BLOCKS) ||
	    claim->block_chunk_size == 0)
		return 0;
	return found_blocks(
	    &b, claim->block_chunk_size, ret_blocks, reason, cap);
}

int
transfer_policy_accept_blocks(const struct message_v2_accept *accept,
    struct transfer_blocks *ret_blocks, char *reason, size_t cap)
{
	struct transfer_blocks b = { .size = accept->block_size,
		.header = accept->block_header };

	if (transfer_policy_mode(accept->transfer_mode) ==
		TRANSFER_MODE_STREAM ||
	    accept->block_chunk_size == 0)
		return 0;
	return found_blocks(
	    &b, accept->block_chunk_size, ret_blocks, reason, cap);
}

enum transfer_mode
transfer_policy_mode(struct message_text text)
{
	if (envelope_text_equal(text, MODE_BLOCKS))
		return TRANSFER_MODE_BLOCKS;
	if (envelope_text_equal(text, MODE_BULK))
		return TRANSFER_MODE_BULK;
	if (envelope_text_equal(text, MODE_DIRECT_TCP))
		return TRANSFER_MODE_DIRECT_TCP;
	return TRANSFER_MODE_STREAM;
}
