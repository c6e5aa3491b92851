/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "lib/err.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"
#include "proto/ipc/ipc_transfer.h"
#include "test/tap.h"

static uint8_t bytes[IPC_MAX_MESSAGE];
static struct ipc_boot_session boot, boot2;

static void
test_boot(void)
{
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;
	struct ipc_view v = { IPC_TO_WORKER, IPC_ROLE_SESSION, IPC_STATE_BORN };
	struct ipc_header h;
	struct buf_reader body;
	int bad = 0;

	boot.kind = IPC_KIND_TRANSFER;
	boot.listener = true;
	boot.cert_len = IPC_MAX_CERT;
	boot.claim_len = IPC_MAX_ENVELOPE;
	boot.decision_len = IPC_MAX_ENVELOPE;
	boot.transfer.role = IPC_TRANSFER_MAX_ROLE;
	boot.transfer.structured = true;
	boot.transfer.streams = IPC_TRANSFER_MAX_STREAMS;
	boot.transfer.size = -1;
	boot.transfer.accept_limit_ms = -1;
	memset(boot.transfer.verify, 'V', IPC_TRANSFER_MAX_VERIFY);
	boot.transfer.header_len = IPC_TRANSFER_MAX_HEADER;
	memset(boot.transfer.header, 7, sizeof(boot.transfer.header));
	ipc_begin(&w, IPC_BOOT_SESSION, 1, 2);
	ipc_put_boot_session(&w, &boot);
	EQ_INT(w.err, 0, "the largest boot message is written");
	EQ_INT(
	    ipc_parse(&v, bytes, w.len, 1, &h, &body), 0, "and is permitted");
	EQ_INT(ipc_get_boot_session(&body, &boot2), 0, "and read");
	OK(memcmp(&boot, &boot2, sizeof(boot)) == 0, "unchanged");
	for (size_t n = w.len - 5000; n < w.len; n++) {
		r = buf_reader(bytes + IPC_HEADER_LEN, n - IPC_HEADER_LEN);
		bad += ipc_get_boot_session(&r, &boot2) != -DT_ERR_IPC;
	}
	EQ_INT(bad, 0, "every truncation is refused");

	boot.transfer.role = IPC_TRANSFER_MAX_ROLE + 1;
	w = buf_writer(bytes, sizeof(bytes));
	ipc_put_boot_session(&w, &boot);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_get_boot_session(&r, &boot2), -DT_ERR_IPC, "unknown role");
	boot.transfer.role = 0;
	boot.transfer.size = -2;
	w = buf_writer(bytes, sizeof(bytes));
	ipc_put_boot_session(&w, &boot);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_get_boot_session(&r, &boot2), -DT_ERR_IPC, "bad size");
	boot.transfer.size = 0;
	boot.transfer.streams = IPC_TRANSFER_MAX_STREAMS + 1;
	w = buf_writer(bytes, sizeof(bytes));
	ipc_put_boot_session(&w, &boot);
	r = buf_reader(bytes, w.len);
	EQ_INT(
	    ipc_get_boot_session(&r, &boot2), -DT_ERR_IPC, "too many streams");
}

/* Every prefix of @len bytes, and a tail, must be refused by GET. */
#define REFUSES_CUTS(get, m, len, what)                                        \
	do {                                                                   \
		int bad_ = 0;                                                  \
		for (size_t n_ = 0; n_ <= (len) + 1; n_++) {                   \
			struct buf_reader r_ = buf_reader(bytes, n_);          \
			if (n_ != (len))                                       \
				bad_ += get(&r_, m) != -DT_ERR_IPC;            \
		}                                                              \
		EQ_INT(bad_, 0, "%s: cuts and a tail are refused", what);      \
	} while (0)

static void
test_source(void)
{
	struct ipc_source m = { true, INT64_MAX, -1 }, got = { 0 };
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	ipc_transfer_put_source(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_source(&r, &got), 0, "source is read");
	OK(got.positioned && got.offset == m.offset && got.size == -1,
	    "as written");
	REFUSES_CUTS(ipc_transfer_get_source, &got, w.len, "source");
	m.offset = -1;
	w = buf_writer(bytes, sizeof(bytes));
	ipc_transfer_put_source(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(
	    ipc_transfer_get_source(&r, &got), -DT_ERR_IPC, "negative offset");
	OK(got.offset == INT64_MAX, "nothing is written on failure");
}

static void
test_open(void)
{
	struct ipc_open m = { .kind = 2,
		.blocks = true,
		.size = 12,
		.files = -1,
		.contents = INT64_MAX },
			got;
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	memset(m.name, 'n', IPC_TRANSFER_MAX_NAME);
	memset(m.verify, 'v', IPC_TRANSFER_MAX_VERIFY);
	memset(&got, 0, sizeof(got));
	ipc_transfer_put_open(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_open(&r, &got), 0, "open is read");
	OK(memcmp(&m, &got, sizeof(m)) == 0, "as written");
	REFUSES_CUTS(ipc_transfer_get_open, &got, w.len, "open");
	m.contents = -2;
	w = buf_writer(bytes, sizeof(bytes));
	ipc_transfer_put_open(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_open(&r, &got), -DT_ERR_IPC,
	    "fewer bytes than none");
	m.contents = 0;
	m.name[3] = '/';
	w = buf_writer(bytes, sizeof(bytes));
	ipc_transfer_put_open(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_open(&r, &got), -DT_ERR_IPC, "a path");
	bytes[12 + 3] = 0;
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_open(&r, &got), -DT_ERR_IPC, "NUL in a name");
	bytes[0] = IPC_TRANSFER_MAX_KIND + 1;
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_open(&r, &got), -DT_ERR_IPC, "unknown kind");
}

static void
test_sink(void)
{
	struct ipc_sink m = { .result = -ENOSPC,
		.positioned = true,
		.sparse = true },
			got;
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	strcpy(m.reason, "no space left on device");
	memset(&got, 0, sizeof(got));
	ipc_transfer_put_sink(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_sink(&r, &got), 0, "sink is read");
	OK(memcmp(&m, &got, sizeof(m)) == 0, "as written");
	REFUSES_CUTS(ipc_transfer_get_sink, &got, w.len, "sink");
	bytes[4] = 0;
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_sink(&r, &got), -DT_ERR_IPC,
	    "holes in what has no positions");
	bytes[0] = 0; /* positive */
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_sink(&r, &got), -DT_ERR_IPC, "no error code");
}

static void
test_save(void)
{
	struct ipc_save m = { 100, 1 }, got = { 0 };
	struct ipc_saved s = { .result = -EDQUOT }, got_s;
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	ipc_transfer_put_save(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_save(&r, &got), 0, "save is read");
	OK(got.bytes == 100 && got.body == 1, "as written");
	REFUSES_CUTS(ipc_transfer_get_save, &got, w.len, "save");
	m.body = 101;
	w = buf_writer(bytes, sizeof(bytes));
	ipc_transfer_put_save(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_save(&r, &got), -DT_ERR_IPC,
	    "more body than bytes");

	memset(s.reason, 'r', sizeof(s.reason) - 1);
	memset(&got_s, 0, sizeof(got_s));
	w = buf_writer(bytes, sizeof(bytes));
	ipc_transfer_put_saved(&w, &s);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_saved(&r, &got_s), 0, "saved is read");
	OK(memcmp(&s, &got_s, sizeof(s)) == 0, "as written");
	REFUSES_CUTS(ipc_transfer_get_saved, &got_s, w.len, "saved");
}

static void
test_progress(void)
{
	struct ipc_progress m = { 5, -1, 4, 3, true, true }, got;
	struct buf_writer w = buf_writer(bytes, sizeof(bytes));
	struct buf_reader r;

	memset(&got, 0, sizeof(got));
	ipc_transfer_put_progress(&w, &m);
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_progress(&r, &got), 0, "progress is read");
	OK(got.moved == 5 && got.total == -1 && got.peer_written == 4 &&
		got.peer_elapsed_ms == 3 && got.final && got.stalled,
	    "as written");
	REFUSES_CUTS(ipc_transfer_get_progress, &got, w.len, "progress");
	bytes[w.len - 1] = 4;
	r = buf_reader(bytes, w.len);
	EQ_INT(ipc_transfer_get_progress(&r, &got), -DT_ERR_IPC, "bad flags");
}

int
main(void)
{
	test_boot();
	test_source();
	test_open();
	test_sink();
	test_save();
	test_progress();
	return tap_done();
}
