/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of the reading methods.  Each returns NULL when memory is out. */
#ifndef DAEMON_CTL_STATUS_H
#define DAEMON_CTL_STATUS_H

#include <jansson.h>

struct daemon;

json_t *ctl_status_daemon(struct daemon *d);
json_t *ctl_status_endpoints(struct daemon *d);
json_t *ctl_status_sessions(struct daemon *d);

#endif
