/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The meta certificate: an extra certificate behind the TLS chain whose name
 * tells the relay's DERP key, so that a TLS 1.3 client can send ClientInfo
 * without waiting (fast start).  Here is its name only; certificates are read
 * and made in proto/tls.
 */
#ifndef PROTO_DERP_METACERT_H
#define PROTO_DERP_METACERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/secret.h"

#define DERP_METACERT_PREFIX "derpkey"
#define DERP_METACERT_NAME_LEN 71u /* prefix and 64 hex digits */
#define DERP_METACERT_SERIAL 2     /* the protocol version */
/* Validity around the moment of making. */
#define DERP_METACERT_VALID_SEC (INT64_C(30) * 24 * 3600)

/** derp_metacert_is_name(): does a CN begin like a meta certificate's?  Such
 * certificates do not count when a pin is checked. */
bool derp_metacert_is_name(const char *cn, size_t len);

/**
 * derp_metacert_parse(): the server key out of a certificate's CN.
 * @serial: the serial number's magnitude, big-endian; 1 .. 255 once leading
 *   zeros are gone.
 *
 * Returns 0, or -DT_ERR_KIND (not a meta certificate), -DT_ERR_SYNTAX (bad hex
 * or serial), -DT_ERR_KEY (all zero).  Call it only for certificates presented
 * in a TLS 1.3 handshake.
 */
int derp_metacert_parse(const char *cn, size_t len, const uint8_t *serial,
    size_t serial_len, struct key32 *ret_server_public);

/** derp_metacert_name(): the CN for making one. */
void derp_metacert_name(char out[static DERP_METACERT_NAME_LEN + 1],
    const struct key32 *server_public);

#endif
