/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams at a STUN server and at a STUN client. */
#include <stdlib.h>

#include "proto/stun/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t reply[STUN_MAX_RESPONSE_LEN];
	struct stun_tx tx, tx2;
	struct addr a, b;
	size_t n;

	if (stun_parse_request(data, size, &tx) == 0 &&
	    !stun_is_message(data, size))
		abort();
	if (stun_parse_response(data, size, &tx, &a) != 0)
		return 0;
	/* what a client can read, a server can have written */
	n = stun_write_response(reply, &tx, &a);
	if (n == 0 || stun_parse_response(reply, n, &tx2, &b) != 0 ||
	    !stun_tx_equal(&tx, &tx2) || !addr_equal(&a, &b))
		abort();
	return 0;
}
