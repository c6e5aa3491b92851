/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a connection ended, in our terms. */
#include <string.h>

#include "lib/err.h"
#include "proto/quic/quic_internal.h"

/* CRYPTO_ERROR carries the TLS alert in its low byte (RFC 9001 4.8). */
#define CRYPTO_ERROR 0x100
#define CRYPTO_ERROR_END 0x200

/* TLS alerts about keys and certificates, RFC 8446 6. */
#define ALERT_BAD_CERTIFICATE 42
#define ALERT_CERTIFICATE_UNKNOWN 46
#define ALERT_ACCESS_DENIED 49
#define ALERT_DECRYPT_ERROR 51
#define ALERT_CERTIFICATE_REQUIRED 116

static bool
is_key_alert(uint64_t alert)
{
	return (alert >= ALERT_BAD_CERTIFICATE &&
		   alert <= ALERT_CERTIFICATE_UNKNOWN) ||
	       alert == ALERT_ACCESS_DENIED || alert == ALERT_DECRYPT_ERROR ||
	       alert == ALERT_CERTIFICATE_REQUIRED;
}

static int
result(const struct quic_close *why)
{
	switch (why->kind) {
	case QUIC_CLOSE_LOCAL:
		return 0;
	case QUIC_CLOSE_APP:
		return why->code == QUIC_CONN_CODE_OK ? -DT_ERR_CLOSED
						      : -DT_ERR_PEER_ABORTED;
	case QUIC_CLOSE_TLS:
		return is_key_alert(why->code) ? -DT_ERR_AUTH : -DT_ERR_TLS;
	case QUIC_CLOSE_IDLE:
		return -DT_ERR_PEER_GONE;
	case QUIC_CLOSE_HANDSHAKE:
		return -DT_ERR_TIMEOUT;
	case QUIC_CLOSE_VERSION:
		return -DT_ERR_VERSION;
	case QUIC_CLOSE_TRANSPORT:
		return why->by_peer ? -DT_ERR_PEER_ABORTED
				    : -DT_ERR_PEER_PROTOCOL;
	case QUIC_CLOSE_INTERNAL:
	default:
		return -DT_ERR_INTERNAL;
	}
}

void
quic_close_set(struct quic_close *why, const ngtcp2_ccerr *e, bool by_peer)
{
	size_t n = e->reasonlen;

	memset(why, 0, sizeof(*why));
	why->by_peer = by_peer;
	why->code = e->error_code;
	if (e->type == NGTCP2_CCERR_TYPE_APPLICATION) {
		why->kind = QUIC_CLOSE_APP;
	} else if (e->error_code >= CRYPTO_ERROR &&
		   e->error_code < CRYPTO_ERROR_END) {
		why->kind = QUIC_CLOSE_TLS;
		why->code = e->error_code - CRYPTO_ERROR;
	} else {
		why->kind = QUIC_CLOSE_TRANSPORT;
	}
	if (n > QUIC_CONN_MAX_REASON)
		n = QUIC_CONN_MAX_REASON;
	if (n > 0)
		memcpy(why->reason, e->reason, n);
}

void
quic_close_finish(struct quic_close *why)
{
	why->r = result(why);
}
