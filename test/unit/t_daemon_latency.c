/* SPDX-License-Identifier: BSD-3-Clause */
/* Which region is nearest, by real datagrams on loopback. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/latency.h"
#include "lib/addr.h"
#include "lib/fd.h"
#include "proto/stun/stun.h"
#include "test/tap.h"

/* A machine that stands still longer than the limit proves nothing. */
#define TRIES 5

/* What the second region's server does with the requests. */
enum habit { ANSWERS_FIRST, ANSWERS_FIRST_LATE, ANSWERS_SECOND, SILENT };

struct server {
	int fd;
	uint16_t port;
	enum habit habit;
	size_t n;
	struct stun_tx first;
};

static struct loop *loop;
static int64_t region;

static void
on_region(void *arg, int64_t id)
{
	(void)arg;
	region = id;
	loop_stop(loop);
}

static void
answer(const struct server *s, const struct stun_tx *tx,
    const struct sockaddr_in *to)
{
	uint8_t out[STUN_MAX_RESPONSE_LEN];
	struct addr from;
	size_t n;

	(void)addr_from_sockaddr(
	    &from, (const struct sockaddr *)to); /* IPv4: cannot fail */
	n = stun_write_response(out, tx, &from);
	(void)!sendto(
	    s->fd, out, n, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void
on_request(void *arg, unsigned events, struct mono now)
{
	struct server *s = arg;
	struct sockaddr_in from = { .sin_family = AF_INET };
	socklen_t len = sizeof(from);
	struct stun_tx tx;
	uint8_t in[256];
	ssize_t n = recvfrom(s->fd, in, sizeof(in), MSG_DONTWAIT,
	    (struct sockaddr *)&from, &len);

	(void)events;
	(void)now;
	if (n < 0 || stun_parse_request(in, (size_t)n, &tx) != 0)
		return;
	if (s->n++ == 0)
		s->first = tx;
	if (s->habit == ANSWERS_FIRST && s->n == 1)
		answer(s, &tx, &from);
	else if (s->habit == ANSWERS_FIRST_LATE && s->n == 2)
		answer(s, &s->first, &from);
	else if (s->habit == ANSWERS_SECOND && s->n == 2)
		answer(s, &tx, &from);
}

static void
open_server(struct server *s, enum habit habit)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	*s = (struct server){ .habit = habit };
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len) != 0)
		abort();
	s->port = ntohs(sa.sin_port);
}

/* The region picked when the first one's server is silent. */
static int64_t
measure(enum habit habit)
{
	struct server s[2];
	struct loop_io *io[2];
	struct derp_map *map = NULL;
	struct latency *l;
	char text[512];

	for (size_t i = 0; i < 2; i++) {
		open_server(&s[i], i == 0 ? SILENT : habit);
		io[i] = loop_io_new(loop, s[i].fd, on_request, &s[i]);
		loop_io_set(io[i], LOOP_READ);
	}
	(void)snprintf(text, sizeof(text),
	    "{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"Name\":\"1a\","
	    "\"HostName\":\"a.x\",\"IPv4\":\"127.0.0.1\",\"STUNPort\":%u}]},"
	    "\"2\":{\"RegionID\":2,\"Nodes\":[{\"Name\":\"2a\","
	    "\"HostName\":\"b.x\",\"IPv4\":\"127.0.0.1\",\"STUNPort\":%u}]}}}",
	    (unsigned)s[0].port, (unsigned)s[1].port);
	if (derp_map_parse(text, strlen(text), &map, NULL) != 0)
		abort();
	region = 0;
	l = latency_new(loop, map, on_region, NULL);
	if (l == NULL)
		abort();
	loop_run(loop);
	derp_map_free(map);
	for (size_t i = 0; i < 2; i++) {
		loop_io_free(io[i]);
		fd_close(&s[i].fd);
	}
	return region;
}

static void
check(enum habit habit, int64_t want, const char *what)
{
	int64_t got = 0;

	for (int i = 0; i < TRIES && got != want; i++)
		got = measure(habit);
	EQ_INT(got, want, "%s", what);
}

int
main(void)
{
	loop = loop_new();
	check(ANSWERS_FIRST, 2, "who answers is nearer");
	check(ANSWERS_SECOND, 2, "also when the first request was lost");
	check(ANSWERS_FIRST_LATE, 2,
	    "an answer to the first request counts after the second");
	check(SILENT, 1, "none answers: the lowest");
	loop_free(loop);
	return tap_done();
}
