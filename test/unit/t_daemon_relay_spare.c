/* SPDX-License-Identifier: BSD-3-Clause */
/* Which links of a pool are spares; the relay accepts and says nothing. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/relay_link_state.h"
#include "lib/fd.h"
#include "test/tap.h"
#include "test/unit/loop_for.h"

#define SOON (RELAY_SPARE_PAUSE_US + 5 * MONO_MS)

static struct loop *loop;
static struct relay_pool *pool;
static struct relay_params *params;

/* A listener's address as a relay to connect to. */
static struct relay_target
target_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct relay_target t = { .host = "127.0.0.1" };

	(void)getsockname(fd, (struct sockaddr *)&sa, &len);
	(void)addr_from_sockaddr(&t.literal[0], (const struct sockaddr *)&sa);
	t.port = t.literal[0].port;
	return t;
}

static int
listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 8) != 0)
		fd_close(&fd);
	return fd;
}

/* Somebody uses a relay for a moment. */
static struct relay_link *
use(const struct relay_target *t, struct key32 *ret_own)
{
	static struct relay_watch watch;
	struct relay_link *link = NULL;

	EQ_INT(relay_link_get_fresh(pool, params, t, 1, &watch, ret_own, &link),
	    0, "a link");
	if (link != NULL)
		relay_link_put(link, &watch);
	return link;
}

static void
count(void *arg, const struct relay_link_info *info)
{
	int *n = arg;

	n[strcmp(info->state_name, "spare") == 0 ? 1 : 0]++;
}

static void
expect(int links, int spares, const char *when)
{
	int n[2] = { 0 };

	loop_for(loop, SOON);
	relay_pool_each(pool, count, n);
	/* 3 s more on a slow machine. */
	for (int i = 0; i < 100 && (n[0] != links || n[1] != spares); i++) {
		loop_for(loop, 30 * MONO_MS);
		n[0] = n[1] = 0;
		relay_pool_each(pool, count, n);
	}
	EQ_INT(n[0], links, "%s: %d links", when, links);
	EQ_INT(n[1], spares, "%s: %d spares", when, spares);
}

/* A relay used before is used again, with @ret_own, and there is a spare.  Its
 * attempt is over where the machine stood still for DERP_CLIENT_CONNECT_US. */
static void
use_again(const struct relay_target *t, struct key32 *ret_own, const char *when)
{
	for (int i = 0; i < 5 && pool->spare.link == NULL; i++) {
		(void)use(t, ret_own);
		loop_for(loop, SOON);
	}
	expect(0, 1, when);
}

static void
test_use(const struct relay_target *a, const struct relay_target *b)
{
	struct key32 first, second, third;
	const struct relay_link *spare;

	(void)use(a, &first);
	expect(0, 0, "used once");
	use_again(a, &second, "used twice");
	OK(!secret_equal(&first, &second, sizeof(first)), "fresh keys");
	spare = pool->spare.link;
	OK(spare != NULL && use(a, &third) == spare,
	    "the third gets the spare");
	OK(spare != NULL && !secret_equal(&second, &third, sizeof(third)) &&
		secret_equal(&third, &spare->own_private, sizeof(third)),
	    "with its key");
	expect(0, 1, "and there is another");
	OK(pool->spare.link != NULL &&
		!secret_equal(
		    &third, &pool->spare.link->own_private, sizeof(third)),
	    "with a key of its own");
	(void)use(b, &first);
	expect(0, 0, "another relay: no spare of the last");
	use_again(b, &first, "until it is used twice");
}

static void
test_lost(const struct relay_target *t, int *fd)
{
	struct key32 own;

	fd_close(fd); /* resets what waits there */
	expect(0, 0, "the relay went");
	(void)use(t, &own);
	(void)use(t, &own);
	expect(0, 0, "a spare is not tried twice");
}

static void
test_age(const struct relay_target *t)
{
	struct key32 own;

	(void)use(t, &own);
	use_again(t, &own, "a spare");
	loop_timer_in(pool->spare.leave, 0);
	expect(0, 0, "goes when it is not used");
	EQ_INT(params->refs, 1, "and all that belongs to it");
}

int
main(void)
{
	char why[RELAY_PARAMS_MAX_WHY];
	int fds[2] = { listener(), listener() };
	struct relay_target a = target_of(fds[0]), b = target_of(fds[1]);

	if (secret_init() < 0)
		return 1;
	loop = loop_new();
	pool = relay_pool_new(loop);
	OK(relay_params_parse(NULL, NULL, 0, &params, why) == 0 && pool != NULL,
	    "pool");
	test_use(&a, &b);
	test_lost(&b, &fds[1]);
	test_age(&a);
	(void)use(&a, &(struct key32){ { 0 } });
	(void)use(&a, &(struct key32){ { 0 } });
	expect(0, 1, "at the end");
	relay_pool_free(pool);
	EQ_INT(params->refs, 1, "nothing is left");
	relay_params_unref(params);
	roots_forget();
	loop_free(loop);
	fd_close(&fds[0]);
	return tap_done();
}
