/* SPDX-License-Identifier: BSD-3-Clause */
/* What a sink writes to a new file: everything but long runs of zeros. */
#include "helpers/session/transfer_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "test/tap.h"

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)
#define BASE 100

static uint8_t data[3 << 20], got[sizeof(data)];
static const struct mono now = { 0 };

/* A page each, so that holes show. */
static int
new_file(void)
{
	int fd = memfd_create("sink", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	return fd;
}

static void
begin(struct transfer_sink *k, int fd, bool sparse)
{
	transfer_sink_init(k);
	if (transfer_sink_set(k, NULL, fcntl(fd, F_DUPFD_CLOEXEC, 0), true,
		BASE, NULL, NULL) != 0)
		abort();
	k->sparse = sparse;
}

static off_t
length(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static size_t
blocks(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (size_t)st.st_blocks * 512 : SIZE_MAX;
}

static bool
is_same(int fd, size_t len)
{
	return pread(fd, got, len, BASE) == (ssize_t)len &&
	       memcmp(got, data, len) == 0;
}

/* In steps of @step, in order. */
static int
put_all(struct transfer_sink *k, size_t len, size_t step)
{
	int r = 0;

	for (size_t off = 0; off < len && r == 0; off += step)
		r = transfer_sink_put(k, 0, (int64_t)off, data + off,
		    len - off < step ? len - off : step, now);
	if (r == 0)
		r = transfer_sink_flush(k);
	return r == 0 ? transfer_sink_end(k) : r;
}

static void
test_order(bool sparse)
{
	static const size_t steps[] = { 1200, 4096, 65536, 262144, 300001 };
	struct transfer_sink k;

	memset(data, 0, sizeof(data));
	data[0] = 1;
	memset(data + 1000 * KIB - 3, 2, 7);
	memset(data + 1500 * KIB, 3, 200 * KIB);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int fd = new_file();

		begin(&k, fd, sparse);
		EQ_INT(put_all(&k, sizeof(data), steps[i]), 0,
		    "pieces of %zu are taken", steps[i]);
		EQ_INT(k.written, (int64_t)sizeof(data), "all count");
		EQ_INT(length(fd), BASE + (off_t)sizeof(data), "its length");
		OK(is_same(fd, sizeof(data)), "its bytes");
		OK((blocks(fd) < 1000 * KIB) == sparse, "%zu KiB on disk",
		    blocks(fd) / KIB);
		transfer_sink_fini(&k);
		fd_close(&fd);
	}
}

static void
test_lengths(void)
{
	static const size_t lens[] = { 1, 2, 65535, 65536, 65537, 262145 };
	struct transfer_sink k;

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (int tail = 0; tail <= 1; tail++) {
			int fd = new_file();

			memset(data, 0, sizeof(data));
			data[lens[i] - 1] = (uint8_t)tail;
			begin(&k, fd, true);
			EQ_INT(put_all(&k, lens[i], 5000), 0, "%zu zeros",
			    lens[i]);
			EQ_INT(length(fd), BASE + (off_t)lens[i], "are that");
			OK(is_same(fd, lens[i]), "and zeros");
			transfer_sink_fini(&k);
			fd_close(&fd);
		}
}

/* Blocks come as they like. */
static void
test_blocks(void)
{
	struct transfer_sink k;
	int fd = new_file(), r = 0;

	memset(data, 0, sizeof(data));
	memset(data + 512 * KIB, 9, 256 * KIB);
	begin(&k, fd, true);
	for (size_t n = 12; n-- > 0 && r == 0;)
		r = transfer_sink_put(&k, 0, (int64_t)(n * 256 * KIB),
		    data + n * 256 * KIB, 256 * KIB, now);
	EQ_INT(r, 0, "blocks from the end");
	EQ_INT(transfer_sink_flush(&k), 0, "flushed");
	EQ_INT(transfer_sink_end(&k), 0, "ended");
	EQ_INT(length(fd), BASE + (off_t)sizeof(data), "its length");
	OK(is_same(fd, sizeof(data)), "its bytes");
	transfer_sink_fini(&k);
	fd_close(&fd);
}

/* Streams take turns packet by packet: each has a piece of its own. */
static void
test_lanes(void)
{
	enum { LANES = 8, PACKETS = 20, LEN = 1167 };
	struct transfer_sink k;
	int fd = new_file(), r = 0;
	struct mono at = { 1000 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	begin(&k, fd, false);
	transfer_sink_share(&k, LANES);
	for (size_t n = 0; n < PACKETS; n++)
		for (unsigned lane = 0; lane < LANES && r == 0; lane++) {
			size_t off = (lane * PACKETS + n) * LEN;

			r = transfer_sink_put(
			    &k, lane, (int64_t)off, data + off, LEN, at);
			at = mono_add(at, 1);
		}
	EQ_INT(r, 0, "pieces of %d lanes in turn", LANES);
	EQ_INT(k.written, 0, "nothing is written for that");
	EQ_INT(
	    (int64_t)transfer_sink_held(&k), LANES * PACKETS * LEN, "all wait");
	OK(!transfer_sink_is_due(&k, at), "for a while");
	at = transfer_sink_next_deadline(&k);
	EQ_INT(at.us, 1000 + 20 * MONO_MS, "from the first on");
	OK(transfer_sink_is_due(&k, at), "then it is time");
	EQ_INT(transfer_sink_flush(&k), 0, "flushed");
	EQ_INT((int64_t)transfer_sink_held(&k), 0, "nothing waits");
	OK(mono_is_never(transfer_sink_next_deadline(&k)), "for nothing");
	OK(is_same(fd, (size_t)LANES * PACKETS * LEN), "its bytes");
	for (size_t n = 0; n < 64 * KIB && r == 0; n += KIB)
		r = transfer_sink_put(
		    &k, 3, (int64_t)(MIB + n), data + MIB + n, KIB, at);
	EQ_INT(r, 0, "a whole piece");
	EQ_INT((int64_t)transfer_sink_held(&k), 0, "is written at once");
	transfer_sink_fini(&k);
	fd_close(&fd);
}

static void
test_fault(void)
{
	struct transfer_sink k;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memset(data, 0, sizeof(data));
	begin(&k, fd, true);
	EQ_INT(put_all(&k, 100, 100), -EBADF, "the one zero that is written");
	transfer_sink_fini(&k);
	data[5] = 1;
	begin(&k, fd, true);
	EQ_INT(put_all(&k, 100, 100), -EBADF, "and what is none");
	transfer_sink_fini(&k);
	fd_close(&fd);
}

int
main(void)
{
	test_order(false);
	test_order(true);
	test_lengths();
	test_blocks();
	test_lanes();
	test_fault();
	return tap_done();
}
