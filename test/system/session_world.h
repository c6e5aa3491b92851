/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two real derptun-session processes, confined as in production, and between
 * them a tiny daemon: it judges the claim, signs, passes descriptors, and is
 * the relay, which may lose packets by a seed.
 */
#ifndef TEST_SYSTEM_SESSION_WORLD_H
#define TEST_SYSTEM_SESSION_WORLD_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "lib/chan.h"
#include "lib/loop.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"
#include "proto/ipc/ipc_network.h"
#include "proto/rendezvous/gate.h"

#define WORLD_SESSION_ID 7

struct world;

/* One worker process. */
struct end {
	struct world *w;
	pid_t pid;
	struct chan *control;
	struct chan *packets;
	struct end *other;
	bool born;
	bool statuses[IPC_STATUS_STREAM_END + 1]; /* seen */
	bool ended;                               /* ENDED came */
	struct ipc_reason reason;
	bool gone; /* its channel closed */
	bool paused;
	int probed; /* -1 none yet, else what PROBED said */
	bool described;
	struct ipc_description description;
	struct ipc_path path; /* the last one told */
	unsigned n_paths;
	bool explained;
	struct ipc_explanation explanation;
	unsigned claims_back;
	unsigned decisions; /* decision envelopes it sent */
	unsigned versions;  /* QUIC version negotiation packets it sent */
	struct mono ended_at;
};

struct world {
	struct loop *loop;
	enum ipc_kind kind;
	struct end claimer;
	struct end listener;
	struct gate *gate;
	struct key32 claimer_derp;
	struct key32 listener_derp;
	struct key32 listener_seed;
	struct key32 listener_quic;
	struct loop_io *signer_io;
	int signer_fd;
	unsigned loss_permille;
	uint64_t random; /* state of the loss generator */
	/* Of the packets of the claimer (0) or the listener (1), counted from
	 * 0, so many are lost from the first on. */
	int drop_end;
	unsigned drop_first, drop_n;
	unsigned n_packets[2];
	bool cut;           /* the relay loses everything */
	bool is_sibling;    /* neither learns that the other is one of ours */
	bool no_ready;      /* and the ready exchange is lost */
	bool hold_listener; /* accept, but start no listener */
	bool late_listener; /* it is stopped before it begins */
	uint8_t claim[IPC_MAX_ENVELOPE]; /* the first one, as sent */
	size_t claim_len;
	struct key32 envelope_key; /* transfers, as the next two */
	struct key32 bearer;
	struct id16 session_id;
	/* A boot message is about to be sent: what a transfer needs in it. */
	void (*set_boot)(struct end *e, struct ipc_boot_session *b);
	/* A message only transfers send. */
	void (*on_message)(
	    struct end *e, const struct ipc_header *h, struct buf_reader *body);
	/* A worker was booted: the daemon's next messages. */
	void (*on_boot)(struct end *e);
	bool force_relay[2]; /* claimer, listener */
	/* A stream wants its backend: a connected socket, or -errno. */
	int (*on_dial)(void *arg);
	void *arg;
	bool (*until)(struct world *w);
	uint64_t n_dials;
};

extern const char *world_worker_path;

/** world_need(): or the test cannot go on, and bails out. */
void world_need(bool ok, const char *what);
/** world_make_token(): for both; the claimer's part goes into @b. */
void world_make_token(struct world *w, struct ipc_boot_session *b);

/** world_init(): starts the claimer; the listener follows its claim. */
void world_init(struct world *w, enum ipc_kind kind, bool one_stream);
/** world_init_net(): likewise, with @on_boot and @force_relay. */
void world_init_net(struct world *w, enum ipc_kind kind,
    void (*on_boot)(struct end *e), const bool force_relay[2]);
/** world_init_transfer(): with the callbacks that @w has, and its force_relay;
 * everything else in it is made new. */
void world_init_transfer(struct world *w);
/** world_fini(): ends both processes if they have not. */
void world_fini(struct world *w);
/** world_run(): turn the loop until @until or the time is up.  Did it hold? */
bool world_run(struct world *w, bool (*until)(struct world *w), int ms);
/** world_listen(): a TCP listener for the claimer; returns its port. */
unsigned short world_listen(struct world *w);
void world_stdio(struct world *w, int in, int out);
void world_stop(struct end *e);
void world_probe(struct end *e, uint32_t timeout_ms);
void world_describe(struct end *e);
void world_explain(struct end *e);
/** world_post(): a message begun with ipc_begin(). */
void world_post(
    struct end *e, const struct buf_writer *w, const int *fds, size_t n_fds);
/** world_begin(): start a message to a worker. */
void world_begin(struct buf_writer *w, enum ipc_type type, uint32_t seq);
/** world_inject(): a relayed packet for @e. */
void world_inject(struct end *e, const void *p, size_t len);
/** world_connect(): a TCP connection to 127.0.0.1:@port, non-blocking. */
int world_connect(unsigned short port);
/** world_count_fds(): open descriptors of a process. */
int world_count_fds(pid_t pid);
/** world_private_dirty_kib(): from smaps_rollup. */
long world_private_dirty_kib(pid_t pid);
/** world_is_confined(): seccomp filter and no-new-privileges, as the kernel
 * tells. */
bool world_is_confined(pid_t pid);

/* For world_run(). */
bool world_never(struct world *w);
bool world_is_ready(struct world *w);
bool world_has_listener(struct world *w);
bool world_is_ended(struct world *w);
bool world_listener_ended(struct world *w);
bool world_claimer_ended(struct world *w);

/* One case of a test, if it is the only one asked for or none is. */
#define WORLD_RUN(only, name, call)                                            \
	do {                                                                   \
		if ((only) == NULL || strcmp(only, name) == 0)                 \
			call;                                                  \
	} while (0)

#endif
