/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/ipc/ipc_addr.h"

#include <string.h>

#include "lib/err.h"

void
ipc_put_addr(struct buf_writer *w, const struct addr *a)
{
	if (a->family == 0) {
		buf_put_u8(w, 0);
		return;
	}
	buf_put_u8(w, a->family == AF_INET ? 4 : 6);
	buf_put_u16(w, a->port);
	buf_put_bytes(w, a->ip, a->family == AF_INET ? 4 : 16);
}

struct addr
ipc_get_addr(struct buf_reader *r)
{
	struct addr a;
	uint8_t family = buf_get_u8(r);

	memset(&a, 0, sizeof(a));
	if (family == 0)
		return a;
	if (family != 4 && family != 6) {
		buf_reader_fail(r, -DT_ERR_SYNTAX);
		return a;
	}
	a.family = family == 4 ? AF_INET : AF_INET6;
	a.port = buf_get_u16(r);
	buf_get_bytes(r, a.ip, family == 4 ? 4 : 16);
	return a;
}
