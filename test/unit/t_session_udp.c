/* SPDX-License-Identifier: BSD-3-Clause */
/* A socket that rests during a bulk, and nothing that gets lost by that. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/session/udp.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "test/tap.h"
#include "test/unit/loop_for.h"

#define FULL 1200
#define LONG_US (2 * MONO_SEC)
#define SHORT_US (20 * MONO_MS)

struct rig {
	struct loop *loop;
	struct udp u;
	struct udp_buffers *buffers;
	int from;     /* sends to u */
	size_t sent;  /* datagrams, numbered */
	size_t got;   /* in order */
	size_t want;  /* of got: then the loop stops */
	bool is_shut; /* by its own callback */
	bool ok;
};

static void
on_input(struct udp *u, const struct udp_input *in, struct mono now)
{
	struct rig *g = u->arg;

	(void)now;
	for (size_t at = 0; at < in->len; at += in->segment) {
		size_t n;

		memcpy(&n, in->p + at, sizeof(n));
		g->ok = g->ok && n == g->got;
		g->got++;
	}
	if (g->is_shut)
		udp_close(u);
	if (g->got >= g->want)
		loop_stop(g->loop);
}

static void
on_writable(struct udp *u, struct mono now)
{
	(void)u;
	(void)now;
}

static void
begin(struct rig *g, bool may_rest)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*g = (struct rig){ .loop = loop_new(),
		.buffers = udp_buffers_new(),
		.from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		.ok = true };
	udp_init(&g->u);
	g->u.on_input = on_input;
	g->u.on_writable = on_writable;
	g->u.arg = g;
	if (g->loop == NULL || g->buffers == NULL ||
	    bind(fd, (struct sockaddr *)&sa, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0 ||
	    connect(g->from, (struct sockaddr *)&sa, len) != 0 ||
	    udp_open(&g->u, g->loop, g->buffers, fd, AF_INET, 1) != 0)
		abort();
	udp_set_rest(&g->u, may_rest);
}

static void
end(struct rig *g)
{
	OK(g->ok, "all in order");
	udp_close(&g->u);
	loop_free(g->loop);
	udp_buffers_free(g->buffers);
	fd_close(&g->from);
}

static void
put(struct rig *g, size_t n, size_t len)
{
	uint8_t p[FULL] = { 0 };

	for (; n > 0; n--) {
		memcpy(p, &g->sent, sizeof(g->sent));
		g->sent++;
		if (send(g->from, p, len, 0) != (ssize_t)len)
			abort();
	}
}

/* Until all that was sent came, or never. */
static bool
all_come(struct rig *g, int64_t us)
{
	g->want = g->sent;
	(void)loop_for(g->loop, us);
	return g->got == g->sent;
}

static bool
is_resting(const struct rig *g)
{
	return (g->u.interest & LOOP_READ) == 0;
}

static void
test_bulk(void)
{
	struct rig g;

	begin(&g, true);
	put(&g, 40, FULL);
	OK(all_come(&g, LONG_US), "a bulk comes");
	OK(is_resting(&g), "after it there is rest");
	put(&g, 40, FULL);
	OK(all_come(&g, LONG_US), "what comes meanwhile is read");
	OK(is_resting(&g), "more of it, and there is more rest");
	put(&g, 80, FULL);
	OK(all_come(&g, LONG_US), "more than is read at once");
	g.want = SIZE_MAX;
	(void)loop_for(g.loop, SHORT_US);
	OK(!is_resting(&g), "nothing comes: awake");
	put(&g, 1, FULL);
	OK(all_come(&g, LONG_US) && !is_resting(&g), "and stays so for one");
	end(&g);
}

static void
test_others(void)
{
	struct rig g;

	begin(&g, false);
	put(&g, 40, FULL);
	OK(all_come(&g, LONG_US) && !is_resting(&g), "none unless wanted");
	end(&g);
	begin(&g, true);
	put(&g, 60, 200);
	OK(all_come(&g, LONG_US) && !is_resting(&g), "none for small ones");
	put(&g, 16, FULL);
	OK(all_come(&g, LONG_US) && !is_resting(&g), "none for a few");
	end(&g);
}

static void
test_watch(void)
{
	struct rig g;

	begin(&g, true);
	put(&g, 40, FULL);
	OK(all_come(&g, LONG_US) && is_resting(&g), "resting");
	udp_watch(&g.u, false);
	put(&g, 3, FULL);
	OK(!all_come(&g, SHORT_US), "nobody looks");
	udp_watch(&g.u, true);
	OK(all_come(&g, LONG_US), "until somebody does");
	put(&g, 40, FULL);
	OK(all_come(&g, LONG_US) && is_resting(&g), "resting again");
	udp_set_rest(&g.u, false);
	OK(!is_resting(&g), "not when it may not any more");
	udp_set_rest(&g.u, true);
	put(&g, 40, FULL);
	OK(all_come(&g, LONG_US) && is_resting(&g), "once more");
	udp_close(&g.u);
	(void)loop_for(g.loop, SHORT_US);
	OK(!udp_is_open(&g.u), "closed while it rests");
	end(&g);
}

static void
test_shut(void)
{
	struct rig g;

	begin(&g, true);
	put(&g, 40, FULL);
	(void)all_come(&g, LONG_US);
	g.is_shut = true;
	put(&g, 40, FULL);
	g.want = 41;
	(void)loop_for(g.loop, LONG_US);
	EQ_INT(g.got, 41, "closed by its callback, at the end of a rest");
	end(&g);
	begin(&g, true);
	g.is_shut = true;
	g.want = 1;
	put(&g, 40, FULL);
	(void)loop_for(g.loop, LONG_US);
	EQ_INT(g.got, 1, "and without one");
	end(&g);
}

int
main(void)
{
	test_bulk();
	test_others();
	test_watch();
	test_shut();
	return tap_done();
}
