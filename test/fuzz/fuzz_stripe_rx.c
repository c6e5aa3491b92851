/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: one byte with the number of lanes, then records {lane, length, bytes}.
 * The top bit of the lane is a FIN.  Whatever comes, memory stays bounded,
 * nothing is delivered twice, and the receiver comes back.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/tunnel/stripe_rx.h"

#define MAX_PARKED 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
deliver(void *arg, size_t lane, const uint8_t *p, size_t len)
{
	size_t *total = arg;

	(void)lane;
	if (p != NULL && len > 0) {
		*total += len;
		*total += p[len - 1] & 0; /* touch it, for the sanitizer */
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t total = 0;
	size_t given = 0;
	size_t n_lanes;
	struct stripe_rx *rx;

	if (size < 1)
		return 0;
	n_lanes = data[0] % 4 + 1;
	data++;
	size--;
	rx = stripe_rx_new(n_lanes, MAX_PARKED, deliver, &total);
	if (rx == NULL)
		return 0;
	while (size >= 2) {
		size_t lane = (data[0] & 0x7f) % n_lanes;
		int fin = data[0] & 0x80;
		size_t len = data[1];

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		given += len;
		if (stripe_rx_input(rx, lane, data, len, fin != 0) != 0)
			break;
		assert(total <= given);
		assert(stripe_rx_held(rx) <=
		       STRIPE_RX_MAX_AHEAD + n_lanes * MAX_PARKED);
		data += len;
		size -= len;
	}
	stripe_rx_free(rx);
	return 0;
}
