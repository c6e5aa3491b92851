/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/path_relay.h"

#include <errno.h>
#include <stdlib.h>

#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "proto/ipc/ipc.h"

/* Pack datagrams from @i on, as many as fit.  Returns the first one left out;
 * *@ret_pkt moves along. */
static size_t
pack(struct buf_writer *w, const struct path_batch *b, size_t i,
    const uint8_t **ret_pkt)
{
	while (i < b->n_pkts &&
	       ipc_packet_put(w, NULL, *ret_pkt, b->lens[i]) == 0) {
		*ret_pkt += b->lens[i];
		i++;
	}
	return i;
}

static size_t
relay_send(struct path *p, const struct path_batch *b)
{
	struct path_relay *r = (struct path_relay *)p;
	const uint8_t *pkt = b->buf;
	size_t sent = 0;

	while (sent < b->n_pkts) {
		struct buf_writer w = buf_writer(r->out, IPC_MAX_BATCH);
		size_t end = pack(&w, b, sent, &pkt);
		int e = worker_send_packets(r->worker, w.p, w.len);

		if (e == -DT_ERR_FULL) {
			p->state = PATH_STATE_BLOCKED;
			return sent;
		}
		if (e == -DT_ERR_CLOSED)
			p->state = PATH_STATE_DOWN; /* the daemon is gone */
		/* Anything else is packet loss, for QUIC to repair. */
		sent = end;
	}
	return sent;
}

static const struct path_ops relay_ops = { relay_send };

int
path_relay_init(struct path_relay *r, struct worker *w)
{
	*r = (struct path_relay){ .path = { .ops = &relay_ops,
				      .kind = PATH_KIND_RELAY,
				      .state = PATH_STATE_UP,
				      .payload = PATH_RELAY_PAYLOAD },
		.worker = w,
		.out = malloc(IPC_MAX_BATCH) };
	return r->out != NULL ? 0 : -ENOMEM;
}

void
path_relay_fini(struct path_relay *r)
{
	free(r->out);
	r->out = NULL;
}

void
path_relay_send_one(struct path_relay *r, const void *p, size_t len)
{
	struct buf_writer w = buf_writer(r->out, IPC_MAX_BATCH);

	if (ipc_packet_put(&w, NULL, p, len) == 0)
		(void)worker_send_packets(r->worker, w.p, w.len);
}
