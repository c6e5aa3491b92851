/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A struct direct on virtual time, with a peer that is a set of addresses: a
 * probe to one that is up is acked after its round trip.  All that comes out is
 * logged.
 */
#ifndef TEST_UNIT_DIRECT_RIG_H
#define TEST_UNIT_DIRECT_RIG_H

#include <stdlib.h>
#include <string.h>

#include "proto/path/direct.h"
#include "test/tap.h"

#define RIG_MAX_HOSTS 16
#define RIG_MAX_LOG 16384
#define RIG_MAX_ACKS 1024
#define RIG_START (1000 * MONO_SEC)

struct rig_host {
	struct addr addr;
	int64_t rtt_us;
	bool up;
	size_t mtu; /* larger payloads vanish */
};

struct rig_event {
	struct mono at;
	enum direct_out_kind kind;
	struct addr to;
	size_t len;
	struct disco_packet packet;
};

struct rig_ack {
	struct mono at; /* NEVER: free */
	struct addr from;
	uint8_t pkt[DISCO_SIZE_ACK];
	size_t len;
};

struct rig {
	struct direct *d;
	struct mono now;
	struct key32 key;
	struct rig_host host[RIG_MAX_HOSTS];
	size_t n_hosts;
	struct rig_event log[RIG_MAX_LOG];
	size_t n_log;
	struct rig_ack ack[RIG_MAX_ACKS];
	bool chatty; /* the caller sends on the path every 100 ms */
	bool hears;  /* and is answered, if the host is up */
	struct mono chat;
	struct mono held; /* the peer stands still until then */
};

static inline struct addr
rig_addr(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse(&a, text) < 0)
		abort();
	return a;
}

/* "a b c" as a list. */
static inline struct candidate_list
rig_list(const char *texts)
{
	struct candidate_list list = { 0 };
	char copy[2048], *rest = copy, *word;

	(void)snprintf(copy, sizeof(copy), "%s", texts);
	while ((word = strsep(&rest, " ")) != NULL)
		if (word[0] != '\0')
			list.a[list.n++] = rig_addr(word);
	return list;
}

static inline void
rig_own(struct rig *r, const char *texts)
{
	struct candidate_list list = rig_list(texts);

	direct_set_own(r->d, &list, r->now);
}

static inline void
rig_peer(struct rig *r, const char *texts)
{
	struct candidate_list list = rig_list(texts);

	direct_set_peer(r->d, &list, r->now);
}

static inline struct rig *
rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct direct_params params = { .has_v4 = true, .has_v6 = true };

	if (r == NULL)
		abort();
	r->now = (struct mono){ RIG_START };
	memset(r->key.b, 7, sizeof(r->key.b));
	params.disco_key = r->key;
	r->d = direct_new(&params, r->now);
	for (size_t i = 0; i < RIG_MAX_ACKS; i++)
		r->ack[i].at = MONO_NEVER;
	r->chat = r->now;
	if (r->d == NULL)
		abort();
	return r;
}

static inline void
rig_free(struct rig *r)
{
	direct_free(r->d);
	free(r);
}

static inline struct rig_host *
rig_host(struct rig *r, const char *text, int64_t rtt_us)
{
	struct rig_host *h = &r->host[r->n_hosts++];

	*h = (struct rig_host){ .addr = rig_addr(text),
		.rtt_us = rtt_us,
		.up = true,
		.mtu = DIRECT_MAX_PACKET };
	return h;
}

static inline struct rig_host *
rig_find_host(struct rig *r, const struct addr *a)
{
	for (size_t i = 0; i < r->n_hosts; i++)
		if (addr_equal(&r->host[i].addr, a))
			return &r->host[i];
	return NULL;
}

/* A datagram of the peer. */
static inline void
rig_input(struct rig *r, const struct addr *from, enum disco_kind kind,
    struct disco_nonce nonce)
{
	struct disco_packet packet = {
		.kind = kind, .nonce = nonce, .size = DISCO_SIZE_ACK
	};
	uint8_t pkt[DISCO_SIZE_ACK];
	size_t len = disco_build(pkt, sizeof(pkt), &r->key, &packet);

	direct_input(r->d, from, pkt, len, r->now);
}

static inline struct disco_nonce
rig_nonce(uint64_t n)
{
	struct disco_nonce nonce = { { 0 } };

	memcpy(nonce.b, &n, sizeof(n));
	nonce.b[8] = (uint8_t)n;
	return nonce;
}

/* A probe of the peer, with a nonce of its own. */
static inline struct disco_nonce
rig_probe(struct rig *r, const char *from)
{
	static uint64_t counter;
	struct addr a = rig_addr(from);
	struct disco_nonce nonce = rig_nonce(++counter);

	rig_input(r, &a, DISCO_PROBE, nonce);
	return nonce;
}

static inline void
rig_answer(struct rig *r, const struct rig_event *ev)
{
	struct rig_host *h = rig_find_host(r, &ev->to);
	struct disco_packet packet = { .kind = DISCO_ACK,
		.nonce = ev->packet.nonce,
		.size = (uint16_t)ev->len };

	if (h == NULL || !h->up || ev->len > h->mtu ||
	    (ev->packet.kind != DISCO_PROBE &&
		ev->packet.kind != DISCO_SIZE_PROBE))
		return;
	if (ev->packet.kind == DISCO_SIZE_PROBE)
		packet.kind = DISCO_SIZE_ACKED;
	for (size_t i = 0; i < RIG_MAX_ACKS; i++) {
		struct rig_ack *a = &r->ack[i];

		if (!mono_is_never(a->at))
			continue;
		a->at = mono_add(r->now, h->rtt_us);
		if (mono_before(a->at, r->held))
			a->at = r->held;
		a->from = ev->to;
		a->len = disco_build(a->pkt, sizeof(a->pkt), &r->key, &packet);
		return;
	}
	abort();
}

static inline void
rig_drain(struct rig *r)
{
	struct direct_out out;
	int guard = 0;

	while (direct_output(r->d, r->now, &out)) {
		struct rig_event ev = { .at = r->now,
			.kind = out.kind,
			.to = out.to,
			.len = out.len };

		if (++guard > 10000)
			abort(); /* never ends */
		if (out.kind == DIRECT_OUT_PACKET &&
		    disco_parse(&ev.packet, &r->key, out.pkt, out.len) < 0)
			abort();
		if (r->n_log < RIG_MAX_LOG)
			r->log[r->n_log++] = ev;
		if (out.kind == DIRECT_OUT_PACKET)
			rig_answer(r, &ev);
	}
}

static inline struct rig_ack *
rig_next_ack(struct rig *r)
{
	struct rig_ack *best = &r->ack[0];

	for (size_t i = 1; i < RIG_MAX_ACKS; i++)
		if (mono_before(r->ack[i].at, best->at))
			best = &r->ack[i];
	return best;
}

static inline void
rig_chat(struct rig *r)
{
	const struct addr *sel = direct_selected(r->d);
	struct rig_host *h = sel != NULL ? rig_find_host(r, sel) : NULL;

	r->chat = mono_add(r->now, 100 * MONO_MS);
	if (sel == NULL)
		return;
	direct_sent(r->d, r->now);
	if (r->hears && h != NULL && h->up)
		direct_heard(r->d, sel, r->now);
}

/* Let @us pass. */
static inline void
rig_run(struct rig *r, int64_t us)
{
	struct mono end = mono_add(r->now, us);

	for (;;) {
		struct rig_ack *ack;
		struct mono next;

		rig_drain(r);
		ack = rig_next_ack(r);
		next = mono_min(direct_next_deadline(r->d), ack->at);
		if (r->chatty)
			next = mono_min(next, r->chat);
		if (mono_before(end, next))
			break;
		if (mono_before(r->now, next))
			r->now = next;
		if (!mono_before(r->now, ack->at)) {
			ack->at = MONO_NEVER;
			direct_input(
			    r->d, &ack->from, ack->pkt, ack->len, r->now);
		}
		if (r->chatty && !mono_before(r->now, r->chat))
			rig_chat(r);
	}
	r->now = end;
	rig_drain(r);
}

/* Events of @kind to @to (NULL: anywhere) since @from. */
static inline size_t
rig_count(struct rig *r, enum disco_kind kind, const char *to, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < r->n_log; i++) {
		struct addr a;

		if (r->log[i].kind != DIRECT_OUT_PACKET ||
		    r->log[i].packet.kind != kind)
			continue;
		if (to != NULL) {
			a = rig_addr(to);
			if (!addr_equal(&a, &r->log[i].to))
				continue;
		}
		n++;
	}
	return n;
}

static inline size_t
rig_controls(struct rig *r, enum direct_out_kind kind, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < r->n_log; i++)
		if (r->log[i].kind == kind)
			n++;
	return n;
}

static inline bool
rig_is_on(struct rig *r, const char *text)
{
	const struct addr *sel = direct_selected(r->d);
	struct addr a;

	if (text == NULL || sel == NULL)
		return text == NULL && sel == NULL;
	a = rig_addr(text);
	return addr_equal(sel, &a);
}

/* The most probes that @to got within any @us. */
static inline size_t
rig_densest(struct rig *r, const char *to, int64_t us)
{
	struct addr a = rig_addr(to);
	size_t most = 0, first = 0, n = 0;
	static struct mono at[RIG_MAX_LOG];

	for (size_t i = 0; i < r->n_log; i++)
		if (r->log[i].kind == DIRECT_OUT_PACKET &&
		    r->log[i].packet.kind != DISCO_ACK &&
		    r->log[i].packet.kind != DISCO_SIZE_ACKED &&
		    addr_equal(&a, &r->log[i].to))
			at[n++] = r->log[i].at;
	for (size_t i = 0; i < n; i++) {
		while (mono_diff(at[i], at[first]) >= us)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	return most;
}

#endif
