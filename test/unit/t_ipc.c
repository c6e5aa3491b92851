/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "lib/err.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"
#include "test/tap.h"

static uint8_t msg[IPC_MAX_MESSAGE];

static const struct ipc_view from_session = { IPC_TO_DAEMON, IPC_ROLE_SESSION,
	IPC_STATE_RUNNING };

static void
test_permits(void)
{
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct ipc_view v = from_session;
	struct ipc_header h;
	struct buf_reader body;
	uint32_t connection = 0;

	ipc_begin(&w, IPC_DIAL, 7, 9);
	ipc_put_u32(&w, 3);
	EQ_INT(ipc_parse(&v, msg, w.len, 0, &h, &body), 0, "DIAL is permitted");
	EQ_INT(h.session, 7, "session");
	EQ_INT(h.seq, 9, "sequence");
	EQ_INT(ipc_get_u32(&body, &connection), 0, "body");
	EQ_INT(connection, 3, "connection");
	EQ_INT(ipc_parse(&v, msg, w.len, 1, &h, &body), -DT_ERR_IPC,
	    "DIAL may not carry a descriptor");
	v.role = IPC_ROLE_GATE;
	EQ_INT(ipc_parse(&v, msg, w.len, 0, &h, &body), -DT_ERR_IPC,
	    "a gate may not DIAL");
	v = from_session;
	v.direction = IPC_TO_WORKER;
	EQ_INT(ipc_parse(&v, msg, w.len, 0, &h, &body), -DT_ERR_IPC,
	    "nor may the daemon");
	v = from_session;
	v.state = IPC_STATE_BORN;
	EQ_INT(ipc_parse(&v, msg, w.len, 0, &h, &body), -DT_ERR_IPC,
	    "nor a session before it booted");
	v = from_session;
	for (size_t n = 0; n < IPC_HEADER_LEN; n++)
		EQ_INT(ipc_parse(&v, msg, n, 0, &h, &body), -DT_ERR_IPC,
		    "header cut at %zu", n);
	EQ_INT(ipc_parse(&v, msg, IPC_HEADER_LEN + 17, 0, &h, &body),
	    -DT_ERR_IPC, "body above its size");
	msg[2] = 1;
	EQ_INT(ipc_parse(&v, msg, w.len, 0, &h, &body), -DT_ERR_IPC,
	    "flags must be zero");
	msg[2] = 0;
	for (unsigned t = 0; t < 1000; t++) {
		msg[0] = (uint8_t)(t >> 8);
		msg[1] = (uint8_t)t;
		if (strcmp(ipc_name((uint16_t)t), "?") == 0 &&
		    ipc_parse(&v, msg, w.len, 0, &h, &body) == 0) {
			OK(false, "unknown type %u accepted", t);
			return;
		}
	}
	OK(true, "unknown types are refused");
}

static struct ipc_boot_session boot, boot2;

static void
fill(void *p, size_t n)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(i * 7 + 1);
}

static void
test_boot_session(void)
{
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct buf_reader r;
	int bad = 0;

	memset(&boot, 0, sizeof(boot));
	boot.kind = IPC_KIND_DERPTUN;
	boot.listener = true;
	boot.verbose = true;
	boot.raw_direct = true;
	fill(&boot.own_derp, sizeof(boot.own_derp));
	fill(&boot.proof, sizeof(boot.proof));
	boot.cert_len = IPC_MAX_CERT;
	fill(boot.cert, sizeof(boot.cert));
	boot.claim_len = IPC_MAX_ENVELOPE;
	fill(boot.claim, sizeof(boot.claim));
	boot.decision_len = 5;
	fill(boot.decision, 5);
	boot.client_expires_unix = -5;
	strcpy(boot.client_name, "client-01234567");
	ipc_put_boot_session(&w, &boot);
	EQ_INT(w.err, 0, "session boot fits");
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_boot_session(&r, &boot2), 0, "and is read");
	OK(memcmp(&boot, &boot2, sizeof(boot)) == 0, "unchanged");
	for (size_t n = 0; n < w.len; n += n < 400 ? 1 : 97) {
		r = buf_reader(msg, n);
		if (ipc_get_boot_session(&r, &boot2) != -DT_ERR_IPC)
			bad++;
	}
	EQ_INT(bad, 0, "every truncation is refused");
	r = buf_reader(msg, w.len + 1);
	EQ_INT(ipc_get_boot_session(&r, &boot2), -DT_ERR_IPC, "trailing byte");
	msg[0] = 9;
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_boot_session(&r, &boot2), -DT_ERR_IPC, "unknown kind");
}

static void
test_bodies(void)
{
	struct ipc_boot_gate g, g2;
	struct ipc_reason reason;
	struct ipc_log log;
	struct ipc_status_body status;
	struct ipc_description d, d2;
	struct ipc_dialed dialed;
	struct ipc_peer peer;
	struct key32 key;
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct buf_reader r;
	char longtext[600];

	memset(&g, 0, sizeof(g));
	memset(&g2, 0, sizeof(g2));
	g.kind = IPC_KIND_SHARE;
	g.token_version = 6;
	fill(&g.secret, sizeof(g.secret));
	g.route_len = sizeof(g.route);
	fill(g.route, sizeof(g.route));
	ipc_put_boot_gate(&w, &g);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_boot_gate(&r, &g2), 0, "gate boot");
	OK(memcmp(&g, &g2, sizeof(g)) == 0, "unchanged");

	memset(longtext, 'x', sizeof(longtext));
	longtext[sizeof(longtext) - 1] = '\0';
	w = buf_writer(msg, sizeof(msg));
	ipc_put_reason(&w, -DT_ERR_PEER_GONE, longtext);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_reason(&r, &reason), 0, "reason");
	EQ_INT(reason.code, -DT_ERR_PEER_GONE, "its code");
	EQ_INT(strlen(reason.text), IPC_MAX_TEXT - 1, "text is cut");

	w = buf_writer(msg, sizeof(msg));
	ipc_put_log(&w, 6, longtext, strlen(longtext));
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_log(&r, &log), 0, "log line");
	EQ_INT(strlen(log.line), 512, "cut to its room");

	w = buf_writer(msg, sizeof(msg));
	ipc_put_status(&w, IPC_STATUS_READY, "");
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_status(&r, &status), 0, "status");
	EQ_INT(status.status, IPC_STATUS_READY, "its value");
	msg[0] = 77;
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_status(&r, &status), -DT_ERR_IPC, "unknown status");

	memset(&d, 0, sizeof(d));
	memset(&d2, 0, sizeof(d2));
	d.bytes_in = UINT64_MAX;
	d.idle_ms = 4;
	w = buf_writer(msg, sizeof(msg));
	ipc_put_description(&w, &d);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_description(&r, &d2), 0, "description");
	OK(memcmp(&d, &d2, sizeof(d)) == 0, "unchanged");

	w = buf_writer(msg, sizeof(msg));
	ipc_put_dialed(&w, 5, -111);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_dialed(&r, &dialed), 0, "dialed");
	EQ_INT(dialed.result, -111, "negative result survives");

	fill(&key, sizeof(key));
	w = buf_writer(msg, sizeof(msg));
	ipc_put_peer(&w, &key, 1);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_peer(&r, &peer), 0, "peer");
	EQ_MEM(peer.peer_derp.b, key.b, 32, "its key");
	EQ_INT(peer.value, 1, "its value");
}

static void
test_batches(void)
{
	static uint8_t batch[IPC_MAX_BATCH], big[IPC_MAX_BATCH];
	struct buf_writer w = buf_writer(batch, sizeof(batch));
	struct buf_reader r;
	const uint8_t *key, *payload;
	uint8_t peer[32];
	size_t len;
	int n = 0;

	while (ipc_packet_put(&w, NULL, big, 1200) == 0)
		n++;
	EQ_INT(n, IPC_MAX_BATCH / 1204, "packets of 1200 bytes in a batch");
	r = buf_reader(batch, w.len);
	while (ipc_packet_next(&r, 0, &key, &payload, &len) == 1)
		n--;
	EQ_INT(n, 0, "all come back");
	r = buf_reader(batch, w.len - 1);
	while ((n = ipc_packet_next(&r, 0, &key, &payload, &len)) == 1)
		;
	EQ_INT(n, -DT_ERR_IPC, "a cut batch is malformed");

	fill(peer, sizeof(peer));
	w = buf_writer(batch, sizeof(batch));
	EQ_INT(ipc_packet_put(&w, peer, "hello", 5), 0, "entry with key");
	r = buf_reader(batch, w.len);
	EQ_INT(ipc_packet_next(&r, 1, &key, &payload, &len), 1, "read back");
	EQ_MEM(key, peer, 32, "its key");
	EQ_MEM(payload, "hello", 5, "its payload");
	EQ_INT(ipc_packet_next(&r, 1, &key, &payload, &len), 0, "end");
	r = buf_reader("\0\0\0\0", 4);
	EQ_INT(ipc_packet_next(&r, 0, &key, &payload, &len), -DT_ERR_IPC,
	    "an empty entry is malformed");
	w = buf_writer(batch, sizeof(batch));
	EQ_INT(ipc_packet_put(&w, NULL, big, IPC_MAX_BATCH), -DT_ERR_FULL,
	    "a payload above a batch");
	EQ_INT(w.len, 0, "nothing was written");
}

int
main(void)
{
	test_permits();
	test_boot_session();
	test_bodies();
	test_batches();
	return tap_done();
}
