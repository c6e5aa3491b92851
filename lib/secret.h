/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and the few primitives on them, over libsodium.  Secret values are
 * structs, wiped by their owner with secret_wipe(); processes that hold them
 * call secret_init() first, which also keeps them out of core files.
 */
#ifndef LIB_SECRET_H
#define LIB_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 32 bytes: Curve25519 and Ed25519 keys, MAC keys, SHA-256 digests. */
struct key32 {
	uint8_t b[32];
};

/* 16 bytes: session, client, token and stream ids. */
struct id16 {
	uint8_t b[16];
};

/* First 8 hex digits of SHA-256, for logs. */
#define SECRET_FINGERPRINT_LEN 9

/**
 * secret_init(): start libsodium and forbid core dumps.
 * Returns 0 or -DT_ERR_INTERNAL.  Idempotent; call before any other function.
 */
int secret_init(void);

/**
 * secret_lock_process(): forbid ptrace and /proc reads by siblings of the same
 * user (PR_SET_DUMPABLE 0).  For daemons and workers, after their last exec and
 * change of user; not for command line programs: fd_reopen() fails after it.
 * Returns 0 or -errno.
 */
int secret_lock_process(void);

/** secret_wipe(): zero @n bytes in a way the compiler keeps. */
void secret_wipe(void *p, size_t n);

/** secret_equal(): constant-time comparison of @n bytes. */
bool secret_equal(const void *a, const void *b, size_t n);

/** secret_is_zero(): constant-time test of @n bytes. */
bool secret_is_zero(const void *p, size_t n);

/** secret_random(): @n bytes from the system. */
void secret_random(void *p, size_t n);

/** secret_random_below(): uniform in [0, @bound); for jitter and choices. */
uint32_t secret_random_below(uint32_t bound);

/** secret_hmac_sha256(): one-shot HMAC (RFC 2104) with a 32-byte key. */
void secret_hmac_sha256(struct key32 *ret_mac, const struct key32 *key,
    const void *msg, size_t len);

/** secret_sha256(): one-shot digest of short input. */
void secret_sha256(struct key32 *ret_digest, const void *msg, size_t len);

/**
 * secret_curve_keypair(): fresh X25519 pair, private key clamped as RFC 7748 5
 * says, public key = X25519(private, 9).
 */
void secret_curve_keypair(struct key32 *ret_private, struct key32 *ret_public);

/** secret_curve_public(): the public half.  0, or -DT_ERR_KEY for all zero. */
int secret_curve_public(
    struct key32 *ret_public, const struct key32 *private_key);

/** secret_ed25519_keypair(): fresh RFC 8032 seed and public key. */
void secret_ed25519_keypair(struct key32 *ret_seed, struct key32 *ret_public);

/** secret_ed25519_public(): the public key of a seed. */
void secret_ed25519_public(struct key32 *ret_public, const struct key32 *seed);

/** secret_ed25519_sign(): 64-byte signature of @len bytes at @msg. */
void secret_ed25519_sign(uint8_t ret_sig[static 64], const struct key32 *seed,
    const void *msg, size_t len);

/** secret_fingerprint(): short name of a public key for logs. */
void secret_fingerprint(
    char out[static SECRET_FINGERPRINT_LEN], const struct key32 *public_key);

#endif
