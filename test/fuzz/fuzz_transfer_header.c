/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: the first byte is the size of pieces, the rest a stream: header and
 * body.  Pieces must not change the outcome; what was read can be written and
 * read again; names become safe components and printable text.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_intake.h"
#include "proto/transfer/transfer_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const struct transfer_header *h)
{
	static char quoted[TRANSFER_NAME_QUOTED(TRANSFER_HEADER_MAX_NAME)];
	struct transfer_name name;
	size_t n = strlen(h->name);

	if (transfer_name_component(&name, h->name, n) == 0) {
		assert(strchr(name.text, '/') == NULL);
		assert(strcmp(name.text, "..") != 0);
		assert(name.text[0] != '\0' && strcmp(name.text, ".") != 0);
		for (const char *p = name.text; *p != '\0'; p++)
			assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
	(void)transfer_name_quote(quoted, sizeof(quoted), h->name, n);
	for (const char *p = quoted; *p != '\0'; p++)
		assert((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void
check_again(const struct transfer_header *h)
{
	static uint8_t wire[65536];
	static struct transfer_header back;
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct transfer_directory d;

	(void)transfer_header_get_directory(h, &d);
	if (h->kind == TRANSFER_KIND_UNKNOWN)
		return;
	assert(transfer_header_encode(&w, h) == 0);
	assert(transfer_header_decode(&back, wire, w.len, NULL) == 0);
	assert(back.kind == h->kind && back.size == h->size);
	assert(strcmp(back.name, h->name) == 0);
	assert(back.metadata_len == h->metadata_len);
}

/* The whole stream in pieces; returns the first error, and the body's size. */
static int
take(const uint8_t *data, size_t size, size_t piece, uint64_t *ret_body)
{
	struct transfer_intake *in = malloc(sizeof(*in));
	int r = 0;

	if (in == NULL)
		abort();
	transfer_intake_init(in, NULL);
	for (size_t off = 0; off < size && r == 0;) {
		size_t n = size - off < piece ? size - off : piece;
		const uint8_t *body;
		size_t used, body_len;

		r = transfer_intake_input(
		    in, data + off, n, &used, &body, &body_len);
		assert(r < 0 || (used > 0 && used <= n && body_len <= used));
		off += used;
	}
	if (r == 0)
		r = transfer_intake_end(in);
	assert((r < 0) == (transfer_intake_reason(in)[0] != '\0'));
	*ret_body = in->body;
	if (in->has_header) {
		check_name(&in->header);
		check_again(&in->header);
	}
	transfer_intake_fini(in);
	free(in);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole_body, body;
	int whole, r;

	if (size < 1)
		return 0;
	whole = take(data + 1, size - 1, SIZE_MAX, &whole_body);
	r = take(data + 1, size - 1, data[0] % 32u + 1, &body);
	assert(r == whole);
	assert(r < 0 || body == whole_body);
	return 0;
}
