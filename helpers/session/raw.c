/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  Peers of v0.18.2 begin every session with the ready
 * exchange, in which raw-direct is offered or declined:
 *
 *	IDLE -> (WAITING ->) GATHERING -> TALKING -> PUNCHING -> TALKING -> DONE
 *	                  \------------> TALKING (declining) ----------> DONE
 *
 * A claimer knows when it is accepted whether the listener is one of ours.  A
 * listener waits for the claimer's first words, or WAIT_US.  Ours declines and
 * loses no time; it is also what happens without a socket, or when the user
 * does not want it.
 *
 * A claimer that offers it may not dial before the end: a Go listener that
 * agrees drops connections of the managed path.  One that says nothing for
 * SILENCE_US has its relay forced and takes no part: then we dial and say no
 * should it ever speak.
 *
 * Between our verdict and the peer's the socket is not read: what comes then is
 * QUIC of a peer that knows the outcome already, and it can wait.
 */
#include "helpers/session/raw.h"

#include <errno.h>

#include "helpers/session/session.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/path/disco.h"
#include "proto/path/punch.h"
#include "proto/rendezvous/message.h"
#include "proto/rendezvous/ready.h"
#include "proto/stun/stun.h"
#include "proto/stun/stun_gather.h"

/* A claimer says something as soon as it is accepted. */
#define WAIT_US (300 * MONO_MS)
#define GATHER_US (750 * MONO_MS) /* peer v0.18.2 */
/* Peers gather for 750 ms before they speak. */
#define SILENCE_US (1500 * MONO_MS)

static const uint8_t punch_text[] = DISCO_PUNCH;

static void
on_refused(void *arg, const struct addr *to, int error, size_t len)
{
	(void)arg;
	(void)to;
	(void)len;
	/* There is no other path: QUIC repairs it, or dies of it. */
	log_debug_r(error, "path", "send failed");
}

void
raw_init(struct session *s)
{
	struct raw *w = &s->raw;

	udp_init(&w->udp);
	path_udp_init(&w->path, PATH_KIND_RAW);
	w->path.on_refused = on_refused;
	w->path.arg = s;
	w->until = MONO_NEVER;
	w->silence = MONO_NEVER;
}

/* What only the search needs. */
static void
end_search(struct raw *w)
{
	stun_gather_free(w->gather);
	punch_free(w->punch);
	w->gather = NULL;
	w->punch = NULL;
}

void
raw_fini(struct session *s)
{
	struct raw *w = &s->raw;

	end_search(w);
	path_mux_remove(&s->mux, &w->path.path);
	udp_close(&w->udp);
	ready_free(w->ready);
	w->ready = NULL;
}

static void
sort_input(
    struct session *s, const struct addr *from, const uint8_t *p, size_t len)
{
	struct raw *w = &s->raw;

	if (w->outcome == RAW_AGREED) {
		if (addr_equal(from, &w->path.to) && (p[0] & 0xc0) != 0 &&
		    p[0] != '{' && !disco_is_ours(p, len))
			path_mux_input(&s->mux, &w->path.path, s->now, p, len);
	} else if (disco_is_punch(p, len)) {
		if (w->punch != NULL)
			punch_input(w->punch, from, s->now);
	} else if (w->gather != NULL && stun_is_message(p, len)) {
		(void)stun_gather_input(w->gather, from, p, len, s->now);
	}
}

static void
on_input(struct udp *u, const struct udp_input *in, struct mono now)
{
	struct session *s = u->arg;
	size_t left = in->len;

	s->now = now;
	while (left > 0) {
		size_t n = in->segment < left ? in->segment : left;

		sort_input(s, &in->from, in->p + (in->len - left), n);
		left -= n;
	}
}

static void
on_writable(struct udp *u, struct mono now)
{
	struct session *s = u->arg;

	s->now = now;
	if (s->raw.path.socket == u)
		path_mux_unblocked(&s->mux, &s->raw.path.path, now);
}

int
raw_on_socket(struct session *s, int fd, uint16_t port)
{
	struct raw *w = &s->raw;

	w->udp.on_input = on_input;
	w->udp.on_writable = on_writable;
	w->udp.arg = s;
	return udp_open(
	    &w->udp, s->loop, s->discovery.buffers, fd, AF_INET, port);
}

/* Enter the exchange: with our candidates, or declining. */
static int
talk(struct session *s, const struct ready_sets *local)
{
	struct raw *w = &s->raw;

	stun_gather_free(w->gather);
	w->gather = NULL;
	w->until = MONO_NEVER;
	w->state = RAW_IDLE; /* the session ends if this fails */
	w->ready = ready_new(&s->boot.envelope_key, local, s->now);
	if (w->ready == NULL)
		return -ENOMEM;
	w->state = RAW_TALKING;
	if (local == NULL) {
		w->declined = true;
		udp_close(&w->udp);
	}
	return 0;
}

static void
add_candidate(struct candidate_list *list, const struct addr *a)
{
	/* Full or unfit ones are left out. */
	(void)candidate_add(list, a, CANDIDATE_POLICY_PEER);
}

/* The peer wants the most public first. */
static void
list_own(const struct session *s, struct candidate_list *list)
{
	const struct raw *w = &s->raw;
	const struct ipc_network *net = &s->discovery.net;
	struct addr mapped[STUN_GATHER_MAX_MAPPED];
	size_t n =
	    w->gather != NULL ? stun_gather_mapped(w->gather, mapped) : 0;

	for (size_t i = 0; i < n; i++)
		add_candidate(list, &mapped[i]);
	for (int is_private = 0; is_private < 2; is_private++)
		for (size_t i = 0; i < net->n_own; i++) {
			struct addr a = net->own[i];

			a.port = w->udp.port;
			if (a.family == AF_INET &&
			    (addr_is_private(&a) || addr_is_link_local(&a)) ==
				is_private)
				add_candidate(list, &a);
		}
}

/* Gathering is over. */
static int
offer(struct session *s)
{
	struct ready_sets local = { .n = 1 };

	list_own(s, &local.set[0]);
	if (local.set[0].n > 0)
		return talk(s, &local);
	s->raw.outcome = RAW_REFUSED_BY_US;
	return talk(s, NULL);
}

static int
gather(struct session *s)
{
	const struct ipc_network *net = &s->discovery.net;
	struct addr servers[IPC_MAX_STUN];
	struct raw *w = &s->raw;
	size_t n = 0;

	w->outcome = RAW_RUNNING;
	w->gather = stun_gather_new(s->now);
	if (w->gather == NULL)
		return talk(s, NULL);
	for (size_t i = 0; i < net->n_stun; i++)
		if (net->stun[i].family == AF_INET)
			servers[n++] = net->stun[i];
	if (n == 0)
		return offer(s);
	stun_gather_set_servers(w->gather, servers, n, s->now);
	w->state = RAW_GATHERING;
	w->until = mono_add(s->now, GATHER_US);
	return 0;
}

static bool
is_able(const struct session *s)
{
	return s->boot.raw_direct && !s->boot.force_relay &&
	       udp_is_open(&s->raw.udp);
}

/* It is known with whom we speak. */
static int
decide(struct session *s, bool is_native)
{
	if (!is_native && is_able(s))
		return gather(s);
	s->raw.outcome = is_native ? RAW_NOT_TRIED : RAW_REFUSED_BY_US;
	return talk(s, NULL);
}

int
raw_start(struct session *s, bool is_native)
{
	struct raw *w = &s->raw;

	if (!s->boot.listener) {
		w->silence = mono_add(s->now, SILENCE_US);
		return decide(s, is_native);
	}
	/* The socket comes with the first message. */
	if (!s->boot.raw_direct || s->boot.force_relay)
		return decide(s, is_native);
	w->state = RAW_WAITING;
	w->until = mono_add(s->now, WAIT_US);
	return 0;
}

static void
must(struct session *s, int r)
{
	if (r != 0)
		session_end(s, r, err_str(r));
}

void
raw_on_peer(struct session *s, bool is_native)
{
	if (s->raw.state == RAW_WAITING)
		must(s, decide(s, is_native));
	else if (is_native)
		raw_decline(s);
}

void
raw_on_ready(struct session *s, const struct message_ready *body)
{
	struct raw *w = &s->raw;

	w->heard = true;
	w->silence = MONO_NEVER;
	/* Repeated until answered: what comes too early may be lost. */
	if (w->ready != NULL)
		ready_input(w->ready, body, s->now);
}

void
raw_decline(struct session *s)
{
	struct raw *w = &s->raw;

	/* After our yes the outcome is the peer's. */
	if (w->declined || w->path.socket != NULL || w->state == RAW_DONE ||
	    w->state == RAW_IDLE)
		return;
	w->declined = true;
	if (w->state == RAW_WAITING || w->state == RAW_GATHERING) {
		w->outcome = RAW_REFUSED_BY_US;
		must(s, talk(s, NULL));
	}
	session_wake(s);
}

bool
raw_may_dial(const struct session *s)
{
	return s->raw.declined || s->raw.state == RAW_DONE;
}

bool
raw_is_settled(const struct session *s)
{
	return s->raw.state == RAW_DONE;
}

static void
run_gather(struct session *s)
{
	struct raw *w = &s->raw;
	uint8_t request[STUN_REQUEST_LEN];
	struct addr mapped[STUN_GATHER_MAX_MAPPED];
	struct addr to;

	while (stun_gather_output(w->gather, s->now, &to, request))
		(void)udp_send_one(
		    &w->udp, &to, request, sizeof(request)); /* repeated */
	if (stun_gather_mapped(w->gather, mapped) > 0 ||
	    !mono_before(s->now, w->until))
		must(s, offer(s));
}

static void
start_punching(struct session *s)
{
	const struct ready_sets *peer = ready_peek_peer_sets(s->raw.ready);
	struct candidate_list list = { 0 };
	struct raw *w = &s->raw;

	for (size_t i = 0; peer->n > 0 && i < peer->set[0].n; i++)
		if (candidate_may_send(&peer->set[0].a[i]))
			add_candidate(&list, &peer->set[0].a[i]);
	if (list.n > 0 && !w->declined)
		w->punch = punch_new(&list,
		    s->boot.listener ? 0 : PUNCH_CLIENT_DELAY_US, s->now);
	if (w->punch == NULL)
		ready_set_verdict(w->ready, false, s->now);
	else
		w->state = RAW_PUNCHING;
}

static void
run_punch(struct session *s)
{
	struct raw *w = &s->raw;
	struct addr to;
	bool found;

	while (punch_output(w->punch, s->now, &to))
		(void)udp_send_one(
		    &w->udp, &to, punch_text, DISCO_PUNCH_LEN); /* repeated */
	if (punch_state(w->punch) == PUNCH_RUNNING && !w->declined &&
	    ready_state(w->ready) == READY_SELECTING)
		return;
	w->state = RAW_TALKING;
	found = punch_state(w->punch) == PUNCH_FOUND && !w->declined;
	if (found) {
		path_udp_set(&w->path, &w->udp, punch_peek_address(w->punch),
		    QUIC_ENDPOINT_PAYLOAD);
		udp_watch(&w->udp, false);
	} else if (!w->declined) {
		w->outcome = RAW_NO_PUNCH;
	}
	end_search(w); /* nobody serves its deadlines any more */
	ready_set_verdict(w->ready, found, s->now);
}

/* QUIC has this socket for itself from now on. */
static void
take_over(struct session *s)
{
	struct raw *w = &s->raw;

	w->outcome = RAW_AGREED;
	discovery_stop(s);
	path_mux_add(&s->mux, &w->path.path);
	quic_endpoint_set_discovery(s->quic, true);
	session_move(s, &w->path.path, &w->path.to, "raw-direct agreed");
	udp_watch(&w->udp, true);
}

static void
finish(struct session *s)
{
	struct raw *w = &s->raw;

	w->state = RAW_DONE;
	w->silence = MONO_NEVER;
	if (ready_is_raw_direct(w->ready)) {
		take_over(s);
	} else {
		if (w->outcome == RAW_RUNNING)
			w->outcome = w->declined ? RAW_REFUSED_BY_US
				     : ready_is_peer_silent(w->ready)
					 ? RAW_PEER_SILENT
					 : RAW_REFUSED_BY_PEER;
		udp_close(&w->udp);
	}
	end_search(w);
}

static void
run_ready(struct session *s)
{
	uint8_t pkt[READY_MAX_PACKET];
	struct raw *w = &s->raw;

	for (;;) {
		struct buf_writer out = buf_writer(pkt, sizeof(pkt));

		if (ready_output(w->ready, s->now, &out) != 1)
			return;
		path_relay_send_one(&s->relay, out.p, out.len);
	}
}

/* Whether anything below can have something to do. */
static bool
is_due(const struct session *s)
{
	return !mono_before(s->now, raw_next_deadline(s));
}

void
raw_run(struct session *s)
{
	struct raw *w = &s->raw;

	if (!mono_before(s->now, w->silence)) {
		w->silence = MONO_NEVER;
		w->outcome = RAW_PEER_SILENT;
		raw_decline(s);
	}
	if (w->state == RAW_WAITING && !mono_before(s->now, w->until))
		must(s, decide(s, false));
	if (w->state == RAW_GATHERING)
		run_gather(s);
	if (w->ready == NULL || (w->state == RAW_DONE && !is_due(s)))
		return;
	run_ready(s);
	if (w->state == RAW_TALKING && ready_state(w->ready) == READY_SELECTING)
		start_punching(s);
	if (w->state == RAW_PUNCHING)
		run_punch(s);
	if (w->state != RAW_DONE && ready_state(w->ready) == READY_DONE)
		finish(s);
	run_ready(s); /* what the steps above made due */
}

struct mono
raw_next_deadline(const struct session *s)
{
	const struct raw *w = &s->raw;
	struct mono at = mono_min(w->until, w->silence);

	if (w->gather != NULL)
		at = mono_min(at, stun_gather_next_deadline(w->gather));
	if (w->punch != NULL)
		at = mono_min(at, punch_next_deadline(w->punch));
	if (w->ready != NULL)
		at = mono_min(at, ready_next_deadline(w->ready));
	return at;
}
