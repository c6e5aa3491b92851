/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of the progress bar, and the receive window.  Golden lines: peer
 * v0.18.2. */
#include "proto/transfer/transfer_progress.h"

#include "proto/transfer/transfer_window.h"
#include "test/tap.h"

static struct mono
at(int64_t ms)
{
	return (struct mono){ (1000000 + ms) * MONO_MS };
}

static void
test_golden(void)
{
	struct transfer_progress p;
	char line[TRANSFER_PROGRESS_MAX_LINE];

	transfer_progress_init(&p, 10 << 20, at(0));
	transfer_progress_set(&p, 100000);
	OK(!transfer_progress_is_due(&p, at(50)), "50 ms: too soon");
	transfer_progress_set(&p, 200000);
	OK(transfer_progress_is_due(&p, at(110)), "110 ms: due");
	transfer_progress_line(&p, at(110), false, line);
	EQ_STR(line,
	    "\r  2%|....................| 195.3KiB/10.0MiB [00:00<00:06, "
	    "1.7MiB/s]",
	    "first line");
	transfer_progress_set(&p, 3200000);
	transfer_progress_line(&p, at(610), false, line);
	EQ_STR(line,
	    "\r 31%|######..............| 3.1MiB/10.0MiB [00:01<00:01, "
	    "5.2MiB/s]  ",
	    "second, padded");
	transfer_progress_set(&p, 7200000);
	transfer_progress_line(&p, at(1110), false, line);
	EQ_STR(line,
	    "\r 69%|#############.......| 6.9MiB/10.0MiB [00:01<00:00, "
	    "6.5MiB/s]",
	    "third");
	transfer_progress_line(&p, at(1610), true, line);
	EQ_STR(line,
	    "\r100%|####################| 10.0MiB/10.0MiB [00:02<00:00, "
	    "6.2MiB/s]\n",
	    "last");
}

static void
test_peer_clock(void)
{
	struct transfer_progress p;
	char line[TRANSFER_PROGRESS_MAX_LINE];

	transfer_progress_init(&p, 4 << 20, at(0));
	transfer_progress_set_peer(&p, 1 << 20, 500);
	transfer_progress_line(&p, at(9000), false, line);
	EQ_STR(line,
	    "\r 25%|#####...............| 1.0MiB/4.0MiB [00:09<00:02, "
	    "2.0MiB/s]",
	    "the receiver's rate, our time");
	transfer_progress_set_peer(&p, 1 << 19, 600);
	EQ_INT(p.done, 1 << 20, "never falls");
	transfer_progress_set_peer(&p, 5 << 20, 2000);
	EQ_INT(p.done, 4 << 20, "never exceeds");
	transfer_progress_set_peer(&p, 5 << 20, INT64_MAX);
	transfer_progress_set_peer(&p, 5 << 20, -1);
	transfer_progress_line(&p, at(9500), true, line);
	EQ_STR(line,
	    "\r100%|####################| 4.0MiB/4.0MiB [00:02<00:00, "
	    "2.0MiB/s]\n",
	    "the receiver's time at the end");
}

/* The largest that a peer's clock may say. */
static void
test_peer_forever(void)
{
	const int64_t forever_ms = INT64_MAX / MONO_MS;
	char line[TRANSFER_PROGRESS_MAX_LINE];
	struct transfer_progress p;

	for (int64_t i = 0; i < 1000; i++) {
		transfer_progress_init(&p, 10, at(0));
		transfer_progress_set_peer(&p, 10, forever_ms - i);
		transfer_progress_line(&p, at(1000), true, line);
		if (strchr(line, '-') != NULL)
			break;
	}
	OK(strchr(line, '-') == NULL, "no time is negative: %s", line);
}

static void
test_edges(void)
{
	struct transfer_progress p;
	char line[TRANSFER_PROGRESS_MAX_LINE];

	transfer_progress_init(&p, 0, at(0));
	transfer_progress_line(&p, at(0), true, line);
	EQ_STR(line, "\r100%|####################| 0B/0B [00:00<--:--, 0B/s]\n",
	    "nothing");
	transfer_progress_init(&p, -5, at(0));
	EQ_INT(p.total, 0, "negative total");
	transfer_progress_init(&p, 1000, at(0));
	transfer_progress_line(&p, at(5000), false, line);
	EQ_STR(line,
	    "\r  0%|....................| 0B/1000B [00:05<--:--, 0B/s]",
	    "nothing yet");
	OK(transfer_progress_eta_s(&p, 10.0) == -1, "no ETA");
	transfer_progress_set(&p, 999);
	transfer_progress_line(&p, at(7200000), false, line);
	EQ_STR(line,
	    "\r100%|###################.| 999B/1000B [120:00<00:07, 0B/s]",
	    "minutes above 99");
	transfer_progress_init(&p, INT64_MAX, at(0));
	transfer_progress_set(&p, 1);
	transfer_progress_line(&p, at(INT64_MAX / 2000 - 1000000), false, line);
	OK(strlen(line) < TRANSFER_PROGRESS_MAX_LINE - 1, "the longest line");
	transfer_progress_line(&p, at(0), true, line);
	OK(line[strlen(line) - 1] == '\n', "ends in a newline");
}

static void
size(int64_t bytes, const char *want)
{
	char out[TRANSFER_PROGRESS_MAX_SIZE];

	transfer_progress_size(out, bytes);
	EQ_STR(out, want, "size");
}

static void
test_sizes(void)
{
	size(0, "0B");
	size(1023, "1023B");
	size(1024, "1.0KiB");
	size((1 << 20) - 1, "1024.0KiB");
	size(1 << 20, "1.0MiB");
	size(300032, "293.0KiB");
	size((int64_t)5 << 30, "5.0GiB");
	size((int64_t)5 << 40, "5.0TiB");
	size((int64_t)5000 << 40, "5000.0TiB");
	size(INT64_MAX, "8388608.0TiB");
}

/* A reader of @rate bytes/ms for @ms; returns the window at the end. */
static int64_t
window_of(unsigned streams, int64_t rate, int64_t ms)
{
	struct transfer_window w;

	transfer_window_init(&w, streams);
	for (int64_t t = 0; t < ms; t++) {
		int64_t room =
		    transfer_window_limit(&w) - (w.received - w.written);
		int64_t n;

		if (room > 0)
			transfer_window_received(&w, room, at(t));
		n = w.received - w.written;
		transfer_window_written(&w, n < rate ? n : rate, at(t + 1));
	}
	return transfer_window_limit(&w);
}

static void
test_window(void)
{
	struct transfer_window w;
	int64_t got;

	got = window_of(1, 1000, 20000);
	OK(got > 1900000 && got < 2100000, "1 MB/s: %lld", (long long)got);
	got = window_of(1, 100, 30000);
	OK(got > 190000 && got < 210000, "100 kB/s: %lld", (long long)got);
	EQ_INT(window_of(1, 1, 60000), TRANSFER_WINDOW_LEAST, "1 kB/s");
	EQ_INT(window_of(1, 200000, 10000), TRANSFER_WINDOW_MAX, "200 MB/s");
	OK(window_of(8, 1, 60000) >= 8 * 262144,
	    "eight streams keep room for eight chunks");
	transfer_window_init(&w, 1);
	transfer_window_received(&w, TRANSFER_WINDOW_FIRST, at(0));
	transfer_window_written(&w, TRANSFER_WINDOW_FIRST, at(0));
	EQ_INT(transfer_window_limit(&w), 2 * TRANSFER_WINDOW_FIRST,
	    "a full window taken at once: doubled, no more");
	transfer_window_init(&w, 1);
	for (int64_t t = 0; t < 100000; t += 1000) {
		transfer_window_received(&w, 10, at(t));
		transfer_window_written(&w, 10, at(t));
	}
	EQ_INT(transfer_window_limit(&w), TRANSFER_WINDOW_FIRST,
	    "a slow source shows nothing about the output");
}

int
main(void)
{
	test_golden();
	test_peer_clock();
	test_peer_forever();
	test_edges();
	test_sizes();
	test_window();
	return tap_done();
}
