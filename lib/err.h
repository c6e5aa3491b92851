/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One space of error numbers for the whole project.
 *
 * A function that can fail returns 0 or a negative number: -errno when the
 * system refused, -DT_ERR_* when we did.  The two ranges do not overlap: errno
 * values stay below 1000 on Linux.
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include <stdbool.h>

/* name, number, text.  Numbers are stable: they appear in logs and JSON. */
#define DT_ERR_LIST(X)                                                         \
	X(INTERNAL, 1000, "internal error")                                    \
	X(TRUNCATED, 1001, "input ends too early")                             \
	X(TRAILING, 1002, "input has bytes left over")                         \
	X(TOO_LONG, 1003, "input is too long")                                 \
	X(FULL, 1004, "buffer or queue is full")                               \
	X(SYNTAX, 1005, "input is malformed")                                  \
	X(VERSION, 1006, "unsupported version")                                \
	X(CHECKSUM, 1007, "checksum mismatch")                                 \
	X(EXPIRED, 1008, "expired")                                            \
	X(AUTH, 1009, "authentication failed")                                 \
	X(KEY, 1010, "key is not usable")                                      \
	X(STATE, 1011, "not permitted in this state")                          \
	X(LIMIT, 1012, "limit reached")                                        \
	X(KIND, 1013, "wrong kind of token")                                   \
	X(UNSUPPORTED, 1014, "not supported")                                  \
	X(CLOSED, 1015, "closed")                                              \
	X(TIMEOUT, 1016, "timed out")                                          \
	X(PEER_PROTOCOL, 1020, "peer broke the protocol")                      \
	X(PEER_REJECTED, 1021, "peer rejected the session")                    \
	X(PEER_ABORTED, 1022, "peer aborted the session")                      \
	X(PEER_GONE, 1023, "peer is gone")                                     \
	X(TLS, 1030, "TLS failed")                                             \
	X(CERT_UNTRUSTED, 1031, "certificate is not trusted")                  \
	X(CERT_PIN, 1032, "certificate does not match the pin")                \
	X(HTTP_STATUS, 1033, "unexpected HTTP status")                         \
	X(NOT_RELAY, 1034, "not a DERP relay")                                 \
	X(RESOLVE, 1035, "name does not resolve")                              \
	X(RELAY_UNREACHABLE, 1036, "relay is unreachable")                     \
	X(BACKEND_REFUSED, 1040, "backend refused the connection")             \
	X(STREAM_RESET, 1041, "stream was reset")                              \
	X(IPC, 1050, "worker channel broke its table")                         \
	X(WORKER_LOST, 1051, "worker process ended")                           \
	X(DAEMON_LOST, 1052, "daemon is gone")                                 \
	X(TUNNEL_LOST, 1053, "tunnel lost")

enum dt_err {
#define DT_ERR_ENUM(name, number, text) DT_ERR_##name = (number),
	DT_ERR_LIST(DT_ERR_ENUM)
#undef DT_ERR_ENUM
};

/**
 * err_str(): text for a negative result of any function of this project.
 * @r: 0, -errno or -DT_ERR_*.
 *
 * Returns a static string, never NULL; unknown numbers give "unknown error".
 */
const char *err_str(int r);

/**
 * err_name(): the stable symbolic name, e.g. "EXPIRED" or "ECONNREFUSED".
 * @r: as for err_str().
 *
 * Returns a static string, never NULL; unknown numbers give "UNKNOWN".
 */
const char *err_name(int r);

/**
 * err_is_peer_fault(): did the remote end, rather than we or the system, cause
 * this?  Such errors end one session and are never logged above info.
 */
bool err_is_peer_fault(int r);

#endif
