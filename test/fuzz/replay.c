/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target over every file of a corpus folder, over truncations of
 * it, and over each file with single bits flipped, at up to PLACES places; so
 * that a corpus is a regression test on any compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VALGRIND
#define PLACES 64
#else
#define PLACES 512
#endif
#define REPLAY_MAX_FILE 70000 /* a DERP packet and its header */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A right-sized heap copy, so that sanitizers see one byte too far. */
static void
run(const uint8_t *p, size_t n)
{
	uint8_t *copy = calloc(1, n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
replay_file(const char *path)
{
	static uint8_t data[REPLAY_MAX_FILE];
	FILE *f = fopen(path, "rb");
	size_t n, step;

	if (f == NULL)
		return;
	n = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	run(data, n);
	step = n / PLACES + 1;
	for (size_t i = 0; i < n; i += step) {
		run(data, i);
		data[i] ^= (uint8_t)(1u << (i % 8));
		run(data, n);
		data[i] ^= (uint8_t)(1u << (i % 8));
	}
}

int
main(int argc, char **argv)
{
	struct dirent *e;
	DIR *d;
	const uint8_t nothing[1] = { 0 };
	int count = 0;

	run(nothing, 0);
	d = argc > 1 ? opendir(argv[1]) : NULL;
	if (d == NULL) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 1;
	}
	while ((e = readdir(d)) != NULL) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		replay_file(path);
		count++;
	}
	(void)closedir(d);
	printf("%d files replayed\n", count);
	return count > 0 ? 0 : 1;
}
