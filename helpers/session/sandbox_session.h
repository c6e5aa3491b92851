/* SPDX-License-Identifier: BSD-3-Clause */
/* What a session may do once it is confined. */
#ifndef HELPERS_SESSION_SANDBOX_SESSION_H
#define HELPERS_SESSION_SANDBOX_SESSION_H

#include "lib/sandbox.h"

extern const struct sandbox_profile sandbox_session;

#endif
