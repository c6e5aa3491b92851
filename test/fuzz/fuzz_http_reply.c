/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway's HTTP answer: whole, and in pieces as its first byte says. */
#include <stdlib.h>
#include <string.h>

#include "proto/portmap/http_reply.h"

#define CAP 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
run(struct http_reply *h, uint8_t *body, const uint8_t *p, size_t len,
    size_t step)
{
	int r = 0;
	size_t n;

	http_reply_init(h, body, CAP);
	while (len > 0 && r == 0) {
		n = len < step ? len : step;
		r = http_reply_input(h, p, n);
		p += n;
		len -= n;
	}
	return r == 0 ? http_reply_end(h) : r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t body[2][CAP];
	static struct http_reply h[2];
	int a, b;

	if (size < 1)
		return 0;
	a = run(&h[0], body[0], data + 1, size - 1, size);
	b = run(&h[1], body[1], data + 1, size - 1, data[0] % 16 + 1);
	if ((a < 0) != (b < 0) || (a < 0 && a != b))
		abort();
	if (a >= 0 && (h[0].body_len != h[1].body_len ||
			  memcmp(body[0], body[1], h[0].body_len) != 0))
		abort();
	return 0;
}
