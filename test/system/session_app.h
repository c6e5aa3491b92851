/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a TCP connection under test: sends so many bytes of a pattern,
 * checks the pattern it receives, and ends as told.
 */
#ifndef TEST_SYSTEM_SESSION_APP_H
#define TEST_SYSTEM_SESSION_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop.h"

struct app {
	int fd;
	struct loop_io *io;
	uint64_t to_send;
	uint64_t sent;
	uint64_t received;
	bool wait_for_eof; /* send only after the other end finished */
	bool shut_after;   /* shutdown(SHUT_WR) when all is sent */
	bool shut;
	bool eof;  /* the other end finished */
	bool bad;  /* the pattern was wrong */
	int error; /* errno of a failed read or write */
};

/** app_init(): @fd non-blocking, owned. */
void app_init(struct app *a, struct loop *l, int fd, uint64_t to_send);
void app_fini(struct app *a);
/** app_is_done(): both directions ended, or it failed. */
bool app_is_done(const struct app *a);

#endif
