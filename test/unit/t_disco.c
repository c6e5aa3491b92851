/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/path/disco.h"

#include <stdlib.h>

#include "lib/err.h"
#include "proto/rendezvous/session_keys.h"
#include "test/tap.h"

/* Golden bytes: key of secret 00.., session 20.., peers 40.. and 60.., nonce
 * 80..; computed apart from the formulas of peer v0.18.2. */
static const uint8_t golden_key[32] = { 0x10, 0x85, 0x08, 0x6e, 0xa5, 0x9e,
	0x7f, 0x9f, 0x23, 0xfe, 0x0a, 0xc5, 0xf3, 0x11, 0x57, 0x6f, 0xae, 0x8a,
	0xf8, 0x5e, 0xc1, 0xab, 0xa8, 0xf0, 0xbf, 0xd1, 0xf4, 0x55, 0x93, 0x77,
	0x02, 0x89 };
static const char *golden_probe =
    "0064657270686f6c652d646973636f3101808182838485868788898a8b8c8d8e8f"
    "eb46e82e56e47410a5964a2c54c61cda3054a4d9716a4dcd640a58973e532414";
static const char *golden_ack =
    "0064657270686f6c652d646973636f3102808182838485868788898a8b8c8d8e8f"
    "3b95003704256492165c6c6500108cbf5171eed99c943ac22f455d348beaefa0";

static struct key32 key;
static struct disco_nonce nonce;

static void
from_hex(uint8_t *out, const char *hex)
{
	for (size_t i = 0; hex[2 * i] != '\0'; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}

static void
make_key(void)
{
	struct key32 bearer, a, b, swapped;
	struct id16 session;

	for (uint8_t i = 0; i < 32; i++) {
		bearer.b[i] = i;
		a.b[i] = (uint8_t)(0x40 + i);
		b.b[i] = (uint8_t)(0x60 + i);
	}
	for (uint8_t i = 0; i < 16; i++) {
		session.b[i] = (uint8_t)(0x20 + i);
		nonce.b[i] = (uint8_t)(0x80 + i);
	}
	session_keys_disco(&key, &bearer, &session, &a, &b);
	session_keys_disco(&swapped, &bearer, &session, &b, &a);
	EQ_MEM(key.b, golden_key, 32, "key");
	EQ_MEM(swapped.b, golden_key, 32, "the same from the other end");
}

static void
test_golden(enum disco_kind kind, const char *hex)
{
	struct disco_packet packet = { .kind = kind, .nonce = nonce }, got;
	uint8_t want[DISCO_LEN], out[DISCO_LEN];

	from_hex(want, hex);
	EQ_INT(disco_build(out, sizeof(out), &key, &packet), DISCO_LEN,
	    "kind %d is built", kind);
	EQ_MEM(out, want, DISCO_LEN, "as peer v0.18.2 has it");
	EQ_INT(disco_parse(&got, &key, want, DISCO_LEN), 0, "and read");
	EQ_INT(got.kind, kind, "kind");
	EQ_MEM(got.nonce.b, nonce.b, DISCO_NONCE_LEN, "nonce");
	OK(disco_is_ours(want, DISCO_LEN), "it is ours");
	EQ_INT(disco_build(out, DISCO_LEN - 1, &key, &packet), 0,
	    "no room for it");
}

static void
test_size(void)
{
	static uint8_t out[UINT16_MAX];
	struct disco_packet packet = { .kind = DISCO_SIZE_PROBE,
		.nonce = nonce },
			    got;

	for (unsigned size = 0; size <= UINT16_MAX; size += 13) {
		packet.size = (uint16_t)size;
		if (disco_build(out, sizeof(out), &key, &packet) !=
		    (size < DISCO_SIZE_ACK ? 0 : size))
			OK(false, "length of size probe %u", size);
	}
	packet.size = 1452;
	EQ_INT(disco_build(out, 1451, &key, &packet), 0, "does not fit");
	EQ_INT(disco_build(out, 1452, &key, &packet), 1452, "size probe");
	EQ_INT(disco_parse(&got, &key, out, 1452), 0, "is read");
	EQ_INT(got.kind, DISCO_SIZE_PROBE, "its kind");
	EQ_INT(got.size, 1452, "its size");
	EQ_INT(disco_parse(&got, &key, out, 1400), 0, "cut on the way");
	EQ_INT(got.size, 1400, "tells what arrived");
	EQ_INT(disco_parse(&got, &key, out, DISCO_LEN), -DT_ERR_SYNTAX,
	    "shorter than its own ack");
	packet.kind = DISCO_SIZE_ACKED;
	EQ_INT(disco_build(out, sizeof(out), &key, &packet), DISCO_SIZE_ACK,
	    "its ack");
	EQ_INT(disco_parse(&got, &key, out, DISCO_SIZE_ACK), 0, "is read");
	EQ_INT(got.kind, DISCO_SIZE_ACKED, "its kind");
	EQ_INT(got.size, 1452, "its size");
	out[66] ^= 1;
	EQ_INT(disco_parse(&got, &key, out, DISCO_SIZE_ACK), -DT_ERR_AUTH,
	    "the size is authenticated");
}

/* Every bit and every length of a packet counts. */
static void
test_hostile(enum disco_kind kind)
{
	struct disco_packet packet = { .kind = kind,
		.nonce = nonce,
		.size = 100 },
			    got;
	uint8_t out[128] = { 0 };
	size_t len = disco_build(out, sizeof(out), &key, &packet);
	size_t checked = kind == DISCO_SIZE_PROBE ? DISCO_LEN : len;
	int bad = 0;

	for (size_t i = 0; i < checked * 8; i++) {
		out[i / 8] ^= (uint8_t)(1u << i % 8);
		if (disco_parse(&got, &key, out, len) == 0)
			bad++;
		out[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	EQ_INT(bad, 0, "kind %d: no flipped bit passes", kind);
	for (size_t i = 0; i < sizeof(out); i++) {
		if (kind == DISCO_SIZE_PROBE && i >= DISCO_SIZE_ACK)
			break;
		if (i != len &&
		    disco_parse(&got, &key, out, i) != -DT_ERR_SYNTAX)
			bad++;
	}
	EQ_INT(bad, 0, "kind %d: no other length passes", kind);
	key.b[0] ^= 1;
	EQ_INT(disco_parse(&got, &key, out, len), -DT_ERR_AUTH, "other key");
	key.b[0] ^= 1;
}

static void
test_kinds(void)
{
	struct disco_packet packet = { .nonce = nonce }, got;
	uint8_t out[DISCO_LEN];

	from_hex(out, golden_probe);
	for (int kind = 0; kind < 256; kind++) {
		packet.kind = (enum disco_kind)kind;
		packet.size = DISCO_SIZE_ACK;
		if ((kind < 1 || kind > 4) &&
		    disco_build(out, sizeof(out), &key, &packet) != 0)
			OK(false, "kind %d is built", kind);
		out[16] = (uint8_t)kind;
		if (kind != DISCO_PROBE &&
		    disco_parse(&got, &key, out, DISCO_LEN) == 0)
			OK(false, "kind %d is read", kind);
	}
	OK(true, "kinds");
}

static void
test_is_ours(void)
{
	static const char *texts[] = { DISCO_PUNCH, DISCO_ROUTE_CHECK,
		"derphole-probe", "derphole-ack" };
	struct disco_packet got;
	uint8_t pkt[64], quic[] = { 0x40, 1, 2, 3 };

	for (size_t i = 0; i < 4; i++) {
		size_t len = strlen(texts[i]);

		memset(pkt, 'x', sizeof(pkt));
		memcpy(pkt, texts[i], len);
		OK(disco_is_ours(pkt, len), "%s is ours", texts[i]);
		OK(!disco_is_ours(pkt, len + 1), "with more it is not");
		OK(!disco_is_ours(pkt, len - 1), "with less it is not");
		EQ_INT(disco_is_punch(pkt, len), i == 0, "is it a punch?");
		EQ_INT(disco_parse(&got, &key, pkt, len), -DT_ERR_SYNTAX,
		    "it is no probe");
	}
	EQ_INT(strlen(DISCO_PUNCH), DISCO_PUNCH_LEN, "length of a punch");
	EQ_INT(strlen(DISCO_ROUTE_CHECK), DISCO_ROUTE_CHECK_LEN,
	    "length of a route check");
	OK(!disco_is_ours(quic, sizeof(quic)), "QUIC is not");
	OK(!disco_is_ours(quic, 0), "nothing is not");
	from_hex(pkt, "0064657270686f6c652d646973636f31");
	OK(disco_is_ours(pkt, 16), "the magic alone is");
	OK(!disco_is_ours(pkt, 15), "less is not");
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	make_key();
	test_golden(DISCO_PROBE, golden_probe);
	test_golden(DISCO_ACK, golden_ack);
	test_size();
	test_hostile(DISCO_PROBE);
	test_hostile(DISCO_ACK);
	test_hostile(DISCO_SIZE_PROBE);
	test_hostile(DISCO_SIZE_ACKED);
	test_kinds();
	test_is_ours();
	return tap_done();
}
