/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

/* 1 to 5 digits, no leading zero, at most 65535. */
static int
parse_port(const char *text, uint16_t *ret_port)
{
	size_t len = strspn(text, "0123456789");
	unsigned v = 0;

	if (len == 0 || len > 5 || text[len] != '\0' ||
	    (text[0] == '0' && len > 1))
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < len; i++)
		v = v * 10 + (unsigned)(text[i] - '0');
	if (v > UINT16_MAX)
		return -DT_ERR_SYNTAX;
	*ret_port = (uint16_t)v;
	return 0;
}

int
addr_split_host_port(
    const char *text, char ret_host[static ADDR_MAX_HOST], uint16_t *ret_port)
{
	const char *end, *host = text;
	size_t len;
	int r;

	if (text[0] == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (end == NULL || end[1] != ':')
			return -DT_ERR_SYNTAX;
		len = (size_t)(end - host);
		end++;
	} else {
		end = strchr(text, ':');
		if (end == NULL)
			return -DT_ERR_SYNTAX;
		len = (size_t)(end - host);
	}
	/* A second colon outside of brackets fails as part of the port. */
	if (len >= ADDR_MAX_HOST || memchr(host, '[', len) != NULL ||
	    memchr(host, ']', len) != NULL)
		return -DT_ERR_SYNTAX;
	r = parse_port(end + 1, ret_port);
	if (r < 0)
		return r;
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	return 0;
}

int
addr_parse_ip(struct addr *ret_addr, const char *text, uint16_t port)
{
	struct addr a = { .port = port };

	/* glibc's inet_pton refuses leading zeros, zones and short forms. */
	if (inet_pton(AF_INET, text, a.ip) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.ip) == 1)
		a.family = AF_INET6;
	else
		return -DT_ERR_SYNTAX;
	*ret_addr = a;
	return 0;
}

int
addr_parse(struct addr *ret_addr, const char *text)
{
	char host[ADDR_MAX_HOST];
	struct addr a;
	uint16_t port;
	int r;

	r = addr_split_host_port(text, host, &port);
	if (r < 0)
		return r;
	r = addr_parse_ip(&a, host, port);
	if (r < 0)
		return r;
	/* Brackets belong to IPv6 and to nothing else. */
	if ((text[0] == '[') != (a.family == AF_INET6))
		return -DT_ERR_SYNTAX;
	*ret_addr = a;
	return 0;
}

static bool
is_mapped(const struct addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == AF_INET6 &&
	       memcmp(a->ip, prefix, sizeof(prefix)) == 0;
}

static unsigned
word(const struct addr *a, size_t i)
{
	return (unsigned)a->ip[2 * i] << 8 | a->ip[2 * i + 1];
}

/* The first longest run of two or more zero words (RFC 5952 4.2). */
static void
longest_run(const struct addr *a, size_t *ret_start, size_t *ret_len)
{
	size_t i, n;

	*ret_start = 8; /* none */
	*ret_len = 1;
	for (i = 0; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && word(a, i + n) == 0;)
			n++;
		if (n > *ret_len) {
			*ret_start = i;
			*ret_len = n;
		}
	}
}

/* inet_ntop writes ::1:2 as ::0.1.0.2, so this is done by hand. */
static void
format_ip6(const struct addr *a, char out[static ADDR_MAX_TEXT])
{
	size_t len = 0, n, start;

	longest_run(a, &start, &n);
	for (size_t i = 0; i < 8; i++) {
		if (i == start) {
			out[len++] = ':';
			i += n - 1;
			if (i == 7)
				out[len++] = ':';
			continue;
		}
		/* 8 words of 4 digits and a colon each: always fits. */
		len += (size_t)snprintf(out + len, ADDR_MAX_TEXT - len, "%s%x",
		    i > 0 ? ":" : "", word(a, i));
	}
	out[len] = '\0';
}

void
addr_format_ip(const struct addr *a, char out[static ADDR_MAX_TEXT])
{
	const uint8_t *v4 = is_mapped(a) ? a->ip + 12 : a->ip;

	if (a->family == AF_INET || is_mapped(a))
		(void)snprintf(out, ADDR_MAX_TEXT, "%s%u.%u.%u.%u",
		    v4 == a->ip ? "" : "::ffff:", v4[0], v4[1], v4[2], v4[3]);
	else if (a->family == AF_INET6)
		format_ip6(a, out);
	else
		(void)snprintf(out, ADDR_MAX_TEXT, "none");
}

void
addr_format(const struct addr *a, char out[static ADDR_MAX_TEXT])
{
	char ip[ADDR_MAX_TEXT];
	bool v6 = a->family == AF_INET6;

	addr_format_ip(a, ip);
	if (a->family == 0)
		(void)snprintf(out, ADDR_MAX_TEXT, "%s", ip);
	else
		(void)snprintf(out, ADDR_MAX_TEXT, "%s%.45s%s:%u",
		    v6 ? "[" : "", ip, v6 ? "]" : "", a->port);
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

struct addr
addr_unmap(const struct addr *a)
{
	struct addr v4 = { .family = AF_INET, .port = a->port };

	if (!is_mapped(a))
		return *a;
	memcpy(v4.ip, a->ip + 12, 4);
	return v4;
}

/* Does a, IPv4 or mapped, lie in a prefix given in host order? */
static bool
in_prefix(const struct addr *a, uint32_t v4, int v4_bits)
{
	struct addr u = addr_unmap(a);
	uint32_t ip = word(&u, 0) << 16 | word(&u, 1);

	return u.family == AF_INET && (ip ^ v4) >> (32 - v4_bits) == 0;
}

/* Does a lie in an IPv6 prefix of at most 16 bits? */
static bool
in_prefix6(const struct addr *a, unsigned v6, int v6_bits)
{
	return a->family == AF_INET6 &&
	       (word(a, 0) ^ v6) >> (16 - v6_bits) == 0;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return in_prefix(a, 0x7f000000, 8) ||
	       (a->family == AF_INET6 && memcmp(a->ip, one, sizeof(one)) == 0);
}

bool
addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];
	struct addr u = addr_unmap(a);

	return u.family != 0 && memcmp(u.ip, zero, sizeof(zero)) == 0;
}

bool
addr_is_multicast(const struct addr *a)
{
	return in_prefix(a, 0xe0000000, 4) || in_prefix6(a, 0xff00, 8);
}

bool
addr_is_link_local(const struct addr *a)
{
	return in_prefix(a, 0xa9fe0000, 16) || in_prefix6(a, 0xfe80, 10);
}

bool
addr_is_private(const struct addr *a)
{
	return in_prefix(a, 0x0a000000, 8) || in_prefix(a, 0xac100000, 12) ||
	       in_prefix(a, 0xc0a80000, 16) || in_prefix(a, 0x64400000, 10) ||
	       in_prefix6(a, 0xfc00, 7);
}

bool
addr_is_broadcast(const struct addr *a)
{
	struct addr u = addr_unmap(a);

	return u.family == AF_INET && word(&u, 0) == 0xffff &&
	       word(&u, 1) == 0xffff;
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret_sa)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	memset(ret_sa, 0, sizeof(*ret_sa));
	if (a->family == AF_INET) {
		sin.sin_port = htons(a->port);
		memcpy(&sin.sin_addr, a->ip, 4);
		memcpy(ret_sa, &sin, sizeof(sin));
		return sizeof(sin);
	}
	if (a->family == AF_INET6) {
		sin6.sin6_port = htons(a->port);
		memcpy(&sin6.sin6_addr, a->ip, 16);
		memcpy(ret_sa, &sin6, sizeof(sin6));
		return sizeof(sin6);
	}
	return 0;
}

int
addr_from_sockaddr(struct addr *ret_addr, const struct sockaddr *sa)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
	struct addr a = { .family = sa->sa_family };

	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		a.port = ntohs(sin.sin_port);
		memcpy(a.ip, &sin.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		a.port = ntohs(sin6.sin6_port);
		memcpy(a.ip, &sin6.sin6_addr, 16);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_addr = a;
	return 0;
}
