/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/netlink.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "lib/err.h"

/* A walk over aligned records that begin with their length. */
struct cursor {
	const uint8_t *p;
	size_t left;
};

/* Steps over @n octets and what aligns them; NULL when they are not there. */
static const uint8_t *
take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;
	size_t aligned = (n + 3) & ~(size_t)3;

	if (n > c->left)
		return NULL;
	if (aligned > c->left) /* the last one need not be padded */
		aligned = c->left;
	c->p += aligned;
	c->left -= aligned;
	return p;
}

static uint32_t
u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Attributes that anything here wants, by their number. */
#define MAX_ATTRIBUTE 16
struct attributes {
	const uint8_t *value[MAX_ATTRIBUTE];
	size_t len[MAX_ATTRIBUTE];
};

static int
read_attributes(struct cursor c, struct attributes *ret_attributes)
{
	struct rtattr a;
	const uint8_t *p;

	memset(ret_attributes, 0, sizeof(*ret_attributes));
	while (c.left >= sizeof(a)) {
		memcpy(&a, c.p, sizeof(a));
		if (a.rta_len < sizeof(a))
			return -DT_ERR_SYNTAX;
		p = take(&c, a.rta_len);
		if (p == NULL)
			return -DT_ERR_SYNTAX;
		if (a.rta_type >= MAX_ATTRIBUTE)
			continue;
		ret_attributes->value[a.rta_type] = p + sizeof(a);
		ret_attributes->len[a.rta_type] = a.rta_len - sizeof(a);
	}
	return 0;
}

/* An address of the wrong length is none. */
static struct addr
addr_of(const struct attributes *a, unsigned type, uint8_t family)
{
	struct addr v = { .family = family };
	size_t len = family == AF_INET ? 4 : 16;

	if (a->value[type] == NULL || a->len[type] != len)
		return (struct addr){ .family = 0 };
	memcpy(v.ip, a->value[type], len);
	return v;
}

static int
read_addr(struct netlink_table *t, struct cursor c)
{
	struct ifaddrmsg m;
	struct attributes a;
	struct netlink_addr v;
	const uint8_t *p = take(&c, sizeof(m));

	if (p == NULL || read_attributes(c, &a) < 0)
		return -DT_ERR_SYNTAX;
	memcpy(&m, p, sizeof(m));
	if ((m.ifa_family != AF_INET && m.ifa_family != AF_INET6) ||
	    t->n_addrs == NETLINK_MAX_ADDRS)
		return 0;
	memset(&v, 0, sizeof(v));
	/* ADDRESS is the other end of a link that has two. */
	v.addr = addr_of(&a, IFA_LOCAL, m.ifa_family);
	if (v.addr.family == 0)
		v.addr = addr_of(&a, IFA_ADDRESS, m.ifa_family);
	v.link = m.ifa_index;
	v.flags = m.ifa_flags;
	if (a.len[IFA_FLAGS] == sizeof(uint32_t))
		v.flags = u32_at(a.value[IFA_FLAGS]);
	if (v.addr.family != 0)
		t->addrs[t->n_addrs++] = v;
	return 0;
}

static int
read_link(struct netlink_table *t, struct cursor c)
{
	struct ifinfomsg m;
	const uint8_t *p = take(&c, sizeof(m));

	if (p == NULL)
		return -DT_ERR_SYNTAX;
	memcpy(&m, p, sizeof(m));
	for (size_t i = 0; i < t->n_addrs; i++)
		if (t->addrs[i].link == (uint32_t)m.ifi_index)
			t->addrs[i].is_up = (m.ifi_flags & IFF_UP) != 0 &&
					    (m.ifi_flags & IFF_RUNNING) != 0;
	return 0;
}

static int
read_route(struct netlink_table *t, struct cursor c)
{
	struct rtmsg m;
	struct attributes a;
	struct netlink_route v;
	const uint8_t *p = take(&c, sizeof(m));

	if (p == NULL || read_attributes(c, &a) < 0)
		return -DT_ERR_SYNTAX;
	memcpy(&m, p, sizeof(m));
	if ((m.rtm_family != AF_INET && m.rtm_family != AF_INET6) ||
	    m.rtm_type != RTN_UNICAST || a.len[RTA_OIF] != sizeof(uint32_t))
		return 0; /* unreachable, or to ourselves: no way out */
	memset(&v, 0, sizeof(v));
	v.exists = true;
	v.link = u32_at(a.value[RTA_OIF]);
	v.gateway = addr_of(&a, RTA_GATEWAY, m.rtm_family);
	v.source = addr_of(&a, RTA_PREFSRC, m.rtm_family);
	if (m.rtm_family == AF_INET)
		t->route4 = v;
	else
		t->route6 = v;
	return 0;
}

/* Code of an NLMSG_ERROR; 0 is an acknowledgement. */
static int
read_error(struct cursor c)
{
	struct nlmsgerr m;
	const uint8_t *p = take(&c, sizeof(m));

	if (p == NULL)
		return -DT_ERR_SYNTAX;
	memcpy(&m, p, sizeof(m));
	/* Only what can be an errno is one. */
	if (m.error > 0 || m.error < -4095)
		return -DT_ERR_SYNTAX;
	return m.error == 0 ? 1 : m.error;
}

static int
read_message(struct netlink_table *t, uint16_t type, struct cursor body)
{
	switch (type) {
	case NLMSG_DONE:
		return 1;
	case NLMSG_ERROR:
		return read_error(body);
	case RTM_NEWADDR:
		return read_addr(t, body);
	case RTM_NEWLINK:
		return read_link(t, body);
	case RTM_NEWROUTE:
		return read_route(t, body);
	default:
		return 0;
	}
}

int
netlink_read(
    struct netlink_table *t, uint32_t seq, const uint8_t *p, size_t len)
{
	struct cursor c = { p, len };
	struct nlmsghdr h;
	const uint8_t *m;
	int r = 0;

	while (r == 0 && c.left >= sizeof(h)) {
		memcpy(&h, c.p, sizeof(h));
		if (h.nlmsg_len < sizeof(h))
			return -DT_ERR_SYNTAX;
		m = take(&c, h.nlmsg_len);
		if (m == NULL)
			return -DT_ERR_SYNTAX;
		if (h.nlmsg_seq != seq)
			continue;
		r = read_message(t, h.nlmsg_type,
		    (struct cursor){ m + sizeof(h), h.nlmsg_len - sizeof(h) });
		/* An answer of one message says no DONE. */
		if (r == 0 && (h.nlmsg_flags & NLM_F_MULTI) == 0)
			r = 1;
	}
	return r;
}

struct addr
netlink_far(sa_family_t family)
{
	/* For documentation: RFC 5737 and RFC 3849. */
	static const uint8_t v4[4] = { 198, 51, 100, 1 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct addr a = { .family = family, .port = 9 };

	if (family == AF_INET)
		memcpy(a.ip, v4, sizeof(v4));
	else
		memcpy(a.ip, v6, sizeof(v6));
	return a;
}

static size_t
put(uint8_t *out, size_t at, const void *p, size_t len)
{
	memcpy(out + at, p, len);
	return at + ((len + 3) & ~(size_t)3);
}

static size_t
put_route(uint8_t *out, size_t at, uint8_t family)
{
	struct addr to = netlink_far(family);
	size_t len = family == AF_INET ? 4 : 16;
	struct rtmsg m = { .rtm_family = family,
		.rtm_dst_len = (unsigned char)(len * 8) };
	struct rtattr a = { .rta_len = (unsigned short)(sizeof(a) + len),
		.rta_type = RTA_DST };

	at = put(out, at, &m, sizeof(m));
	at = put(out, at, &a, sizeof(a));
	return put(out, at, to.ip, len);
}

size_t
netlink_write(uint8_t out[static NETLINK_MAX_REQUEST],
    enum netlink_request what, uint32_t seq)
{
	struct nlmsghdr h = { .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = seq };
	const struct ifaddrmsg addrs = { .ifa_family = AF_UNSPEC };
	const struct ifinfomsg links = { .ifi_family = AF_UNSPEC };
	size_t len = sizeof(h);

	memset(out, 0, NETLINK_MAX_REQUEST);
	switch (what) {
	case NETLINK_ADDRS:
		h.nlmsg_type = RTM_GETADDR;
		h.nlmsg_flags |= NLM_F_DUMP;
		len = put(out, len, &addrs, sizeof(addrs));
		break;
	case NETLINK_LINKS:
		h.nlmsg_type = RTM_GETLINK;
		h.nlmsg_flags |= NLM_F_DUMP;
		len = put(out, len, &links, sizeof(links));
		break;
	case NETLINK_ROUTE4:
	case NETLINK_ROUTE6:
		h.nlmsg_type = RTM_GETROUTE;
		len = put_route(
		    out, len, what == NETLINK_ROUTE4 ? AF_INET : AF_INET6);
		break;
	}
	h.nlmsg_len = (uint32_t)len;
	(void)put(out, 0, &h, sizeof(h));
	return len;
}

static bool
same_network(const struct netlink_addr *a, const struct netlink_addr *b)
{
	return a->link == b->link && a->addr.family == b->addr.family &&
	       memcmp(a->addr.ip, b->addr.ip, 8) == 0;
}

static bool
is_usable(const struct netlink_addr *a)
{
	const uint32_t never =
	    IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;

	if (!a->is_up || addr_is_loopback(&a->addr) ||
	    addr_is_unspecified(&a->addr) || addr_is_multicast(&a->addr))
		return false;
	if (a->addr.family == AF_INET)
		return true;
	/* A link-local one means nothing without a zone. */
	return (a->flags & never) == 0 && !addr_is_link_local(&a->addr);
}

/* We send from a temporary address, so firewalls on the way know that one; and
 * the other would tell who we are wherever we go. */
static bool
is_stood_in_for(const struct netlink_table *t, const struct netlink_addr *a)
{
	if (a->addr.family != AF_INET6 ||
	    (a->flags & IFA_F_MANAGETEMPADDR) == 0)
		return false;
	for (size_t i = 0; i < t->n_addrs; i++)
		if ((t->addrs[i].flags & IFA_F_TEMPORARY) != 0 &&
		    is_usable(&t->addrs[i]) && same_network(&t->addrs[i], a))
			return true;
	return false;
}

/* 0: the address that packets leave from; 3: last resort. */
static unsigned
rank(const struct netlink_table *t, const struct netlink_addr *a)
{
	const struct netlink_route *out =
	    a->addr.family == AF_INET ? &t->route4 : &t->route6;

	if (addr_is_link_local(&a->addr))
		return 3;
	if (!out->exists || out->link != a->link)
		return 2;
	return addr_equal(&out->source, &a->addr) ? 0 : 1;
}

enum netlink_presence
netlink_presence(const struct netlink_table *t, const struct addr *a)
{
	struct addr want = addr_unmap(a);
	enum netlink_presence best = NETLINK_GONE;

	want.port = 0;
	for (size_t i = 0; i < t->n_addrs; i++)
		if (addr_equal(&t->addrs[i].addr, &want)) {
			if (t->addrs[i].is_up)
				return NETLINK_UP;
			best = NETLINK_DOWN;
		}
	/* More addresses than we remember. */
	return t->n_addrs == NETLINK_MAX_ADDRS ? NETLINK_UP : best;
}

static bool
contains(const struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return true;
	return false;
}

size_t
netlink_choose(const struct netlink_table *t, struct addr *out, size_t max)
{
	size_t n = 0;

	for (unsigned want = 0; want <= 3; want++)
		for (size_t i = 0; i < t->n_addrs && n < max; i++) {
			const struct netlink_addr *a = &t->addrs[i];

			if (rank(t, a) == want && is_usable(a) &&
			    !is_stood_in_for(t, a) &&
			    !contains(out, n, &a->addr))
				out[n++] = a->addr;
		}
	return n;
}
