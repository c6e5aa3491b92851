/* SPDX-License-Identifier: BSD-3-Clause */
/* One request to a daemon that is already running, and its answer. */
#ifndef CLIENT_CTL_CALL_H
#define CLIENT_CTL_CALL_H

#include <jansson.h>

#include "client/cli_main.h"

/**
 * ctl_call(): never starts a daemon.
 * @params: reference is taken; NULL means none.
 * @ret_result: a reference of the caller's, on success.
 *
 * Returns CLI_EXIT_OK, or another code with the reason said.
 */
int ctl_call(const struct cli_call *call, const char *method, json_t *params,
    json_t **ret_result);

/** ctl_call_events(): session.subscribe, then @on_event_cb for each event,
 * until it returns another code than CLI_EXIT_OK, a signal comes (CLI_EXIT_OK),
 * or the daemon ends. */
int ctl_call_events(const struct cli_call *call, json_t *params,
    int (*on_event_cb)(void *arg, const json_t *params), void *arg);

#endif
