/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One endpoint or session of the daemon, kept for as long as its command runs:
 * find the daemon, ask, report events, answer dials, stop on signals, and turn
 * the end into an exit code.
 */
#ifndef CLIENT_JOB_H
#define CLIENT_JOB_H

#include <jansson.h>
#include <stdbool.h>

#include "client/cli_main.h"
#include "client/cli_target.h"
#include "lib/fd.h"
#include "lib/loop.h"

struct job;

/* Which words of the siblings apply to its events. */
enum job_kind {
	JOB_SHARE,
	JOB_SERVE,
	JOB_OPEN,
	JOB_CONNECT,
	/* Transfers, by who made the token and which way bytes go. */
	JOB_LISTEN,  /* listen, and receive without a code */
	JOB_PIPE,    /* pipe */
	JOB_SEND,    /* send */
	JOB_RECEIVE, /* receive CODE */
	JOB_INVITE,  /* ssh invite */
	JOB_ACCEPT,  /* ssh accept */
};

struct job_params {
	const struct cli_out *out;
	const char *socket; /* of --socket, or "" */
	enum job_kind kind;
	bool force_relay;   /* transfers: no word of direct paths */
	int bad_token_code; /* exit code when the daemon refuses the token */
	const struct cli_target *target; /* dialled on request, or NULL */
	/* The request was accepted; may be NULL. */
	void (*on_result)(void *arg, struct job *j, const json_t *result);
	/* The first `ready`; may be NULL. */
	void (*on_ready)(void *arg, struct job *j);
	/* A connection for the peer, instead of @target; may be NULL.  Returns
	 * a descriptor that is taken, or a negative error. */
	int (*on_dial)(void *arg, struct job *j);
	/* Transfers: the daemon asks where to put what comes, and to save it.
	 * @id: borrowed; job_answer() or job_refuse() it once. */
	void (*on_open)(
	    void *arg, struct job *j, json_t *id, const json_t *params);
	void (*on_save)(
	    void *arg, struct job *j, json_t *id, const json_t *params);
	/* Transfers: params of a `progress` event; may be NULL. */
	void (*on_progress)(void *arg, struct job *j, const json_t *params);
	/* Something else may be printed next; may be NULL.  @ended: it is over,
	 * with this exit code. */
	void (*on_text)(void *arg, struct job *j, bool ended, int code);
	/* It ended by itself with @code, or is interrupted: the code to say and
	 * return instead; NULL: the same. */
	int (*judge_end)(void *arg, int code);
	/* It is being stopped: nothing may be saved any more; may be NULL. */
	void (*on_stop)(void *arg);
	/* It ended by itself: call job_finish() when nothing is left to do;
	 * NULL: at once. */
	void (*on_ended)(void *arg, struct job *j);
	/* The relay says that the peer left it, which need not be for ever; may
	 * be NULL. */
	void (*on_peer_gone)(void *arg);
	void *arg;
};

/** job_new(): catches SIGINT and SIGTERM from now on; after job_free() they are
 * held back.  NULL, said: memory is out. */
struct job *job_new(const struct job_params *p);
void job_free(struct job *j);
struct loop *job_loop(struct job *j);

/**
 * job_run(): from finding a daemon to the end.
 * @j: NULL fails, so that callers need not check job_new().
 * @method: its result has the id in the member "endpoint" or "session".
 * @params: reference is taken.
 * @fds: ownership is taken.
 *
 * Returns the exit code; everything is said.
 */
int job_run(struct job *j, const char *method, json_t *params, const int *fds,
    size_t n_fds);

/** job_listen(): hand over the listening socket of the session; fd is taken. */
void job_listen(struct job *j, int fd);

/** job_answer(): to on_open() or on_save().  @result: reference is taken.
 * @fd: is taken, or -1. */
void job_answer(struct job *j, json_t *id, json_t *result, int fd);
/** job_refuse(): likewise.  @text: for the peer, and comes back as the reason
 * of the end. */
void job_refuse(struct job *j, json_t *id, int r, const char *text);

/** job_finish(): end job_run() with the code of the end. */
void job_finish(struct job *j);
/** job_abort(): likewise; the peer of a transfer is told that @r happened. */
void job_abort(struct job *j, int r);
/** job_fail(): stop the session and end with @code; the reason was said. */
void job_fail(struct job *j, int code);

#endif
