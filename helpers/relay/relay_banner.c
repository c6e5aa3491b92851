/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_banner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/derp/derp_map.h"

/* The map is written for people; one line is for scripts. */
static void
join_lines(char *text)
{
	char *out = text;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\n') {
			while (p[1] == ' ')
				p++;
			continue;
		}
		*out++ = *p;
	}
	*out = '\0';
}

static int
put_map(struct buf_writer *w, const struct relay_banner *b)
{
	struct derp_map *map;
	char *text;
	int r = derp_map_new_custom(b->hostname, b->listen.port,
	    b->stun.family != 0 ? b->stun.port : -1, b->is_tls ? b->pin : NULL,
	    &map);

	if (r < 0)
		return r;
	r = derp_map_write(map, &text);
	derp_map_free(map);
	if (r < 0)
		return r;
	join_lines(text);
	buf_put_str(w, "derp-map: ");
	buf_put_str(w, text);
	buf_put_str(w, "\n");
	free(text);
	return 0;
}

/* "NAME=scheme://host:port/path" */
static void
put_url(struct buf_writer *w, const struct relay_banner *b, const char *name,
    const char *path)
{
	struct addr a;
	char text[ADDR_MAX_TEXT];

	buf_put_str(w, name);
	buf_put_str(w, b->is_tls ? "=https://" : "=http://");
	if (addr_parse_ip(&a, b->hostname, b->listen.port) == 0) {
		addr_format(&a, text); /* brackets for IPv6 */
		buf_put_str(w, text);
	} else {
		a = (struct addr){ .family = AF_INET, .port = b->listen.port };
		addr_format(&a, text);
		buf_put_str(w, b->hostname);
		buf_put_str(w, strchr(text, ':'));
	}
	buf_put_str(w, path);
	buf_put_str(w, "\n");
}

static void
put_line(struct buf_writer *w, const char *name, const char *value)
{
	buf_put_str(w, name);
	buf_put_str(w, value);
	buf_put_str(w, "\n");
}

int
relay_banner_write(
    const struct relay_banner *b, char ret_text[static RELAY_BANNER_MAX])
{
	struct buf_writer w = buf_writer(ret_text, RELAY_BANNER_MAX);
	char text[ADDR_MAX_TEXT];
	int r;

	addr_format(&b->listen, text);
	put_line(&w, "listening on ", text);
	r = put_map(&w, b);
	if (r < 0)
		return r;
	if (b->is_tls) {
		put_line(&w, "pin: ", b->pin);
		put_url(&w, b, "DERPHOLE_DERP_SERVER", "");
	} else {
		/* Go peers take plain HTTP only this way. */
		put_url(&w, b, "DERPHOLE_TEST_DERP_SERVER_URL", "/derp");
	}
	if (b->ca_path[0] != '\0')
		put_line(&w, "SSL_CERT_FILE=", b->ca_path);
	if (b->stun.family != 0) {
		addr_format(&b->stun, text);
		put_line(&w, "stun: ", text);
	}
	buf_put_u8(&w, 0);
	return w.err;
}

/* The address packets to @target leave from; nothing is sent. */
static int
source_towards(const struct addr *target, struct addr *ret_source)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(target, &sa);
	int fd = socket(target->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = -DT_ERR_RESOLVE;

	if (fd < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&sa, len) == 0) {
		len = sizeof(sa);
		if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
			r = addr_from_sockaddr(
			    ret_source, (struct sockaddr *)&sa);
	}
	fd_close(&fd);
	return r;
}

void
relay_banner_hostname(
    const struct addr *listen, char ret_host[static ADDR_MAX_TEXT])
{
	/* Documentation prefixes: routed like any far address. */
	static const char *const targets[] = { "192.0.2.1", "2001:db8::1" };
	struct addr target, source = *listen;

	for (size_t i = 0; i < 2 && addr_is_unspecified(&source); i++) {
		if (addr_parse_ip(&target, targets[i], 9) == 0)
			(void)source_towards(&target, &source);
	}
	if (addr_is_unspecified(&source))
		(void)addr_parse_ip(&source, "127.0.0.1", 0);
	addr_format_ip(&source, ret_host);
}
