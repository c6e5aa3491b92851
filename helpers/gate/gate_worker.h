/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * derptun-gate: holds the secrets of one token and is the only reader of
 * packets from unknown senders.  It judges claims, answers those it refuses,
 * and tells the daemon of the one it admits, with derived secrets only.
 */
#ifndef HELPERS_GATE_GATE_WORKER_H
#define HELPERS_GATE_GATE_WORKER_H

/** gate_worker_main(): the whole process.  Returns its exit status. */
int gate_worker_main(void);

#endif
