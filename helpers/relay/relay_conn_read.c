/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: one recv per wake-up, up to 64 KiB, through TLS into
 * the relay's scratch memory; `input` consumes whole frames straight from
 * there.  Only the incomplete rest is kept per connection, in `in`, and while
 * it is not empty new bytes are appended to it.
 */
#include "helpers/relay/relay_conn_read.h"

#include <errno.h>
#include <sys/socket.h>

#include "helpers/relay/relay_conn_write.h"
#include "lib/err.h"
#include "lib/log.h"

/* One recv of a busy sender: with an incomplete record before it this fills
 * the 64 KiB that a queue of TLS keeps when it is empty; larger ones would be
 * allocated and wiped anew each time. */
#define READ_BUSY ((size_t)47 * 1024)
#define READ_IDLE RELAY_CONN_READ_IDLE
/* The same without TLS, straight into the scratch memory. */
#define READ_PLAIN ((size_t)128 * 1024)
/* Bytes a peer may still send after our goodbye. */
#define LINGER_MAX_BYTES ((size_t)1024 * 1024)

/* Keep the sum of what strangers make us hold within its bound. */
static void
count_input(struct relay_conn *c)
{
	struct relay *relay = c->relay;
	size_t n = fifo_len(&c->in);

	if (!c->is_handshake)
		return;
	relay->handshake_bytes += n;
	relay->handshake_bytes -= c->counted;
	c->counted = n;
	if (relay->handshake_bytes > RELAY_MAX_HANDSHAKE_BYTES) {
		relay->stats.handshakes_evicted++;
		relay_conn_kill(c);
	}
}

/* Give @len bytes to the reader; sets how many it took. */
static void
give(struct relay_conn *c, const uint8_t *p, size_t len, struct mono now,
    size_t *ret_consumed)
{
	*ret_consumed = len;
	if (c->mode == RELAY_CONN_OPEN) {
		if (c->ops->input(c, p, len, now, ret_consumed) < 0)
			relay_conn_kill(c);
	}
	if (c->mode == RELAY_CONN_OPEN)
		return;
	/* Finishing: whatever else comes is of no interest. */
	*ret_consumed = len;
	c->ignored += len;
	if (c->ignored > LINGER_MAX_BYTES)
		relay_conn_kill(c);
}

/* New bytes lie in the scratch memory: consume them, keep the rest. */
static void
give_scratch(struct relay_conn *c, size_t len, struct mono now)
{
	size_t consumed;

	give(c, c->relay->scratch, len, now, &consumed);
	if (consumed < len &&
	    fifo_put(&c->in, c->relay->scratch + consumed, len - consumed) < 0)
		relay_conn_kill(c);
	count_input(c);
}

/* New bytes were appended to the rest: consume from its front. */
static void
give_rest(struct relay_conn *c, struct mono now)
{
	size_t consumed;

	give(c, fifo_peek(&c->in), fifo_len(&c->in), now, &consumed);
	fifo_drop(&c->in, consumed);
	count_input(c);
}

/* Take what TLS has decrypted.  Returns -EAGAIN when that is all for now, 0 at
 * the peer's goodbye, or an error. */
static ssize_t
drain_tls(struct relay_conn *c, struct mono now)
{
	ssize_t n = 1;

	while (n > 0 && c->mode != RELAY_CONN_DEAD) {
		size_t len = 0, room;
		uint8_t *p;

		if (fifo_len(&c->in) > 0) {
			p = fifo_reserve(&c->in, TLS_MAX_RECORD, &room);
			if (p == NULL)
				return -DT_ERR_FULL;
			n = tls_read(c->tls, p, room);
			if (n > 0) {
				fifo_commit(&c->in, (size_t)n);
				give_rest(c, now);
			}
			continue;
		}
		do {
			n = tls_read(c->tls, c->relay->scratch + len,
			    RELAY_SCRATCH - len);
			if (n > 0)
				len += (size_t)n;
		} while (n > 0 && len < RELAY_SCRATCH);
		if (len > 0)
			give_scratch(c, len, now);
	}
	return n;
}

/* A full read means there is more: take bigger bites. */
static void
adapt_read_size(struct relay_conn *c, size_t got)
{
	if (got >= c->read_size)
		c->read_size = READ_BUSY;
	else if (got < READ_IDLE / 2)
		c->read_size = READ_IDLE;
}

/* The peer sends no more.  An answer still queued is given its chance. */
static void
end_of_input(struct relay_conn *c, struct mono now)
{
	if (c->mode == RELAY_CONN_FINISH)
		relay_conn_write_flush(c, now);
	relay_conn_kill(c);
}

static void
on_readable_tls(struct relay_conn *c, struct mono now)
{
	size_t room;
	uint8_t *p = tls_input_reserve(c->tls, c->read_size, &room);
	ssize_t n, r;

	if (p == NULL) {
		relay_conn_kill(c);
		return;
	}
	n = recv(c->fd, p, room, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			end_of_input(c, now);
		return;
	}
	adapt_read_size(c, (size_t)n);
	tls_input_commit(c->tls, (size_t)n);
	relay_conn_mark_dirty(c); /* handshake answers, alerts, key updates */
	r = tls_step(c->tls);
	if (r == 0)
		r = drain_tls(c, now);
	if (r == -EAGAIN || c->mode == RELAY_CONN_DEAD)
		return;
	if (r < 0 && !tls_is_ready(c->tls)) {
		c->relay->stats.tls_failures++;
		log_debug("relay", "TLS failed: %s", tls_error_text(c->tls));
		relay_conn_write_flush(
		    c, now); /* the alert tells the peer why */
	}
	end_of_input(c, now);
}

static void
on_readable_plain(struct relay_conn *c, struct mono now)
{
	size_t room = READ_PLAIN;
	bool is_rest = fifo_len(&c->in) > 0;
	uint8_t *p = is_rest ? fifo_reserve(&c->in, TLS_MAX_RECORD, &room)
			     : c->relay->scratch;
	ssize_t n;

	if (p == NULL) {
		relay_conn_kill(c);
		return;
	}
	n = recv(c->fd, p, room, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			end_of_input(c, now);
		return;
	}
	if (!is_rest) {
		give_scratch(c, (size_t)n, now);
		return;
	}
	fifo_commit(&c->in, (size_t)n);
	give_rest(c, now);
}

void
relay_conn_read_ready(struct relay_conn *c, struct mono now)
{
	if (c->tls != NULL)
		on_readable_tls(c, now);
	else
		on_readable_plain(c, now);
}
