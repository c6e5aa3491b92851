/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_exit.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>

#include "daemon/worker_spawn.h"
#include "proto/ipc/exitcode.h"

static const char *
known_text(int code)
{
	static const struct {
		int code;
		const char *text;
	} table[] = {
		{ EXIT_WORKER_OK, "worker ended without a word" },
		{ EXIT_WORKER_IPC, "worker was sent what it may not get" },
		{ EXIT_WORKER_MEMORY, "worker ran out of memory" },
		{ EXIT_WORKER_SANDBOX, "worker could not confine itself" },
		{ EXIT_WORKER_BOOT, "worker got no usable boot message" },
		{ WORKER_SPAWN_FAILED, "worker could not be started" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == code)
			return table[i].text;
	return NULL;
}

void
worker_exit_text(int status, char out[static WORKER_EXIT_MAX_TEXT])
{
	const char *text;

	if (WIFSIGNALED(status)) {
		(void)snprintf(out, WORKER_EXIT_MAX_TEXT,
		    "worker died of signal %d", WTERMSIG(status));
		return;
	}
	text = known_text(WEXITSTATUS(status));
	if (text != NULL)
		(void)snprintf(out, WORKER_EXIT_MAX_TEXT, "%s", text);
	else
		(void)snprintf(out, WORKER_EXIT_MAX_TEXT,
		    "worker exited with %d", WEXITSTATUS(status));
}
