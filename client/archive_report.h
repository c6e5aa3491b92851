/* SPDX-License-Identifier: BSD-3-Clause */
/* What packing and unpacking a folder have to say. */
#ifndef CLIENT_ARCHIVE_REPORT_H
#define CLIENT_ARCHIVE_REPORT_H

#include <stdint.h>

/* Paths below the top; longer ones are refused.  PATH_MAX, which no system call
 * would take either. */
#define ARCHIVE_REPORT_MAX_PATH 4096

enum archive_problem {
	ARCHIVE_PROBLEM_NONE,
	/* Packing; the rest goes on. */
	ARCHIVE_PROBLEM_KIND,       /* socket, device or pipe: left out */
	ARCHIVE_PROBLEM_LINK,       /* symbolic link: left out */
	ARCHIVE_PROBLEM_UNREADABLE, /* left out; see r */
	ARCHIVE_PROBLEM_GREW,       /* cut to the size it had */
	ARCHIVE_PROBLEM_SHRANK,     /* ends it: its length is out already */
	ARCHIVE_PROBLEM_LONG,       /* path too long or too deep: left out */
	ARCHIVE_PROBLEM_DOTS,       /* peer v0.18.2 refuses this name */
	/* Unpacking; all but RENAMED end it. */
	ARCHIVE_PROBLEM_RENAMED, /* control characters became '_' */
	ARCHIVE_PROBLEM_UNSAFE,  /* "..", absolute, NUL, too long or deep */
	ARCHIVE_PROBLEM_TYPE,    /* neither file nor folder */
	ARCHIVE_PROBLEM_TWICE,   /* the name is taken by an earlier entry */
	ARCHIVE_PROBLEM_LIMIT,   /* more entries or bytes than permitted */
	ARCHIVE_PROBLEM_FORMAT,  /* no tar, damaged, ends early, goes on */
	ARCHIVE_PROBLEM_WRITE,   /* our side failed; see r */
};

/** archive_report_text(): one line without the path; static. */
const char *archive_report_text(enum archive_problem problem);

struct archive_totals {
	int64_t files;
	int64_t folders;
	int64_t bytes;    /* contents of files */
	int64_t tar_size; /* of the whole archive */
	/* Left out, changed or cut: the copy is not what the user has. */
	int64_t faults;
	int64_t warnings; /* DOTS, KIND, RENAMED */
};

/*
 * @path: below the top, terminated, any bytes: escape it.  "" is the top.
 * @r: why, or 0.
 */
typedef void archive_report_fn(
    void *arg, enum archive_problem problem, const char *path, int r);

#endif
