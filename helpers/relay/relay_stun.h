/* SPDX-License-Identifier: BSD-3-Clause */
/* STUN: tell whoever asks which address the question came from. */
#ifndef HELPERS_RELAY_RELAY_STUN_H
#define HELPERS_RELAY_RELAY_STUN_H

#include "helpers/relay/relay.h"

struct relay_stun;

/** relay_stun_new(): answer on @fd (non-blocking UDP), which the caller keeps.
 * Returns NULL when memory is out. */
struct relay_stun *relay_stun_new(struct relay *relay, int fd);
/** relay_stun_free(): NULL is fine. */
void relay_stun_free(struct relay_stun *s);

#endif
