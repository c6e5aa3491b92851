/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libarchive, loaded when a folder is packed or unpacked and not before: it
 * brings libxml2, ICU and the C++ library along, and their relocations would
 * be more than half of what every command takes to start.
 */
#ifndef CLIENT_ARCHIVE_LIB_H
#define CLIENT_ARCHIVE_LIB_H

#include <archive.h>
#include <archive_entry.h>

/* libarchive 3; the ABI that the headers of every 3.x declare. */
#define ARCHIVE_LIB_SONAME "libarchive.so.13"

/* What is used of archive.h and archive_entry.h. */
#define ARCHIVE_LIB_FUNCTIONS(X)                                               \
	X(archive_errno)                                                       \
	X(archive_entry_clear)                                                 \
	X(archive_entry_copy_pathname)                                         \
	X(archive_entry_filetype)                                              \
	X(archive_entry_free)                                                  \
	X(archive_entry_hardlink)                                              \
	X(archive_entry_mtime)                                                 \
	X(archive_entry_mtime_is_set)                                          \
	X(archive_entry_mtime_nsec)                                            \
	X(archive_entry_new)                                                   \
	X(archive_entry_pathname)                                              \
	X(archive_entry_perm)                                                  \
	X(archive_entry_set_filetype)                                          \
	X(archive_entry_set_mtime)                                             \
	X(archive_entry_set_perm)                                              \
	X(archive_entry_set_size)                                              \
	X(archive_entry_size)                                                  \
	X(archive_entry_sparse_count)                                          \
	X(archive_filter_bytes)                                                \
	X(archive_read_data_block)                                             \
	X(archive_read_data_skip)                                              \
	X(archive_read_free)                                                   \
	X(archive_read_new)                                                    \
	X(archive_read_next_header)                                            \
	X(archive_read_open)                                                   \
	X(archive_read_support_format_tar)                                     \
	X(archive_write_close)                                                 \
	X(archive_write_data)                                                  \
	X(archive_write_free)                                                  \
	X(archive_write_header)                                                \
	X(archive_write_new)                                                   \
	X(archive_write_open)                                                  \
	X(archive_write_set_bytes_in_last_block)                               \
	X(archive_write_set_bytes_per_block)                                   \
	X(archive_write_set_format_pax_restricted)

/* Each function under its own name. */
struct archive_lib {
#define ARCHIVE_LIB_FIELD(name) __typeof__(name) *(name);
	ARCHIVE_LIB_FUNCTIONS(ARCHIVE_LIB_FIELD)
#undef ARCHIVE_LIB_FIELD
};

/**
 * archive_lib_get(): load it, the first time.
 * @ret_lib: static, for ever.
 *
 * Call it once before a sandbox forbids it.  Returns 0, or -ELIBACC: it is not
 * installed, or not whole.
 */
int archive_lib_get(const struct archive_lib **ret_lib);

#endif
