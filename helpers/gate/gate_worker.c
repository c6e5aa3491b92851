/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * FREE: nobody holds the slot.  An acceptable claim takes it; ACCEPT goes to
 * the daemon, which starts the session and answers ACCEPTED.  The decision is
 * sent by the session, once it is ready for its peer.
 *
 * HELD: a session serves the holder.  The daemon routes the holder's packets to
 * the session; what comes here are rivals and claims the session handed back.
 * Before a rival is refused the daemon is asked (CHECK) whether the session
 * still hears its peer.  A dead session is ended by the daemon, RELEASE frees
 * the slot, and the rival's next resend of its claim is admitted.
 *
 * A gate that replaces one that died is told who holds the slot (adopted): its
 * judge does not know him and would admit anybody, so what it admits is a rival
 * until RELEASE.
 *
 * What fails authentication is dropped without an answer.
 *
 * The gate of a token for transfers has another judge (gate_transfer.c) and no
 * decision: one claimant is served, all others are refused until RELEASE.
 */
#include "helpers/gate/gate_worker.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/gate/gate_transfer.h"
#include "helpers/gate/sandbox_gate.h"
#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/ipc/ipc_body.h"
#include "proto/rendezvous/gate.h"

/* How long "the holder is alive" is believed: claims come every 250 ms. */
#define GATE_ALIVE_US (2 * MONO_SEC)
/* A CHECK without answer is asked again after this. */
#define GATE_CHECK_US (5 * MONO_SEC)

struct gate_worker {
	struct worker *w;
	struct gate *gate; /* of tunnels, or */
	bool is_transfer;
	struct gate_transfer transfer;
	struct key32 holder; /* DERP key; meaningful while held */
	bool held;
	bool adopted;               /* held since before this gate's birth */
	struct mono alive_until;    /* holder was found alive */
	struct mono checking_until; /* a CHECK is under way */
};

static struct gate_params
params_from_boot(const struct ipc_boot_gate *b)
{
	struct gate_params p;

	memset(&p, 0, sizeof(p));
	p.kind = b->kind == IPC_KIND_SHARE ? GATE_SESSION : GATE_DERPTUN;
	p.version = b->token_version;
	p.session_id = b->session_id;
	p.expires_unix = b->expires_unix;
	p.capabilities = b->capabilities;
	p.derp_public = b->derp_public;
	p.quic_public = b->quic_public;
	p.secret = b->secret;
	return p;
}

static int
on_prepare(void *arg)
{
	uint32_t seed;

	(void)arg;
	secret_random(&seed, sizeof(seed));
	json_object_seed(seed); /* else it opens a file when confined */
	return 0;
}

static int
on_boot(void *arg, struct worker *w, uint32_t session, struct buf_reader *body,
    int *fds, size_t n_fds)
{
	struct gate_worker *g = arg;
	struct ipc_boot_gate boot;
	struct gate_params p;
	struct buf_reader route;
	int r = ipc_get_boot_gate(body, &boot);

	(void)session;
	(void)fds;
	(void)n_fds;
	if (r != 0)
		return r;
	g->w = w;
	worker_set_verbose(w, boot.verbose);
	g->held = boot.held;
	g->adopted = boot.held;
	g->holder = boot.holder;
	if (boot.kind == IPC_KIND_TRANSFER) {
		g->is_transfer = true;
		gate_transfer_init(&g->transfer, &boot);
		secret_wipe(&boot, sizeof(boot));
		return 0;
	}
	p = params_from_boot(&boot);
	if (boot.route_len > 0) {
		route = buf_reader(boot.route, boot.route_len);
		p.has_route = true;
		r = token_route_get(&route, &p.route, NULL);
		if (r == 0)
			r = buf_reader_end(&route);
	}
	if (r == 0) {
		g->gate = gate_new(&p);
		r = g->gate != NULL ? 0 : -ENOMEM;
	}
	secret_wipe(&p, sizeof(p));
	secret_wipe(&boot, sizeof(boot));
	return r;
}

static int
on_start(void *arg, struct mono now)
{
	struct gate_worker *g = arg;

	g->alive_until = now;
	g->checking_until = now;
	return 0;
}

static void
send_packet(
    struct gate_worker *g, const struct key32 *to, const void *p, size_t len)
{
	uint8_t batch[GATE_MAX_DECISION + IPC_GATE_PACKET_OVERHEAD];
	struct buf_writer w = buf_writer(batch, sizeof(batch));

	/* A full queue loses the answer; the claimer asks again. */
	if (ipc_packet_put(&w, to->b, p, len) == 0)
		(void)worker_send_packets(g->w, batch, w.len);
}

static void
reject(struct gate_worker *g, const struct gate_result *res)
{
	uint8_t decision[GATE_MAX_DECISION];
	struct buf_writer w = buf_writer(decision, sizeof(decision));
	char name[SECRET_FINGERPRINT_LEN];

	secret_fingerprint(name, &res->reply_to);
	log_info("claim", "rejected peer=%s reason=%s", name, res->reason);
	if (gate_build_reject(&w, res) == 0)
		send_packet(g, &res->reply_to, decision, w.len);
}

static void
ask(struct gate_worker *g, enum ipc_type type, const struct key32 *peer)
{
	uint8_t msg[IPC_HEADER_LEN + sizeof(struct ipc_peer)];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	ipc_begin(&w, type, worker_session(g->w), 0);
	ipc_put_peer(&w, peer, 0);
	(void)worker_send(g->w, &w, -1);
}

static void
release(struct gate_worker *g)
{
	if (!g->is_transfer)
		gate_release(g->gate);
	g->held = false;
	g->adopted = false;
	/* Both were about that holder. */
	g->alive_until = g->checking_until = (struct mono){ 0 };
}

static int
post_accept(struct gate_worker *g, const struct ipc_accept *a)
{
	uint8_t *msg = malloc(IPC_MAX_MESSAGE);
	struct buf_writer w;
	int r;

	if (msg == NULL)
		return -ENOMEM;
	w = buf_writer(msg, IPC_MAX_MESSAGE);
	ipc_begin(&w, IPC_ACCEPT, worker_session(g->w), 0);
	ipc_put_accept(&w, a);
	r = worker_send(g->w, &w, -1);
	secret_wipe(msg, IPC_MAX_MESSAGE);
	free(msg);
	return r;
}

/* Tell the daemon whom to start a session for. */
static int
send_accept(struct gate_worker *g, const void *claim, size_t len)
{
	const struct gate_claimer *c = gate_peek_claimer(g->gate);
	struct ipc_accept *a = calloc(1, sizeof(*a));
	struct buf_writer w;
	int r;

	if (a == NULL || len > sizeof(a->claim)) {
		free(a);
		return -ENOMEM;
	}
	a->peer_derp = c->derp_public;
	a->peer_quic = c->quic_public;
	a->envelope_key = c->envelope_key;
	a->disco_key = c->disco_key;
	a->claim_len = (uint16_t)len;
	memcpy(a->claim, claim, len);
	w = buf_writer(a->decision, sizeof(a->decision));
	r = gate_build_accept(g->gate, &w, &(struct candidate_list){ 0 });
	if (r == 0) {
		a->decision_len = (uint16_t)w.len;
		r = post_accept(g, a);
	}
	secret_wipe(a, sizeof(*a));
	free(a);
	return r;
}

static void
accept_claim(struct gate_worker *g, const void *claim, size_t len)
{
	int r = send_accept(g, claim, len);

	if (r != 0) {
		log_warn_r(r, "claim", "cannot hand it over");
		release(g);
		return;
	}
	g->held = true;
	g->holder = gate_peek_claimer(g->gate)->derp_public;
}

static void
handle_rival(
    struct gate_worker *g, const struct gate_result *res, struct mono now)
{
	if (mono_before(now, g->alive_until)) {
		reject(g, res);
	} else if (!mono_before(now, g->checking_until)) {
		g->checking_until = mono_add(now, GATE_CHECK_US);
		ask(g, IPC_CHECK, &g->holder);
	}
}

static void
refuse_for_adopted(
    struct gate_worker *g, struct gate_result *res, struct mono now)
{
	gate_release(g->gate);
	res->code = "claimed";
	res->reason = "session already claimed";
	handle_rival(g, res, now);
}

static void
repeat_decision(struct gate_worker *g, const struct gate_result *res)
{
	size_t len;
	const uint8_t *p = gate_peek_decision(g->gate, &len);

	if (p != NULL)
		send_packet(g, &res->reply_to, p, len);
}

static void
judge(struct gate_worker *g, const struct key32 *source, const void *p,
    size_t len, struct mono now)
{
	struct gate_result res;

	if (gate_judge(g->gate, mono_unix_seconds(), source, p, len, &res) != 0)
		return;
	switch (res.verdict) {
	case GATE_SILENCE:
		log_debug_r(res.r, "claim", "packet dropped");
		break;
	case GATE_REJECT:
		reject(g, &res);
		break;
	case GATE_ACCEPT:
		if (g->adopted)
			refuse_for_adopted(g, &res, now);
		else
			accept_claim(g, p, len);
		break;
	case GATE_REPEAT:
		repeat_decision(g, &res);
		break;
	case GATE_BUSY:
		handle_rival(g, &res, now);
		break;
	}
	secret_wipe(&res, sizeof(res));
}

static void
refuse_claimant(
    struct gate_worker *g, const struct key32 *source, const char *why)
{
	uint8_t packet[GATE_MAX_DECISION];
	struct buf_writer w = buf_writer(packet, sizeof(packet));
	char name[SECRET_FINGERPRINT_LEN];

	secret_fingerprint(name, source);
	log_info("claim", "rejected peer=%s reason=%s", name, why);
	if (gate_transfer_refuse(&g->transfer, why, &w) == 0)
		send_packet(g, source, packet, w.len);
}

/* Tell the daemon whom to start a session for. */
static int
send_claimant(struct gate_worker *g, const struct gate_claim *c)
{
	struct ipc_accept *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL)
		return -ENOMEM;
	gate_transfer_accept(&g->transfer, c, a);
	r = post_accept(g, a);
	secret_wipe(a, sizeof(*a));
	free(a);
	return r;
}

static void
judge_transfer(struct gate_worker *g, struct gate_claim *c)
{
	int r = gate_transfer_judge(
	    &g->transfer, g->held ? &g->holder : NULL, mono_unix_seconds(), c);

	if (c->refusal != NULL)
		refuse_claimant(g, &c->source, c->refusal);
	if (r != 0)
		return;
	r = send_claimant(g, c);
	if (r != 0) {
		log_warn_r(r, "claim", "cannot hand it over");
		return;
	}
	g->held = true;
	g->holder = c->source;
}

static int
on_packets(void *arg, struct buf_reader *batch, struct mono now)
{
	struct gate_worker *g = arg;
	const uint8_t *key, *p;
	struct gate_claim c;
	int r;

	while ((r = ipc_packet_next(batch, 1, &key, &p, &c.len)) == 1) {
		memcpy(c.source.b, key, sizeof(c.source.b));
		c.p = p;
		if (g->is_transfer)
			judge_transfer(g, &c);
		else
			judge(g, &c.source, p, c.len, now);
	}
	return r;
}

static bool
is_holder(const struct gate_worker *g, const struct ipc_peer *peer)
{
	return g->held &&
	       secret_equal(&g->holder, &peer->peer_derp, sizeof(g->holder));
}

static int
on_message(void *arg, const struct ipc_header *h, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
{
	struct gate_worker *g = arg;
	struct ipc_peer peer;
	int r = ipc_get_peer(body, &peer);

	(void)fds;
	(void)n_fds;
	if (r != 0)
		return r;
	if (!is_holder(g, &peer))
		return 0; /* about a holder that has gone meanwhile */
	if (h->type == IPC_RELEASE ||
	    (h->type == IPC_ACCEPTED && peer.value != 0)) {
		release(g);
	} else if (h->type == IPC_CHECKED) {
		g->checking_until = now;
		if (peer.value != 0)
			g->alive_until = mono_add(now, GATE_ALIVE_US);
	}
	return 0;
}

static void
on_stop(void *arg, int code, const char *text, struct mono now)
{
	struct gate_worker *g = arg;

	(void)now;
	worker_end(g->w, code, text);
}

int
gate_worker_main(void)
{
	struct gate_worker g = { 0 };
	struct worker_params p = {
		.name = "gate",
		.role = IPC_ROLE_GATE,
		.boot_type = IPC_BOOT_GATE,
		.profile = &sandbox_gate,
		.prepare = on_prepare,
		.boot = on_boot,
		.start = on_start,
		.message = on_message,
		.packets = on_packets,
		.stop = on_stop,
		.arg = &g,
	};
	int status = worker_main(&p);

	gate_free(g.gate);
	secret_wipe(&g.transfer, sizeof(g.transfer));
	return status;
}
