/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies of the messages between derptund and derptun-portmap; the rules are
 * those of ipc_body.h.  Nothing in them is secret.
 *
 * One worker serves one gateway.  It maps what it is asked to, tells what
 * became of it, and asks for every socket beyond the first.
 */
#ifndef PROTO_IPC_IPC_PORTMAP_H
#define PROTO_IPC_IPC_PORTMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/buf.h"

/* How a mapping was made. */
enum ipc_portmap_protocol {
	IPC_PORTMAP_NONE = 0,
	IPC_PORTMAP_PCP = 1,
	IPC_PORTMAP_NATPMP = 2,
	IPC_PORTMAP_UPNP = 3,
};

/* BOOT_PORTMAP, with a UDP socket connected to port 5351 of the gateway. */
struct ipc_boot_portmap {
	bool verbose;        /* log debug lines */
	struct addr gateway; /* IPv4, port 0 */
	struct addr local;   /* ours towards it; IPv4, port 0 */
};
void ipc_portmap_put_boot(
    struct buf_writer *w, const struct ipc_boot_portmap *b);
int ipc_portmap_get_boot(
    struct buf_reader *r, struct ipc_boot_portmap *ret_boot);

/* PCP's mapping nonce, RFC 6887 11.1: it survives a worker that is replaced, as
 * only who knows it may change a mapping. */
#define IPC_PORTMAP_NONCE_LEN 12

/* MAP_REQUEST: a port is wanted until MAP_RELEASE {u16 port}. */
struct ipc_map_request {
	uint16_t port;          /* local, UDP; not 0 */
	uint16_t external_port; /* what it had before, or 0 */
	uint8_t nonce[IPC_PORTMAP_NONCE_LEN];
};
void ipc_portmap_put_request(
    struct buf_writer *w, const struct ipc_map_request *m);
int ipc_portmap_get_request(
    struct buf_reader *r, struct ipc_map_request *ret_request);
void ipc_portmap_put_release(struct buf_writer *w, uint16_t port);
int ipc_portmap_get_release(struct buf_reader *r, uint16_t *ret_port);

/* MAPPED: a mapping stands (again, or with another address), or is gone. */
struct ipc_mapped {
	uint16_t port;                      /* local */
	enum ipc_portmap_protocol protocol; /* NONE: gone */
	struct addr external;               /* family 0 when gone */
	uint32_t lifetime_s;                /* granted; 0 when gone */
	int32_t reason;                     /* gone: negative; else 0 */
};
void ipc_portmap_put_mapped(struct buf_writer *w, const struct ipc_mapped *m);
int ipc_portmap_get_mapped(struct buf_reader *r, struct ipc_mapped *ret_mapped);

/* CONNECT: a socket towards the gateway is needed; CONNECTED {i32 result}
 * answers with the socket when the result is 0. */
enum ipc_connect_kind {
	IPC_CONNECT_SSDP = 1, /* UDP, on the interface of the gateway */
	IPC_CONNECT_HTTP = 2, /* TCP, connected to a port of the gateway */
};
struct ipc_connect {
	enum ipc_connect_kind kind;
	uint16_t port; /* of the gateway; 0 for SSDP */
};
void ipc_portmap_put_connect(struct buf_writer *w, const struct ipc_connect *c);
int ipc_portmap_get_connect(
    struct buf_reader *r, struct ipc_connect *ret_connect);
void ipc_portmap_put_connected(struct buf_writer *w, int result);
int ipc_portmap_get_connected(struct buf_reader *r, int *ret_result);

#endif
