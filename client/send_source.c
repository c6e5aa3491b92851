/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A text of the command line lies in memory that looks like a file, so that all
 * of them are descriptors.  A folder is walked first, for the size that its
 * header tells, and packed by a child once somebody reads.
 */
#include "client/send_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/archive_proc.h"
#include "client/cli_out.h"
#include "client/pump.h"
#include "client/stdio_source.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/transfer/transfer_progress.h"

struct send_source {
	struct send_facts facts;
	int fd; /* file, text or folder; -1: stdin */
	struct stdio_source in;
	bool has_in;
	bool is_pumped; /* fd: the worker gets what is read here */
	struct pump *pump;
	struct archive_totals measured, packed;
	bool is_packed;
	struct archive_proc *proc;
	int pipe; /* its end: the stream has none before the packer is content
		   */
	void (*on_failed)(void *arg, int r);
	void *arg;
};

void
send_source_free(struct send_source *s)
{
	if (s == NULL)
		return;
	pump_free(s->pump);
	if (s->has_in)
		stdio_source_fini(&s->in);
	archive_proc_free(s->proc);
	fd_close(&s->pipe);
	fd_close(&s->fd);
	free(s);
}

const struct send_facts *
send_source_facts(const struct send_source *s)
{
	return &s->facts;
}

static int
tell(const char *what, int r)
{
	char reason[CLI_OUT_MAX_REASON];

	cli_out_error("%s: %s", what, cli_out_reason(r, reason));
	return CLI_EXIT_FAILED;
}

static int
open_stdin(struct send_source *s)
{
	int r = stdio_source_open(STDIN_FILENO, STDIO_SOURCE_IN, &s->in);

	if (r < 0)
		return tell("read stdin", r);
	s->has_in = true;
	s->facts.kind = TRANSFER_KIND_TEXT;
	s->facts.from_stdin = true;
	s->facts.size = s->in.kind == STDIO_SOURCE_FILE ? s->in.size : -1;
	s->facts.positioned = stdio_source_is_positioned(&s->in);
	s->facts.offset = s->facts.positioned ? s->in.offset : 0;
	return CLI_EXIT_OK;
}

static int
open_text(struct send_source *s, const char *text)
{
	size_t len = strlen(text), off = 0;

	s->facts.kind = TRANSFER_KIND_TEXT;
	s->facts.size = (int64_t)len;
	s->facts.positioned = true;
	s->fd = memfd_create("text", MFD_CLOEXEC);
	if (s->fd < 0)
		return tell("memory", -errno);
	while (off < len) {
		ssize_t n = write(s->fd, text + off, len - off);

		if (n < 0)
			return tell("memory", -errno);
		off += (size_t)n;
	}
	return CLI_EXIT_OK;
}

/* As typed, but "." and ".." and links to them have no name of their own. */
static int
name_it(struct send_source *s, const char *what)
{
	struct transfer_name name;
	char real[PATH_MAX];
	int r = transfer_name_component(&name, what, strlen(what));

	if ((r == -ENOENT || r == -EPERM) && realpath(what, real) != NULL)
		r = transfer_name_component(&name, real, strlen(real));
	if (r < 0) {
		cli_out_error("%s: %s", what,
		    transfer_name_error(
			r, s->facts.kind == TRANSFER_KIND_DIRECTORY));
		return CLI_EXIT_FAILED;
	}
	memcpy(s->facts.name, name.text, sizeof(s->facts.name));
	return CLI_EXIT_OK;
}

static void
on_problem(void *arg, enum archive_problem problem, const char *path, int r)
{
	char reason[CLI_OUT_MAX_REASON], quoted[TRANSFER_NAME_QUOTED(256)];

	(void)arg;
	(void)transfer_name_quote(quoted, sizeof(quoted), path, strlen(path));
	cli_out_error("%s: %s%s%s", quoted, archive_report_text(problem),
	    r < 0 ? ": " : "", r < 0 ? cli_out_reason(r, reason) : "");
}

static int
measure(struct send_source *s, const char *what)
{
	struct archive_pack_params p = { .dir = s->fd,
		.on_problem = on_problem };
	int r = archive_pack_measure(&p, &s->measured);

	if (r < 0)
		return tell(what, r);
	s->facts.size = s->measured.tar_size;
	return CLI_EXIT_OK;
}

/* A file whose size says nothing, as those in /proc. */
static bool
is_made_up(int fd)
{
	struct stdio_source in;
	bool is_file;

	if (stdio_source_open(fd, STDIO_SOURCE_IN, &in) < 0)
		return false;
	is_file = in.kind == STDIO_SOURCE_FILE;
	stdio_source_fini(&in);
	return !is_file;
}

static int
open_path(struct send_source *s, const char *what, const struct stat *st)
{
	bool is_folder = S_ISDIR(st->st_mode);
	int code;

	s->facts.kind =
	    is_folder ? TRANSFER_KIND_DIRECTORY : TRANSFER_KIND_FILE;
	code = name_it(s, what);
	if (code != CLI_EXIT_OK)
		return code;
	s->fd = open(what,
	    O_RDONLY | O_CLOEXEC | O_NOCTTY | (is_folder ? O_DIRECTORY : 0));
	if (s->fd < 0)
		return tell(what, -errno);
	if (is_folder)
		return measure(s, what);
	s->is_pumped = S_ISREG(st->st_mode) && is_made_up(s->fd);
	s->facts.positioned = S_ISREG(st->st_mode) && !s->is_pumped;
	s->facts.size = s->facts.positioned ? (int64_t)st->st_size : -1;
	/* Pipes and devices: ours alone since open(). */
	if (!S_ISREG(st->st_mode) && fd_set_nonblock(s->fd) < 0)
		return tell(what, -errno);
	return CLI_EXIT_OK;
}

static int
open_what(struct send_source *s, const char *what)
{
	struct stat st;

	if (*what == '\0')
		return open_stdin(s);
	if (stat(what, &st) == 0)
		return open_path(s, what, &st);
	/* What names nothing is a text, however long. */
	if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
		return open_text(s, what);
	return tell(what, -errno);
}

int
send_source_open(const char *what, struct send_source **ret_source)
{
	struct send_source *s = calloc(1, sizeof(*s));
	int code;

	if (s == NULL)
		return tell(what, -ENOMEM);
	s->fd = s->pipe = -1;
	code = open_what(s, what);
	if (code == CLI_EXIT_OK)
		*ret_source = s;
	else
		send_source_free(s);
	return code;
}

int
send_source_header(const struct send_source *s, struct buf_writer *w)
{
	const struct transfer_directory d = { s->measured.files,
		s->measured.bytes };
	struct transfer_header *h = calloc(1, sizeof(*h));
	int r;

	if (h == NULL)
		return -ENOMEM;
	h->kind = s->facts.kind;
	h->version = 1;
	if (s->facts.kind != TRANSFER_KIND_TEXT && s->facts.size > 0)
		h->size = s->facts.size;
	memcpy(h->name, s->facts.name, sizeof(s->facts.name));
	if (s->facts.kind == TRANSFER_KIND_DIRECTORY)
		transfer_header_set_directory(h, &d);
	r = transfer_header_encode(w, h);
	free(h);
	return r;
}

static void
on_pumped(void *arg, int r)
{
	struct send_source *s = arg;

	if (r >= 0)
		return;
	(void)tell(s->facts.from_stdin ? "read stdin" : s->facts.name, r);
	s->on_failed(s->arg, r);
}

static void
on_packed(void *arg, int r, const struct archive_totals *totals)
{
	struct send_source *s = arg;

	if (totals != NULL) {
		s->packed = *totals;
		s->is_packed = true;
		fd_close(&s->pipe);
	} else if (r != -EPIPE) { /* that the worker tells */
		(void)tell(s->facts.name, r);
		s->on_failed(s->arg, r);
	}
}

static int
start_folder(struct send_source *s, struct loop *loop, int *ret_fd)
{
	struct archive_pack_params pack = { .dir = s->fd };
	struct archive_proc_params p = { .loop = loop,
		.on_problem = on_problem,
		.on_done = on_packed,
		.arg = s };
	int fd = -1, r = archive_proc_pack(&p, &pack, &fd, &s->proc);

	if (r == 0) {
		s->pipe = fd_reopen(fd, O_WRONLY | O_NONBLOCK);
		r = fd_set_nonblock(fd);
	}
	if (r < 0)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return r;
}

static int
start_pump(struct send_source *s, struct loop *loop, int user_fd, int *ret_fd)
{
	struct pump_params p = { .loop = loop,
		.fd = user_fd,
		.direction = PUMP_IN,
		.on_done = on_pumped,
		.arg = s };

	return pump_attach(&p, ret_fd, &s->pump);
}

int
send_source_start(struct send_source *s, struct loop *loop,
    void (*on_failed)(void *arg, int r), void *arg, int *ret_fd)
{
	int fd;

	s->on_failed = on_failed;
	s->arg = arg;
	if (s->facts.from_stdin && s->in.fd < 0)
		return start_pump(s, loop, STDIN_FILENO, ret_fd);
	if (s->is_pumped)
		return start_pump(s, loop, s->fd, ret_fd);
	if (s->facts.kind == TRANSFER_KIND_DIRECTORY)
		return start_folder(s, loop, ret_fd);
	fd = fcntl(s->facts.from_stdin ? s->in.fd : s->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* The peer has the archive.  Is it what was announced, and all there is? */
static int
finish_folder(struct send_source *s)
{
	const struct archive_totals *t = &s->packed;
	char size[TRANSFER_PROGRESS_MAX_SIZE];

	archive_proc_poll(s->proc);
	if (!s->is_packed)
		return tell(s->facts.name, -DT_ERR_WORKER_LOST);
	if (t->faults > 0) {
		cli_out_error("%s: %lld entries are missing or not what they "
			      "were",
		    s->facts.name, (long long)t->faults);
		return CLI_EXIT_LOCAL_IO;
	}
	if (t->files == s->measured.files && t->bytes == s->measured.bytes)
		return CLI_EXIT_OK;
	transfer_progress_size(size, t->bytes);
	cli_out_error("%s: changed meanwhile: %lld files, %s (uncompressed) "
		      "were sent",
	    s->facts.name, (long long)t->files, size);
	return CLI_EXIT_OK;
}

int
send_source_finish(struct send_source *s, int64_t count)
{
	if (s->has_in) {
		int r = stdio_source_finish(&s->in, count);

		return r < 0 ? tell("read stdin", r) : CLI_EXIT_OK;
	}
	return s->proc != NULL ? finish_folder(s) : CLI_EXIT_OK;
}
