/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a session in the simulated net: ours (struct direct and struct
 * stun_gather) or a model of the path manager of peer v0.18.2 (go_end.c).
 * Between two ends: a relay in order and without loss, and a stream of numbered
 * messages that are repeated until acked, in place of QUIC.
 */
#ifndef TEST_SIM_END_H
#define TEST_SIM_END_H

#include "proto/path/direct.h"
#include "proto/stun/stun_gather.h"
#include "test/sim/net.h"

#define END_MAX_STUN 4
#define END_RELAY_US (20 * MONO_MS) /* one way */

struct end;

/* What the two kinds do differently. */
struct end_ops {
	void (*start)(struct end *e);
	void (*stop)(struct end *e);
	void (*on_peer)(struct end *e, const struct candidate_list *peer);
	void (*on_called)(struct end *e);
	void (*on_packet)(struct end *e, const struct addr *from,
	    const uint8_t *p, size_t len);
	/* A user datagram: directly if that is selected; false: not sent. */
	bool (*send)(struct end *e, const uint8_t *p, size_t len);
	/* Time passes; returns when it shall be called next. */
	struct mono (*turn)(struct end *e);
	const struct addr *(*selected)(const struct end *e);
};

extern const struct end_ops end_ours, end_go;

struct go_end;

struct end {
	const struct end_ops *ops;
	struct net *net;
	struct net_host *host;
	uint16_t port;
	struct key32 key;
	struct end *peer;
	struct mono timer; /* the earliest that is set */
	bool native;
	bool started;
	bool no_relay; /* the relay swallows what we send */

	struct direct *direct; /* ours */
	struct stun_gather *gather;
	struct go_end *go; /* the model */
	struct addr stun[END_MAX_STUN];
	size_t n_stun;

	struct mono direct_at; /* first time direct, or NEVER */
	struct mono relay_at;  /* last time it left the direct path */
	uint32_t generation;
	size_t switches;
	size_t packets; /* probes and acks */

	/* The stream. */
	bool talks;
	uint32_t made, acked, got; /* messages */
	uint32_t ahead;            /* bit i: got + 1 + i is there */
	struct mono resend, say;
	struct mono progress;
	int64_t worst_us; /* longest time without progress */
	size_t by_direct, by_relay;
};

/** end_new(): at @host, which must not move; not started. */
struct end *end_new(struct net *net, struct net_host *host,
    const struct end_ops *ops, uint16_t port);
void end_free(struct end *e);

/** end_join(): the two are peers. */
void end_join(struct end *a, struct end *b);

/**
 * end_begin(): the claim is accepted now: the listener knows what the claimer
 * had to tell a relay trip ago and begins; the claimer begins when it hears so.
 */
void end_begin(struct end *listener, struct end *claimer);

/** end_own(): interface and mapped addresses known now. */
void end_own(const struct end *e, struct candidate_list *ret_own);

/** end_turn(): let it act; after every input. */
void end_turn(struct end *e);
void end_move(struct end *e, const char *ip);
/** end_tell(): a control through the relay. */
void end_tell(struct end *e, enum direct_out_kind kind,
    const struct candidate_list *list);
void end_input(struct end *e, const uint8_t *p, size_t len, bool direct);

/** end_run(): the net, until @us have passed. */
void end_run(struct net *net, int64_t us);

#endif
