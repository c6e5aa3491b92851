/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_target.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "lib/err.h"

/* Splits as addr_split_host_port() does, but for a name of a port. */
static int
split_service(const char *text, struct cli_target *t)
{
	const char *colon = strrchr(text, ':');
	const struct servent *service;
	size_t len;

	if (colon == NULL || colon[1] == '\0')
		return -DT_ERR_SYNTAX;
	service = getservbyname(colon + 1, "tcp");
	len = (size_t)(colon - text);
	if (service == NULL || len >= sizeof(t->host))
		return -DT_ERR_SYNTAX;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len) != NULL) {
		return -DT_ERR_SYNTAX;
	}
	memcpy(t->host, text, len);
	t->host[len] = '\0';
	t->port = ntohs((uint16_t)service->s_port);
	return 0;
}

int
cli_target_parse_listen(struct cli_target *ret_target, const char *text)
{
	struct cli_target t;
	int r = addr_split_host_port(text, t.host, &t.port);

	if (r < 0)
		r = split_service(text, &t);
	if (r < 0)
		return r;
	*ret_target = t;
	return 0;
}

int
cli_target_parse(struct cli_target *ret_target, const char *text)
{
	struct cli_target t;
	int r = cli_target_parse_listen(&t, text);

	if (r < 0 || t.port == 0)
		return -DT_ERR_SYNTAX;
	if (t.host[0] == '\0')
		memcpy(t.host, "localhost", sizeof("localhost"));
	*ret_target = t;
	return 0;
}
