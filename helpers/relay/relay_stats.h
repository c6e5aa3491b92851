/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the relay counts.  Names are those of the reference server where it has
 * them, so that existing dashboards fit.
 */
#ifndef HELPERS_RELAY_RELAY_STATS_H
#define HELPERS_RELAY_RELAY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/mono.h"

/* Bytes that relay_stats_json() can write: about 70 numbers with names. */
#define RELAY_STATS_MAX_JSON 8192

/* Plain counters and gauges: member and name in the JSON object. */
#define RELAY_STATS_LIST(X)                                                    \
	X(gauge_current_connections)                                           \
	X(gauge_current_home_connections)                                      \
	X(gauge_current_notideal_connections)                                  \
	X(gauge_current_handshakes)                                            \
	X(gauge_clients_total)                                                 \
	X(gauge_clients_local)                                                 \
	X(gauge_clients_remote)                                                \
	X(gauge_watchers)                                                      \
	X(gauge_current_dup_client_keys)                                       \
	X(gauge_current_dup_client_conns)                                      \
	X(counter_total_dup_client_conns)                                      \
	X(gauge_peer_gone_watches)                                             \
	X(accepts)                                                             \
	X(accept_pauses)                                                       \
	X(accepts_refused_full)                                                \
	X(handshakes_evicted)                                                  \
	X(handshake_timeouts)                                                  \
	X(handshake_failures)                                                  \
	X(tls_failures)                                                        \
	X(http_requests)                                                       \
	X(protocol_violations)                                                 \
	X(bytes_received)                                                      \
	X(bytes_sent)                                                          \
	X(packets_received)                                                    \
	X(packets_sent)                                                        \
	X(packets_forwarded_in)                                                \
	X(packets_forwarded_out)                                               \
	X(got_ping)                                                            \
	X(sent_pong)                                                           \
	X(unknown_frames)                                                      \
	X(peer_gone_disconnected_frames)                                       \
	X(peer_gone_not_here_frames)                                           \
	X(home_moves_in)                                                       \
	X(home_moves_out)                                                      \
	X(sclient_write_timeouts)                                              \
	X(average_queue_duration_ms)

/* Two kinds of packets: Tailscale's path discovery, and all else. */
enum relay_stats_kind {
	RELAY_STATS_OTHER,
	RELAY_STATS_DISCO,
	RELAY_STATS_N_KINDS,
};

/* Why a packet was not delivered.  The order is that of the name table. */
enum relay_stats_drop {
	RELAY_STATS_DROP_UNKNOWN_DEST,      /* nobody has that key */
	RELAY_STATS_DROP_GONE_DISCONNECTED, /* receiver is closing */
	RELAY_STATS_DROP_QUEUE_HEAD,        /* oldest of a full queue */
	RELAY_STATS_DROP_QUEUE_TAIL,        /* newest: out of memory */
	RELAY_STATS_DROP_WRITE_ERROR,       /* queued when it closed */
	RELAY_STATS_DROP_DUP_CLIENT,        /* several, none active */
	RELAY_STATS_N_DROPS,
};

/* What became of a datagram on the STUN port. */
enum relay_stats_stun {
	RELAY_STATS_STUN_SUCCESS,
	RELAY_STATS_STUN_NOT_STUN,
	RELAY_STATS_STUN_READ_ERROR,
	RELAY_STATS_STUN_WRITE_ERROR,
	RELAY_STATS_N_STUN,
};

struct relay_stats {
#define RELAY_STATS_MEMBER(name) uint64_t name;
	RELAY_STATS_LIST(RELAY_STATS_MEMBER)
#undef RELAY_STATS_MEMBER
	uint64_t received_kind[RELAY_STATS_N_KINDS];
	uint64_t dropped[RELAY_STATS_N_DROPS][RELAY_STATS_N_KINDS];
	uint64_t dropped_bytes[RELAY_STATS_N_DROPS][RELAY_STATS_N_KINDS];
	uint64_t stun[RELAY_STATS_N_STUN];
	uint64_t stun_ipv4;
	uint64_t stun_ipv6;
	uint64_t queue_us_ema; /* average_queue_duration_ms in microseconds */
};

/** relay_stats_drop(): count one packet of @len bytes that was not delivered */
void relay_stats_drop(struct relay_stats *s, enum relay_stats_drop why,
    bool is_disco, size_t len);

/** relay_stats_queued(): a packet waited @us before it was written. */
void relay_stats_queued(struct relay_stats *s, int64_t us);

/** relay_stats_json(): append one JSON object, newline included.  @w has room
 * for RELAY_STATS_MAX_JSON; sets its error otherwise. */
void relay_stats_json(
    const struct relay_stats *s, struct mono up, struct buf_writer *w);

/** relay_stats_log(): the counters that are not zero, as lines of the log. */
void relay_stats_log(const struct relay_stats *s);

#endif
