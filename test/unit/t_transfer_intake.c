/* SPDX-License-Identifier: BSD-3-Clause */
/* Header and body of a structured transfer in a stream. */
#include "proto/transfer/transfer_intake.h"

#include "lib/err.h"
#include "test/tap.h"

#define VERIFY "A52F-6B43-8782"

static struct transfer_intake in;
static char body[4096];
static size_t body_len;

/* Feed @p in pieces of @piece bytes. */
static int
feed(const void *p, size_t len, size_t piece)
{
	const uint8_t *s = p;
	int r = 0;

	for (size_t off = 0; off < len && r == 0;) {
		size_t n = len - off < piece ? len - off : piece;
		size_t used, got_len;
		const uint8_t *got;

		r = transfer_intake_input(
		    &in, s + off, n, &used, &got, &got_len);
		if (r == 0 && got != NULL &&
		    body_len + got_len < sizeof(body)) {
			memcpy(body + body_len, got, got_len);
			body_len += got_len;
		}
		if (r == 0 && used == 0)
			return -1;
		off += used;
	}
	return r;
}

static size_t
make(uint8_t *out, size_t cap, enum transfer_kind kind, int64_t size,
    const char *verify)
{
	static struct transfer_header h;
	struct buf_writer w = buf_writer(out, cap);

	memset(&h, 0, sizeof(h));
	h.kind = kind;
	h.size = size;
	(void)snprintf(h.name, sizeof(h.name), "f");
	(void)snprintf(h.verify, sizeof(h.verify), "%s", verify);
	return transfer_header_encode(&w, &h) == 0 ? w.len : 0;
}

static void
start(const char *verify)
{
	body_len = 0;
	transfer_intake_init(&in, verify);
}

static void
test_pieces(void)
{
	uint8_t wire[300];
	size_t n = make(wire, sizeof(wire), TRANSFER_KIND_FILE, 5, VERIFY);
	int bad = 0;

	memcpy(wire + n, "hello", 5);
	for (size_t piece = 1; piece <= n + 5; piece++) {
		start(VERIFY);
		bad += feed(wire, n + 5, piece) != 0;
		bad += body_len != 5 || memcmp(body, "hello", 5) != 0;
		bad += transfer_intake_end(&in) != 0;
		bad += transfer_intake_total(&in) != (int64_t)n + 5;
		bad += transfer_intake_peek_header(&in)->size != 5;
		transfer_intake_fini(&in);
	}
	EQ_INT(bad, 0, "pieces of every size");
	bad = 0;
	for (size_t cut = 0; cut < n + 5; cut++) {
		start(NULL);
		bad += feed(wire, cut, 7) != 0;
		bad += transfer_intake_end(&in) != -DT_ERR_TRUNCATED;
		bad += transfer_intake_reason(&in)[0] == '\0';
		bad += transfer_intake_end(&in) != -DT_ERR_TRUNCATED;
		transfer_intake_fini(&in);
	}
	EQ_INT(bad, 0, "ended anywhere before: truncated");
}

static void
expect(
    const void *p, size_t len, const char *verify, int want, const char *reason)
{
	int r;

	start(verify);
	r = feed(p, len, len > 0 ? len : 1);
	if (r == 0)
		r = transfer_intake_end(&in);
	EQ_INT(r, want, "%s", reason);
	EQ_STR(transfer_intake_reason(&in), reason, "reason");
	transfer_intake_fini(&in);
}

static void
test_refusals(void)
{
	static const char odd[] =
	    "DERPHOLE1\x00\x00\x00\x12{\"kind\":\"a\\u001b\"}";
	uint8_t wire[300];
	size_t n = make(wire, sizeof(wire), TRANSFER_KIND_FILE, 3, VERIFY);

	memcpy(wire + n, "abcd", 4);
	expect(wire, n + 4, NULL, -DT_ERR_PEER_PROTOCOL,
	    "file transfer has more than 3 bytes");
	expect(wire, n + 2, NULL, -DT_ERR_TRUNCATED,
	    "incomplete file transfer: received 2 of 3: EOF");
	expect(wire, n - 1, NULL, -DT_ERR_TRUNCATED, "unexpected EOF");
	expect(wire, 0, NULL, -DT_ERR_TRUNCATED, "EOF");
	expect(wire, n + 3, "0000-0000-0000", -DT_ERR_PEER_PROTOCOL,
	    "verification mismatch: got \"A52F-6B43-8782\", want "
	    "\"0000-0000-0000\"");
	expect(wire, n + 3, VERIFY, 0, "");
	expect("hello, world", 12, NULL, -DT_ERR_PEER_PROTOCOL,
	    "invalid derphole header magic");
	expect("DERPHOLE1\xff\xff\xff\xff", 13, NULL, -DT_ERR_PEER_PROTOCOL,
	    "header too large");
	expect("DERPHOLE1\x00\x00\x00\x01{", 14, NULL, -DT_ERR_PEER_PROTOCOL,
	    "invalid derphole header");
	expect(odd, sizeof(odd) - 1, NULL, -DT_ERR_PEER_PROTOCOL,
	    "unsupported derphole transfer kind \"a\\x1b\"");
	n = make(wire, sizeof(wire), TRANSFER_KIND_FILE, 3, "x\x1b[31m");
	expect(wire, n, VERIFY, -DT_ERR_PEER_PROTOCOL,
	    "verification mismatch: got \"x\\x1b[31m\", want \"" VERIFY "\"");
	n = make(wire, sizeof(wire), TRANSFER_KIND_TEXT, 0, "");
	expect(wire, n, VERIFY, 0, "");
}

static void
test_open_ended(void)
{
	static const enum transfer_kind kinds[] = { TRANSFER_KIND_TEXT,
		TRANSFER_KIND_DIRECTORY, TRANSFER_KIND_FILE };
	uint8_t wire[300];

	for (size_t i = 0; i < 3; i++) {
		size_t n = make(wire, sizeof(wire), kinds[i],
		    kinds[i] == TRANSFER_KIND_DIRECTORY ? 1 : 0, "");

		start(VERIFY);
		EQ_INT(feed(wire, n, n), 0, "kind %d: header", kinds[i]);
		EQ_INT(feed("abcdefgh", 8, 3), 0, "body");
		EQ_INT(body_len, 8, "all of it");
		EQ_INT(transfer_intake_total(&in), -1, "total unknown");
		EQ_INT(transfer_intake_end(&in), 0, "end");
		transfer_intake_fini(&in);
	}
}

static void
test_sticky(void)
{
	size_t used = 7, n = 7;
	const uint8_t *got;

	start(NULL);
	EQ_INT(feed("x", 1, 1), -DT_ERR_PEER_PROTOCOL, "an error");
	EQ_INT(transfer_intake_input(
		   &in, (const uint8_t *)"y", 1, &used, &got, &n),
	    -DT_ERR_PEER_PROTOCOL, "stays");
	EQ_INT(used, 0, "takes nothing");
	OK(got == NULL && n == 0, "gives nothing");
	EQ_INT(transfer_intake_end(&in), -DT_ERR_PEER_PROTOCOL, "to the end");
	OK(transfer_intake_peek_header(&in) == NULL, "no header");
	transfer_intake_fini(&in);
}

int
main(void)
{
	test_pieces();
	test_refusals();
	test_open_ended();
	test_sticky();
	return tap_done();
}
