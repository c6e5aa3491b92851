/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/portmap/soap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

#define DESCRIPTION "derptund"
#define MAX_ARGS 640
#define MAX_BODY 1280

__attribute__((format(printf, 2, 3))) static void
put(struct buf_writer *w, const char *fmt, ...)
{
	char text[MAX_BODY];
	va_list ap;
	int n;

	va_start(ap, fmt);
	/* It is started above; the analyzer loses it across files. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		buf_writer_fail(w, -DT_ERR_TOO_LONG);
	else
		buf_put_bytes(w, text, (size_t)n);
}

static void
put_host(struct buf_writer *w, const struct upnp_url *url)
{
	char host[ADDR_MAX_TEXT];

	addr_format(&url->host, host);
	put(w,
	    "Host: %s\r\nUser-Agent: derptund UPnP/1.1\r\n"
	    "Connection: close\r\n",
	    host);
}

void
soap_write_get(struct buf_writer *w, const struct upnp_url *url)
{
	put(w, "GET %s HTTP/1.1\r\n", url->path);
	put_host(w, url);
	put(w, "\r\n");
}

static void
write_action(struct buf_writer *w, const struct soap_target *t,
    const char *action, const char *args)
{
	char body[MAX_BODY];
	int n = snprintf(body, sizeof(body),
	    "<?xml version=\"1.0\"?>\r\n"
	    "<s:Envelope "
	    "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
	    "s:encodingStyle="
	    "\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>"
	    "<u:%s xmlns:u=\"%s\">%s</u:%s></s:Body></s:Envelope>\r\n",
	    action, t->service, args, action);

	if (n < 0 || (size_t)n >= sizeof(body)) {
		buf_writer_fail(w, -DT_ERR_TOO_LONG);
		return;
	}
	put(w, "POST %s HTTP/1.1\r\n", t->control.path);
	put_host(w, &t->control);
	put(w,
	    "Content-Type: text/xml; charset=\"utf-8\"\r\n"
	    "Content-Length: %d\r\n"
	    "SOAPAction: \"%s#%s\"\r\n\r\n",
	    n, t->service, action);
	buf_put_bytes(w, body, (size_t)n);
}

void
soap_write_address(struct buf_writer *w, const struct soap_target *t)
{
	write_action(w, t, "GetExternalIPAddress", "");
}

static void
write_mapping(struct buf_writer *w, const struct soap_target *t,
    const char *action, const struct soap_mapping *m)
{
	char args[MAX_ARGS], client[ADDR_MAX_TEXT];

	addr_format_ip(&m->client, client);
	(void)snprintf(args, sizeof(args),
	    "<NewRemoteHost></NewRemoteHost>"
	    "<NewExternalPort>%u</NewExternalPort>"
	    "<NewProtocol>UDP</NewProtocol>"
	    "<NewInternalPort>%u</NewInternalPort>"
	    "<NewInternalClient>%s</NewInternalClient>"
	    "<NewEnabled>1</NewEnabled>"
	    "<NewPortMappingDescription>" DESCRIPTION
	    "</NewPortMappingDescription>"
	    "<NewLeaseDuration>%u</NewLeaseDuration>",
	    m->external_port, m->internal_port, client, m->lifetime_s);
	write_action(w, t, action, args);
}

void
soap_write_add(struct buf_writer *w, const struct soap_target *t,
    const struct soap_mapping *m)
{
	write_mapping(w, t, "AddPortMapping", m);
}

void
soap_write_add_any(struct buf_writer *w, const struct soap_target *t,
    const struct soap_mapping *m)
{
	write_mapping(w, t, "AddAnyPortMapping", m);
}

static void
write_entry(struct buf_writer *w, const struct soap_target *t,
    const char *action, uint16_t external_port)
{
	char args[MAX_ARGS];

	(void)snprintf(args, sizeof(args),
	    "<NewRemoteHost></NewRemoteHost>"
	    "<NewExternalPort>%u</NewExternalPort>"
	    "<NewProtocol>UDP</NewProtocol>",
	    external_port);
	write_action(w, t, action, args);
}

void
soap_write_delete(
    struct buf_writer *w, const struct soap_target *t, uint16_t external_port)
{
	write_entry(w, t, "DeletePortMapping", external_port);
}

void
soap_write_check(
    struct buf_writer *w, const struct soap_target *t, uint16_t external_port)
{
	write_entry(w, t, "GetSpecificPortMappingEntry", external_port);
}

bool
soap_is_service(const char *name)
{
	size_t len = strnlen(name, SOAP_MAX_SERVICE);

	if (len == 0 || len == SOAP_MAX_SERVICE)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' ||
		    strchr("\"'<>&#", name[i]) != NULL)
			return false;
	return strstr(name, ":WANIPConnection:") != NULL ||
	       strstr(name, ":WANPPPConnection:") != NULL;
}
