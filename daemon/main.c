/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "daemon/notify.h"
#include "daemon/sandbox_daemon.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/secret.h"

/* EX_CONFIG of sysexits: nothing that waiting would mend. */
#define EXIT_START 78
#define EXIT_WRONG_USE 2
#define DEFAULT_SOCKET "/run/derptund/control.sock"
/* --idle-exit: a day at most. */
#define MAX_IDLE_SECONDS 86400
/* Descriptors: four per session, and links. */
#define WANTED_FILES 4096

/* What the command line says. */
struct options {
	const char *socket;
	const char *state_dir;
	long idle_seconds;
	bool system;
	bool verbose;
	bool no_port_mapping;
};

static const char usage_text[] =
    "usage: derptund [-v] [--socket PATH] [--state-dir DIR] [--idle-exit "
    "SECONDS]\n"
    "                [--system] [--no-port-mapping]\n"
    "\n"
    "  --socket PATH        control socket (default " DEFAULT_SOCKET ")\n"
    "  --state-dir DIR      keep copies of fetched DERP maps below DIR\n"
    "  --idle-exit SECONDS  leave when nobody needed us for so long\n"
    "  --system             serve every user who may connect\n"
    "  --no-port-mapping    ask no gateway to forward ports\n"
    "  -v, --verbose        log debug messages\n"
    "  --version, --help\n";

static int
parse_idle(const char *text, long *ret_seconds)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < 1 ||
	    v > MAX_IDLE_SECONDS) {
		(void)fprintf(stderr,
		    "derptund: --idle-exit takes 1 to %d seconds\n",
		    MAX_IDLE_SECONDS);
		return -EINVAL;
	}
	*ret_seconds = v;
	return 0;
}

/* Returns 0, 1 (done, exit 0), or negative for wrong use. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	enum {
		SOCKET = 256,
		STATE_DIR,
		IDLE_EXIT,
		SYSTEM,
		NO_PORT_MAPPING,
		VERSION,
		HELP
	};
	static const struct option table[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "state-dir", required_argument, NULL, STATE_DIR },
		{ "idle-exit", required_argument, NULL, IDLE_EXIT },
		{ "system", no_argument, NULL, SYSTEM },
		{ "no-port-mapping", no_argument, NULL, NO_PORT_MAPPING },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "v", table, NULL)) != -1) {
		if (c == SOCKET)
			o->socket = optarg;
		else if (c == STATE_DIR)
			o->state_dir = optarg;
		else if (c == IDLE_EXIT) {
			if (parse_idle(optarg, &o->idle_seconds) < 0)
				return -EINVAL;
		} else if (c == SYSTEM)
			o->system = true;
		else if (c == NO_PORT_MAPPING)
			o->no_port_mapping = true;
		else if (c == 'v')
			o->verbose = true;
		else if (c == VERSION) {
			(void)puts("derptund " DERPTUND_VERSION);
			return 1;
		} else if (c == HELP) {
			(void)fputs(usage_text, stdout);
			return 1;
		} else
			return -EINVAL;
	}
	return optind == argc ? 0 : -EINVAL;
}

/* 0, 1 and 2 must be open, or sockets would take their places; 0 and 1 lead
 * nowhere, so that nothing of the caller's is passed on to workers. */
static int
settle_standard_fds(void)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0)
		return -errno;
	while (fd <= STDERR_FILENO) {
		fd = fcntl(fd, F_DUPFD, fd + 1);
		if (fd < 0)
			return -errno;
	}
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return -errno;
	if (fcntl(STDERR_FILENO, F_GETFD) < 0 && dup2(fd, STDERR_FILENO) < 0)
		return -errno;
	fd_close(&fd);
	return 0;
}

static void
raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= WANTED_FILES)
		return;
	l.rlim_cur = l.rlim_max < WANTED_FILES ? l.rlim_max : WANTED_FILES;
	if (setrlimit(RLIMIT_NOFILE, &l) != 0)
		log_warn("daemon", "cannot have more than %llu descriptors",
		    (unsigned long long)l.rlim_cur);
}

/* Workers lie beside us in a build tree or a private copy; installed, they
 * are in a directory of their own. */
static void
find_libexec(char out[static PATH_MAX])
{
	char gate[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash != NULL) {
		*slash = '\0';
		(void)snprintf(gate, sizeof(gate), "%s/derptun-gate", out);
		if (access(gate, X_OK) == 0)
			return;
	}
	(void)snprintf(out, PATH_MAX, "%s", DERPTUND_LIBEXECDIR);
}

static int
open_socket(const struct options *o, bool *ret_ours)
{
	const char *path = o->socket != NULL ? o->socket : DEFAULT_SOCKET;
	int fd = listen_inherited();

	/* Who passes a socket and its path wants us to remove it. */
	*ret_ours = fd < 0 || o->socket != NULL;
	if (fd != -ENOENT)
		return fd;
	fd = listen_bind(path, o->system);
	if (fd == -EADDRINUSE)
		log_err("daemon", "another derptund serves %s", path);
	else if (fd < 0)
		log_err_r(fd, "daemon", "cannot listen on %s", path);
	return fd;
}

/* Everything that must be done before a byte comes from a network. */
static int
confine(void)
{
	int r = sandbox_drop_root("derptund");

	if (r < 0) {
		log_err_r(r, "daemon", "cannot drop root");
		return r;
	}
	r = sandbox_apply(&sandbox_daemon_profile, sandbox_mode_compiled());
	if (r < 0)
		log_err_r(r, "daemon", "cannot confine myself");
	return r;
}

static int
run(const struct daemon_config *config)
{
	static struct daemon d;
	int listen_fd = config->listen_fd;
	int status, r = daemon_init(&d, config);

	if (r < 0) {
		log_err_r(r, "daemon", "cannot start");
		return EXIT_START;
	}
	log_info("daemon", "derptund " DERPTUND_VERSION " started uid=%u",
	    (unsigned)d.uid);
	notify_send("READY=1");
	r = loop_run(d.loop);
	daemon_fini(&d);
	if (config->socket_path != NULL && !d.unlinked)
		(void)unlink(config->socket_path); /* may be gone */
	if (r < 0)
		log_err_r(r, "daemon", "event loop failed");
	status = r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (d.stuck > 0) {
		/* The kernel keeps the process, with all it has open, until
		 * they come back: nobody shall wait for us meanwhile. */
		fd_close(&listen_fd);
		log_warn("daemon",
		    "%zu file systems do not let descriptors be closed",
		    d.stuck);
		_exit(status);
	}
	return status;
}

int
main(int argc, char **argv)
{
	struct options o = { NULL, NULL, 0, false, false, false };
	struct daemon_config config;
	static char libexec[PATH_MAX], cache[PATH_MAX];
	bool ours;
	int r = parse_options(argc, argv, &o);

	if (r != 0) {
		if (r < 0)
			(void)fputs(usage_text, stderr);
		return r < 0 ? EXIT_WRONG_USE : EXIT_SUCCESS;
	}
	log_init("derptund", o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	/* None can fail.  A daemon outlives the terminal it came from. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* write(2) tells */
	(void)signal(SIGHUP, SIG_IGN);
	(void)umask(077);
	memset(&config, 0, sizeof(config));
	config.listen_fd = open_socket(&o, &ours);
	if (config.listen_fd < 0 || settle_standard_fds() < 0 ||
	    secret_init() < 0)
		return EXIT_START;
	notify_init();
	raise_limits();
	find_libexec(libexec);
	r = worker_programs_open(libexec, &config.programs);
	if (r < 0) {
		log_err_r(r, "daemon", "no workers in %s", libexec);
		return EXIT_START;
	}
	if (o.state_dir != NULL)
		(void)snprintf(cache, sizeof(cache), "%s/cache", o.state_dir);
	config.cache_dir = cache;
	config.socket_path = !ours              ? NULL
			     : o.socket != NULL ? o.socket
						: DEFAULT_SOCKET;
	config.idle_exit_us = o.idle_seconds * MONO_SEC;
	config.system = o.system || geteuid() == 0;
	config.verbose = o.verbose;
	config.no_port_mapping = o.no_port_mapping;
	if (confine() < 0)
		return EXIT_START;
	return run(&config);
}
