/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/derp/derp_metacert.h"
#include "test/tap.h"
#include "test/unit/derp_vector.h"

#define NAME                                                                   \
	"derpkey79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a" \
	"51a"

static int
parse(const char *cn, const char *serial, size_t serial_len)
{
	struct key32 key;

	return derp_metacert_parse(
	    cn, strlen(cn), (const uint8_t *)serial, serial_len, &key);
}

int
main(void)
{
	struct key32 want = vector_key("server_public"), got = { { 0 } };
	char name[DERP_METACERT_NAME_LEN + 1];
	char bad[DERP_METACERT_NAME_LEN + 2];
	static const uint8_t serial[] = { DERP_METACERT_SERIAL };

	derp_metacert_name(name, &want);
	EQ_STR(name, NAME, "name of a certificate");
	EQ_INT(derp_metacert_parse(
		   name, strlen(name), serial, sizeof(serial), &got),
	    0, "name read back");
	EQ_MEM(got.b, want.b, 32, "key read back");
	for (size_t n = 0; n < DERP_METACERT_NAME_LEN; n++)
		OK(derp_metacert_parse(name, n, serial, 1, &got) < 0,
		    "cut at %zu", n);
	(void)snprintf(bad, sizeof(bad), "%s0", name);
	EQ_INT(parse(bad, "\2", 1), -DT_ERR_SYNTAX, "one digit too many");
	memcpy(bad, name, sizeof(name));
	bad[70] = 'g';
	EQ_INT(parse(bad, "\2", 1), -DT_ERR_SYNTAX, "bad digit at the end");
	bad[70] = 'A';
	EQ_INT(parse(bad, "\2", 1), 0, "upper case digit");
	bad[40] = ':';
	EQ_INT(parse(bad, "\2", 1), -DT_ERR_SYNTAX, "bad digit inside");
	EQ_INT(parse("derp.example.com", "\2", 1), -DT_ERR_KIND,
	    "another certificate");
	EQ_INT(parse(name, "\xff", 1), 0, "serial 255");
	EQ_INT(parse(name, "\0\0\2", 3), 0, "serial with leading zeros");
	EQ_INT(parse(name, "\1\0", 2), -DT_ERR_SYNTAX, "serial 256");
	EQ_INT(parse(name, "\0", 1), -DT_ERR_SYNTAX, "serial 0");
	EQ_INT(parse(name, "", 0), -DT_ERR_SYNTAX, "no serial");
	memset(bad + 7, '0', 64);
	EQ_INT(parse(bad, "\2", 1), -DT_ERR_KEY, "zero key");
	OK(derp_metacert_is_name("derpkeyxyz", 10), "prefix counts for pins");
	OK(!derp_metacert_is_name("derpke", 6), "a part of it does not");
	return tap_done();
}
