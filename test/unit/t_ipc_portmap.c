/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "lib/err.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_portmap.h"
#include "test/tap.h"

static uint8_t bytes[64];

static struct addr
ip(const char *text, uint16_t port)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	(void)addr_parse_ip(&a, text, port);
	return a;
}

static void
test_boot(void)
{
	struct ipc_boot_portmap b = { true, ip("192.168.1.1", 0),
		ip("192.168.1.9", 0) };
	struct ipc_boot_portmap got = { 0 };
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	ipc_portmap_put_boot(&w, &b);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_boot(&r, &got), 0, "boot is read");
	OK(got.verbose && addr_equal(&got.gateway, &b.gateway) &&
		addr_equal(&got.local, &b.local),
	    "as written");
	for (size_t n = 0; n < w.len; n++) {
		r = buf_reader(bytes, n);
		EQ_INT(ipc_portmap_get_boot(&r, &got), -DT_ERR_IPC,
		    "boot cut at %zu", n);
	}
	r = buf_reader(bytes, w.len + 1);
	EQ_INT(ipc_portmap_get_boot(&r, &got), -DT_ERR_IPC, "boot with a tail");
	bytes[1] = 8; /* 8.168.1.1 */
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_boot(&r, &got), -DT_ERR_IPC,
	    "a gateway that is not private");
	bytes[1] = 192;
	bytes[0] = 2;
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_boot(&r, &got), -DT_ERR_IPC, "a wrong flag");
}

static void
test_request(void)
{
	struct ipc_map_request m = { 40000, 40001, "nonce-nonce" }, got;
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;
	uint16_t port = 0;

	ipc_portmap_put_request(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_request(&r, &got), 0, "request is read");
	OK(memcmp(&got, &m, sizeof(m)) == 0, "as written");
	for (size_t n = 0; n < w.len; n++) {
		r = buf_reader(bytes, n);
		EQ_INT(ipc_portmap_get_request(&r, &got), -DT_ERR_IPC,
		    "request cut at %zu", n);
	}
	memset(bytes, 0, 2);
	r = buf_reader(bytes, w.len);
	EQ_INT(
	    ipc_portmap_get_request(&r, &got), -DT_ERR_IPC, "port 0 is none");

	w = buf_writer(bytes, sizeof(bytes));
	ipc_portmap_put_release(&w, 40000);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_release(&r, &port), 0, "release is read");
	EQ_INT(port, 40000, "as written");
	r = buf_reader(bytes, 1);
	EQ_INT(ipc_portmap_get_release(&r, &port), -DT_ERR_IPC, "cut");
}

static int
pass_mapped(const struct ipc_mapped *m, struct ipc_mapped *ret)
{
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	ipc_portmap_put_mapped(&w, m);
	r = buf_reader(bytes, w.len);
	return ipc_portmap_get_mapped(&r, ret);
}

static void
test_mapped(void)
{
	static const char *const unusable[] = { "0.0.0.0", "127.0.0.1",
		"224.0.0.1", "255.255.255.255" };
	struct ipc_mapped m = { 40000, IPC_PORTMAP_PCP, ip("198.18.0.7", 9),
		7200, 0 };
	struct ipc_mapped got = { 0 };
	struct ipc_mapped gone = { 40000, IPC_PORTMAP_NONE, { 0 }, 0,
		-DT_ERR_TIMEOUT };
	struct buf_reader r;

	for (int p = IPC_PORTMAP_PCP; p <= IPC_PORTMAP_UPNP; p++) {
		m.protocol = (enum ipc_portmap_protocol)p;
		EQ_INT(pass_mapped(&m, &got), 0, "mapping by %d is read", p);
		OK(got.port == m.port && got.protocol == m.protocol &&
			addr_equal(&got.external, &m.external) &&
			got.lifetime_s == 7200 && got.reason == 0,
		    "as written");
	}
	for (size_t n = 0; n < 17; n++) {
		r = buf_reader(bytes, n);
		EQ_INT(ipc_portmap_get_mapped(&r, &got), -DT_ERR_IPC,
		    "mapping cut at %zu", n);
	}
	EQ_INT(pass_mapped(&gone, &got), 0, "one that is gone");
	OK(got.external.family == 0 && got.reason == -DT_ERR_TIMEOUT,
	    "has no address, and a reason");
	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		m.external = ip(unusable[i], 9);
		EQ_INT(pass_mapped(&m, &got), -DT_ERR_IPC,
		    "%s is no mapped address", unusable[i]);
	}
	m.external = ip("198.18.0.7", 0);
	EQ_INT(pass_mapped(&m, &got), -DT_ERR_IPC, "nor is port 0");
	m.external.port = 9;
	m.lifetime_s = 0;
	EQ_INT(pass_mapped(&m, &got), -DT_ERR_IPC, "nor one without a life");
	m.lifetime_s = 1;
	m.protocol = (enum ipc_portmap_protocol)4;
	EQ_INT(pass_mapped(&m, &got), -DT_ERR_IPC, "nor by another protocol");
	gone.reason = 0;
	EQ_INT(pass_mapped(&gone, &got), -DT_ERR_IPC, "gone needs a reason");
}

static int
pass_connect(uint8_t kind, uint16_t port, struct ipc_connect *ret)
{
	struct ipc_connect c = { (enum ipc_connect_kind)kind, port };
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	ipc_portmap_put_connect(&w, &c);
	r = buf_reader(bytes, w.len);
	return ipc_portmap_get_connect(&r, ret);
}

static void
test_connect(void)
{
	struct ipc_connect got = { 0 };
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;
	int result = 1;

	EQ_INT(pass_connect(2, 5000, &got), 0, "HTTP");
	EQ_INT(got.port, 5000, "to a port");
	EQ_INT(pass_connect(1, 0, &got), 0, "SSDP");
	EQ_INT(pass_connect(2, 0, &got), -DT_ERR_IPC, "HTTP needs a port");
	EQ_INT(pass_connect(1, 9, &got), -DT_ERR_IPC, "SSDP has none");
	EQ_INT(pass_connect(0, 9, &got), -DT_ERR_IPC, "kind 0");
	EQ_INT(pass_connect(3, 9, &got), -DT_ERR_IPC, "kind 3");
	r = buf_reader(bytes, 2);
	EQ_INT(ipc_portmap_get_connect(&r, &got), -DT_ERR_IPC, "cut");

	ipc_portmap_put_connected(&w, -111);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_connected(&r, &result), 0, "connected is read");
	EQ_INT(result, -111, "with its result");
	bytes[0] = 0;
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_portmap_get_connected(&r, &result), -DT_ERR_IPC,
	    "a result is no positive number");
}

static void
test_table(void)
{
	struct ipc_view gate = { IPC_TO_WORKER, IPC_ROLE_GATE,
		IPC_STATE_RUNNING };
	struct ipc_view portmap = { IPC_TO_WORKER, IPC_ROLE_PORTMAP,
		IPC_STATE_RUNNING };
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct ipc_header h;
	struct buf_reader body;

	ipc_begin(&w, IPC_MAP_RELEASE, 1, 1);
	ipc_portmap_put_release(&w, 1);
	EQ_INT(ipc_parse(&portmap, bytes, w.len, 0, &h, &body), 0,
	    "portmap may get a release");
	EQ_INT(ipc_parse(&gate, bytes, w.len, 0, &h, &body), -DT_ERR_IPC,
	    "a gate may not");
	w = buf_writer(bytes, sizeof(bytes));
	ipc_begin(&w, IPC_STOP, 1, 1);
	EQ_INT(ipc_parse(&portmap, bytes, w.len, 0, &h, &body), 0,
	    "everybody may be stopped");
}

int
main(void)
{
	test_boot();
	test_request();
	test_mapped();
	test_connect();
	test_table();
	return tap_done();
}
