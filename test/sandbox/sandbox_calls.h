/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls to try inside a confined worker, by name. */
#ifndef TEST_SANDBOX_SANDBOX_CALLS_H
#define TEST_SANDBOX_SANDBOX_CALLS_H

#include <stddef.h>
#include <stdint.h>

struct sandbox_call {
	const char *name;
	long number;
	long a;
	long b;
	long c;
	long d;
};

extern const struct sandbox_call sandbox_calls[];
extern const size_t sandbox_calls_count;

/*
 * The extra message a test build of a worker understands, on fd 3: this type
 * (no real one), then the index of the call.  It answers with the same type and
 * the call's errno, 0 if it ran, unless the call killed it.
 */
#define SANDBOX_CALLS_TYPE 0xfffe
struct sandbox_calls_message {
	uint16_t type; /* network order */
	uint16_t value;
};

#endif
