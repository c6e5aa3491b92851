/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/secret.h"
#include "test/tap.h"

/* len bytes from hex, which has at least that many. */
static void
unhex(uint8_t *out, size_t len, const char *hex)
{
	for (size_t i = 0; i < len; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

static struct key32
key(const char *hex)
{
	struct key32 k;

	unhex(k.b, sizeof(k.b), hex);
	return k;
}

static void
test_init(void)
{
	struct rlimit core;

	EQ_INT(secret_init(), 0, "init");
	EQ_INT(secret_init(), 0, "init is idempotent");
	OK(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 &&
		core.rlim_max == 0,
	    "no core files");
	EQ_INT(prctl(PR_GET_DUMPABLE), 1, "init leaves /proc/self usable");
}

static void
test_lock(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(secret_lock_process() == 0 && prctl(PR_GET_DUMPABLE) == 0
			  ? 0
			  : 1);
	OK(waitpid(pid, &status, 0) == pid && status == 0, "lock_process");
}

static void
test_compare(void)
{
	uint8_t a[5] = "abcd", b[5] = "abcd";
	uint8_t zero[4] = { 0 };

	OK(secret_equal(a, b, 4), "equal");
	OK(secret_equal(a, b, 0), "nothing equals nothing");
	for (int i = 0; i < 4; i++) {
		b[i] ^= 0x80;
		OK(!secret_equal(a, b, 4), "byte %d differs", i);
		b[i] ^= 0x80;
		OK(secret_is_zero(zero, 4), "zero");
		zero[i] = 1;
		OK(!secret_is_zero(zero, 4), "byte %d is not zero", i);
		zero[i] = 0;
	}
	secret_wipe(a, 2);
	EQ_MEM(a, "\0\0cd", 4, "wipe: exactly so many");
	secret_wipe(NULL, 0);
}

static void
test_random(void)
{
	struct key32 a = { { 0 } }, b = { { 0 } };
	bool seen[3] = { false };
	bool good = true;

	secret_random(a.b, sizeof(a.b));
	secret_random(b.b, sizeof(b.b));
	OK(!secret_equal(a.b, b.b, 32), "random differs");
	OK(!secret_is_zero(a.b + 24, 8), "up to the end");
	for (int i = 0; i < 200; i++) {
		uint32_t v = secret_random_below(3);

		if (v < 3)
			seen[v] = true;
		else
			good = false;
	}
	OK(good, "below the bound");
	OK(seen[0] && seen[1] && seen[2], "and every value below it");
	EQ_INT(secret_random_below(1), 0, "below 1");
}

/* RFC 4231 4.2 and 4.3; keys shorter than 32 bytes are padded with zeros,
 * which HMAC does anyway.  FIPS 180-2 appendix B.1. */
static void
test_hashes(void)
{
	struct key32 k, out, want;

	memset(&k, 0, sizeof(k));
	memset(k.b, 0x0b, 20);
	want = key("b0344c61d8db38535ca8afceaf0bf12b"
		   "881dc200c9833da726e9376c2e32cff7");
	secret_hmac_sha256(&out, &k, "Hi There", 8);
	EQ_MEM(out.b, want.b, 32, "HMAC, RFC 4231 case 1");

	memset(&k, 0, sizeof(k));
	memcpy(k.b, "Jefe", 4);
	want = key("5bdcc146bf60754e6a042426089575c7"
		   "5a003f089d2739839dec58b964ec3843");
	secret_hmac_sha256(&out, &k, "what do ya want for nothing?", 28);
	EQ_MEM(out.b, want.b, 32, "HMAC, RFC 4231 case 2");

	want = key("ba7816bf8f01cfea414140de5dae2223"
		   "b00361a396177a9cb410ff61f20015ad");
	secret_sha256(&out, "abc", 3);
	EQ_MEM(out.b, want.b, 32, "SHA-256, FIPS 180-2 B.1");
}

/* RFC 7748 5.2, the iterated test after one iteration: both inputs are 9, so
 * the result is a public key. */
static void
test_curve(void)
{
	struct key32 priv = { { 9 } };
	struct key32 want = key("422c8e7a6227d7bca1350b3e2bb7279f"
				"7897b87bb6854b783c60e80311ae3079");
	struct key32 a, b, pub = { { 9 } };

	EQ_INT(secret_curve_public(&pub, &priv), 0, "public key");
	EQ_MEM(pub.b, want.b, 32, "RFC 7748 5.2");
	memset(&priv, 0, sizeof(priv));
	EQ_INT(secret_curve_public(&pub, &priv), -DT_ERR_KEY, "all zero");
	EQ_MEM(pub.b, want.b, 32, "no partial output");

	secret_curve_keypair(&a, &b);
	OK((a.b[0] & 7) == 0 && (a.b[31] & 0xc0) == 0x40, "clamped");
	EQ_INT(secret_curve_public(&pub, &a), 0, "its public key");
	EQ_MEM(pub.b, b.b, 32, "is the one returned");
	secret_curve_keypair(&priv, &pub);
	OK(!secret_equal(&priv, &a, 32), "fresh each time");
}

/* RFC 8032 7.1, tests 1 and 2. */
static void
test_ed25519(void)
{
	struct key32 seed = key("9d61b19deffd5a60ba844af492ec2cc4"
				"4449c5697b326919703bac031cae7f60");
	struct key32 want = key("d75a980182b10ab7d54bfed3c964073a"
				"0ee172f3daa62325af021a68f707511a");
	struct key32 pub, fresh;
	uint8_t sig[64], want_sig[64];

	secret_ed25519_public(&pub, &seed);
	EQ_MEM(pub.b, want.b, 32, "RFC 8032 7.1 test 1, public key");
	unhex(want_sig, 64,
	    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	secret_ed25519_sign(sig, &seed, "", 0);
	EQ_MEM(sig, want_sig, 64, "RFC 8032 7.1 test 1, signature");

	seed = key("4ccd089b28ff96da9db6c346ec114e0f"
		   "5b8a319f35aba624da8cf6ed4fb8a6fb");
	unhex(want_sig, 64,
	    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
	secret_ed25519_sign(sig, &seed, "\x72", 1);
	EQ_MEM(sig, want_sig, 64, "RFC 8032 7.1 test 2, signature");

	secret_ed25519_keypair(&fresh, &pub);
	secret_ed25519_public(&want, &fresh);
	EQ_MEM(pub.b, want.b, 32, "fresh pair belongs together");
	OK(!secret_equal(&fresh, &seed, 32), "and is fresh");
}

static void
test_fingerprint(void)
{
	char out[SECRET_FINGERPRINT_LEN];
	struct key32 k = { { 0 } };

	/* SHA-256 of 32 zero bytes begins with 66687aad. */
	secret_fingerprint(out, &k);
	EQ_STR(out, "66687aad", "fingerprint");
}

int
main(void)
{
	test_init();
	test_lock();
	test_compare();
	test_random();
	test_hashes();
	test_curve();
	test_ed25519();
	test_fingerprint();
	return tap_done();
}
