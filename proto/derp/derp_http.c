/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading heads.  The whole head is looked for first and parsed only once it
 * is complete: callers try again with more bytes, and nothing has to be kept
 * between the tries.  Writing is in derp_http_write.c.
 */
#include "proto/derp/derp_http.h"

#include <string.h>

#include "lib/err.h"

/* Unparsed rest of a head.  Invariant: p <= end. */
struct cursor {
	const char *p;
	const char *end;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* token of RFC 9110 5.6.2 */
static bool
is_token(struct derp_http_text t)
{
	for (size_t i = 0; i < t.len; i++) {
		char c = lower(t.p[i]);

		if (!is_digit(c) && !(c >= 'a' && c <= 'z') &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return t.len > 0;
}

/* Field values: no control characters but the tab.  Bytes above 0x7f pass. */
static bool
is_value(struct derp_http_text t)
{
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Request targets: visible characters only. */
static bool
is_target(struct derp_http_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if ((unsigned char)t.p[i] <= 0x20 || t.p[i] == 0x7f)
			return false;
	return t.len > 0;
}

static struct derp_http_text
trim(struct derp_http_text t)
{
	while (t.len > 0 && is_space(t.p[0])) {
		t.p++;
		t.len--;
	}
	while (t.len > 0 && is_space(t.p[t.len - 1]))
		t.len--;
	return t;
}

/* Length of the head that begins at @p, up to and with its empty line. */
static int
find_head(const uint8_t *p, size_t len, size_t *ret_head_len)
{
	size_t max = len < DERP_HTTP_MAX_HEAD ? len : DERP_HTTP_MAX_HEAD;
	size_t line = 0; /* where the present line begins */

	while (line < max) {
		const uint8_t *lf = memchr(p + line, '\n', max - line);
		size_t end;

		if (lf == NULL)
			break;
		end = (size_t)(lf - p);
		if (end == line || (end == line + 1 && p[line] == '\r')) {
			*ret_head_len = end + 1;
			return 0;
		}
		line = end + 1;
	}
	return max < DERP_HTTP_MAX_HEAD ? -DT_ERR_TRUNCATED : -DT_ERR_TOO_LONG;
}

/* The next line without its end.  The head was found, so there is one. */
static struct derp_http_text
next_line(struct cursor *c)
{
	const char *lf = memchr(c->p, '\n', (size_t)(c->end - c->p));
	struct derp_http_text line = { .p = c->p };

	if (lf == NULL)
		lf = c->end;
	line.len = (size_t)(lf - c->p);
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	c->p = lf < c->end ? lf + 1 : lf;
	return line;
}

/* Cut @t at the first @sep: returns what is before it, leaves what is behind.
 * Without @sep everything is returned and @t becomes absent. */
static struct derp_http_text
cut(struct derp_http_text *t, char sep)
{
	struct derp_http_text first = *t;
	const char *at = t->len > 0 ? memchr(t->p, sep, t->len) : NULL;

	if (at == NULL) {
		*t = (struct derp_http_text){ 0 };
		return first;
	}
	first.len = (size_t)(at - t->p);
	t->p = at + 1;
	t->len -= first.len + 1;
	return first;
}

static int
parse_version(struct derp_http_text t, int *ret_minor)
{
	if (derp_http_is(t, "HTTP/1.1"))
		*ret_minor = 1;
	else if (derp_http_is(t, "HTTP/1.0"))
		*ret_minor = 0;
	else if (t.len >= 5 && memcmp(t.p, "HTTP/", 5) == 0)
		return -DT_ERR_VERSION;
	else
		return -DT_ERR_SYNTAX;
	return 0;
}

/* Path and query of a target in origin or absolute form. */
static void
split_target(struct derp_http_head *h)
{
	struct derp_http_text rest = h->target;
	size_t scheme_len = 0;

	if (rest.len >= 7 && memcmp(rest.p, "http://", 7) == 0)
		scheme_len = 7;
	else if (rest.len >= 8 && memcmp(rest.p, "https://", 8) == 0)
		scheme_len = 8;
	if (scheme_len > 0) {
		const char *end = rest.p + rest.len;

		rest.p += scheme_len;
		while (rest.p < end && *rest.p != '/' && *rest.p != '?')
			rest.p++;
		rest.len = (size_t)(end - rest.p);
	}
	h->path = cut(&rest, '?');
	h->query = rest;
}

static int
parse_request_line(struct derp_http_text line, struct derp_http_head *h)
{
	h->method = cut(&line, ' ');
	h->target = cut(&line, ' ');
	if (!is_token(h->method) || !is_target(h->target) || line.p == NULL)
		return -DT_ERR_SYNTAX;
	split_target(h);
	return parse_version(line, &h->minor);
}

static int
parse_status_line(struct derp_http_text line, struct derp_http_head *h)
{
	struct derp_http_text version = cut(&line, ' ');
	struct derp_http_text digits = cut(&line, ' ');
	int r = parse_version(version, &h->minor);

	if (r < 0)
		return r;
	if (digits.len != 3 || !is_digit(digits.p[0]) ||
	    !is_digit(digits.p[1]) || !is_digit(digits.p[2]) ||
	    digits.p[0] == '0' || !is_value(line))
		return -DT_ERR_SYNTAX;
	h->status = (digits.p[0] - '0') * 100 + (digits.p[1] - '0') * 10 +
		    (digits.p[2] - '0');
	h->reason = line;
	return 0;
}

/* The fields up to the empty line.  Folded lines (obsolete) are refused: their
 * name would have to begin with white space. */
static int
parse_fields(struct cursor *c, struct derp_http_head *h)
{
	for (;;) {
		struct derp_http_text line = next_line(c);
		struct derp_http_field *f;

		if (line.len == 0)
			return 0;
		if (h->n_fields == DERP_HTTP_MAX_FIELDS)
			return -DT_ERR_LIMIT;
		f = &h->fields[h->n_fields];
		f->name = cut(&line, ':');
		if (line.p == NULL || !is_token(f->name) || !is_value(line))
			return -DT_ERR_SYNTAX;
		f->value = trim(line);
		h->n_fields++;
	}
}

/* Start line and fields; the other members of @h are zero. */
static int
parse_head(
    const uint8_t *p, size_t len, bool is_request, struct derp_http_head *h)
{
	struct derp_http_text line;
	struct cursor c;
	int r;

	memset(h, 0, offsetof(struct derp_http_head, fields));
	h->n_fields = 0;
	r = find_head(p, len, &h->head_len);
	if (r < 0)
		return r;
	c.p = (const char *)p;
	c.end = c.p + h->head_len;
	line = next_line(&c);
	r = is_request ? parse_request_line(line, h)
		       : parse_status_line(line, h);
	return r < 0 ? r : parse_fields(&c, h);
}

static size_t
count_fields(const struct derp_http_head *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_fields; i++)
		if (derp_http_is_nocase(h->fields[i].name, name))
			n++;
	return n;
}

int
derp_http_parse_request(
    const uint8_t *p, size_t len, struct derp_http_head *ret_head)
{
	size_t hosts;
	int r = parse_head(p, len, true, ret_head);

	if (r < 0)
		return r;
	hosts = count_fields(ret_head, "Host");
	if (hosts > 1 || (hosts == 0 && ret_head->minor == 1))
		return -DT_ERR_SYNTAX;
	return 0;
}

int
derp_http_parse_response(
    const uint8_t *p, size_t len, struct derp_http_head *ret_head)
{
	return parse_head(p, len, false, ret_head);
}

struct derp_http_text
derp_http_field(const struct derp_http_head *h, const char *name)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (derp_http_is_nocase(h->fields[i].name, name))
			return h->fields[i].value;
	return (struct derp_http_text){ 0 };
}

bool
derp_http_is(struct derp_http_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.len > 0 ? t.p : s, s, t.len) == 0;
}

bool
derp_http_is_nocase(struct derp_http_text t, const char *s)
{
	if (t.len != strlen(s))
		return false;
	for (size_t i = 0; i < t.len; i++)
		if (lower(t.p[i]) != lower(s[i]))
			return false;
	return true;
}

bool
derp_http_has_token(
    const struct derp_http_head *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->n_fields; i++) {
		struct derp_http_text rest = h->fields[i].value;

		if (!derp_http_is_nocase(h->fields[i].name, name))
			continue;
		while (rest.p != NULL)
			if (derp_http_is_nocase(trim(cut(&rest, ',')), token))
				return true;
	}
	return false;
}

enum derp_http_upgrade
derp_http_upgrade(const struct derp_http_head *h)
{
	struct derp_http_text up = derp_http_field(h, "Upgrade");
	struct derp_http_text sub =
	    derp_http_field(h, "Sec-WebSocket-Protocol");

	if (derp_http_is_nocase(up, "derp"))
		return DERP_HTTP_UPGRADE_DERP;
	if (!derp_http_is_nocase(up, "websocket"))
		return DERP_HTTP_UPGRADE_NONE;
	/* a substring, not a token: "derpx" too gets WebSocket, and is then
	 * closed for its protocol */
	if (sub.len > 0 && memmem(sub.p, sub.len, "derp", 4) != NULL)
		return DERP_HTTP_UPGRADE_WEBSOCKET;
	return DERP_HTTP_UPGRADE_DERP;
}

bool
derp_http_is_fast_start(const struct derp_http_head *h)
{
	return derp_http_is(derp_http_field(h, "Derp-Fast-Start"), "1");
}

bool
derp_http_is_not_ideal(const struct derp_http_head *h)
{
	return derp_http_field(h, "Ideal-Node").len > 0;
}
