/* SPDX-License-Identifier: BSD-3-Clause */
/* An archive in the making, header by header, also such as no archiver makes.
 */
#ifndef TEST_UNIT_TAR_MAKER_H
#define TEST_UNIT_TAR_MAKER_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fd.h"

#define TAR_BLOCK 512
#define TAR_TIME 1500000000

static int tar_fd = -1;

static inline void
tar_put(const void *p, size_t n)
{
	if (write(tar_fd, p, n) != (ssize_t)n)
		abort();
}

static inline void
tar_put_zeros(size_t n)
{
	static const char zeros[10240];

	tar_put(zeros, n);
}

static inline void
tar_begin(void)
{
	fd_close(&tar_fd);
	tar_fd = memfd_create("tar", MFD_CLOEXEC);
	if (tar_fd < 0)
		abort();
}

static inline void
tar_checksum(char *h)
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
}

struct tar_entry {
	const char *name;
	size_t name_len; /* 0: of the string */
	char type;
	unsigned mode;
	long long size;
	const char *link;
	const char *mode_text; /* instead of mode: 8 octets */
};

static inline void
tar_header(char h[static TAR_BLOCK], const struct tar_entry *e)
{
	size_t len = e->name_len > 0 ? e->name_len : strlen(e->name);

	memset(h, 0, TAR_BLOCK);
	memcpy(h, e->name, len < 100 ? len : 100);
	(void)snprintf(h + 100, 8, "%07o", e->mode);
	if (e->mode_text != NULL)
		memcpy(h + 100, e->mode_text, 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	(void)snprintf(h + 124, 12, "%011llo", (unsigned long long)e->size);
	(void)snprintf(h + 136, 12, "%011o", (unsigned)TAR_TIME);
	h[156] = e->type;
	if (e->link != NULL)
		memcpy(h + 157, e->link, strlen(e->link));
	memcpy(h + 257,
	    "ustar\0"
	    "00",
	    8);
	tar_checksum(h);
}

static inline void
tar_put_header(const struct tar_entry *e)
{
	char h[TAR_BLOCK];

	tar_header(h, e);
	tar_put(h, sizeof(h));
}

static inline void
tar_put_body(const char *text, size_t n)
{
	tar_put(text, n);
	tar_put_zeros((TAR_BLOCK - n % TAR_BLOCK) % TAR_BLOCK);
}

static inline void
tar_put_file(const char *name, unsigned mode, const char *text)
{
	tar_put_header(&(struct tar_entry){ .name = name,
	    .type = '0',
	    .mode = mode,
	    .size = (long long)strlen(text) });
	tar_put_body(text, strlen(text));
}

static inline void
tar_put_folder(const char *name, unsigned mode)
{
	tar_put_header(
	    &(struct tar_entry){ .name = name, .type = '5', .mode = mode });
}

/* One extended record for the next entry. */
static inline void
tar_put_pax(char type, const char *records, size_t n)
{
	tar_put_header(&(struct tar_entry){
	    .name = "x", .type = type, .mode = 0644, .size = (long long)n });
	tar_put_body(records, n);
}

static inline void
tar_put_end(void)
{
	tar_put_zeros(2 * (size_t)TAR_BLOCK);
}

#endif
