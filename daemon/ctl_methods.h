/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of rpc_methods.def: one small function each. */
#ifndef DAEMON_CTL_METHODS_H
#define DAEMON_CTL_METHODS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/rpc/rpc.h"

struct daemon;

/* One request that was checked against the table.  Owner: the caller. */
struct ctl_request {
	struct daemon *daemon;
	uint32_t conn;
	uid_t uid;
	bool is_owner; /* of the daemon: root, or its own uid */
	json_t *id;
	json_t *params; /* object or NULL */
	int *fds;       /* taken ones are set to -1 */
	size_t n_fds;
	/* Wishes towards the connection. */
	bool subscribe;
	uint32_t subscribe_session; /* 0: all */
	/* Outcome. */
	bool late;      /* ctl_answer() comes later */
	json_t *result; /* a reference, or NULL for {} */
	int code;       /* enum rpc_code, or 0 */
	int error;      /* for data.name, or 0 */
	char message[320];
};

/** ctl_methods_run(): fills the outcome. */
void ctl_methods_run(struct ctl_request *q, enum rpc_method method);

/** ctl_methods_may(): may this uid call methods of this class at all? */
bool ctl_methods_may(const struct ctl_request *q, enum rpc_method method);

#endif
