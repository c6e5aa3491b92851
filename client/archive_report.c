/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_report.h"

const char *
archive_report_text(enum archive_problem problem)
{
	static const char *const texts[] = {
		[ARCHIVE_PROBLEM_NONE] = "",
		[ARCHIVE_PROBLEM_KIND] = "left out: a socket, device or pipe",
		[ARCHIVE_PROBLEM_LINK] = "symbolic links cannot be sent",
		[ARCHIVE_PROBLEM_UNREADABLE] = "left out: cannot be read",
		[ARCHIVE_PROBLEM_GREW] =
		    "grew while it was read: its end is missing",
		[ARCHIVE_PROBLEM_SHRANK] = "shrank while it was read",
		[ARCHIVE_PROBLEM_LONG] =
		    "left out: the path is too long or too deep",
		[ARCHIVE_PROBLEM_DOTS] =
		    "some receivers refuse names that begin with two dots",
		[ARCHIVE_PROBLEM_RENAMED] =
		    "has characters that a name should not have: replaced",
		[ARCHIVE_PROBLEM_UNSAFE] = "unsafe path in the archive",
		[ARCHIVE_PROBLEM_TYPE] =
		    "the archive has something other than files and folders",
		[ARCHIVE_PROBLEM_TWICE] = "the archive has this path twice",
		[ARCHIVE_PROBLEM_LIMIT] =
		    "the archive has more files or bytes than permitted",
		[ARCHIVE_PROBLEM_FORMAT] = "the archive is damaged",
		[ARCHIVE_PROBLEM_WRITE] = "cannot be written",
	};

	return texts[problem];
}
