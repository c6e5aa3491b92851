/* SPDX-License-Identifier: BSD-3-Clause */
/* Files in tests: written, read and counted as a whole. */
#ifndef TEST_UNIT_FILES_H
#define TEST_UNIT_FILES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILES_MAX_TEXT 4095 /* longer than any file a test writes as text */

static inline void
files_put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

/* What it holds, at most FILES_MAX_TEXT octets, until the next call. */
static inline const char *
files_get(const char *path)
{
	static char text[FILES_MAX_TEXT + 1];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return "(none)";
	n = fread(text, 1, FILES_MAX_TEXT, f);
	text[n] = '\0';
	(void)fclose(f);
	return text;
}

/* Entries of a folder, hidden ones too; -1 without one. */
static inline int
files_count(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2;
}

static inline mode_t
files_mode(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

#endif
