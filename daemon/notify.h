/* SPDX-License-Identifier: BSD-3-Clause */
/* Tell the service manager how we are (sd_notify(3), without its library). */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/** notify_init(): find the socket, once, before confinement; forgets the
 * variable.  Without one, notify_send() does nothing. */
void notify_init(void);
/** notify_send(): e.g. "READY=1".  Failures are nobody's concern. */
void notify_send(const char *state);

#endif
