/* SPDX-License-Identifier: BSD-3-Clause */
/* What derptun-portmap may do once it is confined. */
#ifndef HELPERS_PORTMAP_SANDBOX_PORTMAP_H
#define HELPERS_PORTMAP_SANDBOX_PORTMAP_H

#include "lib/sandbox.h"

extern const struct sandbox_profile sandbox_portmap;

#endif
