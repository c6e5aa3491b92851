/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/portmap/ssdp.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"

#define GATEWAY "InternetGatewayDevice:"

void
ssdp_write_search(struct buf_writer *w, unsigned which)
{
	buf_put_str(w, "M-SEARCH * HTTP/1.1\r\n"
		       "HOST: 239.255.255.250:1900\r\n"
		       "MAN: \"ssdp:discover\"\r\n"
		       "MX: 1\r\n"
		       "ST: urn:schemas-upnp-org:device:" GATEWAY);
	buf_put_u8(w, (uint8_t)('1' + which % SSDP_QUESTIONS));
	buf_put_str(w, "\r\n\r\n");
}

/* The next line without its end; NULL when there is none. */
static const char *
next_line(const char **p, const char *end, size_t *ret_len)
{
	const char *line = *p;
	const char *nl = memchr(line, '\n', (size_t)(end - line));
	size_t len;

	if (nl == NULL)
		return NULL;
	len = (size_t)(nl - line);
	if (len > 0 && line[len - 1] == '\r')
		len--;
	*p = nl + 1;
	*ret_len = len;
	return line;
}

/* The value of "NAME: value", or NULL if the line is of another name. */
static const char *
value_of(const char *line, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		;
	while (len > n && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*ret_len = len - n;
	return line + n;
}

static bool
is_ok(const char *line, size_t len)
{
	static const char prefix[] = "HTTP/1.";

	return line != NULL && len >= 12 &&
	       strncasecmp(line, prefix, sizeof(prefix) - 1) == 0 &&
	       memcmp(line + 8, " 200", 4) == 0;
}

int
ssdp_parse_response(const void *p, size_t len, struct upnp_url *ret_location)
{
	const char *at = p, *line, *value;
	const char *end = at + len;
	struct upnp_url url;
	bool is_gateway = false, has_url = false;
	size_t n = 0, value_len;

	line = next_line(&at, end, &n);
	if (!is_ok(line, n))
		return -DT_ERR_SYNTAX;
	while ((line = next_line(&at, end, &n)) != NULL && n > 0) {
		value = value_of(line, n, "ST", &value_len);
		if (value != NULL && memmem(value, value_len, GATEWAY,
					 sizeof(GATEWAY) - 1) != NULL)
			is_gateway = true;
		value = value_of(line, n, "LOCATION", &value_len);
		if (value != NULL && !has_url)
			has_url = upnp_url_parse(&url, value, value_len) == 0;
	}
	if (!is_gateway || !has_url)
		return -DT_ERR_SYNTAX;
	*ret_location = url;
	return 0;
}
