/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logging: one line is one event; words first, key=value after them, the
 * session id first among those.  Never payload, keys or tokens; peers by
 * secret_fingerprint().
 *
 * Levels: err = the operator must act; warn = we degraded; info = life cycle of
 * sessions; debug = off by default.
 *
 * The default sink writes to stderr, with "<N>" journal prefixes when
 * $JOURNAL_STREAM says that stderr is the journal.  Workers set a sink that
 * hands lines to the daemon.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdarg.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERR = 3, /* numbers are syslog's, RFC 5424 table 2 */
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* One line, prefix included; longer ones are cut.  Fits one IPC message. */
#define LOG_MAX_LINE 512

/**
 * log_init(): name this process and choose what is kept.
 * @process: static string put in front of every line, e.g. "derptund".
 * @max: lines above this level are dropped before they are formatted.
 */
void log_init(const char *process, enum log_level max);

/**
 * log_set_sink(): send finished lines elsewhere.
 * @sink: called with a NUL-terminated line without newline, control bytes
 *        already escaped; must not log.  NULL restores the default.
 * @arg: passed through.
 */
void log_set_sink(
    void (*sink)(void *arg, enum log_level level, const char *line, size_t len),
    void *arg);

/** log_level_max(): the level given to log_init(); default LOG_LEVEL_INFO. */
enum log_level log_level_max(void);

/**
 * log_write(): format and emit one line.
 * @topic: static string naming the module, e.g. "derp".
 *
 * Bytes below 0x20, 0x7f and invalid UTF-8 come out as \xNN.  At most 100 lines
 * a second leave per process, bursts of 200; a line tells how many were cut.
 */
void log_write(enum log_level level, const char *topic, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** log_write_r(): as log_write(), with ": " and err_str(@r) appended. */
void log_write_r(int r, enum log_level level, const char *topic,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * log_escape(): copy text with control bytes and invalid UTF-8 made harmless,
 * for anything that came from a peer and goes to a terminal or log.
 * @dst: receives a NUL-terminated string.
 * @cap: size of @dst in bytes, at least 1; longer results are cut.
 * @src: @len bytes.
 */
void log_escape(char *dst, size_t cap, const char *src, size_t len);

#define log_err(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_err_r(r, ...) log_write_r(r, LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn_r(r, ...) log_write_r(r, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info_r(r, ...) log_write_r(r, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug_r(r, ...) log_write_r(r, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
