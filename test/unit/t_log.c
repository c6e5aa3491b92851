/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/mono.h"
#include "test/tap.h"

static struct {
	int n;
	enum log_level level;
	char line[LOG_MAX_LINE];
	size_t len;
	int notices;
	int dropped;
} got;

static void
sink(void *arg, enum log_level level, const char *line, size_t len)
{
	const char *mark = strstr(line, "dropped=");

	(void)arg;
	got.n++;
	got.level = level;
	got.len = len;
	(void)snprintf(got.line, sizeof(got.line), "%s", line);
	if (mark != NULL) {
		got.notices++;
		got.dropped += atoi(mark + strlen("dropped="));
	}
}

static void
logging_sink(void *arg, enum log_level level, const char *line, size_t len)
{
	sink(arg, level, line, len);
	log_err("test", "from within");
}

static void
check_escape(const char *src, size_t len, const char *want)
{
	char out[128];

	log_escape(out, sizeof(out), src, len);
	EQ_STR(out, want, "escape to %s", want);
}

static void
test_escape(void)
{
	char out[8];

	check_escape("plain text ~", 12, "plain text ~");
	check_escape(
	    "a\nb\r\t\x1b[1m\x7f", 10, "a\\x0ab\\x0d\\x09\\x1b[1m\\x7f");
	check_escape("\0x", 2, "\\x00x");
	check_escape("\xc3\xa4", 2, "\xc3\xa4");
	check_escape(
	    "\xe2\x82\xac\xf0\x9f\x98\x80", 7, "\xe2\x82\xac\xf0\x9f\x98\x80");
	check_escape("\xc3", 1, "\\xc3");
	check_escape("\xe2\x82", 2, "\\xe2\\x82");
	check_escape("\xc0\xaf", 2, "\\xc0\\xaf");          /* overlong */
	check_escape("\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf"); /* overlong */
	check_escape("\xf0\x80\x80\xaf", 4, "\\xf0\\x80\\x80\\xaf");
	check_escape("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	check_escape("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	check_escape("\xf5\x80\x80\x80", 4, "\\xf5\\x80\\x80\\x80");
	check_escape("\xc2\x9b"
		     "31m",
	    5, "\\xc2\\x9b31m"); /* C1: CSI */
	check_escape("\xc2\xa0", 2, "\xc2\xa0");
	check_escape("\xc3"
		     "A\xe2\x82"
		     "A",
	    5,
	    "\\xc3A\\xe2\\x82"
	    "A");
	check_escape("", 0, "");

	log_escape(out, sizeof(out), "1234567", 7);
	EQ_STR(out, "1234567", "fits exactly");
	log_escape(out, sizeof(out), "12345678", 8);
	EQ_STR(out, "1234567", "is cut");
	log_escape(out, sizeof(out), "1234\n", 5);
	EQ_STR(out, "1234", "an escape is not cut in half");
	log_escape(out, sizeof(out), "12345\xe2\x82\xac", 8);
	EQ_STR(out, "12345", "nor a character");
	log_escape(out, 1, "abc", 3);
	EQ_STR(out, "", "room for the terminator only");
}

static void
test_lines(void)
{
	log_info("topic", "before init");
	EQ_STR(got.line, "topic: before init", "no process name yet");
	EQ_INT(log_level_max(), LOG_LEVEL_INFO, "default level");
	log_init("prog", LOG_LEVEL_INFO);
	log_info("topic", "hello n=%d name=%s", 5, "x\ny");
	EQ_STR(got.line, "prog: topic: hello n=5 name=x\\x0ay", "line");
	EQ_INT(got.level, LOG_LEVEL_INFO, "level");
	EQ_INT(got.len, strlen(got.line), "length");
	log_warn_r(-DT_ERR_EXPIRED, "topic", "token");
	EQ_STR(got.line, "prog: topic: token: expired", "with our error");
	EQ_INT(got.level, LOG_LEVEL_WARN, "level");
	log_err_r(-ENOENT, "topic", "file");
	EQ_STR(got.line, "prog: topic: file: No such file or directory",
	    "with a system error");
	got.n = 0;
	log_debug("topic", "dropped");
	EQ_INT(got.n, 0, "above the level");
	log_init("prog", LOG_LEVEL_DEBUG);
	EQ_INT(log_level_max(), LOG_LEVEL_DEBUG, "level is told");
	log_debug("topic", "kept");
	EQ_INT(got.n, 1, "debug when asked for");
	errno = EMFILE;
	log_info("topic", "text");
	EQ_INT(errno, EMFILE, "errno is kept");
}

static void
test_long(void)
{
	char text[1000];
	const char *tail = ": internal error";

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("topic", "%s", text);
	EQ_INT(got.len, LOG_MAX_LINE - 1, "cut at the maximum");
	log_info_r(-DT_ERR_INTERNAL, "topic", "%s", text);
	EQ_INT(got.len, LOG_MAX_LINE - 1, "cut at the maximum with error");
	EQ_STR(got.line + got.len - strlen(tail), tail, "the error stays");
	memset(text, '\n', sizeof(text) - 1);
	log_info("topic", "%s", text);
	OK(got.len < LOG_MAX_LINE && got.len > LOG_MAX_LINE - 5, "escapes");
	log_init(text, LOG_LEVEL_INFO);
	log_info("topic", "x");
	OK(got.len < LOG_MAX_LINE, "absurd process name");
	log_init("prog", LOG_LEVEL_INFO);
}

static void
test_recursion(void)
{
	log_set_sink(logging_sink, NULL);
	got.n = 0;
	log_info("test", "outer");
	EQ_INT(got.n, 1, "a sink that logs is not called again");
	log_set_sink(sink, NULL);
}

/* However slow the machine is: lines may drip through a flood, and a notice may
 * come in its middle. */
static void
test_rate(void)
{
	struct mono before = mono_now();
	int n;

	got.n = 0;
	got.notices = 0;
	got.dropped = 0;
	for (int i = 0; i < 1000; i++)
		log_info("flood", "line");
	n = got.n - got.notices;
	OK(n >= 150 && n < 1000, "burst: %d of 1000", n);
	for (int i = 0; i < 1000; i++)
		log_info("flood", "line");
	OK(got.notices <= 1 + mono_diff(mono_now(), before) / MONO_SEC,
	    "at most one notice a second, and one: %d", got.notices);
	(void)usleep(1100000);
	n = got.notices;
	log_info("test", "after");
	EQ_INT(got.notices, n + 1, "what was lost is told when there is room");
	EQ_INT(got.n - got.notices + got.dropped, 2001,
	    "lines and what the notices count are all");
	EQ_STR(got.line, "prog: test: after", "the line comes all the same");
}

/* The default sink, read back through a pipe.  Returns the bytes. */
static void
check_stderr(bool journal, const char *want)
{
	char env[64], out[LOG_MAX_LINE] = "";
	int pair[2], saved = dup(STDERR_FILENO);
	struct stat st;
	ssize_t n;

	if (pipe(pair) != 0 || dup2(pair[1], STDERR_FILENO) < 0 ||
	    fstat(STDERR_FILENO, &st) != 0)
		return;
	(void)snprintf(env, sizeof(env), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino + (journal ? 0 : 1));
	(void)setenv("JOURNAL_STREAM", env, 1);
	log_init("prog", LOG_LEVEL_INFO);
	log_warn("topic", "text");
	(void)dup2(saved, STDERR_FILENO);
	n = read(pair[0], out, sizeof(out) - 1);
	OK(n > 0, "something was written");
	EQ_STR(out, want, "to stderr");
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(saved);
}

int
main(void)
{
	log_set_sink(sink, NULL);
	test_escape();
	test_lines();
	test_long();
	test_recursion();
	test_rate();
	log_set_sink(NULL, NULL);
	check_stderr(true, "<4>prog: topic: text\n");
	check_stderr(false, "prog: topic: text\n");
	return tap_done();
}
