/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * States and what each expects from the stream:
 *
 *   HTTP  a response head; 101 leads on, 1xx is skipped, all else is fatal
 *   KEY   ServerKey; then ClientInfo goes out
 *   FAST  anything: ClientInfo went out with the request.  Text that begins
 *         "HTTP/" is a server that does not do fast start: on to HTTP
 *   OPEN  frames, ServerInfo among them soon
 *   READY frames
 *   DEAD  nothing
 *
 *   HTTP -> KEY -> OPEN -> READY      without fast start
 *   FAST [-> HTTP] -> OPEN -> READY   with it
 *
 * Of a frame only as many bytes must be present at once as its handler reads
 * (derp_client_wanted()); the rest is skipped as it comes.  So the caller's
 * buffer can be one packet long although frames of up to 1 MiB are legal.
 *
 * Liveness: until READY the connect deadline counts.  Then any byte is a sign
 * of life; after DERP_CLIENT_IDLE_US without one a Ping goes out, and unless
 * something arrives in time the connection is dead.
 */
#include "proto/derp/derp_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/derp/derp_client_state.h"
#include "proto/derp/derp_http.h"

/* Room behind max_output for handshake, Ping, Pong and NotePreferred. */
#define CONTROL_ROOM 4096u
#define DEFAULT_PATH "/derp"

static const struct derp_client_events no_events;

/* ClientInfo and, at home, NotePreferred. */
static int
queue_hello(struct derp_client *c)
{
	struct derp_hello_keys keys = { .own_private = &c->own_private,
		.own_public = &c->own_public,
		.peer_public = &c->server_key };
	uint8_t out[DERP_HELLO_MAX_FRAME + DERP_FRAME_HEADER_LEN + 1];
	struct buf_writer w = buf_writer(out, DERP_HELLO_MAX_FRAME);
	int r = derp_hello_seal_client_info(&w, &keys, &c->hello, NULL);

	if (r < 0)
		return r;
	c->is_hello_sent = true;
	if (c->preferred)
		w.len += derp_frame_put_note_preferred(out + w.len, true);
	return fifo_put(&c->out, out, w.len) < 0 ? -ENOMEM : 0;
}

static int
queue_request(struct derp_client *c, const struct derp_client_params *params)
{
	uint8_t out[DERP_HTTP_MAX_REQUEST];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct derp_http_request req = {
		.host = params->host,
		.port = params->port,
		.tls = params->tls,
		.path = params->path != NULL ? params->path : DEFAULT_PATH,
		.fast_start = params->fast_start_key != NULL,
		.ideal_node = params->ideal_node,
	};
	int r = derp_http_put_upgrade(&w, &req);

	if (r < 0)
		return -DT_ERR_SYNTAX; /* too long is as bad as malformed */
	return fifo_put(&c->out, out, w.len) < 0 ? -ENOMEM : 0;
}

static size_t
clamp_output(size_t want)
{
	if (want == 0)
		return DERP_CLIENT_DEFAULT_OUTPUT;
	if (want < DERP_CLIENT_MIN_BUFFER)
		return DERP_CLIENT_MIN_BUFFER;
	return want < DERP_CLIENT_MAX_OUTPUT ? want : DERP_CLIENT_MAX_OUTPUT;
}

static void
init(struct derp_client *c, const struct derp_client_params *params,
    struct mono now)
{
	c->state = CLIENT_HTTP;
	c->own_private = *params->own_private;
	c->own_public = *params->own_public;
	c->preferred = params->preferred;
	c->max_output = clamp_output(params->max_output);
	fifo_init(&c->out, c->max_output + CONTROL_ROOM);
	c->connect_deadline = params->connect_deadline.us != 0
				  ? params->connect_deadline
				  : mono_add(now, DERP_CLIENT_CONNECT_US);
	c->heard = now;
	c->ping_sent = MONO_NEVER;
	c->ping_deadline = MONO_NEVER;
	c->events = params->events != NULL ? params->events : &no_events;
	c->user = params->user;
	c->hello.version = DERP_HELLO_VERSION;
	c->hello.can_ack_pings = params->can_ack_pings;
	if (params->app_name != NULL)
		derp_client_text(c->hello.app_name, sizeof(c->hello.app_name),
		    (const uint8_t *)params->app_name,
		    strlen(params->app_name));
}

int
derp_client_new(const struct derp_client_params *params, struct mono now,
    struct derp_client **ret_client)
{
	struct derp_client *c;
	int r;

	if (secret_is_zero(params->own_private, sizeof(struct key32)) ||
	    secret_is_zero(params->own_public, sizeof(struct key32)))
		return -DT_ERR_KEY;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	init(c, params, now);
	r = queue_request(c, params);
	if (r == 0 && params->fast_start_key != NULL) {
		c->state = CLIENT_FAST;
		c->server_key = *params->fast_start_key;
		c->has_server_key = true;
		r = queue_hello(c);
	}
	if (r < 0) {
		derp_client_free(c);
		return r;
	}
	*ret_client = c;
	return 0;
}

void
derp_client_free(struct derp_client *c)
{
	if (c == NULL)
		return;
	fifo_fini(&c->out);
	secret_wipe(c, sizeof(*c));
	free(c);
}

/* A response that is not 101 ends it; what is there of a body explains. */
static int
refuse_status(struct derp_client *c, const struct derp_http_head *h,
    const uint8_t *body, size_t body_len)
{
	char reason[64], text[256];

	c->http_status = h->status;
	derp_client_text(reason, sizeof(reason), (const uint8_t *)h->reason.p,
	    h->reason.len);
	derp_client_text(text, sizeof(text), body, body_len);
	return derp_client_die(c, -DT_ERR_HTTP_STATUS, "HTTP %d %s%s%s",
	    h->status, reason, text[0] != '\0' ? ": " : "", text);
}

/* State HTTP: the response to the upgrade request. */
static int
step_http(struct derp_client *c, const uint8_t *p, size_t len, size_t *ret_used)
{
	static const char start[5] = "HTTP/";
	struct derp_http_head h;
	int r;

	/* tell SSH servers and the like before a whole head has come */
	if (memcmp(p, start, len < sizeof(start) ? len : sizeof(start)) != 0)
		return derp_client_die(
		    c, -DT_ERR_NOT_RELAY, "no HTTP response");
	r = derp_http_parse_response(p, len, &h);
	if (r == -DT_ERR_TRUNCATED)
		return 0;
	if (r < 0)
		return derp_client_die(c, -DT_ERR_NOT_RELAY,
		    "malformed HTTP response: %s", err_str(r));
	if (h.status < 100 || h.status > 199)
		return refuse_status(c, &h, p + h.head_len, len - h.head_len);
	if (h.status == 101)
		c->state = c->is_hello_sent ? CLIENT_OPEN : CLIENT_KEY;
	*ret_used = h.head_len;
	return 0;
}

/* State FAST: is it DERP that comes, or HTTP after all? */
static int
step_fast(struct derp_client *c, const uint8_t *p, size_t len)
{
	if (p[0] != 'H')
		c->state = CLIENT_OPEN;
	else if (len >= DERP_FRAME_HEADER_LEN)
		c->state =
		    memcmp(p, "HTTP/", 5) == 0 ? CLIENT_HTTP : CLIENT_OPEN;
	return 0;
}

/* State KEY: exactly one frame is right here. */
static int
step_key(struct derp_client *c, const uint8_t *p, size_t len, size_t *ret_used)
{
	struct derp_frame f;
	size_t need;
	int r;

	if (p[0] != DERP_FRAME_SERVER_KEY)
		return derp_client_die(c, -DT_ERR_NOT_RELAY,
		    "first frame has type %u", (unsigned)p[0]);
	r = derp_frame_parse(p, len, DERP_HELLO_MAX_SERVER_KEY, &f, &need);
	if (r == -DT_ERR_TRUNCATED)
		return 0;
	if (r == 0)
		r = derp_hello_get_server_key(f.payload, f.len, &c->server_key);
	else
		r = -DT_ERR_NOT_RELAY;
	if (r < 0)
		return derp_client_die(c, r, "malformed ServerKey");
	c->has_server_key = true;
	r = queue_hello(c);
	if (r < 0)
		return derp_client_die(
		    c, r, "no usable ServerKey: %s", err_str(r));
	c->state = CLIENT_OPEN;
	*ret_used = f.total;
	return 0;
}

/* States OPEN and READY. */
static int
step_frame(struct derp_client *c, struct mono now, const uint8_t *p, size_t len,
    size_t *ret_used)
{
	struct derp_frame f;
	uint32_t body_len;

	if (c->skip > 0) {
		*ret_used = len < c->skip ? len : c->skip;
		c->skip -= *ret_used;
		return 0;
	}
	if (len < DERP_FRAME_HEADER_LEN)
		return 0;
	derp_frame_peek(p, &f.type, &body_len);
	if (body_len > DERP_FRAME_MAX_LEN)
		return derp_client_die(
		    c, -DT_ERR_TOO_LONG, "frame of %u bytes", body_len);
	f.len = derp_client_wanted(c, f.type, body_len);
	if (f.type == DERP_FRAME_SERVER_INFO &&
	    f.len > DERP_HELLO_MAX_SERVER_INFO)
		return derp_client_die(
		    c, -DT_ERR_TOO_LONG, "ServerInfo of %u bytes", body_len);
	if (len - DERP_FRAME_HEADER_LEN < f.len)
		return 0;
	f.payload = p + DERP_FRAME_HEADER_LEN;
	f.total = DERP_FRAME_HEADER_LEN + f.len;
	c->skip = body_len - f.len;
	*ret_used = f.total;
	return derp_client_dispatch(c, &f, now);
}

/* One head or frame.  *@ret_used stays 0 when more bytes are needed, or when
 * only the state has moved. */
static int
step(struct derp_client *c, struct mono now, const uint8_t *p, size_t len,
    size_t *ret_used)
{
	switch (c->state) {
	case CLIENT_HTTP:
		return step_http(c, p, len, ret_used);
	case CLIENT_KEY:
		return step_key(c, p, len, ret_used);
	case CLIENT_FAST:
		return step_fast(c, p, len);
	case CLIENT_OPEN:
	case CLIENT_READY:
		return step_frame(c, now, p, len, ret_used);
	case CLIENT_DEAD:
		break;
	}
	return c->error;
}

int
derp_client_input(struct derp_client *c, struct mono now, const uint8_t *p,
    size_t len, size_t *ret_consumed)
{
	enum derp_client_state before;
	size_t done = 0, used;
	int r;

	if (c->state == CLIENT_DEAD)
		return c->error;
	if (len > 0) {
		c->heard = now;
		c->ping_deadline = MONO_NEVER;
	}
	while (done < len) {
		before = c->state;
		used = 0;
		r = step(c, now, p + done, len - done, &used);
		if (r < 0)
			return r;
		if (used == 0 && c->state == before)
			break;
		done += used;
	}
	*ret_consumed = done;
	return 0;
}

int
derp_client_eof(struct derp_client *c)
{
	if (c->state == CLIENT_DEAD)
		return c->error;
	if (c->state == CLIENT_READY)
		return derp_client_die(
		    c, -DT_ERR_CLOSED, "closed by the relay");
	if (c->state == CLIENT_OPEN)
		return derp_client_die(
		    c, -DT_ERR_PEER_REJECTED, "not admitted");
	return derp_client_die(
	    c, -DT_ERR_NOT_RELAY, "closed before the DERP handshake");
}

struct fifo *
derp_client_output(struct derp_client *c)
{
	return &c->out;
}

int
derp_client_send(struct derp_client *c, const struct key32 *dst,
    const void *data, size_t len)
{
	size_t total = DERP_FRAME_PACKET_HEADER_LEN + len, got;
	uint8_t *out;

	if (!derp_client_is_open(c))
		return -DT_ERR_STATE;
	if (len > DERP_FRAME_MAX_PACKET)
		return -DT_ERR_TOO_LONG;
	if (fifo_len(&c->out) + total > c->max_output)
		return -DT_ERR_FULL;
	out = fifo_reserve(&c->out, total, &got);
	if (out == NULL)
		return -DT_ERR_FULL;
	(void)derp_frame_put_send(out, dst, len);
	if (len > 0)
		memcpy(out + DERP_FRAME_PACKET_HEADER_LEN, data, len);
	fifo_commit(&c->out, total);
	return 0;
}

size_t
derp_client_room(const struct derp_client *c)
{
	size_t used = fifo_len(&c->out) + DERP_FRAME_PACKET_HEADER_LEN;
	size_t room;

	if (!derp_client_is_open(c) || used >= c->max_output)
		return 0;
	room = c->max_output - used;
	return room < DERP_FRAME_MAX_PACKET ? room : DERP_FRAME_MAX_PACKET;
}

int
derp_client_set_preferred(struct derp_client *c, bool preferred)
{
	uint8_t out[DERP_FRAME_HEADER_LEN + 1];
	int r;

	if (c->state == CLIENT_DEAD)
		return -DT_ERR_STATE;
	if (c->is_hello_sent && c->preferred != preferred) {
		r = fifo_put(&c->out, out,
		    derp_frame_put_note_preferred(out, preferred));
		if (r < 0)
			return r;
	}
	c->preferred = preferred;
	return 0;
}

static int
queue_ping(struct derp_client *c, struct mono now)
{
	uint8_t out[DERP_FRAME_HEADER_LEN + DERP_FRAME_PING_LEN];

	secret_random(c->ping_data, sizeof(c->ping_data));
	c->ping_sent = now;
	return fifo_put(
	    &c->out, out, derp_frame_put_ping(out, false, c->ping_data));
}

int
derp_client_probe(struct derp_client *c, struct mono now, int64_t limit_us)
{
	int r;

	if (c->state != CLIENT_READY)
		return -DT_ERR_STATE;
	r = queue_ping(c, now);
	if (r == 0)
		c->ping_deadline =
		    mono_min(c->ping_deadline, mono_add(now, limit_us));
	return r;
}

struct mono
derp_client_next_deadline(const struct derp_client *c)
{
	if (c->state == CLIENT_DEAD)
		return MONO_NEVER;
	if (c->state != CLIENT_READY)
		return c->connect_deadline;
	if (!mono_is_never(c->ping_deadline))
		return c->ping_deadline;
	return mono_add(c->heard, DERP_CLIENT_IDLE_US);
}

int
derp_client_on_timer(struct derp_client *c, struct mono now)
{
	if (c->state == CLIENT_DEAD)
		return c->error;
	if (mono_before(now, derp_client_next_deadline(c)))
		return 0;
	if (c->state != CLIENT_READY)
		return derp_client_die(
		    c, -DT_ERR_TIMEOUT, "no DERP handshake in time");
	if (!mono_is_never(c->ping_deadline))
		return derp_client_die(c, -DT_ERR_TIMEOUT, "relay is silent");
	/* without room for a Ping the stream is stuck already: the deadline
	 * then asks for any sign of life just the same */
	(void)queue_ping(c, now);
	c->ping_deadline = mono_add(now, DERP_CLIENT_PING_US);
	return 0;
}

bool
derp_client_is_open(const struct derp_client *c)
{
	return c->state == CLIENT_FAST || c->state == CLIENT_OPEN ||
	       c->state == CLIENT_READY;
}

bool
derp_client_is_ready(const struct derp_client *c)
{
	return c->state == CLIENT_READY;
}

const struct derp_hello_server *
derp_client_server_info(const struct derp_client *c)
{
	return c->state == CLIENT_READY ? &c->server : NULL;
}

const struct key32 *
derp_client_server_key(const struct derp_client *c)
{
	return c->has_server_key ? &c->server_key : NULL;
}

int
derp_client_http_status(const struct derp_client *c)
{
	return c->http_status;
}

const char *
derp_client_error_text(const struct derp_client *c)
{
	return c->error_text;
}
