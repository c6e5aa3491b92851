/* SPDX-License-Identifier: BSD-3-Clause */
/* derphole share/open: one QUIC connection, one stream per TCP connection,
 * opened by the claimer, without any header. */
#ifndef HELPERS_SESSION_SHARE_H
#define HELPERS_SESSION_SHARE_H

struct tunnel_ops;

/** share_ops(): both roles. */
const struct tunnel_ops *share_ops(void);

#endif
