/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One stream on stdin and stdout (connect --stdio): a clean end is told from
 * every other one.
 *
 * usage: session_stdio PATH_OF_DERPTUN_SESSION [CASE]
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/system/session_app.h"
#include "test/system/session_world.h"
#include "test/tap.h"

#define MIB ((uint64_t)1 << 20)

static struct world w;
static struct app in;      /* writes the worker's stdin */
static struct app out;     /* reads its stdout */
static struct app backend; /* the far end */
static bool has_backend;
static int dial_result;
static uint64_t backend_sends;
static bool backend_stays; /* it never ends its side */

static int
socket_pair(int *ret_ours)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) != 0)
		abort();
	*ret_ours = pair[0];
	return pair[1];
}

static int
on_dial(void *arg)
{
	int ours;
	int theirs;

	(void)arg;
	if (dial_result != 0)
		return dial_result;
	theirs = socket_pair(&ours);
	app_init(&backend, w.loop, ours, backend_sends);
	backend.shut_after = !backend_stays;
	has_backend = true;
	return theirs;
}

static void
begin(void)
{
	has_backend = false;
	dial_result = 0;
	backend_sends = 0;
	backend_stays = false;
	memset(&in, 0, sizeof(in));
	memset(&out, 0, sizeof(out));
	in.fd = out.fd = backend.fd = -1;
	world_init(&w, IPC_KIND_DERPTUN, true);
	w.on_dial = on_dial;
}

static void
finish(void)
{
	if (in.io != NULL)
		app_fini(&in);
	if (out.io != NULL)
		app_fini(&out);
	if (has_backend)
		app_fini(&backend);
	world_fini(&w);
}

/* Two descriptors: stdin sends so many bytes, then ends if it may. */
static void
attach(uint64_t sends, bool ends)
{
	int ours_in;
	int ours_out;
	int fd_in = socket_pair(&ours_in);
	int fd_out = socket_pair(&ours_out);

	app_init(&in, w.loop, ours_in, sends);
	in.shut_after = ends;
	app_init(&out, w.loop, ours_out, 0);
	out.shut_after = false;
	world_stdio(&w, fd_in, fd_out);
}

static bool
out_has_eof(struct world *unused)
{
	(void)unused;
	return out.eof;
}

static bool
has_received(struct world *unused)
{
	(void)unused;
	return out.received > 0;
}

static uint64_t up, down; /* what is to come */

static bool
has_arrived(struct world *unused)
{
	(void)unused;
	return backend.received >= up && backend.eof && out.received >= down;
}

/* The claimer has ended, its peer may still be writing. */
static void
arrive(uint64_t up_bytes, uint64_t down_bytes)
{
	up = up_bytes;
	down = down_bytes;
	(void)world_run(&w, has_arrived, 10000);
	EQ_INT(backend.received, up_bytes, "all of stdin arrived");
	EQ_INT(out.received, down_bytes, "all of stdout arrived");
}

static bool
has_begun(struct world *unused)
{
	(void)unused;
	return has_backend && backend.received == 10;
}

static void
expect(const char *name, int code)
{
	OK(world_run(&w, world_claimer_ended, 20000), "%s: ends", name);
	EQ_INT(w.claimer.reason.code, code, "%s: code", name);
	OK(code != 0 || w.claimer.statuses[IPC_STATUS_STREAM_END],
	    "%s: says so", name);
}

static void
case_clean(void)
{
	begin();
	backend_sends = 3 * MIB;
	attach(2 * MIB, true); /* before the session stands: it waits */
	expect("both ends", 0);
	(void)world_run(&w, out_has_eof, 10000);
	arrive(2 * MIB, 3 * MIB);
	OK(backend.eof && !backend.bad, "with its end");
	OK(out.eof && !out.bad, "with its end");
	finish();
}

static void
case_far_end_first(void)
{
	begin();
	backend_sends = 1000;
	(void)world_run(&w, world_is_ready, 5000);
	attach(10, false);
	OK(world_run(&w, out_has_eof, 5000),
	    "stdout ends while stdin does not");
	EQ_INT(out.received, 1000, "after all bytes");
	(void)world_run(&w, world_never, 300);
	OK(!w.claimer.ended, "the session waits for stdin");
	(void)shutdown(in.fd, SHUT_WR);
	expect("far end first", 0);
	finish();
}

static void
case_one_socket(void)
{
	int ours;
	int theirs;

	begin();
	backend_sends = 1 * MIB;
	theirs = socket_pair(&ours);
	app_init(&out, w.loop, ours, 1 * MIB);
	world_stdio(&w, theirs, -1);
	expect("one socket", 0);
	arrive(1 * MIB, 1 * MIB);
	finish();
}

static void
case_pipe_and_file(void)
{
	char path[] = "/tmp/session_stdio.XXXXXX";
	uint8_t bytes[251];
	char got[8] = "";
	int file = mkstemp(path);
	int pipe_fds[2];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	(void)unlink(path);
	OK(file >= 0 && write(file, bytes, sizeof(bytes)) == 251 &&
		lseek(file, 0, SEEK_SET) == 0 &&
		pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) == 0,
	    "a file and a pipe");
	begin();
	backend_sends = 5;
	world_stdio(&w, file, pipe_fds[1]);
	expect("file and pipe", 0);
	arrive(251, 0);
	OK(!backend.bad, "the file was sent");
	EQ_INT(read(pipe_fds[0], got, sizeof(got)), 5, "the pipe has all");
	(void)close(pipe_fds[0]);
	finish();
}

static void
case_refused(void)
{
	begin();
	dial_result = -ECONNREFUSED;
	attach(100, true);
	expect("refused", -DT_ERR_BACKEND_REFUSED);
	(void)world_run(&w, world_listener_ended, 1000);
	EQ_INT(w.listener.reason.code, 0, "the server's session ends well");
	EQ_INT(out.received, 0, "nothing on stdout");
	finish();
}

static void
case_server_killed(void)
{
	begin();
	backend_sends = 10;
	backend_stays = true;
	attach(10, false);
	OK(world_run(&w, has_received, 10000), "server killed: in use");
	if (w.listener.pid > 0)
		(void)kill(w.listener.pid, SIGKILL);
	expect("server killed", -DT_ERR_TUNNEL_LOST);
	finish();
}

static void
case_server_stopped(void)
{
	begin();
	(void)world_run(&w, world_is_ready, 5000);
	backend_stays = true;
	attach(10, false);
	(void)world_run(&w, has_begun, 10000);
	world_stop(&w.listener);
	expect("server stopped", -DT_ERR_TUNNEL_LOST);
	finish();
}

static void
case_reader_gone(void)
{
	begin();
	backend_sends = 50 * MIB;
	attach(10, false);
	(void)world_run(&w, has_received, 5000);
	app_fini(&out);
	expect("reader of stdout gone", -EPIPE);
	finish();
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "clean", case_clean },
		{ "first", case_far_end_first },
		{ "socket", case_one_socket },
		{ "file", case_pipe_and_file },
		{ "refused", case_refused },
		{ "killed", case_server_killed },
		{ "stopped", case_server_stopped },
		{ "reader", case_reader_gone },
	};

	if (argc < 2 || secret_init() != 0)
		return 99;
	world_worker_path = argv[1];
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (argc < 3 || strcmp(argv[2], cases[i].name) == 0)
			cases[i].run();
	return tap_done();
}
