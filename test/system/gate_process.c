/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real derptun-gate, confined as in production, driven over its two
 * channels: claims, rivals, release, floods, violations, and its end.
 *
 * usage: gate_process PATH_OF_DERPTUN_GATE
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/ipc/exitcode.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"
#include "proto/rendezvous/claimer.h"
#include "proto/rendezvous/gate.h"
#include "proto/rendezvous/session_keys.h"
#include "proto/transfer/transfer_claim.h"
#include "proto/transfer/transfer_flow.h"
#include "test/sanitized.h"
#include "test/tap.h"

#define BUFFER (1 << 20)
#define FLOOD 10000

struct gate_child {
	pid_t pid;
	int control;
	int packets;
};

static const char *gate_path;
static struct session_token token;
static uint8_t message[IPC_MAX_MESSAGE];
static uint8_t batch[IPC_MAX_BATCH];
static struct ipc_accept accepted;

static struct gate_child
spawn(void)
{
	struct gate_child c;
	int control[2], packets[2];

	if (fd_seqpacket_pair(&control[0], &control[1], BUFFER) != 0 ||
	    fd_seqpacket_pair(&packets[0], &packets[1], BUFFER) != 0)
		abort();
	c.control = control[0];
	c.packets = packets[0];
	c.pid = fork();
	if (c.pid == 0) {
		/* Above the target numbers first, then onto them. */
		int a = dup(control[1]), b = dup(packets[1]);

		/* A stopped one does not see our end. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(a, IPC_FD_CONTROL);
		(void)dup2(b, IPC_FD_PACKETS);
		fd_close_from(IPC_FD_PACKETS + 1);
		(void)execl(gate_path, gate_path, (char *)NULL);
		_exit(127);
	}
	fd_close(&control[1]);
	fd_close(&packets[1]);
	return c;
}

/* Wait for one control message; 0 when none comes. */
static uint16_t
receive(struct gate_child *c, struct buf_reader *ret_body, int timeout_ms)
{
	struct ipc_view view = { IPC_TO_DAEMON, IPC_ROLE_GATE,
		IPC_STATE_RUNNING };
	struct ipc_header h;

	for (;;) {
		struct pollfd p = { .fd = c->control, .events = POLLIN };
		int fds[FD_MAX_PASSED];
		size_t n_fds = 0;
		ssize_t n;

		if (poll(&p, 1, timeout_ms) != 1)
			return 0;
		n = fd_recv(c->control, message, sizeof(message), fds, &n_fds);
		if (n <= 0 || ipc_parse(&view, message, (size_t)n, n_fds, &h,
				  ret_body) != 0)
			return 0;
		if (h.type == IPC_LOG) {
			struct ipc_log log;

			if (ipc_get_log(ret_body, &log) == 0)
				printf("# gate: %s\n", log.line);
			continue;
		}
		return h.type;
	}
}

static void
send_peer(struct gate_child *c, enum ipc_type type, const struct key32 *peer,
    int value)
{
	struct buf_writer w = buf_writer(message, sizeof(message));

	ipc_begin(&w, type, 1, 0);
	ipc_put_peer(&w, peer, value);
	(void)fd_send(c->control, message, w.len, NULL, 0);
}

/* @holder: who holds the slot already, or NULL. */
static void
boot(struct gate_child *c, const struct key32 *holder)
{
	struct ipc_boot_gate b;
	struct buf_writer w = buf_writer(message, sizeof(message));
	struct buf_reader body;

	memset(&b, 0, sizeof(b));
	b.kind = (token.capabilities & TOKEN_CAP_TRANSFER_V2) != 0
		     ? IPC_KIND_TRANSFER
		     : IPC_KIND_SHARE;
	b.token_version = token.version;
	b.session_id = token.session_id;
	b.expires_unix = token.expires_unix;
	b.derp_public = token.derp_public;
	b.quic_public = token.quic_public;
	b.secret = token.bearer;
	b.capabilities = token.capabilities;
	if (holder != NULL) {
		b.held = true;
		b.holder = *holder;
	}
	ipc_begin(&w, IPC_BOOT_GATE, 1, 0);
	ipc_put_boot_gate(&w, &b);
	(void)fd_send(c->control, message, w.len, NULL, 0);
	EQ_INT(receive(c, &body, 5000), IPC_BORN, "gate is born");
}

static void
send_packet(
    struct gate_child *c, const struct key32 *from, const void *p, size_t len)
{
	struct buf_writer w = buf_writer(batch, sizeof(batch));

	(void)ipc_packet_put(&w, from->b, p, len);
	(void)fd_send(c->packets, batch, w.len, NULL, 0);
}

/* A packet that the gate sends, in the static batch.  False when none came. */
static bool
take_packet(struct gate_child *c, int timeout_ms, const uint8_t **ret_payload,
    size_t *ret_len)
{
	struct pollfd p = { .fd = c->packets, .events = POLLIN };
	struct buf_reader r;
	const uint8_t *key;
	int fds[FD_MAX_PASSED];
	size_t n_fds = 0;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) != 1)
		return false;
	n = fd_recv(c->packets, batch, sizeof(batch), fds, &n_fds);
	if (n <= 0)
		return false;
	r = buf_reader(batch, (size_t)n);
	return ipc_packet_next(&r, 1, &key, ret_payload, ret_len) == 1;
}

/* A decision sent to a claimer, given to it.  False when none came. */
static bool
take_decision(struct gate_child *c, struct claimer *claimer, int timeout_ms)
{
	const uint8_t *payload;
	size_t len;

	return take_packet(c, timeout_ms, &payload, &len) &&
	       claimer_input(claimer, &token.derp_public, payload, len);
}

static struct claimer *
make_claimer(struct key32 *ret_derp)
{
	struct claimer_params p;
	struct key32 derp_private;

	claimer_params_from_session(&p, &token);
	secret_curve_keypair(&derp_private, ret_derp);
	p.own_derp_public = *ret_derp;
	secret_curve_keypair(&derp_private, &p.own_quic_public);
	return claimer_new(&p, mono_now());
}

static void
send_claim(
    struct gate_child *c, struct claimer *claimer, const struct key32 *derp)
{
	const uint8_t *p;
	size_t len;

	if (claimer_output(claimer, claimer_next_deadline(claimer), &p, &len))
		send_packet(c, derp, p, len);
}

/* Claim as a claimer does, again and again, until a control message comes: the
 * two channels are not ordered between themselves. */
static uint16_t
claim_until_heard(struct gate_child *c, struct claimer *claimer,
    const struct key32 *derp, struct buf_reader *ret_body)
{
	uint16_t type = 0;

	for (int i = 0; i < 50 && type == 0; i++) {
		send_claim(c, claimer, derp);
		type = receive(c, ret_body, 100);
	}
	return type;
}

static long
resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f != NULL)
		(void)fclose(f);
	return kib;
}

static int
exit_status(struct gate_child *c, int timeout_ms)
{
	int status = -1;

	for (int i = 0; i < timeout_ms / 10; i++) {
		if (waitpid(c->pid, &status, WNOHANG) == c->pid)
			return WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status);
		(void)usleep(10000);
	}
	(void)kill(c->pid, SIGKILL);
	(void)waitpid(c->pid, &status, 0);
	return -1;
}

/* Returns the first claimer, admitted. */
static struct claimer *
test_accept(struct gate_child *c, struct key32 *ret_derp)
{
	struct claimer *claimer = make_claimer(ret_derp);
	struct buf_reader body;

	send_claim(c, claimer, ret_derp);
	EQ_INT(receive(c, &body, 5000), IPC_ACCEPT, "a claim is admitted");
	EQ_INT(ipc_get_accept(&body, &accepted), 0, "its message is read");
	EQ_MEM(accepted.peer_derp.b, ret_derp->b, 32, "names the claimer");
	EQ_MEM(accepted.envelope_key.b, claimer_peek_envelope_key(claimer)->b,
	    32, "and the derived envelope key");
	OK(claimer_input(claimer, &token.derp_public, accepted.decision,
	       accepted.decision_len),
	    "the claimer takes the decision");
	EQ_INT(claimer_state(claimer), CLAIMER_ACCEPTED, "as acceptance");
	send_peer(c, IPC_ACCEPTED, ret_derp, 0);
	return claimer;
}

/* A holder that goes while it is asked about: the next one is asked about at
 * once. */
static void
test_next_holder(struct gate_child *c, const struct key32 *holder)
{
	struct key32 derp, next;
	struct claimer *rival = make_claimer(&next);
	struct buf_reader body;
	struct ipc_peer peer;
	struct mono begin;

	EQ_INT(claim_until_heard(c, rival, &next, &body), IPC_CHECK,
	    "a rival makes it ask");
	begin = mono_now();
	send_peer(c, IPC_RELEASE, holder, 0);
	EQ_INT(claim_until_heard(c, rival, &next, &body), IPC_ACCEPT,
	    "instead of an answer the holder goes");
	claimer_free(rival);
	rival = make_claimer(&derp);
	EQ_INT(claim_until_heard(c, rival, &derp, &body), IPC_CHECK,
	    "the next rival makes it ask");
	OK(mono_diff(mono_now(), begin) < 4 * MONO_SEC,
	    "without waiting for the first answer");
	EQ_INT(ipc_get_peer(&body, &peer), 0, "about");
	EQ_MEM(peer.peer_derp.b, next.b, 32, "the next holder");
	claimer_free(rival);
}

static void
test_rival(struct gate_child *c, const struct key32 *holder)
{
	struct key32 derp;
	struct claimer *rival = make_claimer(&derp);
	struct buf_reader body;
	struct ipc_peer peer;

	send_claim(c, rival, &derp);
	EQ_INT(receive(c, &body, 5000), IPC_CHECK, "a rival makes it ask");
	EQ_INT(ipc_get_peer(&body, &peer), 0, "about");
	EQ_MEM(peer.peer_derp.b, holder->b, 32, "the holder");
	OK(!take_decision(c, rival, 100), "the rival waits");
	send_peer(c, IPC_CHECKED, holder, 1);
	for (int i = 0; i < 50 && claimer_state(rival) == CLAIMER_WAITING;
	     i++) {
		send_claim(c, rival, &derp);
		(void)take_decision(c, rival, 100);
	}
	EQ_INT(claimer_state(rival), CLAIMER_REJECTED, "then it is rejected");
	EQ_STR(claimer_reason(rival), "session already claimed", "saying why");
	claimer_free(rival);

	rival = make_claimer(&derp);
	send_peer(c, IPC_RELEASE, holder, 0);
	EQ_INT(claim_until_heard(c, rival, &derp, &body), IPC_ACCEPT,
	    "after release: admitted");
	EQ_INT(ipc_get_accept(&body, &accepted), 0, "as");
	EQ_MEM(accepted.peer_derp.b, derp.b, 32, "the new holder");
	send_peer(c, IPC_ACCEPTED, &derp, -ENOMEM);
	EQ_INT(claim_until_heard(c, rival, &derp, &body), IPC_ACCEPT,
	    "a session that did not start frees the slot");
	claimer_free(rival);
	test_next_holder(c, &derp);
}

static void
test_flood(struct gate_child *c)
{
	static const char junk[] =
	    "{\"type\":\"claim\",\"mac\":\"AAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"claim\":"
	    "{\"version\":5,\"candidates\":[]}}";
	struct buf_reader body;
	struct key32 from;
	long before = resident_kib(c->pid);

	for (int i = 0; i < FLOOD; i++) {
		secret_random(&from, sizeof(from));
		send_packet(c, &from, junk, sizeof(junk) - 1);
		if (i % 64 == 0)
			(void)usleep(1000);
	}
	EQ_INT(receive(c, &body, 300), 0, "forged claims get nothing");
	if (!SANITIZED) /* with which freed memory stays */
		OK(resident_kib(c->pid) - before < 1024,
		    "%d of them cost %ld KiB of memory", FLOOD,
		    resident_kib(c->pid) - before);
}

static struct transfer_flow *
make_claimant(struct key32 *ret_derp)
{
	struct transfer_params p = { .role = TRANSFER_SEND_CLAIMANT,
		.peer_derp = token.derp_public,
		.accept_limit_us = INT64_C(3600) * MONO_SEC,
		.force_relay = true,
		.is_open = true,
		.size = -1 };

	session_keys_envelope(
	    &p.envelope_key, &token.bearer, &token.session_id);
	secret_random(&p.own_quic_public, sizeof(p.own_quic_public));
	secret_random(ret_derp, sizeof(*ret_derp));
	return transfer_flow_new(&p, NULL, mono_now());
}

static size_t
send_transfer_claim(
    struct gate_child *c, struct transfer_flow *f, const struct key32 *derp)
{
	static uint8_t pkt[TRANSFER_FLOW_MAX_PACKET];
	struct buf_writer w = buf_writer(pkt, sizeof(pkt));

	if (transfer_flow_output(f, transfer_flow_next_deadline(f), &w) == 1)
		send_packet(c, derp, pkt, w.len);
	return w.len;
}

/* As claim_until_heard(). */
static uint16_t
transfer_until_heard(struct gate_child *c, struct transfer_flow *f,
    const struct key32 *derp, struct buf_reader *ret_body)
{
	uint16_t type = 0;

	for (int i = 0; i < 50 && type == 0; i++) {
		(void)send_transfer_claim(c, f, derp);
		type = receive(c, ret_body, 100);
	}
	return type;
}

/* What the gate answers, given to the claimant. */
static bool
take_refusal(struct gate_child *c, struct transfer_flow *f, int timeout_ms)
{
	const uint8_t *payload;
	size_t len;

	return take_packet(c, timeout_ms, &payload, &len) &&
	       transfer_flow_input(f, mono_now(), &token.derp_public, payload,
		   len) == TRANSFER_INPUT_TAKEN;
}

static void
expect_refusal(struct gate_child *c, const char *why)
{
	struct key32 derp;
	struct transfer_flow *f = make_claimant(&derp);
	struct buf_reader body;

	(void)send_transfer_claim(c, f, &derp);
	OK(take_refusal(c, f, 5000), "%s: answered", why);
	EQ_INT(
	    transfer_flow_result(f), -DT_ERR_PEER_REJECTED, "%s: refused", why);
	OK(strstr(transfer_flow_reason(f), why) != NULL, "%s: with a reason",
	    why);
	EQ_INT(receive(c, &body, 50), 0, "%s: the daemon hears nothing", why);
	transfer_flow_free(f);
}

static void
test_transfer(void)
{
	struct gate_child c = spawn();
	struct key32 holder, envelope_key;
	struct transfer_flow *f = make_claimant(&holder);
	struct buf_reader body;
	size_t len;

	token.capabilities = TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2;
	session_keys_envelope(&envelope_key, &token.bearer, &token.session_id);
	boot(&c, NULL);
	len = send_transfer_claim(&c, f, &holder);
	EQ_INT(receive(&c, &body, 5000), IPC_ACCEPT, "a claim is admitted");
	EQ_INT(ipc_get_accept(&body, &accepted), 0, "its message is read");
	EQ_MEM(accepted.peer_derp.b, holder.b, 32, "names the claimant");
	EQ_MEM(accepted.envelope_key.b, envelope_key.b, 32, "and the key");
	EQ_INT(accepted.claim_len, len, "with the claim");
	EQ_INT(accepted.decision_len, 0, "but no decision");
	send_peer(&c, IPC_ACCEPTED, &holder, 0);
	(void)send_transfer_claim(&c, f, &holder);
	OK(!take_refusal(&c, f, 100), "its own claim again is not refused");
	EQ_INT(receive(&c, &body, 50), 0, "nor admitted");
	expect_refusal(&c, TRANSFER_CLAIM_TAKEN);
	transfer_flow_free(f);
	send_peer(&c, IPC_RELEASE, &holder, 0);
	f = make_claimant(&holder);
	EQ_INT(transfer_until_heard(&c, f, &holder, &body), IPC_ACCEPT,
	    "admitted after release");
	transfer_flow_free(f);
	test_flood(&c);
	fd_close(&c.control);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_OK, "ends with the daemon");
	fd_close(&c.packets);

	c = spawn();
	boot(&c, &holder);
	expect_refusal(&c, TRANSFER_CLAIM_TAKEN);
	fd_close(&c.control);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_OK, "an adopted slot");
	fd_close(&c.packets);

	token.expires_unix = mono_unix_seconds() - 1;
	c = spawn();
	boot(&c, NULL);
	expect_refusal(&c, TRANSFER_CLAIM_EXPIRED);
	fd_close(&c.control);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_OK, "an old token");
	fd_close(&c.packets);
}

int
main(int argc, char **argv)
{
	struct gate_child c;
	struct key32 holder;
	struct claimer *claimer;

	if (argc != 2 || secret_init() != 0)
		return 2;
	gate_path = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	token_session_mint(
	    &token, mono_unix_seconds() + 60, 1, NULL, TOKEN_CAP_SHARE);
	secret_random(&token.derp_public, sizeof(token.derp_public));
	secret_random(&token.quic_public, sizeof(token.quic_public));

	c = spawn();
	boot(&c, NULL);
	claimer = test_accept(&c, &holder);
	test_rival(&c, &holder);
	test_flood(&c);
	claimer_free(claimer);
	fd_close(&c.control);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_OK, "ends with the daemon");
	fd_close(&c.packets);

	c = spawn();
	boot(&c, NULL);
	send_peer(&c, IPC_CHECK, &holder, 0);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_IPC,
	    "a message the daemon may not send ends it");
	fd_close(&c.control);
	fd_close(&c.packets);

	c = spawn();
	boot(&c, &holder);
	test_rival(&c, &holder);
	fd_close(&c.control);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_OK, "an adopted slot too");
	fd_close(&c.packets);

	c = spawn();
	(void)fd_send(c.control, "nonsense", 8, NULL, 0);
	EQ_INT(exit_status(&c, 10000), EXIT_WORKER_BOOT,
	    "a bad boot message ends it");
	fd_close(&c.control);
	fd_close(&c.packets);
	test_transfer();
	return tap_done();
}
