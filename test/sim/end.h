/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a session in the simulated net: ours (struct direct and struct
 * stun_gather, ours_end.c) or a model of the path manager of peer v0.18.2
 * (go_end.c).  Between two ends: a relay in order and without loss, and a
 * stream of messages each way (stream.h) in place of QUIC.
 */
#ifndef TEST_SIM_END_H
#define TEST_SIM_END_H

#include "proto/path/direct.h"
#include "proto/stun/stun_gather.h"
#include "test/sim/net.h"
#include "test/sim/stream.h"

#define END_MAX_STUN 4
#define END_MAX_NATS 3
#define END_RELAY_US (20 * MONO_MS) /* one way */

struct end;

/* What the two kinds do differently. */
struct end_ops {
	/* Before the claim; may take a second.  NULL: nothing. */
	void (*prepare)(struct end *e);
	void (*start)(struct end *e);
	void (*stop)(struct end *e);
	/* The addresses it would tell now. */
	void (*own)(const struct end *e, struct candidate_list *ret_own);
	void (*on_peer)(struct end *e, const struct candidate_list *peer);
	void (*on_called)(struct end *e);
	void (*on_packet)(struct end *e, const struct addr *from,
	    const uint8_t *p, size_t len);
	/* Interfaces changed. */
	void (*on_network)(struct end *e);
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
	struct net_host *host6; /* or NULL */
	struct net_nat *nat[END_MAX_NATS];
	size_t n_nats; /* the outermost is the first */
	uint16_t port;
	struct key32 key;
	struct end *peer;
	struct mono timer; /* the earliest that is set */
	bool native;
	bool started;
	bool no_relay; /* the relay swallows what we send */

	struct direct *direct; /* ours */
	struct stun_gather *gather;
	uint32_t generation;
	struct go_end *go; /* the model */
	struct addr stun[END_MAX_STUN];
	size_t n_stun;
	struct stream stream;

	bool is_direct;
	struct mono first_at; /* direct, the first time; or NEVER */
	struct mono up_at;    /* the last time */
	struct mono down_at;  /* the last time it left for the relay */
	unsigned downs;
	size_t packets; /* probes and acks of ours */
};

/** end_new(): at no host yet; not started. */
struct end *end_new(struct net *net, const struct end_ops *ops, uint16_t port);
void end_free(struct end *e);

/** end_join(): the two are peers; both talk. */
void end_join(struct end *a, struct end *b);

/**
 * end_begin(): the claim is accepted now: the listener knows what the claimer
 * had to tell a relay trip ago and begins; the claimer begins when it hears so.
 */
void end_begin(struct end *listener, struct end *claimer);

/** end_turn(): let it act; after every input. */
void end_turn(struct end *e);
/** end_attach(): it is at @host now. */
void end_attach(struct end *e, struct net_host *host);
/** end_tell(): a control through the relay. */
void end_tell(struct end *e, enum direct_out_kind kind,
    const struct candidate_list *list);
/** end_relay(): a user datagram through the relay. */
void end_relay(struct end *e, const uint8_t *p, size_t len);
void end_send(
    struct end *e, const struct addr *to, const uint8_t *p, size_t len);

/** end_run(): the net, until @us have passed. */
void end_run(struct net *net, int64_t us);

#endif
