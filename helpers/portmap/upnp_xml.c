/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/portmap/upnp_xml.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpreplyparse.h>

#include "lib/err.h"

/* miniupnpc 2.2.4 reads a byte behind the end. */
#define PADDING 16
#define MIN_ERROR 400
#define MAX_ERROR 899

/* A copy that may be read past its end; NULL when memory is out. */
static char *
copy_padded(const void *p, size_t len)
{
	char *copy = len <= INT_MAX ? calloc(1, len + PADDING) : NULL;

	if (copy != NULL && len > 0)
		memcpy(copy, p, len);
	return copy;
}

static bool
is_same_host(const struct upnp_url *a, const struct upnp_url *b)
{
	struct addr x = a->host, y = b->host;

	x.port = y.port = 0;
	return addr_equal(&x, &y);
}

static void
add_target(struct upnp_xml_description *d, const struct IGDdatas_service *s,
    const struct upnp_url *base)
{
	struct soap_target *t = &d->targets[d->n];
	size_t len = strnlen(s->controlurl, sizeof(s->controlurl));

	if (len == 0 || len == sizeof(s->controlurl) ||
	    !soap_is_service(s->servicetype) ||
	    upnp_url_resolve(&t->control, base, s->controlurl, len) < 0 ||
	    !is_same_host(&t->control, base))
		return;
	(void)snprintf(t->service, sizeof(t->service), "%s", s->servicetype);
	d->n++;
}

int
upnp_xml_get_description(const void *p, size_t len, const struct upnp_url *url,
    struct upnp_xml_description *ret_description)
{
	struct upnp_xml_description d;
	struct IGDdatas data;
	struct upnp_url base;
	char *copy = copy_padded(p, len);
	size_t n;

	if (copy == NULL)
		return -ENOMEM;
	memset(&data, 0, sizeof(data));
	memset(&d, 0, sizeof(d));
	parserootdesc(copy, (int)len, &data);
	free(copy);
	/* A base elsewhere would send us elsewhere: as if there were none. */
	n = strnlen(data.urlbase, sizeof(data.urlbase));
	if (n == 0 || upnp_url_parse(&base, data.urlbase, n) < 0 ||
	    !is_same_host(&base, url))
		base = *url;
	add_target(&d, &data.first, &base);
	add_target(&d, &data.second, &base);
	if (d.n == 0)
		return -DT_ERR_SYNTAX;
	*ret_description = d;
	return 0;
}

static long
get_number(struct NameValueParserData *v, const char *name, long min, long max)
{
	const char *text = GetValueFromNameValueList(v, name);
	char *end;
	long n;

	if (text == NULL)
		return 0;
	n = strtol(text, &end, 10);
	return end != text && *end == '\0' && n >= min && n <= max ? n : -1;
}

static uint16_t
get_port(struct NameValueParserData *v, const char *name)
{
	long n = get_number(v, name, 1, UINT16_MAX);

	return n > 0 ? (uint16_t)n : 0;
}

static void
get_address(
    struct NameValueParserData *v, const char *name, struct addr *ret_addr)
{
	const char *text = GetValueFromNameValueList(v, name);

	if (text != NULL && addr_parse_ip(ret_addr, text, 0) == 0 &&
	    ret_addr->family != AF_INET)
		memset(ret_addr, 0, sizeof(*ret_addr));
}

void
upnp_xml_get_reply(const void *p, size_t len, struct upnp_xml_reply *ret_reply)
{
	struct NameValueParserData v;
	char *copy = copy_padded(p, len);
	const char *lease;
	long error;

	memset(ret_reply, 0, sizeof(*ret_reply));
	if (copy == NULL) { /* as if the gateway had failed */
		ret_reply->error = UPNP_XML_ODD_ERROR;
		return;
	}
	ParseNameValue(copy, (int)len, &v);
	free(copy);
	error = get_number(&v, "errorCode", MIN_ERROR, MAX_ERROR);
	ret_reply->error = error < 0 ? UPNP_XML_ODD_ERROR : (int)error;
	get_address(&v, "NewExternalIPAddress", &ret_reply->address);
	get_address(&v, "NewInternalClient", &ret_reply->client);
	ret_reply->internal_port = get_port(&v, "NewInternalPort");
	ret_reply->reserved_port = get_port(&v, "NewReservedPort");
	lease = GetValueFromNameValueList(&v, "NewLeaseDuration");
	ret_reply->permanent = lease != NULL && strcmp(lease, "0") == 0;
	ClearNameValueList(&v);
}
