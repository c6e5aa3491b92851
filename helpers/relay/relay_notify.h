/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling the service manager how we are: sd_notify(3)'s protocol. */
#ifndef HELPERS_RELAY_RELAY_NOTIFY_H
#define HELPERS_RELAY_RELAY_NOTIFY_H

/** relay_notify_open(): a descriptor for $NOTIFY_SOCKET, which is cleared;
 * -1 when nobody listens. */
int relay_notify_open(void);

/** relay_notify_send(): e.g. "READY=1"; with @fd -1 nothing happens. */
void relay_notify_send(int fd, const char *text);

#endif
