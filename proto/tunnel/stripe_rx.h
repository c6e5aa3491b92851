/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving half of striped framing: bytes of the lanes go in, the bytes of the
 * TCP connection come out in order.
 *
 * Chunks that are ahead of their turn are kept, up to STRIPE_RX_MAX_AHEAD bytes
 * and STRIPE_RX_MAX_CHUNKS numbers; beyond that a lane is parked: its bytes
 * stay unparsed, and because they are not delivered their QUIC credit is not
 * returned, which stops the sender.  When no lane could bring the missing
 * chunk any more, the connection is broken rather than waiting for ever.
 */
#ifndef PROTO_TUNNEL_STRIPE_RX_H
#define PROTO_TUNNEL_STRIPE_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kept out of order, per TCP connection and direction. */
#define STRIPE_RX_MAX_AHEAD (8u << 20)
/* Numbers beyond the wanted one; a power of two. */
#define STRIPE_RX_MAX_CHUNKS 4096u
#define STRIPE_RX_MAX_LANES 255

struct stripe_rx;

/*
 * @lane brought bytes that are done with.  @p: the next @len bytes of the TCP
 * connection, to be copied; NULL for framing, which only returns credit.
 * Returns 0, or negative to stop: stripe_rx_input() then fails with it.
 */
typedef int stripe_rx_deliver_fn(
    void *arg, size_t lane, const uint8_t *p, size_t len);

/**
 * stripe_rx_new():
 * @n_lanes: 1 .. STRIPE_RX_MAX_LANES.
 * @max_parked: bytes one lane may have unparsed: the largest stream window.
 *
 * Returns NULL when memory is out.
 */
struct stripe_rx *stripe_rx_new(size_t n_lanes, size_t max_parked,
    stripe_rx_deliver_fn *deliver, void *arg);
/** stripe_rx_free(): NULL is fine. */
void stripe_rx_free(struct stripe_rx *rx);

/**
 * stripe_rx_input(): the next bytes of a lane, behind its 24-byte header.
 * @fin: nothing follows on this lane.
 *
 * Returns 0; -DT_ERR_PEER_PROTOCOL for a chunk that is too long, came twice or
 * was delivered before, a FIN inside a chunk, a number missing at the end or
 * out of reach; -DT_ERR_FULL for more unparsed bytes than @max_parked;
 * -ENOMEM; or what deliver returned.  After an error only stripe_rx_reason()
 * and stripe_rx_free() are allowed.
 */
int stripe_rx_input(
    struct stripe_rx *rx, size_t lane, const uint8_t *p, size_t len, bool fin);

/** stripe_rx_reason(): what the peer did wrong, as peer v0.18.2 words it where
 * it does; "" unless stripe_rx_input() failed with -DT_ERR_PEER_PROTOCOL. */
const char *stripe_rx_reason(const struct stripe_rx *rx);

/** stripe_rx_is_end(): every lane had its FIN and everything was delivered. */
bool stripe_rx_is_end(const struct stripe_rx *rx);

/** stripe_rx_held(): memory of what is out of order or unparsed.  It follows
 * what came, never what was announced. */
size_t stripe_rx_held(const struct stripe_rx *rx);

#endif
