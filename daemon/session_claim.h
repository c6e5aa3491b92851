/* SPDX-License-Identifier: BSD-3-Clause */
/* Claiming sessions: reaching the relay, claiming, claiming again. */
#ifndef DAEMON_SESSION_CLAIM_H
#define DAEMON_SESSION_CLAIM_H

#include "daemon/session.h"

/** session_claim_start(): begin in the next turn; claim and params are set. */
int session_claim_start(struct session *s);
/** session_claim_lost(): its worker is gone; decide what comes next. */
void session_claim_lost(struct session *s, int code, const char *text);
/** session_claim_ready(): streams can start: hand over what the caller gave. */
void session_claim_ready(struct session *s);

#endif
