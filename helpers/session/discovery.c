/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  proto/path/direct decides, this file carries out: it
 * sorts what comes in by UDP, sends what `direct` and the STUN gatherers want
 * sent, and selects in the mux what `direct` has selected.
 *
 * Addresses that STUN finds are looked for from the first moment; probes and
 * control messages wait until the peer knows of us (`accepted`).  Nothing else
 * waits for anything here: QUIC starts on the relay and is moved.
 *
 * An address counts as alive only when QUIC has authenticated something that
 * came from it; this is looked at once for each burst of one sender.
 */
#include "helpers/session/discovery.h"

#include <errno.h>

#include "helpers/session/raw.h"
#include "helpers/session/session.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/path/direct.h"
#include "proto/path/disco.h"
#include "proto/rendezvous/envelope.h"
#include "proto/stun/stun.h"
#include "proto/stun/stun_gather.h"

/* Interfaces, a mapping, and what servers say of two sockets. */
#define MAX_OWN ((size_t)IPC_MAX_OWN + 1 + 2 * (size_t)STUN_GATHER_MAX_MAPPED)
/* 32 candidates of 54 characters, and 130 more. */
#define CONTROL_MAX 4096

static struct discovery_socket *
socket_for(struct discovery *d, sa_family_t family)
{
	return family == AF_INET6 ? &d->v6 : &d->v4;
}

static void
on_refused(void *arg, const struct addr *to, int error, size_t len)
{
	struct session *s = arg;
	struct discovery *d = &s->discovery;

	if (error == -EMSGSIZE)
		direct_too_long(d->direct, len, s->now);
	else
		direct_send_failed(d->direct, to, error, s->now);
}

void
discovery_init(struct session *s)
{
	struct discovery *d = &s->discovery;

	udp_init(&d->v4.udp);
	udp_init(&d->v6.udp);
	path_udp_init(&d->path, PATH_KIND_MANAGED);
	d->path.on_refused = on_refused;
	d->path.arg = s;
}

static void
close_socket(struct discovery_socket *k)
{
	udp_close(&k->udp);
	stun_gather_free(k->gather);
	k->gather = NULL;
}

void
discovery_fini(struct session *s)
{
	struct discovery *d = &s->discovery;

	discovery_stop(s);
	udp_buffers_free(d->buffers);
	d->buffers = NULL;
}

void
discovery_stop(struct session *s)
{
	struct discovery *d = &s->discovery;

	d->stopped = true;
	path_mux_remove(&s->mux, &d->path.path);
	close_socket(&d->v4);
	close_socket(&d->v6);
	direct_free(d->direct);
	d->direct = NULL;
}

static void
add_own(struct addr *own, size_t *n, const struct addr *a, uint16_t port)
{
	own[*n] = *a;
	if (port != 0)
		own[*n].port = port;
	(*n)++;
}

/* What servers say, the most useful. */
static void
add_mapped(struct addr *own, size_t *n, const struct discovery_socket *k)
{
	struct addr mapped[STUN_GATHER_MAX_MAPPED];
	size_t n_mapped =
	    k->gather != NULL ? stun_gather_mapped(k->gather, mapped) : 0;

	for (size_t i = 0; i < n_mapped; i++)
		add_own(own, n, &mapped[i], 0);
}

void
discovery_list_own(const struct session *s, struct candidate_list *ret_list)
{
	const struct discovery *d = &s->discovery;
	struct addr own[MAX_OWN];
	size_t n = 0;

	if (d->net.has_mapping && udp_is_open(&d->v4.udp))
		add_own(own, &n, &d->net.mapping, 0);
	add_mapped(own, &n, &d->v4);
	add_mapped(own, &n, &d->v6);
	for (size_t i = 0; i < d->net.n_own; i++) {
		const struct addr *a = &d->net.own[i];
		const struct udp *u =
		    a->family == AF_INET6 ? &d->v6.udp : &d->v4.udp;

		if (udp_is_open(u))
			add_own(own, &n, a, u->port);
	}
	candidate_advertise(ret_list, own, n, CANDIDATE_POLICY_PEER);
}

static void
update_own(struct session *s)
{
	struct candidate_list own;

	discovery_list_own(s, &own);
	direct_set_own(s->discovery.direct, &own, s->now);
}

/* RFC 9000 17.2: a long header.  It may begin a connection, or ask for the
 * versions that we know; the answer would leave through the relay. */
static bool
is_handshake(uint8_t first)
{
	return (first & 0x80) != 0;
}

/* A datagram of the three kinds that share the socket. */
static void
sort_input(struct session *s, struct discovery_socket *k,
    const struct addr *from, const uint8_t *p, size_t len, bool accepted)
{
	struct discovery *d = &s->discovery;

	if (stun_is_message(p, len)) {
		if (k->gather != NULL &&
		    stun_gather_input(k->gather, from, p, len, s->now))
			update_own(s);
	} else if (disco_is_ours(p, len)) {
		direct_input(d->direct, from, p, len, s->now);
	} else if (is_handshake(p[0]) && !direct_is_known(d->direct, from)) {
		return;
	} else if (accepted && (p[0] & 0xc0) != 0 && p[0] != '{') {
		/* Envelopes, which begin so, come through the relay only. */
		path_mux_input(&s->mux, &d->path.path, s->now, p, len);
	}
}

static void
on_input(struct udp *u, const struct udp_input *in, struct mono now)
{
	struct session *s = u->arg;
	struct discovery *d = &s->discovery;
	struct discovery_socket *k = socket_for(d, u->family);
	uint64_t genuine = quic_endpoint_genuine(s->quic);
	bool accepted = direct_accepts(d->direct, &in->from);
	size_t left = in->len;

	s->now = now;
	while (left > 0) {
		size_t n = in->segment < left ? in->segment : left;

		sort_input(
		    s, k, &in->from, in->p + (in->len - left), n, accepted);
		left -= n;
	}
	if (quic_endpoint_genuine(s->quic) != genuine)
		direct_heard(d->direct, &in->from, now);
}

static void
on_writable(struct udp *u, struct mono now)
{
	struct session *s = u->arg;
	struct discovery *d = &s->discovery;

	s->now = now;
	if (d->path.socket == u)
		path_mux_unblocked(&s->mux, &d->path.path, now);
}

static int
open_socket(struct session *s, uint8_t use, uint16_t port, int fd)
{
	struct discovery *d = &s->discovery;
	sa_family_t family = use == IPC_SOCKET_MANAGED6 ? AF_INET6 : AF_INET;
	struct discovery_socket *k = socket_for(d, family);

	if (use == IPC_SOCKET_RAW4)
		return raw_on_socket(s, fd, port);
	k->udp.on_input = on_input;
	k->udp.on_writable = on_writable;
	k->udp.arg = s;
	k->gather = stun_gather_new(s->now);
	if (k->gather == NULL) {
		fd_close(&fd);
		return -ENOMEM;
	}
	return udp_open(&k->udp, s->loop, d->buffers, fd, family, port);
}

static int
open_sockets(struct session *s, const struct ipc_sockets *sockets, int *fds)
{
	struct discovery *d = &s->discovery;
	struct direct_params p = { .disco_key = s->boot.disco_key };
	int r = 0;

	d->buffers = udp_buffers_new();
	if (d->buffers == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sockets->n && r == 0; i++) {
		r = open_socket(
		    s, sockets->socket[i].use, sockets->socket[i].port, fds[i]);
		fds[i] = -1; /* transferred */
	}
	p.has_v4 = udp_is_open(&d->v4.udp);
	p.has_v6 = udp_is_open(&d->v6.udp);
	d->direct = r == 0 ? direct_new(&p, s->now) : NULL;
	secret_wipe(&p, sizeof(p));
	return d->direct != NULL ? 0 : -ENOMEM;
}

int
discovery_on_sockets(
    struct session *s, struct buf_reader *body, int *fds, size_t n_fds)
{
	struct discovery *d = &s->discovery;
	struct ipc_sockets sockets;

	if (ipc_get_sockets(body, &sockets) != 0 || sockets.n != n_fds ||
	    d->buffers != NULL || s->boot.force_relay)
		return -DT_ERR_IPC;
	if (open_sockets(s, &sockets, fds) != 0) {
		log_warn("path", "no memory for direct paths");
		discovery_stop(s);
		return 0;
	}
	d->generation = direct_generation(d->direct);
	path_mux_add(&s->mux, &d->path.path);
	if (s->nego.is_native)
		direct_set_native(d->direct);
	if (d->peer.n > 0)
		direct_set_peer(d->direct, &d->peer, s->now);
	return 0;
}

/* Each socket asks the servers of its family. */
static void
set_servers(struct session *s, struct discovery_socket *k, sa_family_t family)
{
	const struct ipc_network *net = &s->discovery.net;
	struct addr servers[IPC_MAX_STUN];
	size_t n = 0;

	if (k->gather == NULL)
		return;
	for (size_t i = 0; i < net->n_stun; i++)
		if (net->stun[i].family == family)
			servers[n++] = net->stun[i];
	stun_gather_set_servers(k->gather, servers, n, s->now);
	if (net->changed)
		stun_gather_restart(k->gather, s->now);
}

int
discovery_on_network(struct session *s, struct buf_reader *body)
{
	struct discovery *d = &s->discovery;
	struct ipc_network net;

	if (ipc_get_network(body, &net) != 0)
		return -DT_ERR_IPC;
	d->net = net;
	if (d->direct == NULL)
		return 0;
	set_servers(s, &d->v4, AF_INET);
	set_servers(s, &d->v6, AF_INET6);
	update_own(s);
	if (net.changed)
		direct_network_changed(d->direct, s->now);
	return 0;
}

void
discovery_set_peer(struct session *s, const struct candidate_list *peer)
{
	struct discovery *d = &s->discovery;

	if (d->direct != NULL)
		direct_set_peer(d->direct, peer, s->now);
	else
		d->peer = *peer; /* SOCKETS may be on its way */
}

void
discovery_accept(struct session *s, const struct candidate_list *peer)
{
	s->discovery.accepted = true;
	discovery_set_peer(s, peer);
}

void
discovery_called(struct session *s)
{
	if (s->discovery.direct != NULL)
		direct_called(s->discovery.direct, s->now);
}

void
discovery_on_control(struct session *s, const struct envelope *e)
{
	const struct message_control *c = &e->control;
	struct candidate_list list;

	if (envelope_text_equal(c->type, MESSAGE_CONTROL_CALL_ME_MAYBE.p)) {
		discovery_called(s);
	} else if (envelope_text_equal(c->type, MESSAGE_CONTROL_CANDIDATES.p)) {
		candidate_from_peer(
		    &list, &c->candidates, CANDIDATE_POLICY_PEER);
		/* A list of nothing but rubbish says nothing. */
		if (list.n > 0 || c->candidates.n == 0)
			discovery_set_peer(s, &list);
	}
}

void
discovery_set_native(struct session *s)
{
	struct discovery *d = &s->discovery;

	if (d->direct != NULL)
		direct_set_native(d->direct);
	/* If the path was faster than this word. */
	quic_endpoint_set_run(s->quic, 0);
	udp_set_rest(&d->v4.udp, false);
	udp_set_rest(&d->v6.udp, false);
}

static void
send_packet(struct session *s, const struct direct_out *out)
{
	struct discovery *d = &s->discovery;
	struct udp *u = &socket_for(d, out->to.family)->udp;
	int r = -EAFNOSUPPORT;

	if (udp_is_open(u))
		r = udp_send_one(u, &out->to, out->pkt, out->len);
	if (r == 0 || r == -EAGAIN)
		return; /* a full socket loses it, as the network may */
	if (r != -EMSGSIZE)
		direct_send_failed(d->direct, &out->to, r, s->now);
	else if (out->len <= direct_payload(d->direct))
		direct_too_long(d->direct, out->len, s->now);
}

static void
send_control(struct session *s, enum direct_out_kind kind)
{
	uint8_t pkt[CONTROL_MAX];
	struct buf_writer w = buf_writer(pkt, sizeof(pkt));
	const struct key32 *key = &s->boot.envelope_key;
	int r;

	if (kind == DIRECT_OUT_CANDIDATES)
		r = envelope_build_candidates(
		    &w, direct_peek_own(s->discovery.direct), key);
	else
		r = envelope_build_call_me_maybe(&w, key);
	if (r == 0)
		path_relay_send_one(&s->relay, w.p, w.len);
}

static void
run_direct(struct session *s)
{
	struct direct *direct = s->discovery.direct;
	struct direct_out out;

	while (direct_output(direct, s->now, &out)) {
		if (out.kind == DIRECT_OUT_PACKET)
			send_packet(s, &out);
		else
			send_control(s, out.kind);
	}
}

static void
run_stun(struct session *s, struct discovery_socket *k)
{
	uint8_t request[STUN_REQUEST_LEN];
	struct addr to;

	if (k->gather == NULL ||
	    mono_before(s->now, stun_gather_next_deadline(k->gather)))
		return;
	while (stun_gather_output(k->gather, s->now, &to, request))
		(void)udp_send_one(
		    &k->udp, &to, request, sizeof(request)); /* repeated */
}

/* A path in use keeps its mapping alive by itself; one that died may have died
 * because the NAT has given us another. */
static void
follow_stun(struct session *s, struct discovery_socket *k, bool is_direct)
{
	if (k->gather == NULL)
		return;
	stun_gather_pause(k->gather, is_direct, s->now);
	if (!is_direct)
		stun_gather_restart(k->gather, s->now);
}

/* Carry out what `direct` has decided. */
static void
follow(struct session *s)
{
	struct discovery *d = &s->discovery;
	const struct addr *to = direct_selected(d->direct);
	const char *reason = direct_reason(d->direct);

	d->generation = direct_generation(d->direct);
	if (to != NULL) {
		struct udp *u = &socket_for(d, to->family)->udp;

		path_udp_set(&d->path, u, to, direct_payload(d->direct));
		udp_set_rest(u, !s->nego.is_native);
		session_move(s, &d->path.path, to, reason);
	} else {
		session_move(s, &s->relay.path, NULL, reason);
	}
	follow_stun(s, &d->v4, to != NULL);
	follow_stun(s, &d->v6, to != NULL);
}

void
discovery_run(struct session *s)
{
	struct discovery *d = &s->discovery;

	if (d->direct == NULL)
		return;
	run_stun(s, &d->v4);
	run_stun(s, &d->v6);
	if (!d->accepted)
		return;
	if (!mono_before(s->now, direct_next_deadline(d->direct)))
		run_direct(s);
	if (direct_generation(d->direct) != d->generation)
		follow(s);
	if (direct_returns(d->direct) != d->returns) {
		d->returns = direct_returns(d->direct);
		quic_endpoint_revive(s->quic, s->now);
	}
}

void
discovery_sent(struct session *s)
{
	struct discovery *d = &s->discovery;

	if (d->direct == NULL || d->path.path.packets_out == d->packets_out)
		return;
	d->packets_out = d->path.path.packets_out;
	direct_sent(d->direct, s->now);
	/* The socket may have refused. */
	if (direct_generation(d->direct) != d->generation)
		session_wake(s);
}

struct mono
discovery_next_deadline(const struct session *s)
{
	const struct discovery *d = &s->discovery;
	struct mono at = MONO_NEVER;

	if (d->direct == NULL)
		return at;
	if (d->v4.gather != NULL)
		at = stun_gather_next_deadline(d->v4.gather);
	if (d->v6.gather != NULL)
		at = mono_min(at, stun_gather_next_deadline(d->v6.gather));
	if (d->accepted)
		at = mono_min(at, direct_next_deadline(d->direct));
	return at;
}
