/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies of the messages about transfers in ipc_messages.def; the rules are
 * those of ipc_body.h.
 *
 * The session worker moves the bytes, the command line owns the files: it hands
 * over open descriptors and is told when to save.  Those that are positioned
 * are regular files and are used with pread(2) and pwrite(2) only; the others
 * are non-blocking, of an open file that the user does not share.
 */
#ifndef PROTO_IPC_IPC_TRANSFER_H
#define PROTO_IPC_IPC_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

/* TRANSFER_HEADER_MAX_OWN, TRANSFER_HEADER_MAX_VERIFY, TRANSFER_NAME_MAX. */
#define IPC_TRANSFER_MAX_HEADER 4096
#define IPC_TRANSFER_MAX_VERIFY 64
#define IPC_TRANSFER_MAX_NAME 255
#define IPC_TRANSFER_MAX_TEXT 256 /* reasons, NUL included */
/* enum transfer_role, enum transfer_kind and TRANSFER_MAX_STREAMS; only the
 * daemon and the session's modules know proto/transfer. */
#define IPC_TRANSFER_MAX_ROLE 3
#define IPC_TRANSFER_MAX_KIND 5
#define IPC_TRANSFER_MAX_STREAMS 16

/* The part of BOOT_SESSION that is of IPC_KIND_TRANSFER; see transfer_params.h.
 * `listener` of the boot message is that of an issuer.  An issuer's `claim` is
 * the packet of the claimant; `decision` is empty. */
struct ipc_boot_transfer {
	uint8_t role;            /* enum transfer_role */
	bool structured;         /* a header comes first */
	bool blocks;             /* the descriptor is a file, not O_APPEND */
	uint8_t streams;         /* sender; 0: default */
	int64_t size;            /* sender: payload bytes; -1: unknown */
	int64_t accept_limit_ms; /* claimant; 0: default, -1: for ever */
	/* Structured receiver: a header's must be this; "": any. */
	char verify[IPC_TRANSFER_MAX_VERIFY + 1];
	uint16_t header_len; /* structured sender */
	uint8_t header[IPC_TRANSFER_MAX_HEADER];
};
void ipc_transfer_put_boot(
    struct buf_writer *w, const struct ipc_boot_transfer *b);
/** ipc_transfer_get_boot(): the part only: does not ask for the body's end.
 * Errors stay in @r. */
void ipc_transfer_get_boot(
    struct buf_reader *r, struct ipc_boot_transfer *ret_boot);

/* SOURCE, with the sender's descriptor. */
struct ipc_source {
	bool positioned; /* a regular file: pread from offset on; else read */
	int64_t offset;  /* at least 0 */
	/* Payload bytes; -1: until it ends.  What is not positioned ends when
	 * it ends, whatever this says. */
	int64_t size;
};
void ipc_transfer_put_source(struct buf_writer *w, const struct ipc_source *m);
int ipc_transfer_get_source(
    struct buf_reader *r, struct ipc_source *ret_source);

/* OPEN: the structured receiver knows what comes. */
struct ipc_open {
	uint8_t kind; /* enum transfer_kind: text, file or directory */
	bool blocks;  /* the descriptor must take writes by offset */
	int64_t size; /* of the body; 0: unknown, or empty */
	/* Safe as one component; "" for text.  Not terminated on the wire. */
	char name[IPC_TRANSFER_MAX_NAME + 1];
	char verify[IPC_TRANSFER_MAX_VERIFY + 1]; /* the peer's, checked */
	/* What the peer says is in a folder; -1: nothing. */
	int64_t files;
	int64_t contents; /* their bytes, without the archive around them */
};
void ipc_transfer_put_open(struct buf_writer *w, const struct ipc_open *m);
int ipc_transfer_get_open(struct buf_reader *r, struct ipc_open *ret_open);

/* OPENED, the answer; and SINK, unasked, when there is no header.  The
 * descriptor comes with it exactly when result is 0. */
struct ipc_sink {
	int32_t result;
	bool positioned; /* pwrite from offset on; else write */
	bool sparse;     /* positioned: what is not written reads as zeros */
	int64_t offset;  /* at least 0 */
	char reason[IPC_TRANSFER_MAX_TEXT]; /* of a failure, for the peer */
};
void ipc_transfer_put_sink(struct buf_writer *w, const struct ipc_sink *m);
int ipc_transfer_get_sink(struct buf_reader *r, struct ipc_sink *ret_sink);

/* SAVE: everything was written, and the worker's descriptor is closed. */
struct ipc_save {
	int64_t bytes; /* of the session, header included */
	int64_t body;  /* of the file */
};
void ipc_transfer_put_save(struct buf_writer *w, const struct ipc_save *m);
int ipc_transfer_get_save(struct buf_reader *r, struct ipc_save *ret_save);

/* SAVED: only now the peer is told of success. */
struct ipc_saved {
	int32_t result;
	char reason[IPC_TRANSFER_MAX_TEXT];
};
void ipc_transfer_put_saved(struct buf_writer *w, const struct ipc_saved *m);
int ipc_transfer_get_saved(struct buf_reader *r, struct ipc_saved *ret_saved);

/* PROGRESS, at most five a second, and a final one before ENDED.  Payload
 * bytes: the header does not count. */
struct ipc_progress {
	int64_t moved; /* sender: taken from the source; receiver: written */
	int64_t total; /* -1: unknown */
	int64_t peer_written;    /* sender: what the receiver reported */
	int64_t peer_elapsed_ms; /* by its clock; 0: unknown */
	bool final;              /* all is with the receiver, confirmed */
	bool stalled;            /* nothing moved for 30 s */
};
void ipc_transfer_put_progress(
    struct buf_writer *w, const struct ipc_progress *m);
int ipc_transfer_get_progress(
    struct buf_reader *r, struct ipc_progress *ret_progress);

#endif
