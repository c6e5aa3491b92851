/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one global state of lib: where lines go.  A line is formatted, escaped
 * and handed to the sink on the stack: nothing is allocated and the default
 * sink needs write(2) only, so that confined processes can log to the end.
 *
 * Lines beyond the rate are counted; the next line that passes is preceded by
 * one telling the count, at most once a second, or the notices would use up the
 * rate themselves.
 */
#include "lib/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mono.h"
#include "lib/ratelimit.h"

/* More than any healthy process says; little enough for a disk. */
#define LOG_RATE 100
#define LOG_BURST 200

static struct {
	const char *process;
	enum log_level max;
	void (*sink)(
	    void *arg, enum log_level level, const char *line, size_t len);
	void *arg;
	bool journal; /* stderr is the journal */
	bool busy;    /* a sink that logs must not recurse */
	bool limited; /* limit is initialised */
	struct ratelimit limit;
	unsigned long cut;       /* lines lost since the last notice */
	struct mono next_notice; /* not before this */
} state = { .process = "", .max = LOG_LEVEL_INFO };

/* $JOURNAL_STREAM is "device:inode" of the journal's stream; it is inherited by
 * programs whose stderr is something else, so compare. */
static bool
stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (env == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino); /* two 64-bit numbers fit */
	return strcmp(env, ours) == 0;
}

void
log_init(const char *process, enum log_level max)
{
	state.process = process;
	state.max = max;
	state.journal = stderr_is_journal();
}

void
log_set_sink(
    void (*sink)(void *arg, enum log_level level, const char *line, size_t len),
    void *arg)
{
	state.sink = sink;
	state.arg = arg;
}

enum log_level
log_level_max(void)
{
	return state.max;
}

/* Is b the right second byte after a?  RFC 3629 section 4, table of ranges;
 * but C1 controls (U+0080..U+009F) are refused too: terminals act on them. */
static bool
is_second(uint8_t a, uint8_t b)
{
	uint8_t low = 0x80, high = 0xbf;

	if (a == 0xc2 || a == 0xe0)
		low = 0xa0;
	else if (a == 0xf0)
		low = 0x90;
	else if (a == 0xed)
		high = 0x9f;
	else if (a == 0xf4)
		high = 0x8f;
	return b >= low && b <= high;
}

/* Length of the printable UTF-8 sequence at s, or 0. */
static size_t
utf8_len(const uint8_t *s, size_t len)
{
	size_t n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n > len || !is_second(s[0], s[1]))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void
log_escape(char *dst, size_t cap, const char *src, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *s = (const uint8_t *)src;
	size_t n, out = 0;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_len(s + i, len - i);
		if (out + (n > 0 ? n : 4) >= cap)
			break;
		if (n > 0) {
			memcpy(dst + out, s + i, n);
			out += n;
			continue;
		}
		dst[out++] = '\\';
		dst[out++] = 'x';
		dst[out++] = hex[s[i] >> 4];
		dst[out++] = hex[s[i] & 15];
		n = 1;
	}
	dst[out] = '\0';
}

static void
write_stderr(enum log_level level, const char *line, size_t len)
{
	char out[3 + LOG_MAX_LINE + 1];
	ssize_t written;
	size_t n = 0;

	if (state.journal) {
		out[n++] = '<';
		out[n++] = (char)('0' + (int)level);
		out[n++] = '>';
	}
	memcpy(out + n, line, len);
	n += len;
	out[n++] = '\n';
	/* One write, so that lines of several processes do not mix. */
	written = write(STDERR_FILENO, out, n);
	(void)written; /* nowhere to tell that it failed */
}

/* msg: raw bytes; r: error to append, or 0. */
static void
emit(enum log_level level, const char *topic, const char *msg, int r)
{
	char line[LOG_MAX_LINE];
	const char *text = r != 0 ? err_str(r) : "";
	size_t reserve = r != 0 ? strlen(text) + 2 : 0;
	size_t len;

	(void)snprintf(line, sizeof(line), "%s%s%s: ", state.process,
	    state.process[0] != '\0' ? ": " : "", topic);
	len = strlen(line);
	if (len + reserve < sizeof(line)) {
		log_escape(
		    line + len, sizeof(line) - len - reserve, msg, strlen(msg));
		len += strlen(line + len);
	}
	if (r != 0)
		(void)snprintf(line + len, sizeof(line) - len, ": %s", text);
	len = strlen(line);
	if (state.sink != NULL)
		state.sink(state.arg, level, line, len);
	else
		write_stderr(level, line, len);
}

/* May one line leave now?  Tells of lost ones when it is time. */
static bool
take_turn(void)
{
	struct mono now = mono_now();
	char text[64];

	if (!state.limited) {
		ratelimit_init(&state.limit, LOG_RATE, LOG_BURST, now);
		state.limited = true;
	}
	if (!ratelimit_take(&state.limit, now)) {
		state.cut++;
		return false;
	}
	if (state.cut == 0 || mono_before(now, state.next_notice))
		return true;
	(void)snprintf(text, sizeof(text), "too many lines, dropped=%lu",
	    state.cut); /* fits */
	emit(LOG_LEVEL_WARN, "log", text, 0);
	state.cut = 0;
	state.next_notice = mono_add(now, MONO_SEC);
	if (ratelimit_take(&state.limit, now))
		return true;
	state.cut++;
	return false;
}

__attribute__((format(printf, 4, 0))) static void
write_va(
    int r, enum log_level level, const char *topic, const char *fmt, va_list ap)
{
	/* As long as a line: what is cut here could not be shown anyway. */
	char msg[LOG_MAX_LINE];
	int saved = errno;

	if (level > state.max || state.busy)
		return;
	state.busy = true;
	if (take_turn()) {
		/* The analyzer does not see that callers started ap. */
		/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
		if (vsnprintf(msg, sizeof(msg), fmt, ap) < 0)
			msg[0] = '\0';
		emit(level, topic, msg, r);
	}
	state.busy = false;
	errno = saved;
}

void
log_write(enum log_level level, const char *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_va(0, level, topic, fmt, ap);
	va_end(ap);
}

void
log_write_r(
    int r, enum log_level level, const char *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_va(r, level, topic, fmt, ap);
	va_end(ap);
}
