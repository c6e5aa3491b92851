/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_exit.h"

#include <stddef.h>
#include <string.h>

struct exit_row {
	const char *name;
	enum cli_exit code;
};

static const struct exit_row rows[] = {
	{ "OK", CLI_EXIT_OK },
	{ "PEER_REJECTED", CLI_EXIT_REJECTED },
	{ "TUNNEL_LOST", CLI_EXIT_TUNNEL_LOST },
	{ "WORKER_LOST", CLI_EXIT_TUNNEL_LOST },
	{ "DAEMON_LOST", CLI_EXIT_TUNNEL_LOST },
	{ "PEER_GONE", CLI_EXIT_TUNNEL_LOST },
	{ "RELAY_UNREACHABLE", CLI_EXIT_RELAY_UNREACHABLE },
	{ "CERT_UNTRUSTED", CLI_EXIT_RELAY_UNREACHABLE },
	{ "CERT_PIN", CLI_EXIT_RELAY_UNREACHABLE },
	{ "TLS", CLI_EXIT_RELAY_UNREACHABLE },
	{ "HTTP_STATUS", CLI_EXIT_RELAY_UNREACHABLE },
	{ "NOT_RELAY", CLI_EXIT_RELAY_UNREACHABLE },
	{ "RESOLVE", CLI_EXIT_RELAY_UNREACHABLE },
	{ "TIMEOUT", CLI_EXIT_TIMED_OUT },
	{ "ETIMEDOUT", CLI_EXIT_TIMED_OUT },
	{ "EACCES", CLI_EXIT_LOCAL_IO },
	{ "EBADF", CLI_EXIT_LOCAL_IO },
	{ "ECONNRESET", CLI_EXIT_LOCAL_IO },
	{ "EDQUOT", CLI_EXIT_LOCAL_IO },
	{ "EEXIST", CLI_EXIT_LOCAL_IO },
	{ "EFBIG", CLI_EXIT_LOCAL_IO },
	{ "EIO", CLI_EXIT_LOCAL_IO },
	{ "EISDIR", CLI_EXIT_LOCAL_IO },
	{ "ELOOP", CLI_EXIT_LOCAL_IO },
	{ "EMFILE", CLI_EXIT_LOCAL_IO },
	{ "ENAMETOOLONG", CLI_EXIT_LOCAL_IO },
	{ "ENOENT", CLI_EXIT_LOCAL_IO },
	{ "ENOSPC", CLI_EXIT_LOCAL_IO },
	{ "ENOTDIR", CLI_EXIT_LOCAL_IO },
	{ "ENXIO", CLI_EXIT_LOCAL_IO },
	{ "EPERM", CLI_EXIT_LOCAL_IO },
	{ "EPIPE", CLI_EXIT_LOCAL_IO },
	{ "EROFS", CLI_EXIT_LOCAL_IO },
	{ "ESPIPE", CLI_EXIT_LOCAL_IO },
	{ "BACKEND_REFUSED", CLI_EXIT_REMOTE_IO },
	{ "PEER_ABORTED", CLI_EXIT_REMOTE_IO },
	{ "PEER_PROTOCOL", CLI_EXIT_REMOTE_IO },
	{ "STREAM_RESET", CLI_EXIT_REMOTE_IO },
};

int
cli_exit_code(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(rows) / sizeof(rows[0]);
	     i++)
		if (strcmp(rows[i].name, name) == 0)
			return (int)rows[i].code;
	return CLI_EXIT_FAILED;
}
