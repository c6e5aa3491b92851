/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "lib/err.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_network.h"
#include "proto/path/direct.h"
#include "test/tap.h"

static uint8_t msg[IPC_MAX_MESSAGE];

static struct addr
ip6(unsigned i, uint16_t port)
{
	struct addr a = { .family = AF_INET6, .port = port };

	a.ip[0] = 0x20;
	a.ip[15] = (uint8_t)i;
	return a;
}

/* Body behind a header, as the other side judges it. */
static int
parse(struct buf_writer *w, bool to_worker, size_t n_fds, struct buf_reader *r)
{
	struct ipc_view v = { to_worker ? IPC_TO_WORKER : IPC_TO_DAEMON,
		IPC_ROLE_SESSION, IPC_STATE_RUNNING };
	struct ipc_header h;

	return w->err != 0 ? w->err : ipc_parse(&v, msg, w->len, n_fds, &h, r);
}

static void
test_sockets(void)
{
	struct ipc_sockets s = { .n = 3 }, s2;
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct buf_reader r;
	int bad = 0;

	memset(&s2, 0, sizeof(s2));
	for (uint8_t i = 0; i < s.n; i++) {
		s.socket[i].use = (uint8_t)(i + 1);
		s.socket[i].port = (uint16_t)(40000 + i);
	}
	ipc_begin(&w, IPC_SOCKETS, 1, 0);
	ipc_put_sockets(&w, &s);
	EQ_INT(parse(&w, true, 3, &r), 0, "sockets are permitted");
	EQ_INT(ipc_get_sockets(&r, &s2), 0, "and read");
	EQ_INT(s2.n, 3, "three");
	EQ_INT(s2.socket[2].use, IPC_SOCKET_RAW4, "use");
	EQ_INT(s2.socket[2].port, 40002, "port");
	EQ_INT(parse(&w, true, 5, &r), -DT_ERR_IPC, "five descriptors");
	EQ_INT(parse(&w, false, 3, &r), -DT_ERR_IPC, "not from a worker");
	for (size_t n = 0; n < w.len - IPC_HEADER_LEN; n++) {
		r = buf_reader(msg + IPC_HEADER_LEN, n);
		bad += ipc_get_sockets(&r, &s2) != -DT_ERR_IPC;
	}
	EQ_INT(bad, 0, "every truncation is refused");
	s.socket[1].use = IPC_SOCKET_MANAGED4;
	w = buf_writer(msg, sizeof(msg));
	ipc_put_sockets(&w, &s);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_sockets(&r, &s2), -DT_ERR_IPC, "the same use twice");
	r = buf_reader("\5", 1);
	EQ_INT(ipc_get_sockets(&r, &s2), -DT_ERR_IPC, "more than fit");
	r = buf_reader("\1\4\1\1", 4);
	EQ_INT(ipc_get_sockets(&r, &s2), -DT_ERR_IPC, "unknown use");
	r = buf_reader("\1\1\0\0", 4);
	EQ_INT(ipc_get_sockets(&r, &s2), -DT_ERR_IPC, "port 0");
	r = buf_reader("\0", 1);
	EQ_INT(ipc_get_sockets(&r, &s2), 0, "none at all");
}

static void
test_network(void)
{
	static struct ipc_network n, n2;
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct buf_reader r;
	int bad = 0;

	n.changed = true;
	n.n_own = IPC_MAX_OWN;
	for (unsigned i = 0; i < IPC_MAX_OWN; i++)
		n.own[i] = ip6(i, 0);
	n.n_stun = IPC_MAX_STUN;
	for (unsigned i = 0; i < IPC_MAX_STUN; i++)
		n.stun[i] = ip6(i, 3478);
	EQ_INT(addr_parse(&n.stun[0], "192.0.2.1:3478"), 0, "an IPv4 server");
	n.has_mapping = true;
	EQ_INT(addr_parse(&n.mapping, "198.51.100.7:4444"), 0, "a mapping");
	ipc_begin(&w, IPC_NETWORK, 1, 0);
	ipc_put_network(&w, &n);
	EQ_INT(parse(&w, true, 0, &r), 0, "the largest network fits");
	EQ_INT(ipc_get_network(&r, &n2), 0, "and is read");
	OK(memcmp(&n, &n2, sizeof(n)) == 0, "unchanged");
	for (size_t i = 0; i < w.len - IPC_HEADER_LEN; i++) {
		r = buf_reader(msg + IPC_HEADER_LEN, i);
		bad += ipc_get_network(&r, &n2) != -DT_ERR_IPC;
	}
	EQ_INT(bad, 0, "every truncation is refused");
	r = buf_reader(msg + IPC_HEADER_LEN, w.len - IPC_HEADER_LEN + 1);
	EQ_INT(ipc_get_network(&r, &n2), -DT_ERR_IPC, "trailing byte");
	msg[IPC_HEADER_LEN + 1] = IPC_MAX_OWN + 1;
	r = buf_reader(msg + IPC_HEADER_LEN, w.len - IPC_HEADER_LEN);
	EQ_INT(ipc_get_network(&r, &n2), -DT_ERR_IPC, "one address too many");
	r = buf_reader("\0\1\0\0\0", 5);
	EQ_INT(
	    ipc_get_network(&r, &n2), -DT_ERR_IPC, "an address of no family");
	r = buf_reader("\0\1\5\0\0\1\1\1\1\0\0", 11);
	EQ_INT(ipc_get_network(&r, &n2), -DT_ERR_IPC, "or of an unknown one");
	r = buf_reader("\0\0\0\0", 4);
	EQ_INT(ipc_get_network(&r, &n2), 0, "nothing known");
}

static int
path_again(const struct ipc_path *p, struct ipc_path *ret)
{
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct buf_reader r;

	ipc_begin(&w, IPC_PATH, 1, 0);
	ipc_put_path(&w, p);
	return parse(&w, false, 0, &r) != 0 ? -1 : ipc_get_path(&r, ret);
}

static void
test_path(void)
{
	struct ipc_path p, p2;
	struct buf_reader r;

	memset(&p, 0, sizeof(p));
	memset(&p2, 0, sizeof(p2));
	p.kind = PATH_KIND_RELAY;
	memset(p.reason, 'r', sizeof(p.reason) - 1);
	EQ_INT(path_again(&p, &p2), 0, "relay");
	OK(memcmp(&p, &p2, sizeof(p)) == 0, "unchanged");
	p.peer = ip6(7, 9);
	EQ_INT(path_again(&p, &p2), -DT_ERR_IPC, "a relay has no address");
	p.kind = PATH_KIND_MANAGED;
	EQ_INT(path_again(&p, &p2), 0, "managed");
	OK(addr_equal(&p.peer, &p2.peer), "its address");
	p.kind = PATH_KIND_RAW + 1;
	EQ_INT(path_again(&p, &p2), -DT_ERR_IPC, "unknown kind");
	p.kind = 0;
	EQ_INT(path_again(&p, &p2), -DT_ERR_IPC, "no kind");
	p.kind = PATH_KIND_RAW;
	p.peer.family = 0;
	EQ_INT(path_again(&p, &p2), -DT_ERR_IPC, "raw needs an address");
	p.kind = PATH_KIND_RELAY;
	p.reason[3] = '\n';
	EQ_INT(path_again(&p, &p2), -DT_ERR_IPC, "a reason is one line");
	r = buf_reader("\1\0\0\100", 4);
	EQ_INT(ipc_get_path(&r, &p2), -DT_ERR_IPC, "a reason too long");
}

static struct ipc_explanation e, e2;

static void
fill_explanation(void)
{
	memset(&e, 0, sizeof(e));
	e.path.kind = PATH_KIND_MANAGED;
	e.path.peer = ip6(1, 1);
	memset(e.path.reason, 'x', sizeof(e.path.reason) - 1);
	e.path_ms = UINT32_MAX;
	e.switches = 500;
	e.peer_is_native = true;
	e.raw = 6;
	e.stun_asked = 8;
	e.stun_answered = 2;
	e.symmetric = true;
	e.payload = 1452;
	e.n_own = IPC_MAX_CANDIDATES;
	e.n_peer = IPC_MAX_CANDIDATES;
	for (unsigned i = 0; i < IPC_MAX_CANDIDATES; i++) {
		e.own[i] = ip6(i, (uint16_t)i);
		e.peer[i].addr = ip6(i + 100, (uint16_t)i);
		e.peer[i].state =
		    (uint8_t)(i % (unsigned)(DIRECT_TRY_SELECTED + 1));
		e.peer[i].reflexive = i % 2 != 0;
		e.peer[i].probes = i;
		e.peer[i].acks = i / 2;
		e.peer[i].rtt_us = i * 1000;
		e.peer[i].error = -(int32_t)i;
	}
}

static void
test_explanation(void)
{
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct buf_reader r;
	size_t last;
	int bad = 0;

	fill_explanation();
	memset(&e2, 0, sizeof(e2));
	ipc_begin(&w, IPC_EXPLANATION, 1, 4);
	ipc_put_explanation(&w, &e);
	EQ_INT(parse(&w, false, 0, &r), 0, "the largest explanation fits");
	EQ_INT(ipc_get_explanation(&r, &e2), 0, "and is read");
	OK(memcmp(&e, &e2, sizeof(e)) == 0, "unchanged");
	for (size_t i = 0; i < w.len - IPC_HEADER_LEN; i++) {
		r = buf_reader(msg + IPC_HEADER_LEN, i);
		bad += ipc_get_explanation(&r, &e2) != -DT_ERR_IPC;
	}
	EQ_INT(bad, 0, "every truncation is refused");
	/* state and reflexive of the last row */
	last = w.len - 18;
	msg[last] = DIRECT_TRY_SELECTED + 1;
	r = buf_reader(msg + IPC_HEADER_LEN, w.len - IPC_HEADER_LEN);
	EQ_INT(ipc_get_explanation(&r, &e2), -DT_ERR_IPC, "unknown state");
	msg[last] = DIRECT_TRY_SELECTED;
	msg[last + 1] = 2;
	r = buf_reader(msg + IPC_HEADER_LEN, w.len - IPC_HEADER_LEN);
	EQ_INT(ipc_get_explanation(&r, &e2), -DT_ERR_IPC, "no flag");
	memset(&e.path, 0, sizeof(e.path));
	w = buf_writer(msg, sizeof(msg));
	ipc_put_explanation(&w, &e);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_explanation(&r, &e2), 0, "no path yet");
	e.raw = 7;
	w = buf_writer(msg, sizeof(msg));
	ipc_put_explanation(&w, &e);
	r = buf_reader(msg, w.len);
	EQ_INT(ipc_get_explanation(&r, &e2), -DT_ERR_IPC, "unknown raw state");
}

int
main(void)
{
	test_sockets();
	test_network();
	test_path();
	test_explanation();
	return tap_done();
}
