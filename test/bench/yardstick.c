/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machine's yardstick: TLS 1.3 with AES-128-GCM over one loopback TCP
 * connection, 64 KiB writes, one process on each side.  Prints one line of JSON
 * with Gb/s and the CPU seconds of both processes per GiB.  With a namespace
 * the sender is in that, at the given address of it.
 *
 * usage: yardstick BYTES [NETNS_FILE IPV4_ADDRESS]
 */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536
#define GIB 1073741824.0

static char block[BLOCK];

static void
die(const char *what)
{
	fprintf(stderr, "yardstick: %s failed\n", what);
	exit(1);
}

static double
seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
cpu(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

/* A throw-away P-256 certificate. */
static void
use_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	if (key == NULL || cert == NULL ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -60) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), 3600) == NULL ||
	    X509_set_pubkey(cert, key) != 1 ||
	    X509_sign(cert, key, EVP_sha256()) == 0 ||
	    SSL_CTX_use_certificate(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key) != 1)
		die("certificate");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static SSL *
handshake(const SSL_METHOD *method, int fd, int server)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	SSL *ssl;

	if (ctx == NULL ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1)
		die("context");
	if (server)
		use_certificate(ctx);
	SSL_CTX_set_read_ahead(ctx, 1);
	ssl = SSL_new(ctx);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
	    (server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		die("handshake");
	return ssl;
}

static void
send_all(int listener, long long total)
{
	SSL *ssl =
	    handshake(TLS_server_method(), accept(listener, NULL, NULL), 1);

	for (long long sent = 0; sent < total; sent += BLOCK)
		if (SSL_write(ssl, block, BLOCK) != BLOCK)
			die("write");
	(void)SSL_read(ssl, block, 1); /* until the other side has it all */
	_exit(0);
}

static int
connect_to(int listener)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (getsockname(listener, (struct sockaddr *)&sa, &len) != 0 ||
	    connect(fd, (struct sockaddr *)&sa, len) != 0)
		die("connect");
	return fd;
}

static void
enter(int netns)
{
	if (netns < 0 || setns(netns, CLONE_NEWNET) != 0)
		die("setns");
}

/* A socket stays in the namespace it was made in. */
static int
listen_in(const char *netns, const char *address)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (netns != NULL)
		enter(open(netns, O_RDONLY | O_CLOEXEC));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(fd, 1) != 0)
		die("listen");
	if (netns != NULL)
		enter(here);
	return fd;
}

int
main(int argc, char **argv)
{
	long long total =
	    argc == 2 || argc == 4 ? atoll(argv[1]) / BLOCK * BLOCK : 0;
	struct rusage tx, before, after;
	double start, taken;
	int listener;
	SSL *ssl;
	pid_t pid;

	if (total <= 0)
		die("reading the arguments");
	listener = listen_in(
	    argc == 4 ? argv[2] : NULL, argc == 4 ? argv[3] : "127.0.0.1");
	pid = fork();
	if (pid == 0)
		send_all(listener, total);
	ssl = handshake(TLS_client_method(), connect_to(listener), 0);
	(void)getrusage(RUSAGE_SELF, &before);
	start = seconds();
	for (long long got = 0; got < total;) {
		int n = SSL_read(ssl, block, BLOCK);

		if (n <= 0)
			die("read");
		got += n;
	}
	taken = seconds() - start;
	(void)getrusage(RUSAGE_SELF, &after);
	(void)SSL_write(ssl, ".", 1);
	if (wait4(pid, NULL, 0, &tx) != pid)
		die("wait");
	printf("{\"cipher\": \"%s\", \"gbps\": %.3f, \"cpu_per_gib\": %.3f}\n",
	    SSL_get_cipher_name(ssl), (double)total * 8 / taken / 1e9,
	    (cpu(&tx) + cpu(&after) - cpu(&before)) / ((double)total / GIB));
	return 0;
}
