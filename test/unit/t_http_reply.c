/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/portmap/http_reply.h"
#include "test/tap.h"

#define CAP 64

static uint8_t body[CAP];
static struct http_reply h;

/* All at once, then the end of the connection. */
static int
whole(const char *text, size_t len)
{
	int r;

	http_reply_init(&h, body, sizeof(body));
	r = http_reply_input(&h, text, len);
	return r == 0 ? http_reply_end(&h) : r;
}

/* The same result however the bytes are cut. */
static int
parse(const char *text)
{
	size_t len = strlen(text), got;
	int r = whole(text, len), again = 0;

	got = h.body_len;
	http_reply_init(&h, body, sizeof(body));
	for (size_t i = 0; i < len && again == 0; i++)
		again = http_reply_input(&h, text + i, 1);
	if (again == 0)
		again = http_reply_end(&h);
	OK(again == r && h.body_len == got, "the same byte by byte");
	return r;
}

static void
expect(const char *text, const char *want, const char *name)
{
	EQ_INT(parse(text) < 0, 0, "%s", name);
	EQ_INT(h.body_len, strlen(want), "its length");
	EQ_MEM(body, want, strlen(want), "its body");
}

static void
test_good(void)
{
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello",
	    "a body of known length");
	EQ_INT(h.status, 200, "status");
	expect("HTTP/1.0 500 No\r\n\r\nhello", "hello", "a body to the end");
	EQ_INT(h.status, 500, "status");
	expect("HTTP/1.1 200 OK\ncontent-length:5 \n\nhello and more", "hello",
	    "bare newlines, and bytes behind the body");
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	       "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
	    "hello", "chunks");
	expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204\r\n"
	       "Content-Length: 0\r\n\r\n",
	    "", "an interim answer");
	EQ_INT(h.status, 204, "the last status counts");
	expect("HTTP/1.1 302 Found\r\nLocation: http://198.18.0.1/\r\n"
	       "Content-Length: 0\r\n\r\n",
	    "", "a redirect is an answer");
	EQ_INT(h.status, 302, "of its own status");
	expect("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n"
	       "0123456789abcdef0123456789abcdef"
	       "0123456789abcdef0123456789abcdef",
	    "0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef",
	    "a body that just fits");
}

static void
test_bad(void)
{
	static const struct {
		const char *text;
		int r;
	} bad[] = {
		{ "", -DT_ERR_TRUNCATED },
		{ "HTTP/1.1 200 OK\r\n", -DT_ERR_TRUNCATED },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		    -DT_ERR_TRUNCATED },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n3\r\nhel",
		    -DT_ERR_TRUNCATED },
		{ "HTTP/2 200 OK\r\n\r\n", -DT_ERR_SYNTAX },
		{ "ICY 200 OK\r\n\r\n", -DT_ERR_SYNTAX },
		{ "HTTP/1.1 20 OK\r\n\r\n", -DT_ERR_SYNTAX },
		{ "HTTP/1.1 2000 OK\r\n\r\n", -DT_ERR_SYNTAX },
		{ "HTTP/1.1 600 OK\r\n\r\n", -DT_ERR_SYNTAX },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n"
		  "\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
		  "Content-Length: 2\r\n\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		    -DT_ERR_SYNTAX },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n",
		    -DT_ERR_TOO_LONG },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "1\r\nab\r\n",
		    -DT_ERR_SYNTAX },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(parse(bad[i].text), bad[i].r, "bad answer %zu", i);
	EQ_INT(http_reply_input(&h, "x", 1), -DT_ERR_SYNTAX, "it stays bad");
}

static void
feed_many(const char *start, const char *piece, const char *name)
{
	size_t fed = 0;
	int r;

	http_reply_init(&h, body, sizeof(body));
	r = http_reply_input(&h, start, strlen(start));
	while (r == 0 && fed < 1 << 20) {
		r = http_reply_input(&h, piece, strlen(piece));
		fed += strlen(piece);
	}
	EQ_INT(r, -DT_ERR_TOO_LONG, "%s", name);
	OK(fed <= HTTP_REPLY_MAX_OVERHEAD + 64, "after %zu bytes", fed);
}

static void
test_endless(void)
{
	static const char nul[] = "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n";

	feed_many("", "HTTP/1.1 100 Continue\r\n\r\n", "endless interims");
	feed_many("HTTP/1.1 200 OK\r\n", "X: y\r\n", "endless headers");
	feed_many("HTTP/1.1 200 OK\r\nX: ", "y", "an endless header");
	feed_many("HTTP/1.1 200 OK\r\n\r\n", "y", "an endless body");
	feed_many("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "1\r\ny\r\n", "endless chunks");
	feed_many("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
	    "X: y\r\n", "endless trailers");
	EQ_INT(whole(nul, sizeof(nul) - 1), -DT_ERR_SYNTAX, "a NUL");
}

int
main(void)
{
	test_good();
	test_bad();
	test_endless();
	return tap_done();
}
