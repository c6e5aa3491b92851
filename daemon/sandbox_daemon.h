/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DAEMON_SANDBOX_DAEMON_H
#define DAEMON_SANDBOX_DAEMON_H

#include "lib/sandbox.h"

/* A deny-list: it is inherited by the workers, whose own lists are narrower. */
extern const struct sandbox_profile sandbox_daemon_profile;

#endif
