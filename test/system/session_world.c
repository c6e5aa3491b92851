/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/system/session_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "proto/quic/identity_cert.h"
#include "proto/rendezvous/native.h"
#include "proto/rendezvous/session_keys.h"
#include "proto/transfer/transfer_claim.h"

#define BUFFER (1 << 20)
#define HIGH_WATER (256 * 1024)

const char *world_worker_path;

static void on_packets(void *arg, const void *msg, size_t len, int *fds,
    size_t n_fds, struct mono now);

void
world_need(bool ok, const char *what)
{
	if (ok)
		return;
	printf("Bail out! %s\n", what);
	exit(99);
}

static void
on_ended(struct end *e, struct buf_reader *body, struct mono now)
{
	e->ended = ipc_get_reason(body, &e->reason) == 0;
	e->ended_at = now;
	printf("# ended: %d %s\n", (int)e->reason.code, e->reason.text);
}

static void
answer_dial(struct end *e, const struct ipc_header *h, struct buf_reader *body)
{
	uint8_t msg[64];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	uint32_t connection;
	int fd;

	world_need(ipc_get_u32(body, &connection) == 0, "bad DIAL");
	e->w->n_dials++;
	fd = e->w->on_dial(e->w->arg);
	ipc_begin(&w, IPC_DIALED, WORLD_SESSION_ID, h->seq);
	ipc_put_dialed(&w, connection, fd < 0 ? fd : 0);
	world_need(chan_send(e->control, w.p, w.len, &fd, fd >= 0 ? 1 : 0) == 0,
	    "DIALED not sent");
}

static void
on_status(struct end *e, struct buf_reader *body)
{
	struct ipc_status_body s;

	world_need(ipc_get_status(body, &s) == 0, "bad STATUS");
	e->statuses[s.status] = true;
}

static void
on_control(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
{
	struct end *e = arg;
	struct ipc_view view = { IPC_TO_DAEMON, IPC_ROLE_SESSION,
		IPC_STATE_RUNNING };
	struct ipc_header h;
	struct buf_reader body;
	struct ipc_log line;
	bool alive;

	(void)fds;
	world_need(ipc_parse(&view, msg, len, n_fds, &h, &body) == 0,
	    "message not permitted");
	if (h.type == IPC_BORN) {
		e->born = true;
	} else if (h.type == IPC_STATUS) {
		on_status(e, &body);
	} else if (h.type == IPC_ENDED) {
		on_ended(e, &body, now);
	} else if (h.type == IPC_DIAL) {
		answer_dial(e, &h, &body);
	} else if (h.type == IPC_CLAIM_BACK) {
		e->claims_back++;
	} else if (h.type == IPC_PROBED) {
		world_need(ipc_get_bool(&body, &alive) == 0, "bad PROBED");
		e->probed = alive;
	} else if (h.type == IPC_DESCRIPTION) {
		world_need(ipc_get_description(&body, &e->description) == 0,
		    "bad DESCRIPTION");
		e->described = true;
	} else if (h.type == IPC_PATH) {
		world_need(ipc_get_path(&body, &e->path) == 0, "bad PATH");
		e->n_paths++;
	} else if (h.type == IPC_EXPLANATION) {
		world_need(ipc_get_explanation(&body, &e->explanation) == 0,
		    "bad EXPLANATION");
		e->explained = true;
	} else if (e->w->on_message != NULL &&
		   (h.type == IPC_OPEN || h.type == IPC_SAVE ||
		       h.type == IPC_PROGRESS)) {
		e->w->on_message(e, &h, &body);
	} else if (h.type == IPC_LOG) {
		if (ipc_get_log(&body, &line) == 0 &&
		    getenv("SESSION_LOG") != NULL)
			printf("# %d: %s\n", (int)e->pid, line.line);
	}
}

static void
on_closed(void *arg, int r)
{
	struct end *e = arg;

	(void)r;
	e->gone = true;
}

static void
on_packets_closed(void *arg, int r)
{
	(void)arg;
	(void)r; /* the control channel tells */
}

static void
start_end(struct end *e, int control[2], int packets[2])
{
	struct chan_params p = {
		.loop = e->w->loop,
		.max_message = IPC_MAX_MESSAGE,
		.max_queued = BUFFER,
		.full = CHAN_FULL_FAILS,
		.on_message = on_control,
		.on_closed = on_closed,
		.arg = e,
	};

	e->probed = -1;
	e->pid = fork();
	if (e->pid == 0) {
		int a = dup(control[1]), b = dup(packets[1]);

		/* A stopped one does not see our end. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(a, IPC_FD_CONTROL);
		(void)dup2(b, IPC_FD_PACKETS);
		fd_close_from(IPC_FD_PACKETS + 1);
		(void)execl(world_worker_path, world_worker_path, (char *)NULL);
		_exit(127);
	}
	world_need(e->pid > 0, "fork");
	if (e == &e->w->listener && e->w->late_listener)
		(void)kill(e->pid, SIGSTOP);
	fd_close(&control[1]);
	fd_close(&packets[1]);
	p.fd = control[0];
	e->control = chan_new(&p);
	p.fd = packets[0];
	p.max_message = IPC_MAX_BATCH;
	p.on_message = on_packets;
	p.on_closed = on_packets_closed;
	e->packets = chan_new(&p);
	world_need(e->control != NULL && e->packets != NULL, "channels");
}

static void
boot_end(struct end *e, const struct ipc_boot_session *boot, int fd)
{
	static uint8_t msg[IPC_MAX_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	int control[2];
	int packets[2];

	world_need(fd_seqpacket_pair(&control[0], &control[1], BUFFER) == 0 &&
		       fd_seqpacket_pair(&packets[0], &packets[1], BUFFER) == 0,
	    "socketpair");
	start_end(e, control, packets);
	ipc_begin(&w, IPC_BOOT_SESSION, WORLD_SESSION_ID, 0);
	ipc_put_boot_session(&w, boot);
	world_need(w.err == 0 && chan_send(e->control, w.p, w.len, &fd,
				     fd >= 0 ? 1 : 0) == 0,
	    "boot message");
	if (e->w->on_boot != NULL)
		e->w->on_boot(e);
}

static void
on_sign(void *arg, unsigned events, struct mono now)
{
	struct world *w = arg;
	uint8_t msg[512];
	uint8_t sig[64];
	int fds[FD_MAX_PASSED];
	size_t n_fds;
	ssize_t n = fd_recv(w->signer_fd, msg, sizeof(msg), fds, &n_fds);

	(void)events;
	(void)now;
	if (n == 0) {
		loop_io_set(w->signer_io, 0);
		return;
	}
	if (n < 0)
		return;
	world_need((n == 130 || n == 146) &&
		       memcmp(msg + 64, "TLS 1.3, server", 15) == 0,
	    "worker asked for an odd signature");
	secret_ed25519_sign(sig, &w->listener_seed, msg, (size_t)n);
	(void)fd_send(w->signer_fd, sig, sizeof(sig), NULL, 0);
}

/* What the gate says of the claimer. */
static void
set_claimer(struct world *w, struct ipc_boot_session *b)
{
	struct buf_writer out = buf_writer(b->decision, sizeof(b->decision));
	struct candidate_list none = { 0 };
	const struct gate_claimer *c = gate_peek_claimer(w->gate);

	world_need(gate_build_accept(w->gate, &out, &none) == 0, "decision");
	b->decision_len = (uint16_t)out.len;
	b->peer_derp = c->derp_public;
	b->peer_quic = c->quic_public;
	b->session_id = c->session_id;
	b->envelope_key = c->envelope_key;
	b->disco_key = c->disco_key;
}

static void
set_claimant(struct world *w, struct ipc_boot_session *b,
    const struct key32 *quic_public)
{
	b->peer_derp = w->claimer_derp;
	b->peer_quic = *quic_public;
	b->session_id = w->session_id;
	b->envelope_key = w->envelope_key;
	session_keys_disco(&b->disco_key, &w->bearer, &w->session_id,
	    &w->claimer_derp, &w->listener_derp);
	w->set_boot(&w->listener, b);
}

static void
start_listener(struct world *w, const uint8_t *claim, size_t len,
    const struct key32 *quic_public)
{
	static struct ipc_boot_session b;
	struct identity_cert cert;
	int fd;

	memset(&b, 0, sizeof(b));
	if (w->kind == IPC_KIND_TRANSFER)
		set_claimant(w, &b, quic_public);
	else
		set_claimer(w, &b);
	b.kind = w->kind;
	b.listener = true;
	b.verbose = true;
	b.raw_direct = true;
	b.force_relay = w->force_relay[1];
	b.own_derp = w->listener_derp;
	b.own_quic = w->listener_quic;
	world_need(identity_cert_make(
		       &cert, &w->listener_seed, mono_unix_seconds()) == 0,
	    "certificate");
	b.cert_len = (uint16_t)cert.len;
	memcpy(b.cert, cert.der, cert.len);
	b.claim_len = (uint16_t)len;
	memcpy(b.claim, claim, len);
	world_need(fd_seqpacket_pair(&w->signer_fd, &fd, 0) == 0, "signer");
	w->signer_io = loop_io_new(w->loop, w->signer_fd, on_sign, w);
	loop_io_set(w->signer_io, LOOP_READ);
	boot_end(&w->listener, &b, fd);
}

/* A packet of the claimer before there is a listener. */
static void
to_gate(struct world *w, const uint8_t *p, size_t len)
{
	struct gate_result result;
	struct key32 quic_public;

	if (w->kind == IPC_KIND_TRANSFER) {
		if (transfer_claim_judge(
			p, len, &w->envelope_key, &quic_public) == 0 &&
		    !w->hold_listener)
			start_listener(w, p, len, &quic_public);
		return;
	}
	if (gate_judge(w->gate, mono_unix_seconds(), &w->claimer_derp, p, len,
		&result) != 0)
		return;
	if (result.verdict == GATE_REPEAT)
		return;
	world_need(result.verdict == GATE_ACCEPT, "claim was not accepted");
	memcpy(w->claim, p, len);
	w->claim_len = len;
	if (!w->hold_listener)
		start_listener(w, p, len, NULL);
}

static bool
is_dropped(struct end *e)
{
	struct world *w = e->w;
	int side = e == &w->claimer ? 0 : 1;
	unsigned n = w->n_packets[side]++;

	return side == w->drop_end && n >= w->drop_first &&
	       n - w->drop_first < w->drop_n;
}

static bool
is_lost(struct world *w)
{
	/* Knuth's MMIX generator: reproducible by its seed. */
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return w->cut || (w->random >> 33) % 1000 < w->loss_permille;
}

static void
relay(struct end *e, const void *msg, size_t len)
{
	if (e->other->packets == NULL || e->other->gone)
		return;
	(void)chan_send(e->other->packets, msg, len, NULL, 0);
	if (chan_queued(e->other->packets) > HIGH_WATER && !e->paused) {
		e->paused = true;
		chan_pause(e->packets, true);
	}
}

static bool
has_text(const uint8_t *p, size_t len, const char *text)
{
	return len < IPC_MAX_ENVELOPE && *p == '{' &&
	       memmem(p, len, text, strlen(text)) != NULL;
}

/* What a sibling would not understand, or not say. */
static bool
is_swallowed(const struct world *w, const uint8_t *p, size_t len)
{
	return (w->is_sibling && has_text(p, len, NATIVE_CONTROL_TYPE)) ||
	       (w->no_ready && has_text(p, len, "v2_data_plane_ready"));
}

static void
relay_some(struct end *e, struct buf_reader *batch)
{
	static uint8_t out[IPC_MAX_BATCH];
	struct buf_writer w = buf_writer(out, sizeof(out));
	const uint8_t *p;
	size_t len;

	while (ipc_packet_next(batch, 0, NULL, &p, &len) == 1) {
		if (len > 30 && memcmp(p, "{\"type\":\"decision\"", 18) == 0)
			e->decisions++;
		if (len > 5 && *p >= 0x80 && memcmp(p + 1, "\0\0\0", 4) == 0)
			e->versions++;
		if (is_swallowed(e->w, p, len) || is_dropped(e))
			continue;
		if (e->other->pid == 0 && e == &e->w->claimer)
			to_gate(e->w, p, len);
		else if (!is_lost(e->w))
			world_need(
			    ipc_packet_put(&w, NULL, p, len) == 0, "batch");
	}
	if (w.len > 0)
		relay(e, w.p, w.len);
}

static void
on_packets(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
{
	struct end *e = arg;
	struct buf_reader batch = buf_reader(msg, len);

	(void)fds;
	(void)n_fds;
	(void)now;
	if (e->other->pid == 0 || e->w->loss_permille > 0 || e->w->cut ||
	    e->w->drop_n > 0 || len < 4096)
		relay_some(e, &batch);
	else
		relay(e, msg, len);
}

static void
init(struct world *w, enum ipc_kind kind, bool one_stream)
{
	static struct ipc_boot_session b;
	struct key32 unused;

	memset(&b, 0, sizeof(b));
	w->kind = kind;
	w->random = 1;
	w->signer_fd = -1;
	w->loop = loop_new();
	world_need(w->loop != NULL, "loop");
	w->claimer.w = w->listener.w = w;
	w->claimer.other = &w->listener;
	w->listener.other = &w->claimer;
	secret_curve_keypair(&unused, &w->claimer_derp);
	world_make_token(w, &b);
	b.kind = kind;
	b.one_stream = one_stream;
	b.verbose = true;
	b.raw_direct = true;
	b.force_relay = w->force_relay[0];
	b.own_derp = w->claimer_derp;
	b.peer_derp = w->listener_derp;
	b.peer_quic = w->listener_quic;
	session_keys_disco(
	    &b.disco_key, &b.bearer, &b.session_id, &b.own_derp, &b.peer_derp);
	boot_end(&w->claimer, &b, -1);
}

void
world_init(struct world *w, enum ipc_kind kind, bool one_stream)
{
	memset(w, 0, sizeof(*w));
	init(w, kind, one_stream);
}

void
world_init_net(struct world *w, enum ipc_kind kind,
    void (*on_boot)(struct end *e), const bool force_relay[2])
{
	memset(w, 0, sizeof(*w));
	w->on_boot = on_boot;
	w->force_relay[0] = force_relay[0];
	w->force_relay[1] = force_relay[1];
	init(w, kind, false);
}

void
world_init_transfer(struct world *w)
{
	struct world fresh = {
		.set_boot = w->set_boot,
		.on_boot = w->on_boot,
		.on_message = w->on_message,
		.arg = w->arg,
		.force_relay = { w->force_relay[0], w->force_relay[1] },
	};

	*w = fresh;
	init(w, IPC_KIND_TRANSFER, false);
}

static void
end_fini(struct end *e)
{
	int status;

	if (e->pid == 0)
		return;
	chan_free(e->control); /* end of file: the worker leaves */
	chan_free(e->packets);
	e->control = e->packets = NULL;
	for (int i = 0; i < 200; i++) {
		if (waitpid(e->pid, &status, WNOHANG) == e->pid)
			return;
		(void)usleep(10000);
	}
	printf("# worker %d hangs\n", (int)e->pid);
	(void)kill(e->pid, SIGKILL);
	(void)waitpid(e->pid, &status, 0);
}

void
world_fini(struct world *w)
{
	end_fini(&w->claimer);
	end_fini(&w->listener);
	loop_io_free(w->signer_io);
	fd_close(&w->signer_fd);
	gate_free(w->gate);
	loop_free(w->loop);
}

/* The queue it waited for has room again. */
static void
resume(struct end *e)
{
	if (!e->paused || e->other->packets == NULL ||
	    chan_queued(e->other->packets) > HIGH_WATER / 2)
		return;
	e->paused = false;
	chan_pause(e->packets, false);
}

static void
on_turn_end(void *arg, struct mono now)
{
	struct world *w = arg;

	(void)now;
	resume(&w->claimer);
	resume(&w->listener);
	if (w->until(w))
		loop_stop(w->loop);
}

static void
on_timeout(void *arg, struct mono now)
{
	struct world *w = arg;

	(void)now;
	loop_stop(w->loop);
}

bool
world_run(struct world *w, bool (*until)(struct world *w), int ms)
{
	struct loop_timer *t = loop_timer_new(w->loop, on_timeout, w);

	w->until = until;
	loop_timer_at(t, mono_add(mono_now(), ms * MONO_MS));
	loop_set_turn_end(w->loop, on_turn_end, w);
	if (!until(w))
		(void)loop_run(w->loop);
	loop_timer_free(t);
	return until(w);
}

int
world_connect(unsigned short port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	world_need(
	    connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0, "connect");
	(void)fd_set_nonblock(fd);
	return fd;
}

bool
world_has_listener(struct world *w)
{
	return w->listener.pid != 0;
}

bool
world_never(struct world *w)
{
	(void)w;
	return false;
}

bool
world_is_ready(struct world *w)
{
	return w->claimer.statuses[IPC_STATUS_READY] &&
	       w->listener.statuses[IPC_STATUS_READY];
}

bool
world_listener_ended(struct world *w)
{
	return w->listener.ended && w->listener.gone;
}

bool
world_claimer_ended(struct world *w)
{
	return w->claimer.ended && w->claimer.gone;
}

bool
world_is_ended(struct world *w)
{
	return world_listener_ended(w) && world_claimer_ended(w);
}
