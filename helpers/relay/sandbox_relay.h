/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HELPERS_RELAY_SANDBOX_RELAY_H
#define HELPERS_RELAY_SANDBOX_RELAY_H

#include "lib/sandbox.h"

/* The relay once its sockets and keys are open: it accepts, and that is all. */
extern const struct sandbox_profile sandbox_relay;

#endif
