/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two derptun-session processes with UDP sockets: they go direct, stay
 * connected whatever happens to the path, and come back to the relay and to the
 * path without losing or doubling a byte.
 *
 * usage: session_direct PATH_OF_DERPTUN_SESSION [CASE]
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "proto/path/disco.h"
#include "proto/quic/quic_endpoint.h"
#include "test/system/session_app.h"
#include "test/system/session_net.h"
#include "test/tap.h"

#define MIB ((uint64_t)1 << 20)
#define PATIENCE_MS 60000
/* A path that died is left within 2.65 s, which t_direct_path requires of
 * virtual time; here the machine may stand still meanwhile. */
#define DEAD_MS 5200
/* The other end still hears us, and learns from us that we do not hear it. */
#define HALF_DEAD_MS 5900
/* A silent path is asked every 250 ms; QUIC alone takes less 3 times of 10. */
#define BLIP_MS 300
#define N_BLIPS 8

static struct world w;
static struct net n;
static struct app client, backend;
static bool has_backend;
static uint64_t down; /* bytes a backend sends */
static uint64_t came; /* bytes at the end of a blip */
static unsigned short port;

static int
on_dial(void *arg)
{
	int pair[2];

	(void)arg;
	if (has_backend ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		return -EMFILE;
	app_init(&backend, w.loop, pair[0], down);
	has_backend = true;
	return pair[1];
}

static bool
is_done(struct world *unused)
{
	(void)unused;
	return has_backend && app_is_done(&client) && app_is_done(&backend);
}

static bool
some_came(struct world *unused)
{
	(void)unused;
	return client.received > 4 * MIB;
}

/* Until both are ready, and the claimer listens. */
static void
begin(enum ipc_kind kind, bool proxied, const bool force_relay[2])
{
	net_init(&n, &w, kind, proxied, force_relay);
	w.on_dial = on_dial;
	has_backend = false;
	OK(world_run(&w, world_is_ready, 5000), "ready");
	port = world_listen(&w);
}

static void
finish(void)
{
	OK(!w.claimer.ended && !w.listener.ended, "neither session ended");
	net_fini(&n); /* its descriptors are in the world's loop */
	world_fini(&w);
}

static void
transfer_start(uint64_t up_bytes, uint64_t down_bytes)
{
	down = down_bytes;
	has_backend = false;
	app_init(&client, w.loop, world_connect(port), up_bytes);
}

static void
transfer_end(const char *what, uint64_t up_bytes, uint64_t down_bytes)
{
	(void)world_run(&w, is_done, PATIENCE_MS);
	OK(client.received == down_bytes && !client.bad && client.eof &&
		client.error == 0,
	    "%s: all bytes came down", what);
	OK(has_backend && backend.received == up_bytes && !backend.bad &&
		backend.eof && backend.error == 0,
	    "%s: all bytes went up", what);
	app_fini(&client);
	if (has_backend)
		app_fini(&backend);
	has_backend = false;
}

static long long
run_ms(bool (*until)(struct world *w), int ms)
{
	struct mono t0 = mono_now();

	return world_run(&w, until, ms) ? mono_diff(mono_now(), t0) / MONO_MS
					: -1;
}

static void
explain(struct end *e)
{
	world_explain(e);
	for (int i = 0; i < 1000 && !e->explained; i++)
		(void)world_run(&w, world_never, 10);
}

static void
case_lan(enum ipc_kind kind)
{
	const struct ipc_explanation *e = &w.listener.explanation;

	begin(kind, false, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct at once");
	transfer_start(64 * MIB, 64 * MIB);
	transfer_end("LAN", 64 * MIB, 64 * MIB);
	world_describe(&w.claimer);
	explain(&w.claimer);
	explain(&w.listener);
	EQ_INT(w.claimer.description.path, 2, "described as direct");
	OK(e->peer_is_native && w.claimer.explanation.peer_is_native,
	    "they recognise each other");
	EQ_INT(e->path.kind, PATH_KIND_MANAGED, "explained as direct");
	OK(e->n_own >= 1 && e->n_peer >= 1 && e->peer[0].acks > 0,
	    "with candidates and answers");
	EQ_INT(e->raw, 0, "raw-direct is not for us");
	printf("# payload %u, rtt %u us\n", e->payload, e->peer[0].rtt_us);
	finish();
}

static void
case_relay_only(bool claimer)
{
	const bool force[2] = { claimer, !claimer };

	begin(IPC_KIND_SHARE, false, force);
	(void)world_run(&w, net_both_direct, 1500);
	EQ_INT(w.claimer.n_paths + w.listener.n_paths, 0,
	    "one that forces the relay stays there");
	transfer_start(1 * MIB, 1 * MIB);
	transfer_end("forced relay", 1 * MIB, 1 * MIB);
	explain(claimer ? &w.claimer : &w.listener);
	OK(w.claimer.explanation.forced_relay ||
		w.listener.explanation.forced_relay,
	    "and says so");
	finish();
}

/* The path dies in mid-transfer, and heals. */
static void
case_hole(enum ipc_kind kind, int way)
{
	long long took;

	begin(kind, true, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct");
	transfer_start(20 * MIB, 400 * MIB);
	(void)world_run(&w, some_came, 10000);
	if (way < 0)
		n.hole = true;
	else
		n.hole_to[way] = true;
	took = run_ms(net_both_relayed, 8000);
	OK(took >= 0 && took <= (way < 0 ? DEAD_MS : HALF_DEAD_MS),
	    "hole %d: back on the relay after %lld ms", way, took);
	(void)world_run(&w, world_never, 500);
	n.hole = n.hole_to[0] = n.hole_to[1] = false;
	took = run_ms(net_both_direct, 15000);
	OK(took >= 0, "hole %d: direct again after %lld ms", way, took);
	transfer_end("hole", 20 * MIB, 400 * MIB);
	finish();
}

static bool
more_came(struct world *unused)
{
	(void)unused;
	return client.received > came;
}

/* The path is dead for a moment, too short to be left: what waits for it does
 * not wait for as long again.  The machine may stand still three times. */
static void
case_blip(void)
{
	long long took[N_BLIPS];
	int good = 0;

	begin(IPC_KIND_DERPTUN, true, NULL);
	transfer_start(20000 * MIB, 20000 * MIB);
	(void)world_run(&w, some_came, 10000);
	for (int i = 0; i < N_BLIPS; i++) {
		(void)world_run(&w, net_both_direct, 10000);
		n.hole = true;
		(void)world_run(&w, world_never, 1600 + 50 * i);
		came = client.received;
		n.hole = false;
		took[i] = run_ms(more_came, PATIENCE_MS);
		if (took[i] >= 0 && took[i] <= BLIP_MS)
			good += net_both_direct(&w);
		(void)world_run(&w, world_never, 500);
	}
	OK(good >= N_BLIPS - 3, "back soon after %d blips", good);
	for (int i = 0; i < N_BLIPS; i++)
		printf("# back after %lld ms\n", took[i]);
	app_fini(&client);
	if (has_backend)
		app_fini(&backend);
	finish();
}

static void
case_roam(void)
{
	begin(IPC_KIND_DERPTUN, true, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct");
	transfer_start(50 * MIB, 200 * MIB);
	for (int i = 0; i < 4; i++) {
		(void)world_run(&w, world_never, 300);
		net_roam(&n, 0);
	}
	transfer_end("roam", 50 * MIB, 200 * MIB);
	OK(world_run(&w, net_both_direct, 10000), "direct in the end");
	net_roam(&n, 0);
	net_roam(&n, 1);
	net_tell(&n, 0);
	net_tell(&n, 1);
	transfer_start(50 * MIB, 200 * MIB);
	transfer_end("both roam", 50 * MIB, 200 * MIB);
	OK(world_run(&w, net_both_direct, 10000), "direct again");
	finish();
}

static void
case_loss(void)
{
	begin(IPC_KIND_SHARE, true, NULL);
	n.loss_permille = 30;
	OK(world_run(&w, net_both_direct, 5000), "direct in spite of loss");
	transfer_start(20 * MIB, 20 * MIB);
	transfer_end("3 % loss", 20 * MIB, 20 * MIB);
	finish();
}

/* The interface's MTU falls below what is in use: EMSGSIZE. */
static void
case_mtu(void)
{
	begin(IPC_KIND_SHARE, false, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct");
	transfer_start(100 * MIB, 300 * MIB);
	(void)world_run(&w, some_came, 10000);
	OK(system("ip link set lo mtu 1300") == 0, "MTU 1300 set");
	transfer_end("MTU 1300", 100 * MIB, 300 * MIB);
	explain(&w.claimer);
	OK(w.claimer.explanation.payload <= 1272 ||
		w.claimer.explanation.path.kind == PATH_KIND_RELAY,
	    "the payload fits: %u", w.claimer.explanation.payload);
	OK(system("ip link set lo mtu 65536") == 0, "MTU 65536 set");
	finish();
}

/* A path that carries only small datagrams, silently. */
static void
case_narrow(void)
{
	begin(IPC_KIND_SHARE, true, NULL);
	n.max_len = 1250;
	OK(world_run(&w, net_both_direct, 1000), "direct");
	transfer_start(20 * MIB, 100 * MIB);
	transfer_end("1250 octets", 20 * MIB, 100 * MIB);
	n.max_len = 1220;
	transfer_start(20 * MIB, 100 * MIB);
	transfer_end("1220 octets", 20 * MIB, 100 * MIB);
	finish();
}

/* A path that carried large ones, until they were on their way. */
static void
case_narrowed(void)
{
	begin(IPC_KIND_SHARE, true, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct");
	transfer_start(20 * MIB, 100 * MIB);
	OK(world_run(&w, some_came, 5000), "under way");
	n.max_len = 1250;
	transfer_end("narrowed", 20 * MIB, 100 * MIB);
	finish();
}

static void
flood(int fd, int count)
{
	static uint8_t pkt[1200];
	static uint32_t x = 1;

	for (int i = 0; i < count; i++) {
		size_t len = i % 3 == 0 ? sizeof(pkt) : 65;

		for (size_t k = 0; k < 40; k++) {
			x = x * 1664525u + 1013904223u;
			pkt[k] = (uint8_t)(x >> 24);
		}
		if (i % 4 == 1) /* as if it were a probe */
			memcpy(pkt, "\0derphole-disco1\1", 17);
		else if (i % 4 == 2)
			memcpy(pkt, "derphole-punch", len = 14);
		else if (i % 4 == 3) /* a STUN answer */
			memcpy(pkt, "\1\1\0\14\x21\x12\xa4\x42", 8);
		net_send(&n, i & 1, fd, pkt, len);
	}
}

static void
case_junk(void)
{
	struct mono t0;
	int fd;
	int sent = 0;

	begin(IPC_KIND_SHARE, false, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct");
	fd = net_stranger();
	transfer_start(10 * MIB, 50 * MIB);
	t0 = mono_now();
	while (mono_diff(mono_now(), t0) < 2 * MONO_SEC) {
		flood(fd, 200);
		sent += 200;
		(void)world_run(&w, world_never, 2);
	}
	printf("# %d datagrams of junk in 2 s\n", sent);
	transfer_end("junk", 10 * MIB, 50 * MIB);
	OK(net_both_direct(&w), "still direct");
	explain(&w.claimer);
	EQ_INT(w.claimer.explanation.n_peer, 1, "strangers are not candidates");
	(void)close(fd);
	finish();
}

static bool
has_listener(struct world *unused)
{
	(void)unused;
	return n.to[1].worker.port != 0;
}

static void
no_data(
    void *unused, struct quic_stream *s, const uint8_t *p, size_t len, bool fin)
{
	(void)unused;
	(void)s;
	(void)p;
	(void)len;
	(void)fin;
}

/* The first packets of @count QUIC connections of somebody else. */
static void
send_initials(int fd, int count)
{
	static uint8_t buf[4 * QUIC_ENDPOINT_PAYLOAD];
	struct quic_params p = { .events.stream_data = no_data };
	struct quic_endpoint *ep;
	struct quic_conn *conn;

	if (quic_endpoint_new(&ep, &p) != 0) {
		OK(false, "endpoint");
		return;
	}
	for (int i = 0; i < count; i++) {
		struct quic_batch b = { .max_pkts = 4 };
		const uint8_t *at = buf;

		b.buf = buf;
		b.cap = sizeof(buf);
		if (quic_endpoint_connect(ep, mono_now(), NULL, &conn) != 0)
			OK(false, "connect");
		(void)quic_endpoint_output(ep, mono_now(), &b);
		for (size_t k = 0; k < b.n_pkts; at += b.lens[k++])
			net_send(&n, 1, fd, at, b.lens[k]);
	}
	quic_endpoint_free(ep);
}

/* What a server answers with the versions it knows. */
static void
send_versions(int fd, int count)
{
	uint8_t pkt[1200] = { 0xe0, 'o', 'd', 'd', '!', 8 };

	for (int i = 0; i < count; i++)
		net_send(&n, 1, fd, pkt, sizeof(pkt));
}

/* A listener's few connections are not for strangers who know its port, nor are
 * its words through the relay. */
static void
case_initials(enum ipc_kind kind)
{
	int fd;

	net_init(&n, &w, kind, true, NULL);
	n.hole = true;
	w.on_dial = on_dial;
	has_backend = false;
	OK(world_run(&w, has_listener, 5000), "the listener has a socket");
	fd = net_stranger();
	for (int i = 0; i < 10; i++) {
		send_initials(fd, 64);
		send_versions(fd, 64);
		(void)usleep(10000); /* before anything of the claimer's */
	}
	OK(world_run(&w, world_is_ready, 5000),
	    "connections of strangers do not keep the peer's out");
	EQ_INT(w.listener.versions, 0, "nor do strangers make us speak");
	(void)close(fd);
	finish();
}

static void
case_switches(enum ipc_kind kind)
{
	uint64_t x = 12345;

	begin(kind, true, NULL);
	OK(world_run(&w, net_both_direct, 1000), "direct");
	transfer_start(100 * MIB, 1000 * MIB);
	for (int i = 0; i < 6 && !is_done(&w); i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		n.hole = true;
		(void)world_run(&w, net_both_relayed, 6000);
		(void)world_run(&w, world_never, (int)((x >> 33) % 200));
		n.hole = false;
		(void)world_run(&w, net_both_direct, 12000);
		(void)world_run(&w, world_never, (int)((x >> 40) % 200));
	}
	transfer_end("switches", 100 * MIB, 1000 * MIB);
	explain(&w.claimer);
	printf("# %u switches\n", w.claimer.explanation.switches);
	finish();
}

static bool
both_raw(struct world *unused)
{
	(void)unused;
	return w.claimer.path.kind == PATH_KIND_RAW &&
	       w.listener.path.kind == PATH_KIND_RAW;
}

/* The first of three worlds that comes to @until in less than @most ms, or the
 * last: what takes longer because of us does so in each.  Returns the ms. */
static long long
begin_raw(enum ipc_kind kind, const bool force_relay[2],
    bool (*until)(struct world *w), long long most)
{
	long long took;

	for (int i = 0;; i++) {
		net_init(&n, &w, kind, false, force_relay);
		w.on_dial = on_dial;
		w.is_sibling = true;
		has_backend = false;
		took = run_ms(until, 6000);
		if ((took >= 0 && took < most) || i == 2)
			return took;
		printf("# took %lld ms\n", took);
		net_fini(&n);
		world_fini(&w);
	}
}

/* As with a peer of v0.18.2: sockets of QUIC's own, found by punching. */
static void
case_raw(enum ipc_kind kind)
{
	long long took = begin_raw(kind, NULL, both_raw, 4000);

	OK(took >= 0 && took < 4000, "raw-direct after %lld ms", took);
	OK(world_run(&w, world_is_ready, 5000), "ready");
	port = world_listen(&w);
	transfer_start(64 * MIB, 64 * MIB);
	transfer_end("raw", 64 * MIB, 64 * MIB);
	explain(&w.claimer);
	explain(&w.listener);
	OK(w.claimer.explanation.raw == 2 && w.listener.explanation.raw == 2 &&
		!w.claimer.explanation.peer_is_native,
	    "explained as agreed");
	OK(w.claimer.explanation.payload == 1452, "payload 1452");
	world_stop(&w.claimer);
	/* Before an idle end would. */
	OK(world_run(&w, world_is_ended, 8000), "STOP ends both");
	net_fini(&n); /* its descriptors are in the world's loop */
	world_fini(&w);
}

/* One cannot, and one does not speak at all. */
static void
case_raw_refused(bool claimer_forced)
{
	const bool force[2] = { claimer_forced, !claimer_forced };
	/* Less than the 1.5 s after which a peer counts as silent. */
	long long took =
	    begin_raw(IPC_KIND_DERPTUN, force, world_is_ready, 1400);

	OK(took >= 0 && took < 1400, "refused: ready after %lld ms", took);
	port = world_listen(&w);
	transfer_start(1 * MIB, 1 * MIB);
	transfer_end("refused", 1 * MIB, 1 * MIB);
	explain(claimer_forced ? &w.listener : &w.claimer);
	EQ_INT(claimer_forced ? w.listener.explanation.raw
			      : w.claimer.explanation.raw,
	    4, "refused by the peer");
	finish();
}

/* A sibling whose relay is forced takes no part in the exchange. */
static void
case_raw_silent(enum ipc_kind kind)
{
	long long took;

	net_init(&n, &w, kind, false, NULL);
	w.on_dial = on_dial;
	w.is_sibling = true;
	w.no_ready = true;
	has_backend = false;
	took = run_ms(world_is_ready, 5000);
	OK(took >= 1400 && took < 4500, "silent: ready after %lld ms", took);
	port = world_listen(&w);
	(void)world_run(&w, world_never, 5000);
	transfer_start(1 * MIB, 1 * MIB);
	transfer_end("silent", 1 * MIB, 1 * MIB);
	explain(&w.claimer);
	EQ_INT(w.claimer.explanation.raw, 5, "the peer was silent");
	finish();
}

int
main(int argc, char **argv)
{
	const char *only = argc > 2 ? argv[2] : NULL;

	if (argc < 2 || secret_init() != 0)
		return 99;
	if (!net_enter()) {
		printf("1..0 # SKIP needs root for a network namespace\n");
		return 0;
	}
	world_worker_path = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	WORLD_RUN(only, "lan", case_lan(IPC_KIND_SHARE));
	WORLD_RUN(only, "lan", case_lan(IPC_KIND_DERPTUN));
	WORLD_RUN(only, "relay", case_relay_only(true));
	WORLD_RUN(only, "relay", case_relay_only(false));
	WORLD_RUN(only, "hole", case_hole(IPC_KIND_SHARE, -1));
	WORLD_RUN(only, "hole", case_hole(IPC_KIND_DERPTUN, 0));
	WORLD_RUN(only, "hole", case_hole(IPC_KIND_DERPTUN, 1));
	WORLD_RUN(only, "blip", case_blip());
	WORLD_RUN(only, "roam", case_roam());
	WORLD_RUN(only, "loss", case_loss());
	WORLD_RUN(only, "mtu", case_mtu());
	WORLD_RUN(only, "narrow", case_narrow());
	WORLD_RUN(only, "narrowed", case_narrowed());
	WORLD_RUN(only, "junk", case_junk());
	WORLD_RUN(only, "raw", case_raw(IPC_KIND_SHARE));
	WORLD_RUN(only, "raw", case_raw(IPC_KIND_DERPTUN));
	WORLD_RUN(only, "refused", case_raw_refused(true));
	WORLD_RUN(only, "refused", case_raw_refused(false));
	WORLD_RUN(only, "silent", case_raw_silent(IPC_KIND_SHARE));
	WORLD_RUN(only, "silent", case_raw_silent(IPC_KIND_DERPTUN));
	WORLD_RUN(only, "initials", case_initials(IPC_KIND_SHARE));
	WORLD_RUN(only, "initials", case_initials(IPC_KIND_DERPTUN));
	WORLD_RUN(only, "switches", case_switches(IPC_KIND_DERPTUN));
	return tap_done();
}
