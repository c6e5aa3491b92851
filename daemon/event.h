/* SPDX-License-Identifier: BSD-3-Clause */
/* Events of sessions and endpoints for the control socket. */
#ifndef DAEMON_EVENT_H
#define DAEMON_EVENT_H

#include <jansson.h>

struct endpoint;
struct relay_link_info;
struct session;

/** event_session(): @extra is an object whose members are added, or NULL; its
 * reference is taken. */
void event_session(const struct session *s, const char *name, json_t *extra);
/** event_progress(): likewise; whoever lags behind gets the newest. */
void event_progress(const struct session *s, const char *name, json_t *extra);
void event_endpoint(const struct endpoint *e, const char *name, json_t *extra);

/** event_ended(): {code, name, reason}. */
json_t *event_ended(int code, const char *reason);
/** event_gate(): {state, reason}. */
json_t *event_gate(const char *state, const char *reason);
/** event_relay(): {state, host, port, reason}. */
json_t *event_relay(const struct relay_link_info *info);

#endif
