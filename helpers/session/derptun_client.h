/* SPDX-License-Identifier: BSD-3-Clause */
/* derptun, claimer: a control connection, and one connection with one lane for
 * each local stream. */
#ifndef HELPERS_SESSION_DERPTUN_CLIENT_H
#define HELPERS_SESSION_DERPTUN_CLIENT_H

struct tunnel_ops;

const struct tunnel_ops *derptun_client_ops(void);

#endif
