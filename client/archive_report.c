/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/archive_report.h"

const char *
archive_report_text(enum archive_problem problem)
{
	switch (problem) {
	case ARCHIVE_PROBLEM_NONE:
		break;
	case ARCHIVE_PROBLEM_KIND:
		return "left out: a socket, device or pipe";
	case ARCHIVE_PROBLEM_LINK:
		return "symbolic links cannot be sent";
	case ARCHIVE_PROBLEM_UNREADABLE:
		return "left out: cannot be read";
	case ARCHIVE_PROBLEM_GREW:
		return "grew while it was read: its end is missing";
	case ARCHIVE_PROBLEM_SHRANK:
		return "shrank while it was read: its end is zeros";
	case ARCHIVE_PROBLEM_LONG:
		return "left out: the path is too long or too deep";
	case ARCHIVE_PROBLEM_DOTS:
		return "some receivers refuse names that begin with two dots";
	case ARCHIVE_PROBLEM_RENAMED:
		return "has characters that a name should not have: replaced";
	case ARCHIVE_PROBLEM_UNSAFE:
		return "unsafe path in the archive";
	case ARCHIVE_PROBLEM_TYPE:
		return "the archive has something other than files and folders";
	case ARCHIVE_PROBLEM_TWICE:
		return "the archive has this path twice";
	case ARCHIVE_PROBLEM_LIMIT:
		return "the archive has more files or bytes than permitted";
	case ARCHIVE_PROBLEM_FORMAT:
		return "the archive is damaged";
	case ARCHIVE_PROBLEM_WRITE:
		return "cannot be written";
	}
	return "";
}
