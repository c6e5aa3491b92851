/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ssh_talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"

/* What opens such a stream; peer v0.18.2. */
#define OPEN_OCTET 0x01
/* White space around a key of the largest size. */
#define MAX_TEXT (SSH_KEY_MAX_TEXT + 512)

struct ssh_talk {
	struct ssh_talk_params p;
	struct loop_io *io;
	uint8_t out[1 + TRANSFER_HEADER_MAX_OWN + MAX_TEXT];
	size_t out_len, out_off;
	size_t out_now; /* of out_len, what may go by now */
	bool is_shut;
	bool is_broken; /* nobody takes what is left */
	struct transfer_header_rx rx;
	struct transfer_header header;
	bool wants_octet;
	bool has_header;
	bool is_over;
	char text[MAX_TEXT + 1];
	size_t len;
};

static void
watch(struct ssh_talk *t)
{
	unsigned events = t->is_over ? 0 : LOOP_READ;

	if (t->out_off < t->out_now && !t->is_broken)
		events |= LOOP_WRITE;
	loop_io_set(t->io, events);
}

static void
end(struct ssh_talk *t, int r, const char *why)
{
	if (t->is_over)
		return;
	t->is_over = true;
	watch(t);
	t->p.on_end(t->p.arg, r, why); /* may free */
}

/* What the peer may still send when it does not read is read all the same. */
static void
write_some(struct ssh_talk *t)
{
	ssize_t n;

	while (t->out_off < t->out_now && !t->is_broken) {
		n = send(t->p.fd, t->out + t->out_off, t->out_now - t->out_off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			t->is_broken = true;
			return;
		}
		t->out_off += (size_t)n;
	}
	if (t->out_off == t->out_len && t->p.text != NULL && !t->is_shut) {
		t->is_shut = true;
		(void)shutdown(t->p.fd, SHUT_WR);
	}
}

/* Returns 0 or a negative error. */
static int
take(struct ssh_talk *t, const uint8_t *p, size_t n, const char **ret_why)
{
	size_t used = 0;
	int r;

	if (t->wants_octet) {
		if (*p != OPEN_OCTET) {
			*ret_why = "the stream begins with something else";
			return -DT_ERR_PEER_PROTOCOL;
		}
		t->wants_octet = false;
		p++;
		n--;
	}
	if (!t->has_header) {
		r = transfer_header_rx_input(
		    &t->rx, p, n, &used, &t->header, ret_why);
		if (r < 0)
			return r;
		t->has_header = r == 1;
		if (r == 1 && t->header.kind != t->p.peer) {
			*ret_why = "the peer offers something else";
			return -DT_ERR_PEER_PROTOCOL;
		}
		if (r == 1 && t->p.on_header != NULL)
			t->p.on_header(t->p.arg);
	}
	if (n - used > MAX_TEXT - t->len) {
		*ret_why = "invalid public key: too long";
		return -DT_ERR_TOO_LONG;
	}
	memcpy(t->text + t->len, p + used, n - used);
	t->len += n - used;
	return 0;
}

/* False when nothing is left for now. */
static bool
read_some(struct ssh_talk *t)
{
	const char *why = NULL;
	uint8_t buf[4096];
	ssize_t n = recv(t->p.fd, buf, sizeof(buf), MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(t, t->has_header ? 0 : -DT_ERR_TRUNCATED,
		    "the other side left before everything arrived; "
		    "try again");
		return false;
	}
	r = take(t, buf, (size_t)n, &why);
	if (r < 0) {
		end(t, r, why);
		return false;
	}
	if (t->has_header && t->out_now < t->out_len) {
		t->out_now = t->out_len;
		write_some(t);
		watch(t);
	}
	return true;
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct ssh_talk *t = arg;

	(void)now;
	if ((events & LOOP_WRITE) != 0) {
		write_some(t);
		watch(t);
	}
	if ((events & LOOP_READ) != 0 && !t->is_over)
		(void)read_some(t); /* may free */
}

static int
fill(struct ssh_talk *t)
{
	struct buf_writer w = buf_writer(t->out, sizeof(t->out));
	int r;

	if (t->p.own == TRANSFER_KIND_SSH_ACCEPT)
		buf_put_u8(&w, OPEN_OCTET);
	t->header.version = 1;
	t->header.kind = t->p.own;
	r = transfer_header_encode(&w, &t->header);
	if (r == 0 && t->p.text != NULL)
		buf_put_bytes(&w, t->p.text, strlen(t->p.text));
	t->out_len = w.len;
	t->out_now = t->p.own == TRANSFER_KIND_SSH_ACCEPT ? 1 : w.len;
	return r < 0 ? r : w.err;
}

struct ssh_talk *
ssh_talk_new(const struct ssh_talk_params *p)
{
	struct ssh_talk *t = calloc(1, sizeof(*t));
	int fd = p->fd;

	if (t == NULL) {
		fd_close(&fd);
		return NULL;
	}
	t->p = *p;
	t->wants_octet = p->own == TRANSFER_KIND_SSH_INVITE;
	transfer_header_rx_init(&t->rx);
	t->io = loop_io_new(p->loop, p->fd, on_io, t);
	if (t->io == NULL || fill(t) < 0) {
		ssh_talk_free(t);
		return NULL;
	}
	watch(t);
	return t;
}

void
ssh_talk_free(struct ssh_talk *t)
{
	if (t == NULL)
		return;
	loop_io_free(t->io);
	fd_close(&t->p.fd);
	transfer_header_rx_fini(&t->rx);
	free(t);
}

void
ssh_talk_poll(struct ssh_talk *t)
{
	while (!t->is_over && read_some(t))
		continue;
}

bool
ssh_talk_has_sent(const struct ssh_talk *t)
{
	return t->out_off == t->out_len && !t->is_broken;
}

bool
ssh_talk_has_header(const struct ssh_talk *t)
{
	return t->has_header;
}

const char *
ssh_talk_peek_text(const struct ssh_talk *t, size_t *ret_len)
{
	*ret_len = t->len;
	return t->text;
}
