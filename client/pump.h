/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of the user's for a worker.  A pipe or terminal is opened anew,
 * so that O_NONBLOCK on it touches nobody else.  What cannot be opened anew
 * (sockets, files, pipes of another user) keeps its flags and is copied here,
 * through a socket pair, no faster than the reader takes it, ends of file
 * included.
 */
#ifndef CLIENT_PUMP_H
#define CLIENT_PUMP_H

#include <stdbool.h>

#include "lib/loop.h"

struct pump;

enum pump_direction {
	PUMP_IN,  /* from the user's descriptor to the worker */
	PUMP_OUT, /* from the worker to the user's descriptor */
};

struct pump_params {
	struct loop *loop;
	int fd; /* the user's; borrowed until the end of the pump */
	enum pump_direction direction;
	/* Everything was copied (0), or the user's descriptor failed.  Called
	 * once, never before pump_attach() returned. */
	void (*on_done)(void *arg, int r);
	void *arg;
};

/**
 * pump_attach(): a descriptor for the worker.
 * @ret_fd: owned by the caller, to be passed on and closed.
 * @ret_pump: NULL when the descriptor was opened anew and nothing is copied
 *            here; on_done() is not called then.
 *
 * Returns 0 or a negative error.
 */
int pump_attach(
    const struct pump_params *p, int *ret_fd, struct pump **ret_pump);
void pump_free(struct pump *p);

/** pump_is_idle(): nothing is waiting to be written, and nothing was read or
 * written since the last call. */
bool pump_is_idle(struct pump *p);

#endif
