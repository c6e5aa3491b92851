/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/progress_bar.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_US (1 * MONO_SEC)

/* The parts of "100%|####| done/total [elapsed<eta, rate/s]". */
struct parts {
	const char *percent;
	size_t percent_len;
	const char *cells;
	size_t n_cells;
	size_t n_full;
	const char *sizes;
	size_t sizes_len;
	const char *times; /* " [...]" */
	size_t times_len;
};

static size_t
span_to(const char *p, size_t n, char end)
{
	const char *at = memchr(p, end, n);

	return at != NULL ? (size_t)(at - p) : n;
}

/* @p: @n characters without CR, blanks at the end, newline. */
static void
split(struct parts *s, const char *p, size_t n)
{
	size_t len = span_to(p, n, '|');

	*s = (struct parts){ .percent = p, .percent_len = len };
	if (len == n)
		return;
	s->cells = p + len + 1;
	s->n_cells = span_to(s->cells, n - len - 1, '|');
	s->n_full = span_to(s->cells, s->n_cells, '.');
	s->sizes = s->cells + s->n_cells;
	n -= len + 1 + s->n_cells;
	if (n > 0) { /* the bar's right edge */
		s->sizes++;
		n--;
	}
	s->sizes_len = span_to(s->sizes, n, '[');
	s->times = s->sizes + s->sizes_len;
	s->times_len = n - s->sizes_len;
	if (s->times_len > 0 && s->sizes_len > 0) { /* the blank goes along */
		s->sizes_len--;
		s->times--;
		s->times_len++;
	}
}

static size_t
put(char *to, const char *from, size_t n)
{
	if (n > 0)
		memcpy(to, from, n);
	return n;
}

/* Up to @columns characters of @s into @to; returns their number. */
static size_t
join(char *to, const struct parts *s, size_t columns)
{
	size_t fixed = s->percent_len + s->sizes_len + s->times_len;
	size_t cells = columns > fixed + 2 ? columns - fixed - 2 : 0, n, full;

	if (cells > s->n_cells)
		cells = s->n_cells;
	n = put(to, s->percent, s->percent_len);
	if (cells > 0) {
		full = s->n_full * cells / s->n_cells;
		to[n++] = '|';
		memset(to + n, '#', full);
		memset(to + n + full, '.', cells - full);
		n += cells;
		to[n++] = '|';
	}
	n += put(to + n, s->sizes, s->sizes_len);
	if (n + s->times_len <= columns)
		n += put(to + n, s->times, s->times_len);
	return n < columns ? n : columns;
}

void
progress_bar_fit(char out[static TRANSFER_PROGRESS_MAX_LINE], const char *line,
    size_t columns)
{
	size_t len = strlen(line), visible, text, n;
	bool ends = len > 0 && line[len - 1] == '\n';
	struct parts s;

	visible = len - (ends ? 1 : 0);
	if (columns == 0 || visible <= columns + 1) {
		memcpy(out, line, len + 1);
		return;
	}
	line++; /* CR */
	visible--;
	for (text = visible; text > 0 && line[text - 1] == ' ';)
		text--;
	split(&s, line, text);
	out[0] = '\r';
	n = 1 + join(out + 1, &s, columns);
	while (n < columns + 1)
		out[n++] = ' ';
	if (ends)
		out[n++] = '\n';
	out[n] = '\0';
}

/* 0: unknown.  The last column stays free, as some terminals begin a new line
 * when it is written to. */
static size_t
columns_of(const struct progress_bar *bar)
{
	struct winsize size;

	if (!bar->is_terminal || ioctl(bar->fd, TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col > 1 ? size.ws_col - 1u : size.ws_col;
}

/* Would writing neither wait nor stop us (SIGTTOU)? */
static bool
is_writable(const struct progress_bar *bar)
{
	struct pollfd p = { .fd = bar->fd, .events = POLLOUT };

	if (bar->is_terminal && tcgetpgrp(bar->fd) != getpgrp())
		return false;
	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static bool
write_text(const struct progress_bar *bar, const char *text)
{
	return is_writable(bar) && write(bar->fd, text, strlen(text)) > 0;
}

static void
draw(struct progress_bar *bar, bool final, struct mono now)
{
	char line[TRANSFER_PROGRESS_MAX_LINE], fitting[sizeof(line)];
	size_t before = bar->numbers.line_len;

	/* Counts as drawn even if it is not, so that the next is due later. */
	transfer_progress_line(&bar->numbers, now, final, line);
	progress_bar_fit(fitting, line, columns_of(bar));
	if (write_text(bar, fitting))
		bar->is_dirty = !final;
	else if (before > bar->numbers.line_len)
		bar->numbers.line_len = before; /* that is what is seen */
}

void
progress_bar_init(struct progress_bar *bar, enum progress_bar_when when, int fd,
    int64_t total, struct mono now)
{
	*bar = (struct progress_bar){ .fd = fd, .is_terminal = isatty(fd) };
	transfer_progress_init(&bar->numbers, total, now);
	bar->shows = when == PROGRESS_BAR_ALWAYS ||
		     (when == PROGRESS_BAR_AUTO && bar->is_terminal);
}

static void
draw_if_due(struct progress_bar *bar, struct mono now)
{
	if (bar->shows && transfer_progress_is_due(&bar->numbers, now))
		draw(bar, false, now);
}

void
progress_bar_set(struct progress_bar *bar, int64_t done, struct mono now)
{
	transfer_progress_set(&bar->numbers, done);
	draw_if_due(bar, now);
}

void
progress_bar_set_peer(
    struct progress_bar *bar, int64_t done, int64_t elapsed_ms, struct mono now)
{
	transfer_progress_set_peer(&bar->numbers, done, elapsed_ms);
	draw_if_due(bar, now);
}

struct mono
progress_bar_next(const struct progress_bar *bar)
{
	return bar->shows ? mono_add(bar->numbers.drawn, TICK_US) : MONO_NEVER;
}

void
progress_bar_tick(struct progress_bar *bar, struct mono now)
{
	if (bar->shows && !mono_before(now, progress_bar_next(bar)))
		draw(bar, false, now);
}

void
progress_bar_pause(struct progress_bar *bar)
{
	if (!bar->is_dirty)
		return;
	(void)write_text(bar, "\n");
	bar->is_dirty = false;
	bar->numbers.line_len = 0;
}

void
progress_bar_end(struct progress_bar *bar, bool complete, struct mono now)
{
	if (bar->shows && complete)
		draw(bar, true, now);
	progress_bar_pause(bar);
	bar->shows = false;
}
