/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a caller said about one transfer: kept by its endpoint or claiming
 * session until the end.
 */
#ifndef DAEMON_TRANSFER_H
#define DAEMON_TRANSFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ipc/ipc_transfer.h"

/* Owner: endpoint or session.  `boot` holds names of the user's files. */
struct transfer {
	struct ipc_boot_transfer boot;
	/* The source, or the sink of bytes without header; -1: none, or the
	 * worker has it. */
	int fd;
	bool positioned;
	int64_t offset;
};

/**
 * transfer_parse(): the parameters of endpoint.transfer and session.transfer.
 * @issuer: the token is ours.
 * @fds, @n_fds: the first that is left is taken (set to -1).
 * @ret_why: on failure a static text.
 *
 * Returns 0, -EINVAL, -ENOMEM.
 */
int transfer_parse(const json_t *params, bool issuer, int *fds, size_t n_fds,
    struct transfer **ret_transfer, const char **ret_why);
/** transfer_free(): closes the descriptor.  NULL is fine. */
void transfer_free(struct transfer *t);

bool transfer_is_sender(const struct transfer *t);
/** transfer_capabilities(): bits of a session token for it. */
uint32_t transfer_capabilities(const struct transfer *t);

/**
 * transfer_set_token(): the token is known: what both ends compare in the
 * header.
 *
 * Returns 0 or -DT_ERR_FULL (the header grew too long).
 */
int transfer_set_token(struct transfer *t, const char *token);

/** transfer_kind_name(): of an OPEN; NULL for what cannot be received. */
const char *transfer_kind_name(uint8_t kind);

#endif
