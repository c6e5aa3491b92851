/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/session_why.h"

#include "daemon/daemon.h"
#include "daemon/netif.h"
#include "daemon/portmap.h"
#include "daemon/session.h"
#include "lib/err.h"
#include "proto/path/direct.h"
#include "proto/path/path.h"

/* struct ipc_explanation, raw */
enum raw_outcome {
	RAW_NOT_TRIED,
	RAW_RUNNING,
	RAW_AGREED,
	RAW_REFUSED,
	RAW_PEER_REFUSED,
	RAW_PEER_SILENT,
	RAW_NO_PUNCH,
};

const char *
session_why_path(unsigned kind)
{
	switch (kind) {
	case PATH_KIND_RELAY:
		return "relay";
	case PATH_KIND_MANAGED:
		return "direct";
	case PATH_KIND_RAW:
		return "raw";
	default:
		return "none";
	}
}

static const char *
raw_name(unsigned raw)
{
	static const char *const names[] = {
		[RAW_NOT_TRIED] = "not-tried",
		[RAW_RUNNING] = "running",
		[RAW_AGREED] = "agreed",
		[RAW_REFUSED] = "refused",
		[RAW_PEER_REFUSED] = "peer-refused",
		[RAW_PEER_SILENT] = "peer-silent",
		[RAW_NO_PUNCH] = "no-punch",
	};

	return names[raw];
}

static const char *
try_name(unsigned state)
{
	static const char *const names[] = {
		[DIRECT_TRY_NEW] = "new",
		[DIRECT_TRY_PENDING] = "pending",
		[DIRECT_TRY_ANSWERED] = "answered",
		[DIRECT_TRY_SILENT] = "silent",
		[DIRECT_TRY_REFUSED] = "refused",
		[DIRECT_TRY_SELECTED] = "selected",
	};

	return names[state];
}

/* What the peer's addresses came to. */
struct tries {
	unsigned answered;
	unsigned pending;
	unsigned refused; /* by our own kernel */
};

static struct tries
count_tries(const struct ipc_explanation *e)
{
	struct tries t = { 0, 0, 0 };

	for (size_t i = 0; i < e->n_peer; i++) {
		const struct ipc_candidate *c = &e->peer[i];

		if (c->acks > 0)
			t.answered++;
		else if (c->state == DIRECT_TRY_NEW ||
			 c->state == DIRECT_TRY_PENDING)
			t.pending++;
		else if (c->state == DIRECT_TRY_REFUSED)
			t.refused++;
	}
	return t;
}

/* The peer told addresses, and none of them is in use. */
static struct session_why_verdict
judge_tries(const struct ipc_explanation *e)
{
	struct tries t = count_tries(e);

	if (t.answered > 0)
		return (struct session_why_verdict){ "direct-lost",
			"an address of the peer answered before and does not "
			"carry packets now" };
	if (t.pending > 0 && e->path_ms < SESSION_WHY_EARLY_MS)
		return (struct session_why_verdict){ "probing",
			"the peer's addresses are still being probed" };
	if (e->stun_asked > 0 && e->stun_answered == 0)
		return (struct session_why_verdict){ "udp-blocked",
			"UDP seems to be blocked here: no STUN server "
			"answered, nor did the peer" };
	if (t.refused == e->n_peer)
		return (struct session_why_verdict){ "no-route",
			"this machine has no way to any address of the peer" };
	if (e->symmetric)
		return (struct session_why_verdict){ "symmetric-nat",
			"our NAT uses another port for every destination "
			"(symmetric), and the peer's lets no stranger in" };
	return (struct session_why_verdict){ "unanswered",
		"no address of the peer answered: its NAT or firewall lets us "
		"not in, or gives it another port for every destination" };
}

static bool
has_socket(const struct udp_sockets *u)
{
	for (size_t i = 0; i < UDP_SOCKETS_N; i++)
		if (u->socket[i].port != 0)
			return true;
	return false;
}

struct session_why_verdict
session_why_judge(const struct ipc_explanation *e,
    const struct udp_sockets *sockets, bool forced)
{
	if (e != NULL && e->path.kind > PATH_KIND_RELAY)
		return (struct session_why_verdict){ "direct",
			"packets go directly" };
	if (forced || (e != NULL && e->forced_relay))
		return (struct session_why_verdict){ "forced",
			"the relay is forced on our side" };
	if (e == NULL)
		return (struct session_why_verdict){ "unknown",
			"the session's worker did not answer" };
	if (!has_socket(sockets))
		return (struct session_why_verdict){ "no-sockets",
			"no UDP socket could be made here" };
	if (e->path.kind == 0)
		return (struct session_why_verdict){ "claiming",
			"the peer has not accepted the session yet" };
	if (e->n_peer == 0)
		return (struct session_why_verdict){ "no-candidates",
			"the peer told no address: it has none yet, or the "
			"relay is forced on its side" };
	return judge_tries(e);
}

static json_t *
addr_json(const struct addr *a)
{
	char text[ADDR_MAX_TEXT];

	if (a->port == 0)
		addr_format_ip(a, text);
	else
		addr_format(a, text);
	return json_string(text);
}

static json_t *
list_json(const struct addr *a, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, addr_json(&a[i]));
	return list;
}

static json_t *
peer_json(const struct ipc_explanation *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n_peer; i++) {
		const struct ipc_candidate *c = &e->peer[i];

		(void)json_array_append_new(list,
		    json_pack("{s:o,s:s,s:b,s:I,s:I,s:I,s:s}", "addr",
			addr_json(&c->addr), "state", try_name(c->state),
			"reflexive", (int)c->reflexive, "probes",
			(json_int_t)c->probes, "acks", (json_int_t)c->acks,
			"rtt_us", (json_int_t)c->rtt_us, "error",
			c->error != 0 ? err_name(c->error) : ""));
	}
	return list;
}

static json_t *
sockets_json(const struct udp_sockets *u)
{
	static const char *const names[] = {
		[IPC_SOCKET_MANAGED4] = "ipv4",
		[IPC_SOCKET_MANAGED6] = "ipv6",
		[IPC_SOCKET_RAW4] = "raw",
	};
	json_t *list = json_array();

	for (size_t i = 0; i < UDP_SOCKETS_N; i++) {
		const struct udp_socket *k = &u->socket[i];

		if (k->port == 0 && k->error == 0)
			continue; /* not wanted */
		(void)json_array_append_new(list,
		    json_pack("{s:s,s:i,s:s,s:I,s:I,s:b}", "use", names[k->use],
			"port", (int)k->port, "error",
			k->error != 0 ? err_name(k->error) : "", "rcvbuf_bytes",
			(json_int_t)k->rcvbuf_bytes, "sndbuf_bytes",
			(json_int_t)k->sndbuf_bytes, "gro", (int)k->has_gro));
	}
	return list;
}

/* What the worker said, into @o. */
static void
add_explanation(json_t *o, const struct ipc_explanation *e)
{
	json_t *said = json_pack(
	    "{s:I,s:I,s:b,s:s,s:{s:i,s:i,s:b},s:o,s:o,s:i}", "since_ms",
	    (json_int_t)e->path_ms, "switches", (json_int_t)e->switches,
	    "native", (int)e->peer_is_native, "raw", raw_name(e->raw), "stun",
	    "asked", (int)e->stun_asked, "answered", (int)e->stun_answered,
	    "symmetric", (int)e->symmetric, "own", list_json(e->own, e->n_own),
	    "peer", peer_json(e), "payload", (int)e->payload);

	if (said != NULL)
		(void)json_object_update(o, said);
	json_decref(said);
}

/* How the gateway forwards ports, or why it does not. */
static const char *
portmap_name(const struct portmap *p)
{
	struct portmap_status status;

	portmap_get_status(p, &status);
	if (!status.enabled)
		return "off";
	if (status.gateway.family == 0)
		return "no-gateway";
	switch (status.protocol) {
	case IPC_PORTMAP_PCP:
		return "pcp";
	case IPC_PORTMAP_NATPMP:
		return "nat-pmp";
	case IPC_PORTMAP_UPNP:
		return "upnp";
	case IPC_PORTMAP_NONE:
	default:
		return "none";
	}
}

/* What we know without it. */
static void
add_own(json_t *o, const struct session *s)
{
	const struct ipc_network *n = &s->net.network;
	struct addr gateway;

	(void)json_object_set_new(o, "sockets", sockets_json(&s->net.sockets));
	(void)json_object_set_new(o, "interfaces", list_json(n->own, n->n_own));
	(void)json_object_set_new(o, "servers", list_json(n->stun, n->n_stun));
	if (netif_gateway4(s->daemon->netif, &gateway))
		(void)json_object_set_new(o, "gateway", addr_json(&gateway));
	(void)json_object_set_new(
	    o, "portmap", json_string(portmap_name(s->daemon->portmap)));
	if (n->has_mapping)
		(void)json_object_set_new(o, "mapping", addr_json(&n->mapping));
}

json_t *
session_why_answer(const struct session *s, const struct ipc_explanation *e)
{
	const struct ipc_path *path = e != NULL ? &e->path : &s->net.path;
	/* The relay is where all begins, and not worth a PATH. */
	unsigned kind =
	    path->kind == 0 && s->has_path ? PATH_KIND_RELAY : path->kind;
	struct session_why_verdict v =
	    session_why_judge(e, &s->net.sockets, s->force_relay);
	json_t *o = json_pack("{s:I,s:s,s:s,s:b,s:s,s:s}", "session",
	    (json_int_t)s->id, "path", session_why_path(kind), "reason",
	    path->reason, "forced_relay", (int)s->force_relay, "cause", v.cause,
	    "conclusion", v.text);

	if (o == NULL)
		return NULL;
	if (path->peer.family != 0)
		(void)json_object_set_new(o, "address", addr_json(&path->peer));
	if (e != NULL)
		add_explanation(o, e);
	add_own(o, s);
	return o;
}
