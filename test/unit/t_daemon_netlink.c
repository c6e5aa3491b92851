/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of the kernel, made by hand, whole, cut and wrong. */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "daemon/netlink.h"
#include "lib/err.h"
#include "test/tap.h"

#define SEQ 7u

static uint8_t buf[4096];
static size_t len;
static struct netlink_table t;

static void
put(const void *p, size_t n)
{
	memcpy(buf + len, p, n);
	len += (n + 3) & ~(size_t)3;
}

/* Begins a message; end() writes its length. */
static size_t
begin(uint16_t type, uint16_t flags, const void *body, size_t n)
{
	struct nlmsghdr h = {
		.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = SEQ
	};
	size_t at = len;

	put(&h, sizeof(h));
	put(body, n);
	return at;
}

static void
attribute(uint16_t type, const void *p, size_t n)
{
	struct rtattr a = { .rta_len = (unsigned short)(sizeof(a) + n),
		.rta_type = type };

	put(&a, sizeof(a));
	put(p, n);
}

static void
end(size_t at)
{
	uint32_t n = (uint32_t)(len - at);

	memcpy(buf + at, &n, sizeof(n));
}

static struct addr
ip(const char *text)
{
	struct addr a = { .family = 0 };

	(void)addr_parse_ip(&a, text, 0);
	return a;
}

static void
put_addr(uint32_t link, const char *text, uint32_t flags)
{
	struct addr a = ip(text);
	struct ifaddrmsg m = { .ifa_family = (uint8_t)a.family,
		.ifa_flags = (uint8_t)flags,
		.ifa_index = link };
	size_t at = begin(RTM_NEWADDR, NLM_F_MULTI, &m, sizeof(m));

	attribute(a.family == AF_INET ? IFA_LOCAL : IFA_ADDRESS, a.ip,
	    a.family == AF_INET ? 4 : 16);
	attribute(IFA_FLAGS, &flags, sizeof(flags));
	end(at);
}

static void
put_link(int link, unsigned flags)
{
	struct ifinfomsg m = { .ifi_index = link, .ifi_flags = flags };

	end(begin(RTM_NEWLINK, NLM_F_MULTI, &m, sizeof(m)));
}

static void
put_done(void)
{
	int zero = 0;

	end(begin(NLMSG_DONE, NLM_F_MULTI, &zero, sizeof(zero)));
}

static void
put_route(uint32_t link, const char *gateway, const char *source, uint8_t type)
{
	struct addr g = ip(gateway), src = ip(source);
	struct rtmsg m = { .rtm_family = (uint8_t)src.family,
		.rtm_type = type };
	size_t at = begin(RTM_NEWROUTE, 0, &m, sizeof(m));
	size_t n = src.family == AF_INET ? 4 : 16;

	attribute(RTA_OIF, &link, sizeof(link));
	if (g.family != 0)
		attribute(RTA_GATEWAY, g.ip, n);
	attribute(RTA_PREFSRC, src.ip, n);
	end(at);
}

static int
feed(void)
{
	int r = netlink_read(&t, SEQ, buf, len);

	len = 0;
	return r;
}

static void
fresh(void)
{
	memset(&t, 0, sizeof(t));
	len = 0;
}

/* A home: Wi-Fi with both families, a bridge, a cable without carrier. */
static void
put_home_addrs(void)
{
	put_addr(1, "127.0.0.1", IFA_F_PERMANENT);
	put_addr(1, "::1", IFA_F_PERMANENT);
	put_addr(2, "169.254.7.7", 0);
	put_addr(4, "172.17.0.1", IFA_F_PERMANENT);
	put_addr(3, "192.168.1.5", 0);
	put_addr(5, "10.9.9.9", 0);
	put_addr(3, "fe80::1", IFA_F_PERMANENT);
	put_addr(3, "2001:db8:1::5", IFA_F_MANAGETEMPADDR);
	put_addr(3, "2001:db8:1::dead", IFA_F_TEMPORARY);
	put_addr(3, "2001:db8:1::beef", IFA_F_TEMPORARY | IFA_F_DEPRECATED);
	put_addr(3, "2001:db8:2::5", IFA_F_MANAGETEMPADDR);
	put_addr(3, "2001:db8:3::5", IFA_F_TENTATIVE);
	put_addr(3, "2001:db8:3::6", IFA_F_DADFAILED);
	put_addr(2, "fd00::2", 0);
	put_done();
}

static void
put_home_links(void)
{
	const unsigned up = IFF_UP | IFF_RUNNING;

	put_link(1, up | IFF_LOOPBACK);
	put_link(2, up);
	put_link(3, up);
	put_link(4, up);
	put_link(5, IFF_UP);
	put_done();
}

static void
test_home(void)
{
	static const char *const want[] = { "192.168.1.5", "2001:db8:1::dead",
		"2001:db8:2::5", "172.17.0.1", "fd00::2", "169.254.7.7" };
	struct addr out[16];
	char text[ADDR_MAX_TEXT];
	size_t n;

	fresh();
	put_home_addrs();
	EQ_INT(feed(), 1, "addresses end");
	EQ_INT(t.n_addrs, 14, "all of them");
	EQ_INT(netlink_choose(&t, out, 16), 0, "none is up yet");
	put_home_links();
	EQ_INT(feed(), 1, "links end");
	put_route(3, "192.168.1.1", "192.168.1.5", RTN_UNICAST);
	EQ_INT(feed(), 1, "an answer of one message");
	put_route(3, "", "2001:db8:1::dead", RTN_UNICAST);
	EQ_INT(feed(), 1, "another");
	OK(t.route4.exists && t.route6.exists, "both families have a way out");
	addr_format_ip(&t.route4.gateway, text);
	EQ_STR(text, "192.168.1.1", "through the gateway");
	EQ_INT(t.route6.gateway.family, 0, "or over the link");
	n = netlink_choose(&t, out, 16);
	EQ_INT(n, sizeof(want) / sizeof(want[0]), "those worth telling");
	for (size_t i = 0; i < n; i++) {
		addr_format_ip(&out[i], text);
		EQ_STR(text, want[i], "address %zu", i);
		EQ_INT(out[i].port, 0, "without a port");
	}
	EQ_INT(netlink_choose(&t, out, 2), 2, "no more than there is room");
}

static void
test_routes(void)
{
	struct nlmsgerr e = { .error = -ENETUNREACH };

	fresh();
	put_route(3, "192.168.1.1", "192.168.1.5", RTN_UNREACHABLE);
	EQ_INT(feed(), 1, "unreachable");
	OK(!t.route4.exists, "is no way out");
	put_route(1, "", "127.0.0.1", RTN_LOCAL);
	EQ_INT(feed(), 1, "to ourselves");
	OK(!t.route4.exists, "neither");
	end(begin(NLMSG_ERROR, 0, &e, sizeof(e)));
	EQ_INT(feed(), -ENETUNREACH, "the kernel's refusal");
	e.error = 0;
	end(begin(NLMSG_ERROR, 0, &e, sizeof(e)));
	EQ_INT(feed(), 1, "and its consent");
	e.error = 5;
	end(begin(NLMSG_ERROR, 0, &e, sizeof(e)));
	EQ_INT(feed(), -DT_ERR_SYNTAX, "no errno");
	e.error = -70000;
	end(begin(NLMSG_ERROR, 0, &e, sizeof(e)));
	EQ_INT(feed(), -DT_ERR_SYNTAX, "nor that");
}

static void
test_truncation(void)
{
	size_t whole;
	int bad = 0, r;

	fresh();
	put_home_addrs();
	whole = len;
	for (size_t n = 0; n < whole; n++) {
		memset(&t, 0, sizeof(t));
		r = netlink_read(&t, SEQ, buf, n);
		bad += r != 0 && r != -DT_ERR_SYNTAX;
	}
	EQ_INT(bad, 0, "cut anywhere, there is no end");
	fresh();
	put_route(3, "192.168.1.1", "192.168.1.5", RTN_UNICAST);
	for (size_t n = 0; n < len; n++)
		bad += netlink_read(&t, SEQ, buf, n) > 0;
	EQ_INT(bad, 0, "nor has a route");
	OK(!t.route4.exists, "and nothing of it is believed");
}

/* Lengths that lie: of a message, of an attribute, of a value. */
static void
test_lies(void)
{
	struct ifaddrmsg m = { .ifa_family = AF_INET, .ifa_index = 3 };
	uint16_t lie;
	uint32_t big = 4000;
	size_t at, attr;

	fresh();
	put_home_addrs();
	memcpy(buf, &big, sizeof(big));
	EQ_INT(feed(), -DT_ERR_SYNTAX, "message longer than the datagram");
	put_home_addrs();
	big = 3;
	memcpy(buf, &big, sizeof(big));
	EQ_INT(feed(), -DT_ERR_SYNTAX, "shorter than its header");
	for (lie = 0; lie < 100; lie++) {
		fresh();
		at = begin(RTM_NEWADDR, NLM_F_MULTI, &m, sizeof(m));
		attr = len;
		attribute(IFA_LOCAL, "\300\250\1\5", 4);
		end(at);
		memcpy(buf + attr, &lie, sizeof(lie));
		if (lie > 4 && lie < 8) {
			if (feed() != 0 || t.n_addrs != 0)
				break;
		} else if (lie != 8 && feed() != -DT_ERR_SYNTAX)
			break;
	}
	EQ_INT(lie, 100, "attributes of any wrong length");
	fresh();
	end(begin(RTM_NEWADDR, NLM_F_MULTI, &m, sizeof(m) - 2));
	EQ_INT(feed(), 0, "padding counts"); /* 6 octets are padded to 8 */
	fresh();
	end(begin(RTM_NEWADDR, NLM_F_MULTI, &m, 4));
	EQ_INT(feed(), -DT_ERR_SYNTAX, "half an address message");
	fresh();
	end(begin(RTM_NEWLINK, NLM_F_MULTI, &m, 4));
	EQ_INT(feed(), -DT_ERR_SYNTAX, "a piece of a link");
	EQ_INT(t.n_addrs, 0, "nothing was believed");
}

static void
test_limits(void)
{
	char text[32];
	uint32_t other = SEQ + 1;

	fresh();
	for (unsigned i = 0; i < NETLINK_MAX_ADDRS + 5; i++) {
		(void)snprintf(
		    text, sizeof(text), "10.0.%u.%u", i / 200, i % 200);
		put_addr(3, text, 0);
		EQ_INT(feed(), 0, "address %u", i);
	}
	EQ_INT(t.n_addrs, NETLINK_MAX_ADDRS, "as many as fit");
	fresh();
	put_addr(3, "10.0.0.1", 0);
	memcpy(buf + 8, &other, sizeof(other));
	EQ_INT(feed(), 0, "an answer to another question");
	EQ_INT(t.n_addrs, 0, "is not ours");
}

static void
test_requests(void)
{
	uint8_t out[NETLINK_MAX_REQUEST];
	struct nlmsghdr h;
	struct rtmsg m;
	size_t n;

	for (int what = NETLINK_ADDRS; what <= NETLINK_ROUTE6; what++) {
		n = netlink_write(out, (enum netlink_request)what, 9);
		memcpy(&h, out, sizeof(h));
		EQ_INT(h.nlmsg_len, n, "length");
		EQ_INT(h.nlmsg_seq, 9, "number");
		EQ_INT(n % 4, 0, "aligned");
	}
	memcpy(&m, out + sizeof(h), sizeof(m));
	EQ_INT(m.rtm_family, AF_INET6, "the last was IPv6");
	EQ_INT(m.rtm_dst_len, 128, "for one address");
	EQ_INT(n, sizeof(h) + sizeof(m) + 4 + 16, "which is in it");
}

int
main(void)
{
	test_home();
	test_routes();
	test_truncation();
	test_lies();
	test_limits();
	test_requests();
	return tap_done();
}
