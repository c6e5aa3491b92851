/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/token/token_route.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/addr.h"
#include "lib/err.h"

/* Longest DNS label, RFC 1035 2.3.4. */
#define MAX_LABEL 63

static int
syntax(struct token_error *ret_error, const char *reason)
{
	return token_text_fail(ret_error, -DT_ERR_SYNTAX, reason);
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Every label 1..63 of a-z 0-9 and inner hyphens; NULL, or the reason. */
static const char *
check_labels(const char *host)
{
	for (;;) {
		size_t n = strcspn(host, ".");

		if (n == 0 || n > MAX_LABEL)
			return "DNS label length is invalid";
		for (size_t i = 0; i < n; i++) {
			bool inner = i > 0 && i + 1 < n;

			if (!is_alnum(host[i]) && !(inner && host[i] == '-'))
				return "DNS label contains invalid characters";
		}
		if (host[n] == '\0')
			return NULL;
		host += n + 1;
	}
}

/*
 * Returns NULL with the canonical name in @out, or the reason.
 */
static const char *
canonical_dns(
    char out[static TOKEN_ROUTE_MAX_HOST + 1], const char *host, size_t len)
{
	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || len > TOKEN_ROUTE_MAX_HOST)
		return "DNS name length is invalid";
	for (size_t i = 0; i < len; i++) {
		char c = host[i];

		if (c == '\0')
			return "DNS label contains invalid characters";
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		out[i] = c;
	}
	out[len] = '\0';
	return check_labels(out);
}

static const char *
canonical_host(
    char out[static TOKEN_ROUTE_MAX_HOST + 1], const char *host, size_t len)
{
	char text[ADDR_MAX_TEXT];
	struct addr a;

	if (memchr(host, '%', len) != NULL)
		return "IPv6 zones are not allowed";
	if (len < sizeof(text) && memchr(host, '\0', len) == NULL) {
		memcpy(text, host, len);
		text[len] = '\0';
		if (addr_parse_ip(&a, text, 0) == 0) {
			addr_format_ip(&a, text);
			(void)snprintf(
			    out, TOKEN_ROUTE_MAX_HOST + 1, "%s", text);
			return NULL;
		}
	}
	if (memchr(host, ':', len) != NULL)
		return "IPv6 address is invalid";
	return canonical_dns(out, host, len);
}

int
token_route_init(struct token_route *ret_route, const char *host,
    size_t host_len, uint16_t derp_port, uint16_t stun_port,
    struct token_error *ret_error)
{
	struct token_route route = { .derp_port = derp_port,
		.stun_port = stun_port };
	const char *reason = canonical_host(route.host, host, host_len);

	if (reason == NULL && derp_port == 0)
		reason = "DERP port must be non-zero";
	if (reason == NULL && stun_port == 0)
		reason = "STUN port must be non-zero";
	if (reason != NULL)
		return syntax(ret_error, reason);
	*ret_route = route;
	return 0;
}

/* A URL cut into the parts that we look at; all point into the text. */
struct url_parts {
	const char *host; /* with brackets if it had any */
	size_t host_len;
	const char *port; /* NULL if there was no colon */
	size_t port_len;
};

/* Splits host from port; the authority has no userinfo. */
static const char *
split_authority(struct url_parts *parts, const char *p, size_t n)
{
	const char *colon;

	parts->host = p;
	if (n > 0 && p[0] == '[') {
		const char *end = memchr(p, ']', n);

		if (end == NULL)
			return "malformed URL";
		parts->host_len = (size_t)(end - p) + 1;
		colon = parts->host_len < n ? end + 1 : NULL;
		if (colon != NULL && *colon != ':')
			return "malformed URL";
	} else {
		colon = memchr(p, ':', n);
		parts->host_len = colon != NULL ? (size_t)(colon - p) : n;
	}
	parts->port = colon != NULL ? colon + 1 : NULL;
	parts->port_len = colon != NULL ? n - (size_t)(parts->port - p) : 0;
	return NULL;
}

static const char *
parse_url(struct url_parts *parts, const char *url)
{
	const char *p, *path;
	size_t n;

	for (p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return "malformed URL";
	if (strncasecmp(url, "https://", 8) != 0)
		return "scheme must be https";
	url += 8;
	n = strcspn(url, "/?#");
	if (memchr(url, '@', n) != NULL)
		return "userinfo is not allowed";
	path = url + n;
	p = path + strcspn(path, "?#");
	if (*p == '?')
		return "query is not allowed";
	if (*p == '#')
		return "fragment is not allowed";
	if (*path != '\0' && strcmp(path, "/") != 0 &&
	    strcmp(path, "/derp") != 0)
		return "path must be empty, /, or /derp";
	if (n == 0)
		return "host is required";
	return split_authority(parts, url, n);
}

/* 1..65535 in decimal; 0 if it is not. */
static uint16_t
parse_port(const char *p, size_t n)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		v = v * 10 + (unsigned)(p[i] - '0');
		if (v > UINT16_MAX)
			return 0;
	}
	return (uint16_t)v;
}

static int
env_error(struct token_error *ret_error, const char *reason)
{
	char text[TOKEN_TEXT_MAX_ERROR];

	(void)snprintf(
	    text, sizeof(text), "invalid DERPHOLE_DERP_SERVER: %.96s", reason);
	return syntax(ret_error, text);
}

int
token_route_from_url(struct token_route *ret_route, const char *url,
    struct token_error *ret_error)
{
	uint16_t port = TOKEN_ROUTE_DEFAULT_DERP_PORT;
	struct url_parts parts;
	struct token_route route;
	struct token_error why;
	const char *reason = parse_url(&parts, url);
	bool bracketed;

	if (reason != NULL)
		return env_error(ret_error, reason);
	if (parts.port != NULL) {
		port = parse_port(parts.port, parts.port_len);
		if (port == 0)
			return env_error(ret_error, "DERP port is invalid");
	}
	bracketed = parts.host[0] == '[';
	if (bracketed) {
		parts.host++;
		parts.host_len -= 2;
	}
	if (token_route_init(&route, parts.host, parts.host_len, port,
		TOKEN_ROUTE_DEFAULT_STUN_PORT, &why) < 0)
		return env_error(ret_error, why.text);
	/* Brackets are for IPv6 literals and for nothing else. */
	if (bracketed != (strchr(route.host, ':') != NULL))
		return env_error(ret_error, "malformed URL");
	*ret_route = route;
	return 0;
}

void
token_route_put(struct buf_writer *w, const struct token_route *route)
{
	size_t n = strlen(route->host);

	buf_put_u8(w, (uint8_t)n);
	buf_put_bytes(w, route->host, n);
	buf_put_u16(w, route->derp_port);
	buf_put_u16(w, route->stun_port);
}

static int
wire_error(struct token_error *ret_error, const char *reason)
{
	char text[TOKEN_TEXT_MAX_ERROR];

	(void)snprintf(text, sizeof(text), "invalid route wire: %.96s", reason);
	return syntax(ret_error, text);
}

int
token_route_get(struct buf_reader *r, struct token_route *ret_route,
    struct token_error *ret_error)
{
	uint8_t n = buf_get_u8(r);
	const uint8_t *host;
	uint16_t derp_port, stun_port;
	struct token_route route;
	struct token_error why;

	if (n == 0 || n > TOKEN_ROUTE_MAX_HOST)
		return syntax(ret_error, "route host length is invalid");
	host = buf_peek_bytes(r, n);
	derp_port = buf_get_u16(r);
	stun_port = buf_get_u16(r);
	if (r->err < 0 || host == NULL)
		return wire_error(ret_error, "length is invalid");
	if (token_route_init(
		&route, (const char *)host, n, derp_port, stun_port, &why) < 0)
		return wire_error(ret_error, why.text);
	if (strlen(route.host) != n || memcmp(route.host, host, n) != 0)
		return wire_error(ret_error, "host is not canonical");
	*ret_route = route;
	return 0;
}

void
token_route_host_port(const struct token_route *route, uint16_t port,
    char out[static TOKEN_ROUTE_MAX_URL])
{
	bool v6 = strchr(route->host, ':') != NULL;

	(void)snprintf(out, TOKEN_ROUTE_MAX_URL, "%s%s%s:%u", v6 ? "[" : "",
	    route->host, v6 ? "]" : "", (unsigned)port);
}

void
token_route_url(
    const struct token_route *route, char out[static TOKEN_ROUTE_MAX_URL])
{
	char where[TOKEN_ROUTE_MAX_URL];

	/* The peer leaves the port out only for names and IPv4 on 443. */
	if (route->derp_port == TOKEN_ROUTE_DEFAULT_DERP_PORT &&
	    strchr(route->host, ':') == NULL) {
		(void)snprintf(
		    out, TOKEN_ROUTE_MAX_URL, "https://%s/derp", route->host);
		return;
	}
	token_route_host_port(route, route->derp_port, where);
	(void)snprintf(out, TOKEN_ROUTE_MAX_URL, "https://%.272s/derp", where);
}

bool
token_route_equal(const struct token_route *a, const struct token_route *b)
{
	return strcmp(a->host, b->host) == 0 && a->derp_port == b->derp_port &&
	       a->stun_port == b->stun_port;
}
