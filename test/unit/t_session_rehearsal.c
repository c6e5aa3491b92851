/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <malloc.h>

#include "helpers/session/rehearsal.h"
#include "lib/secret.h"
#include "test/tap.h"

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

int
main(void)
{
	struct mallinfo2 once, twice;
	int fds = count_fds();

	if (secret_init() < 0)
		return 1;
	OK(rehearsal_run(), "both ends stand");
	EQ_INT(count_fds(), fds, "no descriptor is left");
	for (int i = 0; i < 3; i++)
		(void)rehearsal_run(); /* malloc's caches fill */
	once = mallinfo2();
	for (int i = 0; i < 16; i++)
		(void)rehearsal_run();
	twice = mallinfo2();
	OK(twice.uordblks < once.uordblks + 16 * 1024, "no memory either: %ld",
	    (long)twice.uordblks - (long)once.uordblks);
	return tap_done();
}
