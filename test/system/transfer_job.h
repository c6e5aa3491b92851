/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One transfer between the two workers of a world: a source, a sink, and what
 * was told of them.  One at a time.
 */
#ifndef TEST_SYSTEM_TRANSFER_JOB_H
#define TEST_SYSTEM_TRANSFER_JOB_H

#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_policy.h"
#include "test/system/session_net.h"
#include "test/system/session_world.h"

#define JOB_MIB ((int64_t)1 << 20)
#define JOB_PATIENCE_MS 30000

/* What is to be done. */
struct job {
	const char *name;
	bool offer; /* flow B: the issuer sends */
	int64_t size;
	bool from_file;
	bool to_file;
	enum transfer_kind kind; /* UNKNOWN: no header */
	bool no_blocks[2];       /* sender, receiver */
	uint8_t streams;         /* the sender's wish */
	bool no_relay_only;
	int64_t announced; /* size in header and boot; 0: the real one */
	const char *peer_name;
	int open_result;    /* of OPENED */
	int save_result;    /* of SAVED */
	int64_t stop_after; /* the source stays silent from there on */
	int rate;           /* sink: bytes per ms it takes; 0: all */
	bool is_device;     /* the sink is /dev/null */
	bool by_udp;        /* sockets, by way of the proxy of net */
};

struct job_sink {
	int fd; /* ours: to read from a pipe, or the file */
	struct loop_io *io;
	struct loop_timer *timer;
	int64_t got;
	bool bad;
	bool eof;
	struct ipc_open open;
	bool was_open;
	struct ipc_save save;
	bool was_saved;
};

/* A case of a test, by its name. */
struct job_case {
	const char *name;
	void (*run)(void);
};

extern struct world job_world;
extern struct net job_net;
extern const struct job *job_now;
extern struct job_sink job_sink;
extern struct ipc_progress job_progress[2]; /* claimer, listener */
extern unsigned job_n_final[2];

/** job_begin(): both workers, and all that @j says; it stays with it. */
void job_begin(const struct job *j);
void job_finish(void);
struct end *job_sender(void);
struct end *job_receiver(void);
/** job_send_sink(): a sink for a worker, or that there is none. */
void job_send_sink(struct end *e, enum ipc_type type, uint32_t seq);
/** job_is_done(), job_some_moved(): for world_run(). */
bool job_is_done(struct world *unused);
bool job_some_moved(struct world *unused);
/** job_is_whole(): did the sink get exactly what the source had? */
bool job_is_whole(void);
/** job_show_ends(): why both ended, as a comment. */
void job_show_ends(void);
/** job_run(): PATH_OF_DERPTUN_SESSION [CASE]; false without the first. */
bool job_run(int argc, char **argv, const struct job_case *cases, size_t n);

#endif
