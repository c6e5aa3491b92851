/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/stdio_source.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "test/tap.h"

static char root[] = "/tmp/t_stdio_source.XXXXXX";
static struct stdio_source s;

static int
file(int flags)
{
	int fd = open("file", flags | O_CLOEXEC, 0600);

	if (fd < 0)
		abort();
	return fd;
}

static void
put(const char *text)
{
	int fd = file(O_WRONLY | O_CREAT | O_TRUNC);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	fd_close(&fd);
}

static const char *
get(void)
{
	static char text[256];
	int fd = file(O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	fd_close(&fd);
	return text;
}

/* Its file description is not the user's. */
static bool
is_own(int fd)
{
	int before = fcntl(fd, F_GETFL), own = fcntl(s.fd, F_GETFL);
	bool shared;

	(void)fcntl(s.fd, F_SETFL, own ^ O_NONBLOCK);
	shared = fcntl(fd, F_GETFL) != before;
	(void)fcntl(s.fd, F_SETFL, own);
	return !shared;
}

static void
test_input(void)
{
	char text[16] = { 0 };
	int fd;

	put("0123456789");
	fd = file(O_RDONLY);
	EQ_INT(lseek(fd, 3, SEEK_SET), 3, "somebody read some of it");
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "a file");
	EQ_INT(s.kind, STDIO_SOURCE_FILE, "kind");
	EQ_INT(s.offset, 3, "offset");
	EQ_INT(s.size, 7, "size");
	OK(stdio_source_is_positioned(&s), "positioned");
	OK(is_own(fd), "a description of its own");
	EQ_INT(fcntl(s.fd, F_GETFL) & O_NONBLOCK, 0, "blocking");
	EQ_INT(fcntl(s.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC, "close-on-exec");
	EQ_INT(pread(s.fd, text, 4, s.offset), 4, "read");
	EQ_STR(text, "3456", "text");
	EQ_INT(lseek(fd, 0, SEEK_CUR), 3, "the user's offset is not touched");
	EQ_INT(stdio_source_finish(&s, 4), 0, "finish");
	EQ_INT(lseek(fd, 0, SEEK_CUR), 7, "now it moved");
	stdio_source_fini(&s);
	EQ_INT(s.fd, -1, "closed");
	EQ_INT(lseek(fd, 50, SEEK_SET), 50, "behind the end");
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "opens");
	EQ_INT(s.size, 0, "nothing is there");
	stdio_source_fini(&s);
	EQ_INT(unlink("file"), 0, "a file without name");
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "opens");
	EQ_INT(pread(s.fd, text, 4, 0), 4, "and reads");
	stdio_source_fini(&s);
	fd_close(&fd);
	put("");
	fd = file(O_RDONLY);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "empty");
	EQ_INT(s.kind, STDIO_SOURCE_FILE, "is a file");
	EQ_INT(s.size, 0, "of size 0");
	stdio_source_fini(&s);
	fd_close(&fd);
}

static void
test_output(void)
{
	int fd;

	put("0123456789");
	fd = file(O_WRONLY);
	EQ_INT(lseek(fd, 2, SEEK_SET), 2, "something was written before");
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_OUT, &s), 0, "1<> file");
	EQ_INT(s.size, -1, "no size");
	OK(stdio_source_is_positioned(&s) && !s.is_append, "positioned");
	OK(is_own(fd), "a description of its own");
	EQ_INT(pwrite(s.fd, "cd", 2, s.offset + 2), 2, "in any order");
	EQ_INT(pwrite(s.fd, "ab", 2, s.offset), 2, "by offset");
	EQ_INT(lseek(fd, 0, SEEK_CUR), 2, "the user's offset is not touched");
	EQ_INT(stdio_source_finish(&s, 4), 0, "finish");
	EQ_STR(get(), "01abcd", "ends there");
	EQ_INT(write(fd, "!", 1), 1, "the shell's next program");
	EQ_STR(get(), "01abcd!", "goes on behind it");
	EQ_INT(stdio_source_finish(&s, -1), -EINVAL, "negative");
	EQ_INT(stdio_source_finish(&s, INT64_MAX), -EINVAL, "too much");
	stdio_source_fini(&s);
	fd_close(&fd);

	put("old ");
	fd = file(O_WRONLY | O_APPEND);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_OUT, &s), 0, ">> file");
	OK(s.is_append && !stdio_source_is_positioned(&s), "not positioned");
	OK((fcntl(s.fd, F_GETFL) & O_APPEND) != 0, "ours appends, too");
	EQ_INT(write(s.fd, "new", 3), 3, "write");
	EQ_INT(stdio_source_finish(&s, 3), 0, "finish");
	EQ_STR(get(), "old new", "appended, and nothing cut");
	stdio_source_fini(&s);
	fd_close(&fd);

	fd = file(O_RDWR | O_APPEND);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "0<>>");
	OK(!s.is_append && stdio_source_is_positioned(&s), "reads by offset");
	stdio_source_fini(&s);
	fd_close(&fd);
}

static void
test_pipe(void)
{
	struct stdio_source out;
	char c;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		abort();
	EQ_INT(stdio_source_open(fds[0], STDIO_SOURCE_IN, &s), 0, "a pipe");
	EQ_INT(s.kind, STDIO_SOURCE_PIPE, "kind");
	EQ_INT(s.size, -1, "size");
	OK(!stdio_source_is_positioned(&s), "not positioned");
	OK(is_own(fds[0]), "a description of its own");
	EQ_INT(read(s.fd, &c, 1), -1, "nothing there");
	EQ_INT(errno, EAGAIN, "and no waiting");
	EQ_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0, "the user's waits");
	EQ_INT(stdio_source_open(fds[1], STDIO_SOURCE_OUT, &out), 0, "its end");
	EQ_INT(write(out.fd, "x", 1), 1, "write");
	EQ_INT(read(s.fd, &c, 1), 1, "read");
	EQ_INT(stdio_source_finish(&s, 1), 0, "nothing to finish");
	stdio_source_fini(&s);
	EQ_INT(stdio_source_finish(&out, 1), 0, "nothing to finish");
	stdio_source_fini(&out);
	EQ_INT(stdio_source_open(fds[0], STDIO_SOURCE_OUT, &s), -EBADF,
	    "wrong direction");
	EQ_INT(stdio_source_open(fds[1], STDIO_SOURCE_IN, &s), -EBADF,
	    "wrong direction");
	fd_close(&fds[0]);
	fd_close(&fds[1]);
}

static void
test_others(void)
{
	int fds[2], fd;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		abort();
	EQ_INT(stdio_source_open(fds[0], STDIO_SOURCE_IN, &s), 0, "a socket");
	EQ_INT(s.kind, STDIO_SOURCE_SOCKET, "kind");
	EQ_INT(s.fd, -1, "to be pumped");
	stdio_source_fini(&s);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	if (openpty(&fds[0], &fds[1], NULL, NULL, NULL) == 0) {
		EQ_INT(stdio_source_open(fds[1], STDIO_SOURCE_IN, &s), 0,
		    "a terminal");
		EQ_INT(s.kind, STDIO_SOURCE_TTY, "kind");
		OK(s.fd >= 0 && is_own(fds[1]), "of its own");
		stdio_source_fini(&s);
		fd_close(&fds[0]);
		fd_close(&fds[1]);
	}
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "a device");
	EQ_INT(s.kind, STDIO_SOURCE_DEVICE, "kind");
	OK(s.fd >= 0 && is_own(fd), "of its own");
	stdio_source_fini(&s);
	fd_close(&fd);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "of /proc");
	EQ_INT(s.kind, STDIO_SOURCE_DEVICE, "no size to trust");
	EQ_INT(s.size, -1, "size");
	EQ_INT(s.fd, -1, "to be pumped");
	OK(!stdio_source_is_positioned(&s), "not positioned");
	stdio_source_fini(&s);
	fd_close(&fd);
	fd = memfd_create("x", MFD_CLOEXEC);
	EQ_INT(ftruncate(fd, 5), 0, "in memory");
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), 0, "opens");
	EQ_INT(s.kind, STDIO_SOURCE_FILE, "a file");
	EQ_INT(s.size, 5, "size");
	stdio_source_fini(&s);
	EQ_INT(fchmod(fd, 0), 0, "not to be opened, but by root");
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_OUT, &s), 0, "is shared");
	OK(s.fd >= 0, "by offset");
	stdio_source_fini(&s);
	fd_close(&fd);
}

static void
test_refused(void)
{
	int fd = open(".", O_RDONLY | O_CLOEXEC);

	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), -EISDIR, "folder");
	fd_close(&fd);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), -EBADF, "closed");
	fd = open("file", O_PATH | O_CLOEXEC);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_IN, &s), -EBADF, "a path");
	fd_close(&fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	EQ_INT(stdio_source_open(fd, STDIO_SOURCE_OUT, &s), 0, "a device");
	EQ_INT(stdio_source_finish(&s, 0), 0, "nothing to finish");
	stdio_source_fini(&s);
	fd_close(&fd);
}

int
main(void)
{
	if (mkdtemp(root) == NULL || chdir(root) != 0)
		abort();
	test_input();
	test_output();
	test_pipe();
	test_others();
	test_refused();
	OK(unlink("file") == 0 && chdir("/") == 0 && rmdir(root) == 0,
	    "nothing else is left");
	return tap_done();
}
