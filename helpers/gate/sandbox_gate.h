/* SPDX-License-Identifier: BSD-3-Clause */
/* What a gate may do once it is confined. */
#ifndef HELPERS_GATE_SANDBOX_GATE_H
#define HELPERS_GATE_SANDBOX_GATE_H

#include "lib/sandbox.h"

extern const struct sandbox_profile sandbox_gate;

#endif
