/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/secret.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <sodium.h>

#include "lib/err.h"

_Static_assert(crypto_scalarmult_curve25519_BYTES == sizeof(struct key32),
    "X25519 keys are 32 bytes");
_Static_assert(
    crypto_sign_ed25519_SEEDBYTES == sizeof(struct key32), "RFC 8032 seed");
_Static_assert(crypto_sign_ed25519_BYTES == 64, "RFC 8032 signature");

int
secret_init(void)
{
	const struct rlimit none = { 0, 0 };

	if (sodium_init() < 0)
		return -DT_ERR_INTERNAL;
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return -DT_ERR_INTERNAL;
	return 0;
}

int
secret_lock_process(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

void
secret_wipe(void *p, size_t n)
{
	if (n > 0)
		sodium_memzero(p, n);
}

bool
secret_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

bool
secret_is_zero(const void *p, size_t n)
{
	return sodium_is_zero(p, n) == 1;
}

void
secret_random(void *p, size_t n)
{
	randombytes_buf(p, n);
}

uint32_t
secret_random_below(uint32_t bound)
{
	return randombytes_uniform(bound);
}

void
secret_hmac_sha256(
    struct key32 *ret_mac, const struct key32 *key, const void *msg, size_t len)
{
	crypto_auth_hmacsha256(ret_mac->b, msg, len, key->b);
}

void
secret_sha256(struct key32 *ret_digest, const void *msg, size_t len)
{
	crypto_hash_sha256(ret_digest->b, msg, len);
}

void
secret_curve_keypair(struct key32 *ret_private, struct key32 *ret_public)
{
	randombytes_buf(ret_private->b, sizeof(ret_private->b));
	ret_private->b[0] &= 0xf8;
	ret_private->b[31] = (uint8_t)((ret_private->b[31] & 0x7f) | 0x40);
	(void)crypto_scalarmult_curve25519_base(
	    ret_public->b, ret_private->b); /* cannot fail for the base point */
}

int
secret_curve_public(struct key32 *ret_public, const struct key32 *private_key)
{
	if (secret_is_zero(private_key->b, sizeof(private_key->b)))
		return -DT_ERR_KEY;
	(void)crypto_scalarmult_curve25519_base(
	    ret_public->b, private_key->b); /* clamps by itself */
	return 0;
}

void
secret_ed25519_keypair(struct key32 *ret_seed, struct key32 *ret_public)
{
	randombytes_buf(ret_seed->b, sizeof(ret_seed->b));
	secret_ed25519_public(ret_public, ret_seed);
}

void
secret_ed25519_public(struct key32 *ret_public, const struct key32 *seed)
{
	uint8_t expanded[crypto_sign_ed25519_SECRETKEYBYTES];

	crypto_sign_ed25519_seed_keypair(ret_public->b, expanded, seed->b);
	secret_wipe(expanded, sizeof(expanded));
}

void
secret_ed25519_sign(uint8_t ret_sig[static 64], const struct key32 *seed,
    const void *msg, size_t len)
{
	uint8_t expanded[crypto_sign_ed25519_SECRETKEYBYTES];
	struct key32 public_key;

	crypto_sign_ed25519_seed_keypair(public_key.b, expanded, seed->b);
	crypto_sign_ed25519_detached(ret_sig, NULL, msg, len, expanded);
	secret_wipe(expanded, sizeof(expanded));
}

void
secret_fingerprint(
    char out[static SECRET_FINGERPRINT_LEN], const struct key32 *public_key)
{
	struct key32 digest;

	secret_sha256(&digest, public_key->b, sizeof(public_key->b));
	sodium_bin2hex(out, SECRET_FINGERPRINT_LEN, digest.b,
	    (SECRET_FINGERPRINT_LEN - 1) / 2);
}
