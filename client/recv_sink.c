/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A saved sink is final: the file has its name, the folder its name, the pipe
 * its last byte.  For that, saving waits for what runs beside: the copying to a
 * descriptor of the user's, or the child that unpacks.
 */
#include "client/recv_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/archive_proc.h"
#include "client/cli_out.h"
#include "client/out_file.h"
#include "client/pump.h"
#include "client/stdio_source.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/transfer/transfer_name.h"

struct recv_sink {
	struct recv_sink_params p;
	char reason[RECV_SINK_MAX_REASON];
	/* stdout */
	struct stdio_source out;
	bool is_stdout;
	struct pump *pump;
	/* file, folder */
	struct out_file *file;
	struct archive_unpack *unpack;
	struct archive_proc *proc;
	int pipe; /* its end, so that the worker waits for what we say */
	/* Its other end: what the worker gives up is no archive that ends. */
	int hold;
	struct archive_totals totals;
	enum archive_problem problem; /* the first that ended it */
	bool has_totals;
	/* saving */
	bool is_beside; /* a pump or child is still at it */
	bool is_saving;
	bool is_given_up;
	int64_t count;
	int r; /* of what ran beside */
};

struct recv_sink *
recv_sink_new(const struct recv_sink_params *p)
{
	struct recv_sink *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		s->p = *p;
		s->pipe = s->hold = -1;
	}
	return s;
}

void
recv_sink_free(struct recv_sink *s)
{
	if (s == NULL)
		return;
	pump_free(s->pump);
	if (s->is_stdout)
		stdio_source_fini(&s->out);
	out_file_free(s->file);
	archive_proc_free(s->proc);
	archive_unpack_free(s->unpack);
	fd_close(&s->pipe);
	fd_close(&s->hold);
	free(s);
}

const char *
recv_sink_reason(const struct recv_sink *s)
{
	return s->reason;
}

/* "NAME: what the system said" */
static int
fail(struct recv_sink *s, int r, const char *name)
{
	char text[CLI_OUT_MAX_REASON];

	if (*name != '\0')
		(void)snprintf(s->reason, sizeof(s->reason), "%.255s: %s", name,
		    cli_out_reason(r, text));
	else
		(void)snprintf(s->reason, sizeof(s->reason), "%s",
		    cli_out_reason(r, text));
	return r;
}

static void finish_save(struct recv_sink *s);

static void
on_pumped(void *arg, int r)
{
	struct recv_sink *s = arg;

	s->is_beside = false;
	s->r = r;
	if (s->is_given_up)
		return;
	if (s->is_saving)
		finish_save(s);
	else if (r < 0) /* the worker would wait for ever to write on */
		s->p.on_failed(s->p.arg, fail(s, r, "write stdout"));
}

/* A descriptor into which the worker writes and that is copied to stdout. */
static int
pump_stdout(struct recv_sink *s, struct recv_fd *ret_fd)
{
	struct pump_params pp = { .loop = s->p.loop,
		.fd = STDOUT_FILENO,
		.direction = PUMP_OUT,
		.on_done = on_pumped,
		.arg = s };
	int r = pump_attach(&pp, &ret_fd->fd, &s->pump);

	s->is_beside = r == 0 && s->pump != NULL;
	return r < 0 ? fail(s, r, "write stdout") : 0;
}

int
recv_sink_stdout(struct recv_sink *s, bool in_order, struct recv_fd *ret_fd)
{
	int r = stdio_source_open(STDOUT_FILENO, STDIO_SOURCE_OUT, &s->out);

	if (r < 0)
		return fail(s, r, "write stdout");
	s->is_stdout = true;
	*ret_fd = (struct recv_fd){ .fd = -1 };
	if (s->out.fd < 0 || (in_order && s->out.kind == STDIO_SOURCE_FILE)) {
		stdio_source_fini(&s->out);
		s->is_stdout = false;
		return pump_stdout(s, ret_fd);
	}
	ret_fd->positioned = stdio_source_is_positioned(&s->out);
	ret_fd->offset = ret_fd->positioned ? s->out.offset : 0;
	ret_fd->fd = fcntl(s->out.fd, F_DUPFD_CLOEXEC, 0);
	return ret_fd->fd < 0 ? fail(s, -errno, "write stdout") : 0;
}

int
recv_sink_file(struct recv_sink *s, const char *name, int64_t size, bool blocks,
    struct recv_fd *ret_fd)
{
	struct out_file_params p = { .output = s->p.output,
		.name = name,
		.size = size,
		.replace = OUT_FILE_REPLACE_NAMED };
	int r = out_file_open(&p, &s->file);

	if (r == -EEXIST && *s->p.output == '\0') {
		(void)snprintf(s->reason, sizeof(s->reason),
		    "%.255s: file exists; use -o to replace it", name);
		return r;
	}
	if (r < 0)
		return fail(s, r, *s->p.output != '\0' ? s->p.output : name);
	ret_fd->positioned = ret_fd->sparse = out_file_is_regular(s->file);
	ret_fd->offset = 0;
	if (blocks && !ret_fd->positioned)
		return fail(s, -ESPIPE, s->p.output);
	ret_fd->fd = fcntl(out_file_fd(s->file), F_DUPFD_CLOEXEC, 0);
	return ret_fd->fd < 0 ? fail(s, -errno, name) : 0;
}

static void
on_problem(void *arg, enum archive_problem problem, const char *path, int r)
{
	struct recv_sink *s = arg;
	char quoted[TRANSFER_NAME_QUOTED(256)], reason[CLI_OUT_MAX_REASON];

	(void)transfer_name_quote(quoted, sizeof(quoted), path, strlen(path));
	if (problem == ARCHIVE_PROBLEM_RENAMED) {
		cli_out_error("%s: %s", quoted, archive_report_text(problem));
		return;
	}
	if (s->problem != ARCHIVE_PROBLEM_NONE)
		return;
	s->problem = problem;
	(void)snprintf(s->reason, sizeof(s->reason), "%.400s: %s%s%s", quoted,
	    archive_report_text(problem), r < 0 ? ": " : "",
	    r < 0 ? cli_out_reason(r, reason) : "");
}

/* Its own words, or the system's. */
static int
explain(struct recv_sink *s, int r)
{
	return s->reason[0] == '\0' ? fail(s, r, recv_sink_peek_leaf(s)) : r;
}

static void
on_unpacked(void *arg, int r, const struct archive_totals *totals)
{
	struct recv_sink *s = arg;

	s->is_beside = false;
	s->r = r;
	if (totals != NULL)
		s->totals = *totals;
	s->has_totals = totals != NULL;
	if (s->is_given_up)
		return;
	if (s->is_saving)
		finish_save(s);
	else if (r < 0)
		s->p.on_failed(s->p.arg, explain(s, r));
}

int
recv_sink_folder(struct recv_sink *s, const char *name, struct recv_fd *ret_fd)
{
	struct archive_unpack_params up = { .output = s->p.output,
		.name = name,
		.on_problem = on_problem,
		.arg = s };
	struct archive_proc_params pp = { .loop = s->p.loop,
		.on_problem = on_problem,
		.on_done = on_unpacked,
		.arg = s };
	int r = archive_unpack_open(&up, &s->unpack);

	if (r < 0)
		return fail(s, r, *s->p.output != '\0' ? s->p.output : name);
	*ret_fd = (struct recv_fd){ .fd = -1 };
	r = archive_proc_unpack(&pp, s->unpack, &ret_fd->fd, &s->proc);
	if (r == 0) {
		s->is_beside = true;
		s->pipe = fd_reopen(ret_fd->fd, O_RDONLY | O_NONBLOCK);
		s->hold = fcntl(ret_fd->fd, F_DUPFD_CLOEXEC, 0);
		r = fd_set_nonblock(ret_fd->fd);
	}
	if (r < 0) {
		fd_close(&ret_fd->fd);
		return fail(s, r, name);
	}
	return 0;
}

const char *
recv_sink_peek_leaf(const struct recv_sink *s)
{
	if (s->file != NULL)
		return out_file_peek_leaf(s->file);
	return s->unpack != NULL ? archive_unpack_peek_leaf(s->unpack) : "";
}

void
recv_sink_flush(struct recv_sink *s)
{
	if (s->file != NULL)
		out_file_flush(s->file);
}

static int
commit(struct recv_sink *s)
{
	int r = s->r;

	if (s->unpack != NULL) {
		if (r == 0)
			r = archive_unpack_commit(s->unpack);
		return r < 0 ? explain(s, r) : 0;
	}
	if (s->file != NULL) {
		r = out_file_commit(s->file, s->count);
		return r < 0 ? fail(s, r, recv_sink_peek_leaf(s)) : 0;
	}
	if (s->is_stdout && r == 0)
		r = stdio_source_finish(&s->out, s->count);
	return r < 0 ? fail(s, r, "write stdout") : 0;
}

static void
finish_save(struct recv_sink *s)
{
	s->is_saving = false;
	s->p.on_saved(s->p.arg, commit(s));
}

void
recv_sink_save(struct recv_sink *s, int64_t count)
{
	s->count = count;
	s->is_saving = true;
	fd_close(&s->hold);
	if (!s->is_beside)
		finish_save(s);
}

void
recv_sink_give_up(struct recv_sink *s)
{
	s->is_given_up = true;
}

const struct archive_totals *
recv_sink_totals(const struct recv_sink *s)
{
	return s->has_totals ? &s->totals : NULL;
}

bool
recv_sink_is_regular(const char *output)
{
	struct stat st;

	/* A folder gets a file, and so does a name that is free. */
	return *output == '\0' || stat(output, &st) != 0 ||
	       S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}
