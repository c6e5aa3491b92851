/* SPDX-License-Identifier: BSD-3-Clause */
/* One endpoint type for IPv4 and IPv6, so that no function is written twice. */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* IPv4 lives in ip[0..3], the rest zero; family 0 means "none". */
struct addr {
	sa_family_t family; /* AF_INET, AF_INET6 or 0 */
	uint16_t port;      /* host order */
	uint8_t ip[16];     /* network order */
};

/* "[" + 45 characters of IPv6 + "]:65535" + NUL, rounded up. */
#define ADDR_MAX_TEXT 64
/* A DNS name (RFC 1035 2.3.4) and its terminator. */
#define ADDR_MAX_HOST 254

/**
 * addr_parse(): "1.2.3.4:80" or "[::1]:80"; strict, no names, no zones, no
 * leading zeros, RFC 5952 not demanded.
 *
 * Returns 0 or -DT_ERR_SYNTAX; *@ret_addr is written only on success.
 */
int addr_parse(struct addr *ret_addr, const char *text);

/** addr_parse_ip(): an address literal without port (port becomes @port). */
int addr_parse_ip(struct addr *ret_addr, const char *text, uint16_t port);

/** addr_format(): canonical text (RFC 5952), "ip:port" or "[ip]:port". */
void addr_format(const struct addr *a, char out[static ADDR_MAX_TEXT]);

/** addr_format_ip(): the address alone, no brackets. */
void addr_format_ip(const struct addr *a, char out[static ADDR_MAX_TEXT]);

/**
 * addr_split_host_port(): "host:port", "1.2.3.4:80", "[::1]:80", ":8080".
 * @ret_host: ADDR_MAX_HOST bytes; may become the empty string.
 *
 * Returns 0 or -DT_ERR_SYNTAX.  The host is not checked beyond its length.
 */
int addr_split_host_port(
    const char *text, char ret_host[static ADDR_MAX_HOST], uint16_t *ret_port);

bool addr_equal(const struct addr *a, const struct addr *b);
/** addr_unmap(): turn ::ffff:a.b.c.d into its IPv4 form; others unchanged. */
struct addr addr_unmap(const struct addr *a);

bool addr_is_loopback(const struct addr *a);
bool addr_is_unspecified(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/** addr_is_private(): RFC 1918, RFC 4193 or 100.64.0.0/10 (RFC 6598). */
bool addr_is_private(const struct addr *a);
bool addr_is_broadcast(const struct addr *a);

/** addr_to_sockaddr(): returns the length in bytes for bind(2) and friends. */
socklen_t addr_to_sockaddr(
    const struct addr *a, struct sockaddr_storage *ret_sa);
/** addr_from_sockaddr(): 0, or -EAFNOSUPPORT for other families. */
int addr_from_sockaddr(struct addr *ret_addr, const struct sockaddr *sa);

#endif
