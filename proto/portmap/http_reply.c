/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * Lines are gathered one at a time (STATUS, HEADER, CHUNK_SIZE, CHUNK_END,
 * TRAILER), body bytes are copied at once (LENGTH, TO_END, CHUNK).  An interim
 * response (1xx) starts over.  DONE and FAILED are final.
 */
#include "proto/portmap/http_reply.h"

#include <string.h>
#include <strings.h>

#include "lib/err.h"

void
http_reply_init(struct http_reply *h, void *body, size_t body_cap)
{
	memset(h, 0, sizeof(*h));
	h->body = body;
	h->body_cap = body_cap;
}

static void
fail(struct http_reply *h, int err)
{
	h->state = HTTP_REPLY_FAILED;
	h->err = err;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" */
static void
on_status(struct http_reply *h)
{
	const char *l = h->line;

	if (h->line_len < 12 || memcmp(l, "HTTP/1.", 7) != 0 ||
	    !is_digit(l[7]) || l[8] != ' ' || l[9] < '1' || l[9] > '5' ||
	    !is_digit(l[10]) || !is_digit(l[11]) ||
	    (h->line_len > 12 && l[12] != ' ')) {
		fail(h, -DT_ERR_SYNTAX);
		return;
	}
	h->status = (l[9] - '0') * 100 + (l[10] - '0') * 10 + (l[11] - '0');
	h->state = HTTP_REPLY_HEADER;
}

/* The value of a header of this name, or NULL. */
static const char *
value_of(const struct http_reply *h, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(h->line, name, n) != 0 || h->line[n] != ':')
		return NULL;
	for (n++; h->line[n] == ' ' || h->line[n] == '\t'; n++)
		;
	return h->line + n;
}

/* Digits in @base until the end, white space or ';'.  False: none, or more than
 * the room for a body. */
static bool
parse_size(
    const struct http_reply *h, const char *p, unsigned base, size_t *ret_size)
{
	const char *start = p;
	size_t v = 0;
	unsigned digit;

	for (;; p++) {
		if (is_digit(*p))
			digit = (unsigned)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else if (base == 16 && *p >= 'A' && *p <= 'F')
			digit = (unsigned)(*p - 'A') + 10;
		else
			break;
		v = v * base + digit;
		if (v > h->body_cap)
			return false;
	}
	if (p == start || (*p != '\0' && *p != ' ' && *p != '\t' && *p != ';'))
		return false;
	*ret_size = v;
	return true;
}

static void
on_header_end(struct http_reply *h)
{
	if (h->status < 200) {
		h->state = HTTP_REPLY_STATUS;
		h->has_length = false;
		h->chunked = false;
	} else if (h->chunked) {
		h->state = HTTP_REPLY_CHUNK_SIZE;
	} else if (!h->has_length) {
		h->state = HTTP_REPLY_TO_END;
	} else {
		h->state = h->left > 0 ? HTTP_REPLY_LENGTH : HTTP_REPLY_DONE;
	}
}

static void
on_header(struct http_reply *h)
{
	const char *value;

	if (h->line_len == 0) {
		on_header_end(h);
		return;
	}
	value = value_of(h, "Content-Length");
	if (value != NULL) {
		if (h->has_length || !parse_size(h, value, 10, &h->left))
			fail(h, -DT_ERR_TOO_LONG);
		h->has_length = true;
		return;
	}
	value = value_of(h, "Transfer-Encoding");
	if (value == NULL)
		return;
	if (strcasecmp(value, "chunked") == 0)
		h->chunked = true;
	else if (strcasecmp(value, "identity") != 0)
		fail(h, -DT_ERR_SYNTAX);
}

static void
on_chunk_size(struct http_reply *h)
{
	if (!parse_size(h, h->line, 16, &h->left))
		fail(h, -DT_ERR_TOO_LONG);
	else
		h->state = h->left > 0 ? HTTP_REPLY_CHUNK : HTTP_REPLY_TRAILER;
}

static void
on_line(struct http_reply *h)
{
	if (h->state == HTTP_REPLY_STATUS)
		on_status(h);
	else if (h->state == HTTP_REPLY_HEADER)
		on_header(h);
	else if (h->state == HTTP_REPLY_CHUNK_SIZE)
		on_chunk_size(h);
	else if (h->state == HTTP_REPLY_CHUNK_END && h->line_len != 0)
		fail(h, -DT_ERR_SYNTAX);
	else if (h->state == HTTP_REPLY_CHUNK_END)
		h->state = HTTP_REPLY_CHUNK_SIZE;
	else if (h->line_len == 0) /* TRAILER */
		h->state = HTTP_REPLY_DONE;
}

/* One byte of a line. */
static void
gather(struct http_reply *h, char c)
{
	if (++h->overhead > HTTP_REPLY_MAX_OVERHEAD ||
	    (c != '\n' && h->line_len == sizeof(h->line) - 1)) {
		fail(h, -DT_ERR_TOO_LONG);
	} else if (c == '\n') {
		if (h->line_len > 0 && h->line[h->line_len - 1] == '\r')
			h->line_len--;
		h->line[h->line_len] = '\0';
		on_line(h);
		h->line_len = 0;
	} else if (c == '\0') {
		fail(h, -DT_ERR_SYNTAX);
	} else {
		h->line[h->line_len++] = c;
	}
}

/* Returns how many of the bytes belong to the body. */
static size_t
take_body(struct http_reply *h, const uint8_t *p, size_t len)
{
	if (h->state != HTTP_REPLY_TO_END && len > h->left)
		len = h->left;
	if (len > h->body_cap - h->body_len) {
		fail(h, -DT_ERR_TOO_LONG);
		return 0;
	}
	memcpy(h->body + h->body_len, p, len);
	h->body_len += len;
	if (h->state == HTTP_REPLY_TO_END)
		return len;
	h->left -= len;
	if (h->left == 0)
		h->state = h->state == HTTP_REPLY_CHUNK ? HTTP_REPLY_CHUNK_END
							: HTTP_REPLY_DONE;
	return len;
}

int
http_reply_input(struct http_reply *h, const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t i = 0;

	while (i < len && h->state < HTTP_REPLY_DONE) {
		if (h->state == HTTP_REPLY_LENGTH ||
		    h->state == HTTP_REPLY_TO_END ||
		    h->state == HTTP_REPLY_CHUNK)
			i += take_body(h, b + i, len - i);
		else
			gather(h, (char)b[i++]);
	}
	if (h->state == HTTP_REPLY_FAILED)
		return h->err;
	return h->state == HTTP_REPLY_DONE ? 1 : 0;
}

int
http_reply_end(struct http_reply *h)
{
	if (h->state == HTTP_REPLY_TO_END)
		h->state = HTTP_REPLY_DONE;
	if (h->state < HTTP_REPLY_DONE)
		fail(h, -DT_ERR_TRUNCATED);
	return h->state == HTTP_REPLY_DONE ? 0 : h->err;
}
