/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. */
#ifndef HELPERS_RELAY_RELAY_OPT_H
#define HELPERS_RELAY_RELAY_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

/* Message about a bad command line, terminator included. */
#define RELAY_OPT_MAX_ERROR 256

/* Most clients one process can be told to serve: their descriptors. */
#define RELAY_OPT_MAX_CLIENTS 500000

/* Strings borrow argv. */
struct relay_opt {
	struct addr listen; /* family 0: not given */
	struct addr stun;   /* family 0: not given */
	const char *tls_cert;
	const char *tls_key;
	const char *hostname;
	const char *key_file;
	const char *state_dir;
	const char *print; /* "-" is standard output */
	size_t max_clients;
	size_t queue_packets;
	int64_t keepalive_us;
	bool is_plain_http;
	bool is_verbose;
	bool is_version; /* print it and leave */
	bool is_help;
};

/**
 * relay_opt_parse(): read the command line; uses getopt_long's globals.
 * @ret_error: what is wrong, one line, on failure.
 *
 * Returns 0 or -DT_ERR_SYNTAX.
 */
int relay_opt_parse(int argc, char **argv, struct relay_opt *ret_opt,
    char ret_error[static RELAY_OPT_MAX_ERROR]);

/** relay_opt_help(): the text for --help. */
const char *relay_opt_help(void);

#endif
