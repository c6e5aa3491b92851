/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/session_listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/session_transfer.h"
#include "daemon/session_worker.h"
#include "daemon/signer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/quic/identity_cert.h"

static int
fill_boot(const struct endpoint *e, const struct ipc_accept *a,
    struct ipc_boot_session *b)
{
	struct identity_cert cert;
	int r = identity_cert_make(&cert, &e->quic_seed, mono_unix_seconds());

	if (r < 0)
		return r;
	b->kind = e->kind;
	b->listener = true;
	b->force_relay = e->force_relay;
	b->raw_direct = e->raw_direct;
	b->verbose = e->daemon->config->verbose;
	b->own_derp = e->derp_public;
	b->peer_derp = a->peer_derp;
	b->peer_quic = a->peer_quic;
	b->session_id = e->session_id;
	b->envelope_key = a->envelope_key;
	b->disco_key = a->disco_key;
	b->own_quic = e->quic_public;
	b->cert_len = (uint16_t)cert.len;
	memcpy(b->cert, cert.der, cert.len);
	b->claim_len = a->claim_len;
	memcpy(b->claim, a->claim, a->claim_len);
	b->decision_len = a->decision_len;
	memcpy(b->decision, a->decision, a->decision_len);
	session_transfer_fill(e->transfer, b);
	return 0;
}

static void
on_link_state(void *arg, struct mono now)
{
	(void)now;
	session_worker_relay_state(arg);
}

static void
on_pressure(void *arg, bool high)
{
	struct session *s = arg;

	if (s->worker != NULL)
		worker_pause(s->worker, high);
}

/* The endpoint's link, for one more user.  Never makes a new one. */
static int
join_link(struct session *s, struct endpoint *e)
{
	struct relay_target unused;

	memset(&unused, 0, sizeof(unused));
	s->watch.state = on_link_state;
	s->watch.pressure = on_pressure;
	s->watch.arg = s;
	return relay_link_get(s->daemon->relays, &e->derp_private, e->params,
	    &unused, 1, &s->watch, &s->link);
}

static int
boot(struct session *s, struct endpoint *e, const struct ipc_accept *a)
{
	struct ipc_boot_session *b = calloc(1, sizeof(*b)); /* 34 KiB */
	int fd = -1, r;

	if (b == NULL)
		return -ENOMEM;
	r = fill_boot(e, a, b);
	if (r == 0)
		r = join_link(s, e);
	if (r == 0)
		r = signer_new(s->daemon->loop, &e->quic_seed, &s->signer, &fd);
	if (r == 0)
		r = session_worker_boot(s, b, fd);
	if (r < 0)
		fd_close(&fd);
	secret_wipe(b, sizeof(*b));
	free(b);
	return r;
}

int
session_listen_new(struct endpoint *e, const struct ipc_accept *a, uint32_t seq,
    struct session **ret_session)
{
	struct daemon *d = e->daemon;
	char peer[SECRET_FINGERPRINT_LEN];
	struct session *s;
	int r;

	if (!daemon_may_add(d, e->uid))
		return -DT_ERR_LIMIT;
	s = session_new(d, SESSION_LISTENER, e->owner, e->uid);
	if (s == NULL)
		return -ENOMEM;
	s->endpoint = e->id;
	s->kind = e->kind;
	s->force_relay = e->force_relay;
	s->raw_direct = e->raw_direct;
	s->peer_derp = a->peer_derp;
	s->params = relay_params_ref(e->params);
	session_set_state(s, SESSION_CLAIMING);
	r = boot(s, e, a);
	if (r < 0) {
		session_discard(s);
		return r;
	}
	s->accept_seq = seq;
	secret_fingerprint(peer, &s->peer_derp);
	log_info("session", "claim accepted session=%u endpoint=%u peer=%s",
	    s->id, e->id, peer);
	*ret_session = s;
	return 0;
}
