/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ready exchange and punching on virtual time, with a peer that may be
 * slow, silent, lose packets or change its mind: it always comes to an end, the
 * two agree, and no deadline is left in the past, which would be a busy loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "helpers/session/raw.h"
#include "helpers/session/session.h"
#include "lib/err.h"
#include "proto/path/disco.h"
#include "proto/path/punch.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/ready.h"
#include "test/tap.h"

#define STEP_US (5 * MONO_MS)
#define START_US (1000 * MONO_SEC)
#define END_US (25 * MONO_SEC)
#ifdef VALGRIND
#define RUNS 50
#else
#define RUNS 600
#endif

struct peer {
	bool offers;
	bool punches;
	bool says_yes;
	int64_t speaks_us;  /* its first words */
	int64_t silent_us;  /* and its last ones */
	int64_t verdict_us; /* after it could select */
	unsigned loss_permille;
};

struct world {
	struct session s;
	struct peer peer;
	struct ready *ready; /* the peer's */
	struct mono selecting;
	bool moved;   /* to the raw path */
	bool stopped; /* the managed ones */
	int ended;
	uint64_t random;
};

static struct world *world;

static uint32_t
below(uint32_t n)
{
	world->random =
	    world->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(world->random >> 33) % n;
}

static int64_t
age_us(void)
{
	return world->s.now.us - START_US;
}

static bool
is_heard(void)
{
	return age_us() < world->peer.silent_us &&
	       below(1000) >= world->peer.loss_permille;
}

/* What raw.c wants of the rest of the session. */

void
session_end(struct session *s, int code, const char *text)
{
	(void)s;
	(void)text;
	world->ended = code;
}

void
session_wake(struct session *s)
{
	(void)s;
}

void
session_move(struct session *s, struct path *p, const struct addr *peer,
    const char *reason)
{
	(void)peer;
	(void)reason;
	world->moved = p == &s->raw.path.path;
}

void
discovery_stop(struct session *s)
{
	(void)s;
	world->stopped = true;
}

void
quic_endpoint_set_discovery(struct quic_endpoint *ep, bool on)
{
	(void)ep;
	(void)on;
}

void
path_relay_send_one(struct path_relay *r, const void *p, size_t len)
{
	struct envelope e;

	(void)r;
	if (!is_heard() || world->ready == NULL)
		return;
	if (envelope_parse(&e, p, len) != 0) {
		OK(false, "what we say is an envelope");
		return;
	}
	if (envelope_verify(&e, &world->s.boot.envelope_key) == 0 &&
	    e.kind == ENVELOPE_READY)
		ready_input(world->ready, &e.ready, world->s.now);
	envelope_fini(&e);
}

static struct addr
address(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse(&a, text) != 0)
		abort();
	return a;
}

static void
peer_starts(void)
{
	struct ready_sets local = { .n = 1 };

	local.set[0].n = 1;
	local.set[0].a[0] = address("192.0.2.1:40000");
	world->ready = ready_new(&world->s.boot.envelope_key,
	    world->peer.offers ? &local : NULL, world->s.now);
	if (world->ready == NULL)
		abort();
}

/* The peer's packets reach us through the relay. */
static void
peer_talks(void)
{
	uint8_t pkt[READY_MAX_PACKET];
	struct envelope e;

	for (;;) {
		struct buf_writer w = buf_writer(pkt, sizeof(pkt));

		if (ready_output(world->ready, world->s.now, &w) != 1)
			return;
		if (!is_heard() || envelope_parse(&e, w.p, w.len) != 0)
			continue;
		raw_on_peer(&world->s, false);
		raw_on_ready(&world->s, &e.ready);
		envelope_fini(&e);
	}
}

static void
peer_punches(void)
{
	static const uint8_t text[] = DISCO_PUNCH;
	struct udp_input in = { address("192.0.2.1:40000"), text,
		DISCO_PUNCH_LEN, DISCO_PUNCH_LEN };
	struct udp *u = &world->s.raw.udp;

	if (is_heard() && udp_is_open(u) && (u->interest & LOOP_READ) != 0)
		u->on_input(u, &in, world->s.now);
}

static void
peer_run(void)
{
	if (world->ready == NULL && age_us() >= world->peer.speaks_us)
		peer_starts();
	if (world->ready == NULL)
		return;
	peer_talks();
	if (ready_state(world->ready) != READY_SELECTING)
		return;
	if (mono_is_never(world->selecting))
		world->selecting = world->s.now;
	if (world->peer.punches && below(5) == 0)
		peer_punches();
	if (mono_diff(world->s.now, world->selecting) >=
	    world->peer.verdict_us) {
		ready_set_verdict(
		    world->ready, world->peer.says_yes, world->s.now);
		peer_talks();
	}
}

static void
begin(const struct peer *peer, bool listener, uint64_t seed)
{
	struct session *s;
	struct sockaddr_storage sa;
	struct addr any = address("127.0.0.1:0");
	int fd;

	world = calloc(1, sizeof(*world));
	if (world == NULL)
		abort();
	s = &world->s;
	world->peer = *peer;
	world->random = seed;
	world->selecting = MONO_NEVER;
	s->now = (struct mono){ START_US };
	s->loop = loop_new();
	s->boot.listener = listener;
	s->boot.raw_direct = true;
	memset(&s->boot.envelope_key, 3, sizeof(s->boot.envelope_key));
	s->discovery.net.n_own = 1;
	s->discovery.net.own[0] = address("192.0.2.9:1");
	s->discovery.buffers = udp_buffers_new();
	path_mux_init(&s->mux, NULL, NULL, NULL);
	raw_init(s);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->loop == NULL ||
	    bind(fd, (struct sockaddr *)&sa, addr_to_sockaddr(&any, &sa)) !=
		0 ||
	    raw_on_socket(s, fd, 40001) != 0 || raw_start(s, false) != 0)
		abort();
}

static void
finish(void)
{
	raw_fini(&world->s);
	udp_buffers_free(world->s.discovery.buffers);
	loop_free(world->s.loop);
	ready_free(world->ready);
	free(world);
}

/* Returns how often a turn left a deadline that was over. */
static unsigned
run(int64_t until_us, int64_t decline_us)
{
	struct session *s = &world->s;
	unsigned late = 0;

	while (age_us() < until_us) {
		if (age_us() >= decline_us) {
			raw_decline(s);
			decline_us = INT64_MAX;
		}
		raw_run(s);
		if (!mono_before(s->now, raw_next_deadline(s)))
			late++;
		peer_run();
		raw_run(s);
		s->now = mono_add(s->now, STEP_US);
	}
	return late;
}

static const struct peer good = { true, true, true, 100 * MONO_MS, INT64_MAX,
	700 * MONO_MS, 0 };

static void
test_agreed(bool listener)
{
	struct session *s;

	begin(&good, listener, 1);
	s = &world->s;
	EQ_INT(run(END_US, INT64_MAX), 0, "no deadline in the past");
	EQ_INT(s->raw.state, RAW_DONE, "done");
	EQ_INT(s->raw.outcome, RAW_AGREED, "agreed");
	OK(world->moved && world->stopped, "and moved");
	OK(ready_is_raw_direct(world->ready), "the peer has, too");
	finish();
}

static void
test_declined_while_punching(bool listener)
{
	struct session *s;

	begin(&good, listener, 1);
	s = &world->s;
	EQ_INT(run(300 * MONO_MS, 150 * MONO_MS), 0,
	    "declined while punching: no deadline in the past");
	EQ_INT(run(END_US, INT64_MAX), 0, "nor later");
	EQ_INT(s->raw.state, RAW_DONE, "done");
	EQ_INT(s->raw.outcome, RAW_REFUSED_BY_US, "refused");
	OK(!world->moved, "the path stays");
	OK(ready_state(world->ready) == READY_DONE &&
		!ready_is_raw_direct(world->ready),
	    "and the peer knows");
	finish();
}

static struct peer
random_peer(void)
{
	struct peer p = good;

	p.offers = below(4) > 0;
	p.punches = below(4) > 0;
	p.says_yes = below(4) > 0;
	p.speaks_us =
	    below(3) > 0 ? below(800) * MONO_MS : below(8000) * MONO_MS;
	p.silent_us = below(3) > 0 ? INT64_MAX : (int64_t)below(6000) * MONO_MS;
	p.verdict_us = below(3) > 0 ? (int64_t)below(1300) * MONO_MS
				    : (int64_t)below(7000) * MONO_MS;
	p.loss_permille = below(3) > 0 ? 0 : below(300);
	return p;
}

static void
test_random(uint64_t seed)
{
	struct world seeded = { .random = seed * 977 };
	struct peer peer;
	int64_t decline_us;
	unsigned late;
	bool ours, theirs, living;

	world = &seeded;
	for (int i = 0; i < 5; i++)
		(void)below(2);
	peer = random_peer();
	decline_us = below(2) == 0 ? INT64_MAX : (int64_t)below(4000) * MONO_MS;
	begin(&peer, below(2) == 0, seed);
	late = run(END_US, decline_us);
	living = peer.silent_us == INT64_MAX;
	ours = world->s.raw.outcome == RAW_AGREED;
	theirs = ready_is_raw_direct(world->ready);
	if (late > 0)
		OK(false, "seed %llu: %u deadlines in the past",
		    (unsigned long long)seed, late);
	if (world->s.raw.state != RAW_DONE || world->ended != 0)
		OK(false, "seed %llu: state %d, ended %d",
		    (unsigned long long)seed, world->s.raw.state, world->ended);
	if (living && ready_state(world->ready) != READY_DONE)
		OK(false, "seed %llu: the peer waits",
		    (unsigned long long)seed);
	if (living && ours != theirs)
		OK(false, "seed %llu: we %d, they %d", (unsigned long long)seed,
		    ours, theirs);
	if (ours != world->moved || ours != udp_is_open(&world->s.raw.udp))
		OK(false, "seed %llu: moved", (unsigned long long)seed);
	finish();
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	for (int listener = 0; listener < 2; listener++) {
		test_agreed(listener == 1);
		test_declined_while_punching(listener == 1);
	}
	for (uint64_t seed = 1; seed <= RUNS; seed++)
		test_random(seed);
	OK(true, "%d random peers", RUNS);
	return tap_done();
}
