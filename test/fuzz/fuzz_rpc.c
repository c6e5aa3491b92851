/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>

#include "proto/rpc/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_message m;
	enum rpc_method method;
	const char *why;
	int code;

	if (rpc_parse((const char *)data, size, &m, &code) != 0)
		return 0;
	if (m.kind != RPC_RESPONSE)
		(void)rpc_check(&m, &method, &why);
	rpc_fini(&m);
	return 0;
}
