/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Minimal TAP (Test Anything Protocol 12) producer.  Each OK() prints one line;
 * tap_done() prints the plan and gives main()'s return value.  Rows are counted
 * in each source file: of a program, one file includes this.
 */
#ifndef TEST_TAP_H
#define TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_count;
static int tap_failed;

__attribute__((format(printf, 4, 5))) static inline bool
tap_ok(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	tap_count++;
	printf("%sok %d - ", good ? "" : "not ", tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good) {
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

/* OK(condition, "name with %d", 1) */
#define OK(cond, ...) tap_ok((cond), __FILE__, __LINE__, __VA_ARGS__)

/* EQ_INT(got, want, "name"): tells both values when they differ. */
#define EQ_INT(got, want, ...)                                                 \
	do {                                                                   \
		long long tap_g = (long long)(got);                            \
		long long tap_w = (long long)(want);                           \
		if (!OK(tap_g == tap_w, __VA_ARGS__))                          \
			printf("# got %lld, want %lld\n", tap_g, tap_w);       \
	} while (0)

/* EQ_STR(got, want, "name") */
#define EQ_STR(got, want, ...)                                                 \
	do {                                                                   \
		const char *tap_g = (got);                                     \
		const char *tap_w = (want);                                    \
		if (!OK(strcmp(tap_g, tap_w) == 0, __VA_ARGS__))               \
			printf("# got \"%s\"\n# want \"%s\"\n", tap_g, tap_w); \
	} while (0)

/* EQ_MEM(got, want, len, "name"): prints both in hex when they differ. */
#define EQ_MEM(got, want, len, ...)                                            \
	do {                                                                   \
		const uint8_t *tap_g = (const uint8_t *)(got);                 \
		const uint8_t *tap_w = (const uint8_t *)(want);                \
		size_t tap_n = (size_t)(len);                                  \
		if (!OK(memcmp(tap_g, tap_w, tap_n) == 0, __VA_ARGS__)) {      \
			tap_hex("got ", tap_g, tap_n);                         \
			tap_hex("want", tap_w, tap_n);                         \
		}                                                              \
	} while (0)

static inline void
tap_hex(const char *label, const uint8_t *p, size_t n)
{
	printf("# %s ", label);
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
	putchar('\n');
}

static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed == 0 ? 0 : 1;
}

#endif
