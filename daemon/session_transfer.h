/* SPDX-License-Identifier: BSD-3-Clause */
/* A session that transfers: its descriptors, its questions to the caller, its
 * progress. */
#ifndef DAEMON_SESSION_TRANSFER_H
#define DAEMON_SESSION_TRANSFER_H

#include "daemon/session.h"
#include "lib/buf.h"

/* PROGRESS of one worker: five a second by its contract, and the last one.  A
 * daemon that was held up for a while finds all of them at once: as many as fit
 * the socket. */
#define SESSION_PROGRESS_RATE 8
#define SESSION_PROGRESS_BURST 1024

/* A caller's answer to transfer.open or transfer.save. */
struct session_transfer_answer {
	int r;              /* 0 or negative */
	const char *reason; /* of a failure; borrowed */
	bool positioned;
	bool sparse; /* new: what is not written reads as zeros */
	int64_t offset;
};

/** session_transfer_of(): what the caller said; NULL for other kinds. */
struct transfer *session_transfer_of(struct session *s);

/** session_transfer_fill(): its part of a boot message. */
void session_transfer_fill(
    const struct transfer *t, struct ipc_boot_session *b);

/** session_transfer_born(): hand over what is known from the start. */
void session_transfer_born(struct session *s);

/* Messages of the worker.  Each returns 0 or a violation. */
int session_transfer_on_open(
    struct session *s, uint32_t seq, struct buf_reader *body);
int session_transfer_on_save(
    struct session *s, uint32_t seq, struct buf_reader *body);
int session_transfer_on_progress(struct session *s, struct buf_reader *body);

/** session_transfer_answered(): the caller's answer, or that it cannot. Takes
 * @fd (or -1). */
void session_transfer_answered(struct daemon *d, uint32_t session,
    enum ctl_ask_kind kind, const struct session_transfer_answer *answer,
    int fd);

#endif
