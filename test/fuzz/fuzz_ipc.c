/* SPDX-License-Identifier: BSD-3-Clause */
/* First byte: the view; the rest: a control message or a packet batch. */
#include <stddef.h>
#include <stdint.h>

#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"
#include "proto/ipc/ipc_network.h"
#include "proto/ipc/ipc_portmap.h"
#include "proto/ipc/ipc_transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_body(uint16_t type, struct buf_reader *r)
{
	static union {
		struct ipc_boot_gate gate;
		struct ipc_boot_session session;
		struct ipc_reason reason;
		struct ipc_log log;
		struct ipc_status_body status;
		struct ipc_dialed dialed;
		struct ipc_description description;
		struct ipc_accept accept;
		struct ipc_peer peer;
		struct ipc_sockets sockets;
		struct ipc_network network;
		struct ipc_path path;
		struct ipc_explanation explanation;
		struct ipc_boot_portmap portmap;
		struct ipc_map_request request;
		struct ipc_mapped mapped;
		struct ipc_connect connect;
		struct ipc_source source;
		struct ipc_sink sink;
		struct ipc_open open;
		struct ipc_save save;
		struct ipc_saved saved;
		struct ipc_progress progress;
		uint32_t u32;
		uint16_t port;
		int result;
		bool flag;
	} u;

	switch ((enum ipc_type)type) {
	case IPC_BOOT_GATE:
		(void)ipc_get_boot_gate(r, &u.gate);
		break;
	case IPC_BOOT_SESSION:
		(void)ipc_get_boot_session(r, &u.session);
		break;
	case IPC_STOP:
	case IPC_ENDED:
		(void)ipc_get_reason(r, &u.reason);
		break;
	case IPC_LOG:
		(void)ipc_get_log(r, &u.log);
		break;
	case IPC_STATUS:
		(void)ipc_get_status(r, &u.status);
		break;
	case IPC_DIALED:
		(void)ipc_get_dialed(r, &u.dialed);
		break;
	case IPC_DESCRIPTION:
		(void)ipc_get_description(r, &u.description);
		break;
	case IPC_ACCEPT:
		(void)ipc_get_accept(r, &u.accept);
		break;
	case IPC_ACCEPTED:
	case IPC_RELEASE:
	case IPC_CHECK:
	case IPC_CHECKED:
		(void)ipc_get_peer(r, &u.peer);
		break;
	case IPC_DIAL:
	case IPC_PROBE:
		(void)ipc_get_u32(r, &u.u32);
		break;
	case IPC_PROBED:
		(void)ipc_get_bool(r, &u.flag);
		break;
	case IPC_BOOT_PORTMAP:
		(void)ipc_portmap_get_boot(r, &u.portmap);
		break;
	case IPC_MAP_REQUEST:
		(void)ipc_portmap_get_request(r, &u.request);
		break;
	case IPC_MAP_RELEASE:
		(void)ipc_portmap_get_release(r, &u.port);
		break;
	case IPC_MAPPED:
		(void)ipc_portmap_get_mapped(r, &u.mapped);
		break;
	case IPC_CONNECT:
		(void)ipc_portmap_get_connect(r, &u.connect);
		break;
	case IPC_CONNECTED:
		(void)ipc_portmap_get_connected(r, &u.result);
		break;
	case IPC_SOURCE:
		(void)ipc_transfer_get_source(r, &u.source);
		break;
	case IPC_SINK:
	case IPC_OPENED:
		(void)ipc_transfer_get_sink(r, &u.sink);
		break;
	case IPC_OPEN:
		(void)ipc_transfer_get_open(r, &u.open);
		break;
	case IPC_SAVE:
		(void)ipc_transfer_get_save(r, &u.save);
		break;
	case IPC_SAVED:
		(void)ipc_transfer_get_saved(r, &u.saved);
		break;
	case IPC_PROGRESS:
		(void)ipc_transfer_get_progress(r, &u.progress);
		break;
	case IPC_SOCKETS:
		(void)ipc_get_sockets(r, &u.sockets);
		break;
	case IPC_NETWORK:
		(void)ipc_get_network(r, &u.network);
		break;
	case IPC_PATH:
		(void)ipc_get_path(r, &u.path);
		break;
	case IPC_EXPLANATION:
		(void)ipc_get_explanation(r, &u.explanation);
		break;
	case IPC_BORN:
	case IPC_LISTENER:
	case IPC_STDIO:
	case IPC_DESCRIBE:
	case IPC_CLAIM_BACK:
	case IPC_EXPLAIN:
	case IPC_RELAY_BACK:
	default:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_view v;
	struct ipc_header h;
	struct buf_reader r;
	const uint8_t *key, *payload;
	size_t len;

	if (size < 1)
		return 0;
	v.direction = (data[0] & 1) != 0 ? IPC_TO_WORKER : IPC_TO_DAEMON;
	v.role = (data[0] & 2) != 0    ? IPC_ROLE_GATE
		 : (data[0] & 16) != 0 ? IPC_ROLE_PORTMAP
				       : IPC_ROLE_SESSION;
	v.state = (data[0] & 4) != 0 ? IPC_STATE_BORN : IPC_STATE_RUNNING;
	if (ipc_parse(&v, data + 1, size - 1, 0, &h, &r) == 0)
		read_body(h.type, &r);
	r = buf_reader(data + 1, size - 1);
	while (ipc_packet_next(&r, data[0] & 8, &key, &payload, &len) == 1)
		;
	return 0;
}
