/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Application error codes on streams and connections of a tunnel.  Go peers
 * (v0.18.2) send 0 and 1 and never look at what they get, so the others tell
 * our own peers more without harm.  See PROTOCOL.tunnel.md.
 */
#ifndef PROTO_TUNNEL_TUNNEL_CODE_H
#define PROTO_TUNNEL_TUNNEL_CODE_H

enum tunnel_code {
	TUNNEL_CODE_OK = 0,
	TUNNEL_CODE_ERROR = 1,        /* as Go peers: internal failure */
	TUNNEL_CODE_REFUSED = 0x101,  /* the backend could not be reached */
	TUNNEL_CODE_RESET = 0x102,    /* the TCP connection was reset */
	TUNNEL_CODE_PROTOCOL = 0x103, /* the peer broke the framing */
	TUNNEL_CODE_LIMIT = 0x104,    /* too many connections */
};

/* Close reason beside TUNNEL_CODE_REFUSED. */
#define TUNNEL_REASON_REFUSED "backend refused"

#endif
