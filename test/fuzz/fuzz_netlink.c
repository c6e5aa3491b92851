/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of the kernel to our questions about interfaces. */
#include <stdlib.h>
#include <string.h>

#include "daemon/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct netlink_table t;
	struct addr out[64];
	size_t n;

	memset(&t, 0, sizeof(t));
	if (netlink_read(&t, 7, data, size) > 1)
		abort();
	/* As if their links were up, so that choosing has work. */
	for (size_t i = 0; i < t.n_addrs; i++)
		t.addrs[i].is_up = true;
	n = netlink_choose(&t, out, 64);
	if (n > 64 || n > t.n_addrs)
		abort();
	for (size_t i = 0; i < n; i++)
		if (out[i].family == 0 || addr_is_loopback(&out[i]))
			abort();
	return 0;
}
