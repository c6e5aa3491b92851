/* SPDX-License-Identifier: BSD-3-Clause */
/* derptun, listener: a control connection, and lanes matched into groups over
 * whatever connections bring them. */
#ifndef HELPERS_SESSION_DERPTUN_SERVER_H
#define HELPERS_SESSION_DERPTUN_SERVER_H

struct tunnel_ops;

const struct tunnel_ops *derptun_server_ops(void);

#endif
