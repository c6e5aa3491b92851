/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <netinet/in.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "test/tap.h"

/* in: what is parsed; out: how it is printed again. */
static const struct {
	const char *in;
	const char *out;
} good[] = {
	{ "1.2.3.4:80", "1.2.3.4:80" },
	{ "0.0.0.0:0", "0.0.0.0:0" },
	{ "255.255.255.255:65535", "255.255.255.255:65535" },
	{ "[::]:1", "[::]:1" },
	{ "[::1]:80", "[::1]:80" },
	{ "[0:0:0:0:0:0:0:1]:80", "[::1]:80" },
	{ "[2001:DB8::A]:80", "[2001:db8::a]:80" },
	{ "[2001:db8::0:1]:443", "[2001:db8::1]:443" },
	{ "[::1:2]:80", "[::1:2]:80" },
	{ "[1::]:80", "[1::]:80" },
	{ "[1:0:0:2:0:0:0:3]:9", "[1:0:0:2::3]:9" },
	{ "[1:0:0:2:3:0:0:4]:9", "[1::2:3:0:0:4]:9" },
	{ "[1:0:2:3:4:5:6:7]:9", "[1:0:2:3:4:5:6:7]:9" },
	{ "[::ffff:1.2.3.4]:9", "[::ffff:1.2.3.4]:9" },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
};

static const char *const bad[] = { "", ":", ":80", "1.2.3.4",
	"1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:99999", "1.2.3.4:100000",
	"1.2.3.4:080", "1.2.3.4:-1", "1.2.3.4:+1", "1.2.3.4: 1", "1.2.3.4:1 ",
	"1.2.3.4:0x10", "1.2.3.4:1:2", " 1.2.3.4:1", "1.2.3:80", "1.2.3.04:80",
	"1.2.3.256:80", "1.2.3.4.5:80", "localhost:80", "[1.2.3.4]:80",
	"::1:80", "[::1]", "[::1]80", "[::1:80", "::1]:80", "[[::1]]:80",
	"[]:80", "[::1%lo]:80", "[1::2::3]:80", "[12345::]:80",
	"[1:2:3:4:5:6:7]:80", "[::g]:80", "[::1] :80" };

static void
test_parse(void)
{
	char out[ADDR_MAX_TEXT];
	struct addr a;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		EQ_INT(addr_parse(&a, good[i].in), 0, "%s", good[i].in);
		addr_format(&a, out);
		EQ_STR(out, good[i].out, "formatted");
	}
	memset(&a, 7, sizeof(a));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(
		    addr_parse(&a, bad[i]), -DT_ERR_SYNTAX, "\"%s\"", bad[i]);
	EQ_INT(a.port, 0x0707, "no partial output");
}

static void
test_parse_ip(void)
{
	char out[ADDR_MAX_TEXT];
	struct addr a = { .port = 1 };

	EQ_INT(addr_parse_ip(&a, "10.0.0.1", 99), 0, "IPv4 literal");
	EQ_INT(a.family, AF_INET, "family");
	EQ_INT(a.port, 99, "port");
	EQ_MEM(a.ip, "\x0a\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 16, "rest is zero");
	addr_format_ip(&a, out);
	EQ_STR(out, "10.0.0.1", "format_ip");
	EQ_INT(addr_parse_ip(&a, "2001:db8::5", 1), 0, "IPv6 literal");
	addr_format_ip(&a, out);
	EQ_STR(out, "2001:db8::5", "no brackets");
	EQ_INT(addr_parse_ip(&a, "[::1]", 1), -DT_ERR_SYNTAX, "brackets");
	EQ_INT(addr_parse_ip(&a, "1.2.3.4:5", 1), -DT_ERR_SYNTAX, "port");
	EQ_INT(addr_parse_ip(&a, "fe80::1%eth0", 1), -DT_ERR_SYNTAX, "zone");
	EQ_INT(addr_parse_ip(&a, "", 1), -DT_ERR_SYNTAX, "nothing");
	a = (struct addr){ .family = 0 };
	addr_format(&a, out);
	EQ_STR(out, "none", "no address");
	addr_format_ip(&a, out);
	EQ_STR(out, "none", "no address");
}

static void
check_split(const char *text, int want, const char *host, unsigned port)
{
	char out[ADDR_MAX_HOST] = "untouched";
	uint16_t p = 7;

	EQ_INT(addr_split_host_port(text, out, &p), want, "\"%.40s\"", text);
	EQ_STR(out, want == 0 ? host : "untouched", "host");
	EQ_INT(p, want == 0 ? port : 7, "port");
}

static void
test_split(void)
{
	char text[ADDR_MAX_HOST + 8], host[ADDR_MAX_HOST];

	check_split("example.com:443", 0, "example.com", 443);
	check_split("1.2.3.4:80", 0, "1.2.3.4", 80);
	check_split("[::1]:80", 0, "::1", 80);
	check_split("[fe80::1%eth0]:80", 0, "fe80::1%eth0", 80);
	check_split(":8080", 0, "", 8080);
	check_split("a:0", 0, "a", 0);
	check_split("a:65535", 0, "a", 65535);
	check_split("a:65536", -DT_ERR_SYNTAX, "", 0);
	check_split("a:", -DT_ERR_SYNTAX, "", 0);
	check_split("a", -DT_ERR_SYNTAX, "", 0);
	check_split("", -DT_ERR_SYNTAX, "", 0);
	check_split("::1:80", -DT_ERR_SYNTAX, "", 0);
	check_split("a:http", -DT_ERR_SYNTAX, "", 0);
	check_split("[a:80", -DT_ERR_SYNTAX, "", 0);
	check_split("[a]b:80", -DT_ERR_SYNTAX, "", 0);
	check_split("a]:80", -DT_ERR_SYNTAX, "", 0);
	check_split("b[a]:80", -DT_ERR_SYNTAX, "", 0);

	memset(text, 'h', sizeof(text));
	memcpy(text + ADDR_MAX_HOST - 1, ":1", 3);
	memset(host, 'h', sizeof(host));
	host[ADDR_MAX_HOST - 1] = '\0';
	check_split(text, 0, host, 1);
	memset(text, 'h', sizeof(text));
	memcpy(text + ADDR_MAX_HOST, ":1", 3);
	check_split(text, -DT_ERR_SYNTAX, "", 0);
}

static struct addr
ip(const char *text)
{
	struct addr a = { .family = 0 };

	EQ_INT(addr_parse_ip(&a, text, 1), 0, "%s", text);
	return a;
}

/* flags: what holds, of l(oopback) u(nspecified) m(ulticast) L(ink-local)
 * p(rivate) b(roadcast). */
static const struct {
	const char *text;
	const char *flags;
} kinds[] = {
	{ "127.0.0.1", "l" },
	{ "127.255.255.255", "l" },
	{ "126.255.255.255", "" },
	{ "128.0.0.0", "" },
	{ "::1", "l" },
	{ "::2", "" },
	{ "1::1", "" },
	{ "::ffff:127.0.0.1", "l" },
	{ "0.0.0.0", "u" },
	{ "0.0.0.1", "" },
	{ "::", "u" },
	{ "::ffff:0.0.0.0", "u" },
	{ "224.0.0.1", "m" },
	{ "239.255.255.255", "m" },
	{ "223.255.255.255", "" },
	{ "240.0.0.0", "" },
	{ "ff02::1", "m" },
	{ "feff::1", "" },
	{ "169.254.0.1", "L" },
	{ "169.253.255.255", "" },
	{ "169.255.0.0", "" },
	{ "fe80::1", "L" },
	{ "febf::1", "L" },
	{ "fec0::1", "" },
	{ "10.0.0.0", "p" },
	{ "10.255.255.255", "p" },
	{ "11.0.0.0", "" },
	{ "172.15.255.255", "" },
	{ "172.16.0.0", "p" },
	{ "172.31.255.255", "p" },
	{ "172.32.0.0", "" },
	{ "192.168.255.255", "p" },
	{ "192.169.0.0", "" },
	{ "100.63.255.255", "" },
	{ "100.64.0.0", "p" },
	{ "100.127.255.255", "p" },
	{ "100.128.0.0", "" },
	{ "fc00::1", "p" },
	{ "fdff::1", "p" },
	{ "fe00::1", "" },
	{ "::ffff:10.0.0.1", "p" },
	{ "255.255.255.255", "b" },
	{ "255.255.255.254", "" },
	{ "8.8.8.8", "" },
	{ "2001:db8::1", "" },
	{ "7f00::1", "" },
	{ "a00::1", "" },
};

static void
test_kinds(void)
{
	char flags[8], *f;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct addr a = ip(kinds[i].text);

		f = flags;
		if (addr_is_loopback(&a))
			*f++ = 'l';
		if (addr_is_unspecified(&a))
			*f++ = 'u';
		if (addr_is_multicast(&a))
			*f++ = 'm';
		if (addr_is_link_local(&a))
			*f++ = 'L';
		if (addr_is_private(&a))
			*f++ = 'p';
		if (addr_is_broadcast(&a))
			*f++ = 'b';
		*f = '\0';
		EQ_STR(flags, kinds[i].flags, "kind");
	}
	OK(!addr_is_unspecified(&(struct addr){ .family = 0 }),
	    "no address is not the unspecified one");
}

static void
test_equal(void)
{
	struct addr a = ip("1.2.3.4"), b = a, m = ip("::ffff:1.2.3.4"), u;
	struct addr six = ip("2001:db8::1");

	OK(addr_equal(&a, &b), "equal");
	b.port++;
	OK(!addr_equal(&a, &b), "port differs");
	b = ip("1.2.3.5");
	OK(!addr_equal(&a, &b), "address differs");
	OK(!addr_equal(&a, &m), "mapped is another one");
	u = addr_unmap(&m);
	OK(addr_equal(&a, &u), "until unmapped");
	u = addr_unmap(&a);
	OK(addr_equal(&a, &u), "IPv4 stays");
	u = addr_unmap(&six);
	OK(addr_equal(&six, &u), "IPv6 stays");
}

static void
test_sockaddr(void)
{
	struct sockaddr_storage sa;
	struct sockaddr_in sin;
	struct addr a, b;

	EQ_INT(addr_parse(&a, "1.2.3.4:258"), 0, "IPv4");
	EQ_INT(addr_to_sockaddr(&a, &sa), sizeof(struct sockaddr_in), "length");
	memcpy(&sin, &sa, sizeof(sin));
	EQ_MEM(&sin.sin_port, "\1\2", 2, "port in network order");
	EQ_MEM(&sin.sin_addr, "\1\2\3\4", 4, "address");
	EQ_INT(addr_from_sockaddr(&b, (const struct sockaddr *)&sa), 0, "back");
	OK(addr_equal(&a, &b), "the same");
	EQ_INT(addr_parse(&a, "[2001:db8::1]:258"), 0, "IPv6");
	EQ_INT(
	    addr_to_sockaddr(&a, &sa), sizeof(struct sockaddr_in6), "length");
	EQ_INT(addr_from_sockaddr(&b, (const struct sockaddr *)&sa), 0, "back");
	OK(addr_equal(&a, &b), "the same");
	sa.ss_family = AF_UNIX;
	EQ_INT(addr_from_sockaddr(&b, (const struct sockaddr *)&sa),
	    -EAFNOSUPPORT, "another family");
	OK(addr_equal(&a, &b), "no partial output");
	a.family = 0;
	EQ_INT(addr_to_sockaddr(&a, &sa), 0, "no address has no length");
}

int
main(void)
{
	test_parse();
	test_parse_ip();
	test_split();
	test_kinds();
	test_equal();
	test_sockaddr();
	return tap_done();
}
