/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of both ends of a DERP connection, the same in every run. */
#ifndef TEST_FUZZ_DERP_KEYS_H
#define TEST_FUZZ_DERP_KEYS_H

#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"

static struct key32 client_private, client_public;
static struct key32 server_private, server_public;

static inline void
make_keys(void)
{
	if (client_private.b[0] != 0)
		return;
	memset(client_private.b, 8, sizeof(client_private.b));
	memset(server_private.b, 16, sizeof(server_private.b));
	if (secret_curve_public(&client_public, &client_private) != 0 ||
	    secret_curve_public(&server_public, &server_private) != 0)
		abort();
}

#endif
