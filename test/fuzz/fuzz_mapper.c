/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper at the mercy of its gateway.  The input is a list of steps: one
 * byte says what happens, one how long its data is, then the data.  Requests
 * that the mapper makes are remembered, so that answers can be made to fit.
 */
#include <stdlib.h>
#include <string.h>

#include "helpers/portmap/mapper.h"
#include "lib/buf.h"

#define TURNS 2000 /* of running at one moment, before it counts as a spin */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct mapper *m;
	struct mono now;
	bool http;       /* an answer is awaited */
	uint8_t pcp[60]; /* the last MAP request */
};

static void
on_send(void *arg, const void *p, size_t len)
{
	struct world *w = arg;

	if (len == sizeof(w->pcp))
		memcpy(w->pcp, p, len);
}

static void
on_search(void *arg, const void *p, size_t len)
{
	(void)arg;
	(void)p;
	(void)len;
}

static void
on_http(void *arg, uint16_t port, const void *p, size_t len)
{
	struct world *w = arg;

	(void)p;
	if (w->http || port == 0 || len == 0)
		abort();
	w->http = true;
}

static void
on_report(void *arg, const struct ipc_mapped *m)
{
	uint8_t body[32];
	struct buf_writer out = buf_writer(body, sizeof(body));
	struct ipc_mapped copy;
	struct buf_reader in;

	(void)arg;
	ipc_portmap_put_mapped(&out, m);
	in = buf_reader(body, out.len);
	if (out.err != 0 || ipc_portmap_get_mapped(&in, &copy) != 0)
		abort(); /* the daemon would kill us for it */
}

static void
settle(struct world *w)
{
	for (int i = 0; i < TURNS; i++) {
		mapper_run(w->m, w->now);
		if (mono_before(w->now, mapper_deadline(w->m)))
			return;
	}
	abort();
}

/* A PCP answer to the last request, its other fields from the input. */
static void
answer_pcp(struct world *w, const uint8_t *p, size_t len)
{
	uint8_t out[60];

	memcpy(out, w->pcp, sizeof(out));
	out[1] = 0x81;
	out[3] = len > 0 && p[0] < 16 ? p[0] : 0;
	memset(out + 8, 0, 16);
	if (len >= 9)
		memcpy(out + 4, p + 1, 8); /* lifetime, epoch */
	if (len >= 15) {
		memcpy(out + 42, p + 9, 2);
		memcpy(out + 56, p + 11, 4);
	}
	mapper_on_datagram(w->m, out, sizeof(out), w->now);
}

static void
reply(struct world *w, int status, const uint8_t *p, size_t len)
{
	if (!w->http)
		return;
	w->http = false;
	mapper_on_reply(w->m, status == 0 ? -1 : 0, status, p, len, w->now);
}

static void
ask(struct world *w, const uint8_t *p, size_t len, bool wanted)
{
	struct ipc_map_request r = { .port = (uint16_t)(len > 0 ? p[0] % 8 + 1
								: 1) };

	if (wanted)
		(void)mapper_request(w->m, &r, w->now);
	else
		mapper_release(w->m, r.port, w->now);
}

static void
step(struct world *w, uint8_t what, const uint8_t *p, size_t len)
{
	static const char soap[] =
	    "<u:X><NewExternalIPAddress>11.0.0.7</NewExternalIPAddress></u:X>";
	static const char desc[] =
	    "<root><device><serviceList><service><serviceType>"
	    "urn:schemas-upnp-org:service:WANIPConnection:2</serviceType>"
	    "<controlURL>/ctl</controlURL></service></serviceList></device>"
	    "</root>";
	static const char found[] =
	    "HTTP/1.1 200 OK\r\nST: InternetGatewayDevice:1\r\n"
	    "LOCATION: http://192.168.1.1:5000/x\r\n\r\n";
	struct addr from;

	(void)addr_parse(&from, "192.168.1.1:1900");
	switch (what % 12) {
	case 0:
		ask(w, p, len, true);
		break;
	case 1:
		ask(w, p, len, false);
		break;
	case 2:
		w->now = mono_add(w->now, (int64_t)len * MONO_SEC * 8);
		break;
	case 3:
		w->now = mono_add(w->now, (int64_t)len * 10 * MONO_MS);
		break;
	case 4:
		mapper_on_datagram(w->m, p, len, w->now);
		break;
	case 5:
		answer_pcp(w, p, len);
		break;
	case 6:
		mapper_on_refused(w->m, w->now);
		break;
	case 7:
		mapper_on_answer(w->m, &from, p, len, w->now);
		break;
	case 8:
		mapper_on_answer(w->m, &from, found, sizeof(found) - 1, w->now);
		break;
	case 9:
		reply(w, len % 3 == 0 ? 0 : len % 3 == 1 ? 200 : 500, p, len);
		break;
	case 10:
		reply(w, 200, (const uint8_t *)desc, sizeof(desc) - 1);
		break;
	default:
		reply(w, 200, (const uint8_t *)soap, sizeof(soap) - 1);
		break;
	}
	settle(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct mapper_params p = {
		.send = on_send,
		.search = on_search,
		.http = on_http,
		.report = on_report,
		.arg = &w,
	};
	struct buf_reader in = buf_reader(data, size);
	uint8_t what, len;

	memset(&w, 0, sizeof(w));
	w.now = (struct mono){ MONO_SEC };
	(void)addr_parse_ip(&p.gateway, "192.168.1.1", 0);
	(void)addr_parse_ip(&p.local, "192.168.1.9", 0);
	w.m = mapper_new(&p);
	if (w.m == NULL)
		abort();
	while (buf_remaining(&in) >= 2) {
		what = buf_get_u8(&in);
		len = buf_get_u8(&in);
		if (len > buf_remaining(&in))
			len = (uint8_t)buf_remaining(&in);
		step(&w, what, buf_peek_bytes(&in, len), len);
	}
	/* Whatever it was led to: it ends in time. */
	mapper_stop(w.m, w.now);
	settle(&w);
	while (w.http) {
		reply(&w, 0, NULL, 0);
		settle(&w);
	}
	w.now = mono_add(w.now, MAPPER_STOP_US);
	settle(&w);
	w.now = mono_add(w.now, MAPPER_STOP_US);
	settle(&w);
	while (w.http) {
		reply(&w, 0, NULL, 0);
		settle(&w);
	}
	mapper_free(w.m);
	return 0;
}
