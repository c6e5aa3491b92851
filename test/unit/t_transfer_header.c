/* SPDX-License-Identifier: BSD-3-Clause */
/* Transfer headers.  Golden bytes: test/vectors/transfer_headers.txt, made by
 * peer v0.18.2. */
#include "proto/transfer/transfer_header.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/err.h"
#include "proto/token/token_session.h"
#include "proto/token/token_text.h"
#include "test/tap.h"

#define VERIFY "A52F-6B43-8782"

struct golden {
	uint8_t bytes[512];
	size_t len;
};

static struct golden
golden(const char *name)
{
	struct golden g = { .len = 0 };
	char path[512], line[2048], key[32], hex[1024];
	const char *folder = getenv("VECTORS");
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/transfer_headers.txt",
	    folder != NULL ? folder : "test/vectors");
	f = fopen(path, "r");
	if (f == NULL)
		abort();
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%31s %1023s", key, hex) == 2 &&
		    strcmp(key, name) == 0) {
			g.len = strlen(hex) / 2;
			if (token_text_hex_decode(
				g.bytes, g.len, hex, strlen(hex)) < 0)
				abort();
		}
	(void)fclose(f);
	return g;
}

static struct transfer_header
header(enum transfer_kind kind, const char *name, int64_t size)
{
	struct transfer_header h = { .kind = kind, .size = size };

	(void)snprintf(h.name, sizeof(h.name), "%s", name);
	return h;
}

static void
check_golden(const char *name, const struct transfer_header *h)
{
	struct golden g = golden(name);
	struct transfer_header back;
	uint8_t wire[TRANSFER_HEADER_MAX_OWN];
	struct buf_writer w = buf_writer(wire, sizeof(wire));

	EQ_INT(transfer_header_encode(&w, h), 0, "%s: encode", name);
	EQ_INT(w.len, g.len, "%s: length", name);
	EQ_MEM(wire, g.bytes, g.len, "%s: bytes", name);
	EQ_INT(transfer_header_decode(&back, g.bytes, g.len, NULL), 0,
	    "%s: decode", name);
	EQ_INT(back.kind, h->kind, "%s: kind", name);
	EQ_INT(back.size, h->size, "%s: size", name);
	EQ_STR(back.name, h->name, "%s: name", name);
	EQ_STR(back.verify, h->verify, "%s: verify", name);
	EQ_INT(back.version, 1, "%s: version", name);
	EQ_INT(back.metadata_len, h->metadata_len, "%s: metadata", name);
	for (size_t cap = 0; cap < g.len; cap++) {
		w = buf_writer(wire, cap);
		if (transfer_header_encode(&w, h) != -DT_ERR_FULL || w.len != 0)
			OK(false, "%s: cap %zu", name, cap);
	}
}

static void
test_golden(void)
{
	struct transfer_header h = header(TRANSFER_KIND_TEXT, "", 0);
	struct transfer_directory d = { 2, 10 }, got = { 0, 0 };

	memcpy(h.verify, VERIFY, sizeof(VERIFY));
	check_golden("text", &h);
	h = header(TRANSFER_KIND_FILE, "photo.jpg", 123456);
	memcpy(h.verify, VERIFY, sizeof(VERIFY));
	check_golden("file", &h);
	h = header(TRANSFER_KIND_DIRECTORY, "project", 4608);
	memcpy(h.verify, VERIFY, sizeof(VERIFY));
	transfer_header_set_directory(&h, &d);
	check_golden("directory", &h);
	EQ_INT(transfer_header_get_directory(&h, &got), 0, "metadata");
	EQ_INT(got.file_count, 2, "files");
	EQ_INT(got.uncompressed_bytes, 10, "bytes");
	h = header(TRANSFER_KIND_FILE, "a<b>&\xc3\xa9.txt", 0);
	check_golden("escaped", &h);
	h = header(TRANSFER_KIND_SSH_INVITE, "", 0);
	check_golden("invite", &h);
	h = header(TRANSFER_KIND_SSH_ACCEPT, "", 0);
	check_golden("accept", &h);
}

static void
test_verification(void)
{
	char text[TOKEN_SESSION_VERIFICATION_LEN];

	token_session_verification("EXAMPLE-TOKEN", text);
	EQ_STR(text, VERIFY, "verification string");
}

/* In two pieces, cut anywhere, with body behind it. */
static void
test_cut_everywhere(void)
{
	struct golden g = golden("directory");
	uint8_t wire[600];
	int bad = 0;

	memcpy(wire, g.bytes, g.len);
	memcpy(wire + g.len, "body", 4);
	for (size_t cut = 0; cut <= g.len; cut++) {
		struct transfer_header_rx rx;
		struct transfer_header h;
		size_t used = 99, used2 = 0;
		int r;

		transfer_header_rx_init(&rx);
		r = transfer_header_rx_input(&rx, wire, cut, &used, &h, NULL);
		bad += used != cut || r != (cut == g.len);
		if (r == 0) {
			r = transfer_header_rx_input(
			    &rx, wire + cut, g.len + 4 - cut, &used2, &h, NULL);
			bad += r != 1;
		}
		bad += used + used2 != g.len || strcmp(h.name, "project") != 0;
		transfer_header_rx_fini(&rx);
		r = transfer_header_decode(&h, wire, cut, NULL);
		bad += r != (cut == g.len ? 0 : -DT_ERR_TRUNCATED);
	}
	EQ_INT(bad, 0, "cut anywhere: complete with the last byte only");
}

static int
decode_json(struct transfer_header *h, const char *json, size_t len)
{
	uint8_t *wire = malloc(TRANSFER_HEADER_PREFIX + len);
	struct buf_writer w = buf_writer(wire, TRANSFER_HEADER_PREFIX + len);
	int r;

	buf_put_str(&w, "DERPHOLE1");
	buf_put_u32(&w, (uint32_t)len);
	buf_put_bytes(&w, json, len);
	r = transfer_header_decode(h, wire, w.len, NULL);
	free(wire);
	return r;
}

static int
json(const char *text)
{
	static struct transfer_header h;

	return decode_json(&h, text, strlen(text));
}

static void
test_json(void)
{
	struct transfer_header h;
	const char *odd = "{\"kind\":\"a\\u001b[2J\\nb\",\"version\":255}";

	EQ_INT(json("{\"kind\":\"file\",\"x\":[1,{\"y\":2}],\"size\":7}"), 0,
	    "unknown members, other order");
	EQ_INT(json("{\"kind\":\"file\",\"name\":null,\"size\":null}"), 0,
	    "null is absent");
	EQ_INT(json("{}"), 0, "no kind at all: unknown kind");
	EQ_INT(decode_json(&h, odd, strlen(odd)), 0, "unknown kind");
	EQ_INT(h.kind, TRANSFER_KIND_UNKNOWN, "is no error here");
	EQ_STR(h.kind_text, "\"a\\x1b[2J\\nb\"", "and comes quoted");
	EQ_INT(json(""), -DT_ERR_SYNTAX, "L = 0");
	EQ_INT(json("[]"), -DT_ERR_SYNTAX, "array");
	EQ_INT(json("{\"kind\":\"file\"} x"), -DT_ERR_SYNTAX, "garbage behind");
	EQ_INT(json("{\"kind\":1}"), -DT_ERR_SYNTAX, "kind is a number");
	EQ_INT(json("{\"version\":256}"), -DT_ERR_SYNTAX, "version 256");
	EQ_INT(json("{\"version\":-1}"), -DT_ERR_SYNTAX, "version -1");
	EQ_INT(json("{\"size\":-1}"), -DT_ERR_SYNTAX, "size -1");
	EQ_INT(json("{\"size\":1.5}"), -DT_ERR_SYNTAX, "size 1.5");
	EQ_INT(json("{\"size\":9223372036854775807}"), 0, "size 2^63-1");
	EQ_INT(json("{\"size\":9223372036854775808}"), -DT_ERR_SYNTAX,
	    "size 2^63");
	EQ_INT(json("{\"size\":1,\"size\":2}"), -DT_ERR_SYNTAX, "twice");
	EQ_INT(json("{\"name\":\"a\\u0000b\"}"), -DT_ERR_SYNTAX, "NUL in name");
	EQ_INT(json("{\"name\":\"a\xff\"}"), -DT_ERR_SYNTAX, "no UTF-8");
	EQ_INT(json("{\"metadata\":\"***\"}"), -DT_ERR_SYNTAX, "no base64");
	EQ_INT(json("{\"metadata\":\"QQ\"}"), -DT_ERR_SYNTAX, "no padding");
	EQ_INT(json("{\"metadata\":7}"), -DT_ERR_SYNTAX, "metadata 7");
	EQ_INT(json("{\"name\":\"\\\"\\\\\"}"), 0, "escapes in a string");
}

/* A member of @n octets of 'a' (or of @unit) between @before and @after. */
static int
json_of(const char *before, const char *unit, size_t n, const char *after)
{
	size_t unit_len = strlen(unit);
	size_t len = strlen(before) + n * unit_len + strlen(after);
	char *text = malloc(len + 1);
	static struct transfer_header h;
	struct buf_writer w = buf_writer(text, len);
	int r;

	buf_put_str(&w, before);
	for (size_t i = 0; i < n; i++)
		buf_put_str(&w, unit);
	buf_put_str(&w, after);
	r = decode_json(&h, text, w.len);
	free(text);
	return r;
}

/* @n arrays, one in the other, in a member of an object. */
static int
nested(size_t n)
{
	char text[64] = "{\"x\":";
	size_t len = strlen(text);

	memset(text + len, '[', n);
	memset(text + len + n, ']', n);
	text[len + 2 * n] = '}';
	text[len + 2 * n + 1] = '\0';
	return json(text);
}

static void
test_limits(void)
{
	EQ_INT(nested(TRANSFER_HEADER_MAX_DEPTH - 1), 0, "deepest");
	EQ_INT(nested(TRANSFER_HEADER_MAX_DEPTH), -DT_ERR_SYNTAX, "one more");
	EQ_INT(json_of("{\"name\":\"", "a", TRANSFER_HEADER_MAX_NAME, "\"}"), 0,
	    "longest name");
	EQ_INT(
	    json_of("{\"name\":\"", "a", TRANSFER_HEADER_MAX_NAME + 1, "\"}"),
	    -DT_ERR_TOO_LONG, "one more");
	EQ_INT(
	    json_of("{\"verify\":\"", "a", TRANSFER_HEADER_MAX_VERIFY, "\"}"),
	    0, "longest verify");
	EQ_INT(json_of("{\"verify\":\"", "a", TRANSFER_HEADER_MAX_VERIFY + 1,
		   "\"}"),
	    -DT_ERR_TOO_LONG, "one more");
	EQ_INT(json_of("{\"metadata\":\"", "QUFB", 341, "\"}"), 0,
	    "longest metadata");
	EQ_INT(json_of("{\"metadata\":\"", "QUFB", 342, "\"}"),
	    -DT_ERR_TOO_LONG, "one group more");
	EQ_INT(json_of("{\"x\":[", "0,", TRANSFER_HEADER_MAX_VALUES - 2, "0]}"),
	    0, "most values");
	EQ_INT(json_of("{\"x\":[", "0,", TRANSFER_HEADER_MAX_VALUES - 1, "0]}"),
	    -DT_ERR_SYNTAX, "one more");
	EQ_INT(json_of("{\"x\":", "[", TRANSFER_HEADER_MAX_DEPTH, ""),
	    -DT_ERR_SYNTAX, "deep");
	EQ_INT(json_of("", "[", 500000, ""), -DT_ERR_SYNTAX, "very deep");
	EQ_INT(json_of("{\"x\":\"", "a", TRANSFER_HEADER_MAX_JSON - 8, "\"}"),
	    0, "L = 1 MiB");
	EQ_INT(json_of("{\"x\":\"", "a", TRANSFER_HEADER_MAX_JSON - 7, "\"}"),
	    -DT_ERR_TOO_LONG, "L = 1 MiB + 1");
}

static void
test_early_errors(void)
{
	static const uint8_t huge[] = "DERPHOLE1\xff\xff\xff\xff";
	struct transfer_header_rx rx;
	struct transfer_header h;
	const char *text = NULL;
	size_t used;

	transfer_header_rx_init(&rx);
	EQ_INT(transfer_header_rx_input(&rx, "DEX", 3, &used, &h, &text),
	    -DT_ERR_SYNTAX, "third byte is wrong");
	EQ_STR(text, "invalid derphole header magic", "text");
	text = NULL;
	EQ_INT(transfer_header_rx_input(&rx, "R", 1, &used, &h, &text),
	    -DT_ERR_SYNTAX, "stays so");
	EQ_STR(text, "invalid derphole header magic", "text again");
	transfer_header_rx_fini(&rx);
	transfer_header_rx_init(&rx);
	EQ_INT(transfer_header_rx_input(&rx, huge, 13, &used, &h, &text),
	    -DT_ERR_TOO_LONG, "4 GiB announced");
	transfer_header_rx_fini(&rx);
	transfer_header_rx_init(&rx);
	EQ_INT(transfer_header_rx_input(
		   &rx, "DERPHOLE1\x00\x10\x00\x00{", 14, &used, &h, &text),
	    0, "1 MiB announced");
	OK(rx.have.cap <= 8192, "and not allocated");
	transfer_header_rx_fini(&rx);
}

static void
test_refused_to_write(void)
{
	struct transfer_header h = header(TRANSFER_KIND_UNKNOWN, "", 0);
	struct transfer_directory d = { 7, 7 };
	uint8_t wire[64];
	struct buf_writer w = buf_writer(wire, sizeof(wire));

	EQ_INT(transfer_header_encode(&w, &h), -EINVAL, "unknown kind");
	h = header(TRANSFER_KIND_FILE, "", -1);
	EQ_INT(transfer_header_encode(&w, &h), -EINVAL, "negative size");
	EQ_INT(w.len, 0, "nothing written");
	EQ_INT(transfer_header_get_directory(&h, &d), -DT_ERR_SYNTAX,
	    "no metadata");
	h.metadata_len = 22;
	memcpy(h.metadata, "{\"file_count\":-1}     ", 22);
	EQ_INT(transfer_header_get_directory(&h, &d), -DT_ERR_SYNTAX,
	    "negative count");
	EQ_INT(d.file_count, 7, "untouched");
}

int
main(void)
{
	test_golden();
	test_verification();
	test_cut_everywhere();
	test_json();
	test_limits();
	test_early_errors();
	test_refused_to_write();
	return tap_done();
}
