/* SPDX-License-Identifier: BSD-3-Clause */
/* SSDP, URLs and SOAP requests. */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/portmap/soap.h"
#include "proto/portmap/ssdp.h"
#include "test/tap.h"

static uint8_t out[SOAP_MAX_REQUEST];

static void
expect_url(const char *text, const char *host, const char *path)
{
	struct upnp_url u;
	char got[ADDR_MAX_TEXT];

	EQ_INT(upnp_url_parse(&u, text, strlen(text)), 0, "%s", text);
	addr_format(&u.host, got);
	EQ_STR(got, host, "host");
	EQ_STR(u.path, path, "path");
}

static void
test_url(void)
{
	static const char *const bad[] = { "", "http://", "http:///x",
		"https://192.168.1.1/", "ftp://192.168.1.1/",
		"http://gateway/x", "http://[fe80::1]/",
		"http://192.168.1.1:0/", "http://192.168.1.1:65536/",
		"http://192.168.1.1:/", "http://user@192.168.1.1/",
		"http://192.168.1.1/a b", "http://192.168.1.1/a\r\nHost: x",
		"http://192.168.1.1/#x", "http://192.168.1.1/\xc3\xa4",
		"http://0192.168.1.1/",
		"http://192.168.1.1.198.18.0.1.192.168.1.1:80/" };
	char longest[sizeof("http://192.168.1.1") + UPNP_URL_MAX_PATH];
	struct upnp_url u;
	size_t len;

	expect_url("http://192.168.1.1:5000/rootDesc.xml", "192.168.1.1:5000",
	    "/rootDesc.xml");
	expect_url("HTTP://192.168.1.1", "192.168.1.1:80", "/");
	expect_url("http://192.168.1.1/a?b=c", "192.168.1.1:80", "/a?b=c");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(upnp_url_parse(&u, bad[i], strlen(bad[i])),
		    -DT_ERR_SYNTAX, "no URL: %zu", i);
	memset(longest, '/', sizeof(longest));
	memcpy(longest, "http://192.168.1.1", 18);
	len = 18 + UPNP_URL_MAX_PATH - 1;
	EQ_INT(upnp_url_parse(&u, longest, len), 0, "the longest path");
	EQ_INT(strlen(u.path), UPNP_URL_MAX_PATH - 1, "is kept");
	EQ_INT(upnp_url_parse(&u, longest, len + 1), -DT_ERR_TOO_LONG,
	    "one more is not");
}

static void
expect_resolved(const struct upnp_url *base, const char *text, const char *path)
{
	struct upnp_url u;

	EQ_INT(upnp_url_resolve(&u, base, text, strlen(text)), 0,
	    "\"%s\" is resolved", text);
	EQ_STR(u.path, path, "its path");
}

static void
test_resolve(void)
{
	static const char base_text[] = "http://192.168.1.1:5000/a/b.xml";
	static const char *const bad[] = { "//198.18.0.1/x", "ftp://x/y",
		"/a b", "/a\n", "x://y" };
	char longest[UPNP_URL_MAX_PATH + 1];
	struct upnp_url base, u;
	char host[ADDR_MAX_TEXT];

	(void)upnp_url_parse(&base, base_text, sizeof(base_text) - 1);
	expect_resolved(&base, "/ctl", "/ctl");
	expect_resolved(&base, "ctl", "/a/ctl");
	expect_resolved(&base, "", "/a/");
	expect_resolved(&base, "http://198.18.0.1/x", "/x");
	(void)upnp_url_resolve(&u, &base, "http://198.18.0.1/x", 19);
	addr_format(&u.host, host);
	EQ_STR(host, "198.18.0.1:80", "another host shows");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(upnp_url_resolve(&u, &base, bad[i], strlen(bad[i])),
		    -DT_ERR_SYNTAX, "not resolved: %zu", i);
	memset(longest, 'x', sizeof(longest));
	EQ_INT(upnp_url_resolve(&u, &base, longest, UPNP_URL_MAX_PATH - 4), 0,
	    "the longest path");
	EQ_INT(upnp_url_resolve(&u, &base, longest, UPNP_URL_MAX_PATH - 3),
	    -DT_ERR_TOO_LONG, "one more");
}

static const char answer[] =
    "HTTP/1.1 200 OK\r\n"
    "CACHE-CONTROL: max-age=120\r\n"
    "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
    "Location:  http://192.168.1.1:5000/rootDesc.xml \r\n"
    "\r\n";

static void
test_ssdp(void)
{
	static const char *const bad[] = {
		"NOTIFY * HTTP/1.1\r\nST: InternetGatewayDevice:1\r\n"
		"LOCATION: http://192.168.1.1/\r\n\r\n",
		"HTTP/1.1 404 No\r\nST: InternetGatewayDevice:1\r\n"
		"LOCATION: http://192.168.1.1/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: urn:x:MediaServer:1\r\n"
		"LOCATION: http://192.168.1.1/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: InternetGatewayDevice:1\r\n"
		"LOCATION: http://gateway.example/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: InternetGatewayDevice:1\r\n\r\n"
		"LOCATION: http://192.168.1.1/\r\n",
	};
	struct buf_writer w = buf_writer(out, SSDP_MAX_QUESTION);
	struct upnp_url u;
	size_t len = sizeof(answer) - 1;
	char *copy;

	ssdp_write_search(&w, 0);
	EQ_INT(w.err, 0, "a question fits");
	EQ_MEM(out,
	    "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
	    "MAN: \"ssdp:discover\"\r\nMX: 1\r\n"
	    "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n",
	    w.len, "as UPnP has it");
	w = buf_writer(out, SSDP_MAX_QUESTION);
	ssdp_write_search(&w, 1);
	OK(memmem(out, w.len, "Device:2\r\n", 10) != NULL, "and of version 2");
	EQ_INT(ssdp_parse_response(answer, len, &u), 0, "an answer is read");
	EQ_STR(u.path, "/rootDesc.xml", "path");
	EQ_INT(u.host.port, 5000, "port");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(ssdp_parse_response(bad[i], strlen(bad[i]), &u),
		    -DT_ERR_SYNTAX, "no answer: %zu", i);
	for (size_t n = 0; n + 4 < len; n++) {
		copy = malloc(n + 1);
		if (copy == NULL)
			abort();
		memcpy(copy, answer, n);
		EQ_INT(ssdp_parse_response(copy, n, &u), -DT_ERR_SYNTAX,
		    "cut at %zu", n);
		free(copy);
	}
}

static const struct soap_target target = {
	{ { AF_INET, 5000, { 192, 168, 1, 1 } }, "/ctl/IPConn" },
	"urn:schemas-upnp-org:service:WANIPConnection:1"
};

/* The announced length is that of the body. */
static void
check_request(const struct buf_writer *w, const char *action)
{
	char text[SOAP_MAX_REQUEST + 1], want[256];
	const char *body, *length;

	EQ_INT(w->err, 0, "%s fits", action);
	memcpy(text, out, w->len);
	text[w->len] = '\0';
	body = strstr(text, "\r\n\r\n");
	length = strstr(text, "Content-Length: ");
	OK(body != NULL && length != NULL &&
		strtoul(length + 16, NULL, 10) == strlen(body + 4),
	    "its length is right");
	(void)snprintf(want, sizeof(want), "SOAPAction: \"%s#%s\"\r\n",
	    target.service, action);
	OK(strstr(text, want) != NULL, "its header names it");
	(void)snprintf(want, sizeof(want), "<u:%s xmlns:u=\"%s\">", action,
	    target.service);
	OK(strstr(text, want) != NULL, "its body too");
	OK(strstr(text, "POST /ctl/IPConn HTTP/1.1\r\n"
			"Host: 192.168.1.1:5000\r\n") == text,
	    "it goes to the control URL");
}

static void
test_soap(void)
{
	struct soap_mapping m = { 40001, 40000,
		{ AF_INET, 0, { 192, 168, 1, 9 } }, 7200 };
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct soap_target longest = target;

	soap_write_add(&w, &target, &m);
	check_request(&w, "AddPortMapping");
	OK(memmem(out, w.len,
	       "<NewExternalPort>40001</NewExternalPort>"
	       "<NewProtocol>UDP</NewProtocol>"
	       "<NewInternalPort>40000</NewInternalPort>"
	       "<NewInternalClient>192.168.1.9</NewInternalClient>"
	       "<NewEnabled>1</NewEnabled>",
	       160) != NULL,
	    "arguments in their order");
	w = buf_writer(out, sizeof(out));
	soap_write_add_any(&w, &target, &m);
	check_request(&w, "AddAnyPortMapping");
	w = buf_writer(out, sizeof(out));
	soap_write_delete(&w, &target, 40001);
	check_request(&w, "DeletePortMapping");
	w = buf_writer(out, sizeof(out));
	soap_write_check(&w, &target, 40001);
	check_request(&w, "GetSpecificPortMappingEntry");
	w = buf_writer(out, sizeof(out));
	soap_write_address(&w, &target);
	check_request(&w, "GetExternalIPAddress");
	memset(longest.control.path, 'x', sizeof(longest.control.path) - 1);
	memset(longest.service, 'x', sizeof(longest.service) - 1);
	memset(&m, 0xff, sizeof(m));
	m.client.family = AF_INET;
	w = buf_writer(out, sizeof(out));
	soap_write_add_any(&w, &longest, &m);
	EQ_INT(w.err, 0, "the longest of all fits");
	w = buf_writer(out, sizeof(out));
	soap_write_get(&w, &target.control);
	OK(w.err == 0 && memcmp(out, "GET /ctl/IPConn HTTP/1.1\r\n", 26) == 0,
	    "GET");
}

static void
test_service(void)
{
	char longest[SOAP_MAX_SERVICE + 1];

	OK(soap_is_service("urn:schemas-upnp-org:service:WANIPConnection:1"),
	    "IP");
	OK(soap_is_service("urn:schemas-upnp-org:service:WANPPPConnection:1"),
	    "PPP");
	OK(!soap_is_service("urn:schemas-upnp-org:service:Layer3Forwarding:1"),
	    "another service");
	OK(!soap_is_service(""), "none");
	OK(!soap_is_service("x:WANIPConnection:1\""), "a quote");
	OK(!soap_is_service("x:WANIPConnection:1\r\nX: y"), "a line break");
	OK(!soap_is_service("x<y:WANIPConnection:1"), "a tag");
	memset(longest, '1', sizeof(longest));
	memcpy(longest, "x:WANIPConnection:", 18);
	longest[SOAP_MAX_SERVICE] = '\0';
	OK(!soap_is_service(longest), "too long");
	longest[SOAP_MAX_SERVICE - 1] = '\0';
	OK(soap_is_service(longest), "the longest");
}

int
main(void)
{
	test_url();
	test_resolve();
	test_ssdp();
	test_soap();
	test_service();
	return tap_done();
}
