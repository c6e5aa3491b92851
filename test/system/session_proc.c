/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel tells of a worker. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/system/session_world.h"

int
world_count_fds(pid_t pid)
{
	char path[64];
	DIR *d;
	int n = -2; /* . and .. */

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

/* The number behind @key in a file of /proc; -1 when it is not there. */
static long
proc_value(pid_t pid, const char *file, const char *key)
{
	char line[256];
	long value = -1;
	FILE *f;

	(void)snprintf(line, sizeof(line), "/proc/%d/%s", (int)pid, file);
	f = fopen(line, "r");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	(void)fclose(f);
	return value;
}

long
world_private_dirty_kib(pid_t pid)
{
	return proc_value(pid, "smaps_rollup", "Private_Dirty:");
}

bool
world_is_confined(pid_t pid)
{
	return proc_value(pid, "status", "Seccomp:") == 2 &&
	       proc_value(pid, "status", "NoNewPrivs:") == 1;
}
