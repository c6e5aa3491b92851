/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/portmap/upnp_url.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"

#define SCHEME "http://"
#define SCHEME_LEN (sizeof(SCHEME) - 1)
#define DEFAULT_PORT 80
#define MAX_HOST 32 /* "255.255.255.255:65535" */

/* What may go into a request line as it is. */
static bool
is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '#')
			return false;
	return true;
}

static int
parse_host(struct addr *ret_host, const char *text, size_t len)
{
	char host[MAX_HOST];
	int r;

	if (len == 0 || len >= sizeof(host))
		return -DT_ERR_SYNTAX;
	memcpy(host, text, len);
	host[len] = '\0';
	r = strchr(host, ':') != NULL
		? addr_parse(ret_host, host)
		: addr_parse_ip(ret_host, host, DEFAULT_PORT);
	if (r == 0 && (ret_host->family != AF_INET || ret_host->port == 0))
		r = -DT_ERR_SYNTAX;
	return r;
}

static bool
has_scheme(const char *text, size_t len)
{
	return len >= SCHEME_LEN && strncasecmp(text, SCHEME, SCHEME_LEN) == 0;
}

int
upnp_url_parse(struct upnp_url *ret_url, const char *text, size_t len)
{
	struct upnp_url u;
	const char *slash;
	size_t host_len;
	int r;

	if (!has_scheme(text, len) || !is_plain(text, len))
		return -DT_ERR_SYNTAX;
	text += SCHEME_LEN;
	len -= SCHEME_LEN;
	slash = memchr(text, '/', len);
	host_len = slash != NULL ? (size_t)(slash - text) : len;
	memset(&u, 0, sizeof(u));
	r = parse_host(&u.host, text, host_len);
	if (r < 0)
		return r;
	text += host_len;
	len -= host_len;
	if (len >= sizeof(u.path))
		return -DT_ERR_TOO_LONG;
	memcpy(u.path, text, len);
	if (len == 0)
		u.path[0] = '/';
	*ret_url = u;
	return 0;
}

int
upnp_url_resolve(struct upnp_url *ret_url, const struct upnp_url *base,
    const char *text, size_t len)
{
	struct upnp_url u = *base;
	size_t keep = 0;
	const char *slash;

	if (has_scheme(text, len))
		return upnp_url_parse(ret_url, text, len);
	/* Another scheme or another host is not for us. */
	if (!is_plain(text, len) || memmem(text, len, "://", 3) != NULL ||
	    (len >= 2 && text[0] == '/' && text[1] == '/'))
		return -DT_ERR_SYNTAX;
	if (len == 0 || text[0] != '/') {
		slash = strrchr(u.path, '/');
		keep = slash != NULL ? (size_t)(slash - u.path) + 1 : 0;
	}
	if (keep + len >= sizeof(u.path))
		return -DT_ERR_TOO_LONG;
	memset(u.path + keep, 0, sizeof(u.path) - keep);
	if (len > 0)
		memcpy(u.path + keep, text, len);
	*ret_url = u;
	return 0;
}
