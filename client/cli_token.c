/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mono.h"
#include "proto/token/token_classify.h"

static int
fail(const struct cli_call *call, const char *message)
{
	return cli_main_usage(call, message);
}

static int
fail_io(
    const struct cli_call *call, const char *verb, const char *path, int error)
{
	char reason[CLI_OUT_MAX_REASON], text[CLI_MAX_ERROR];

	(void)snprintf(text, sizeof(text), "read --token-file: %s %s: %s", verb,
	    path, cli_out_reason(-error, reason));
	return fail(call, text);
}

/* Fills the buffer up to its end, end of file or, if asked, a newline; reads
 * single bytes then, as the rest of stdin is payload.  Returns bytes, -errno.
 */
static ssize_t
slurp(int fd, char *buf, size_t cap, bool one_line)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, buf + len, one_line ? 1 : cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || (one_line && buf[len] == '\n'))
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Leaves the last word, or nothing. */
static void
trim(struct cli_token *token)
{
	size_t len;
	const char *word = token_classify_trim_line(token->text, &len);

	memmove(token->text, word, len);
	secret_wipe(token->text + len, sizeof(token->text) - len);
}

/* Puts @n bytes of a source in place, or says what is wrong with them. */
static int
accept_source(const struct cli_call *call, struct cli_token *token, ssize_t n,
    const char *name)
{
	char text[64];

	if ((size_t)n == sizeof(token->text)) {
		(void)snprintf(text, sizeof(text), "%s is too long", name);
		return fail(call, text);
	}
	token->text[n] = '\0';
	trim(token);
	if (token->text[0] != '\0')
		return CLI_EXIT_OK;
	(void)snprintf(text, sizeof(text), "%s is empty", name);
	return fail(call, text);
}

static int
read_file(
    const struct cli_call *call, const char *path, struct cli_token *token)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return fail_io(call, "open", path, errno);
	n = slurp(fd, token->text, sizeof(token->text), false);
	fd_close(&fd);
	if (n < 0)
		return fail_io(call, "read", path, (int)-n);
	return accept_source(call, token, n, "--token-file");
}

static int
read_stdin(const struct cli_call *call, struct cli_token *token)
{
	ssize_t n = slurp(STDIN_FILENO, token->text, sizeof(token->text), true);
	char reason[CLI_OUT_MAX_REASON], text[CLI_MAX_ERROR];

	if (n >= 0)
		return accept_source(call, token, n, "--token-stdin");
	(void)snprintf(text, sizeof(text), "read --token-stdin: %s",
	    cli_out_reason((int)n, reason));
	return fail(call, text);
}

int
cli_token_read(
    const struct cli_call *call, bool is_required, struct cli_token *ret_token)
{
	const char *word = cli_args_text(call->args, "token");
	const char *path = cli_args_text(call->args, "token-file");
	bool from_stdin = cli_args_flag(call->args, "token-stdin");
	int given = (*word != '\0') + (*path != '\0') + from_stdin;

	ret_token->text[0] = '\0';
	if (is_required && given != 1)
		return fail(call,
		    "exactly one of --token, --token-file, or --token-stdin is "
		    "required");
	if (given > 1)
		return fail(call,
		    "at most one of --token, --token-file, or --token-stdin "
		    "may be set");
	if (from_stdin)
		return read_stdin(call, ret_token);
	if (*path != '\0')
		return read_file(call, path, ret_token);
	if (!cli_token_set(ret_token, word))
		return fail(call, "--token is too long");
	return CLI_EXIT_OK;
}

bool
cli_token_set(struct cli_token *token, const char *word)
{
	size_t len = strlen(word);

	if (len >= sizeof(token->text))
		return false;
	memcpy(token->text, word, len + 1);
	trim(token);
	return true;
}

void
cli_token_wipe(struct cli_token *token)
{
	secret_wipe(token, sizeof(*token));
}

/* The reason, and what the token is when it is another kind of credential. */
static int
refuse(const struct cli_token *token, enum token_kind wanted,
    const char *reason, int code)
{
	enum token_kind kind = token_classify(token->text);

	if (kind != TOKEN_KIND_UNKNOWN && kind != wanted)
		cli_out_error(
		    "%s: this is a %s", reason, token_classify_name(kind));
	else
		cli_out_error("%s", reason);
	return code;
}

/* What to run with a session token. */
static const char *
right_command(uint32_t capabilities)
{
	if ((capabilities & TOKEN_CAP_STDIO_OFFER) != 0 ||
	    (capabilities & TOKEN_CAP_WEB_FILE) != 0)
		return "derphole receive";
	if ((capabilities & TOKEN_CAP_STDIO) != 0)
		return "derphole pipe or send";
	if ((capabilities & TOKEN_CAP_SHARE) != 0)
		return "derphole open";
	return (capabilities & TOKEN_CAP_ATTACH) != 0 ? "derphole ssh accept"
						      : NULL;
}

/* What a session token is good for.  Returns an exit code. */
static int
get_capabilities(const struct cli_token *token, uint32_t *ret_capabilities)
{
	struct session_token t;
	struct token_error error;

	if (token_session_decode(&t, token->text, mono_unix_seconds(), &error) <
	    0)
		return refuse(
		    token, TOKEN_KIND_SESSION, error.text, CLI_EXIT_FAILED);
	*ret_capabilities = t.capabilities;
	token_session_wipe(&t);
	return CLI_EXIT_OK;
}

static int
unknown_session(uint32_t capabilities)
{
	const char *command = right_command(capabilities);

	if (command != NULL)
		cli_out_error("unknown session: this token is for %s", command);
	else
		cli_out_error("unknown session");
	return CLI_EXIT_FAILED;
}

static int
check(const struct cli_token *token, uint32_t wanted)
{
	uint32_t capabilities = 0;
	int code = get_capabilities(token, &capabilities);

	if (code != CLI_EXIT_OK || (capabilities & wanted) == wanted)
		return code;
	if ((wanted & ~capabilities) != TOKEN_CAP_TRANSFER_V2)
		return unknown_session(capabilities);
	cli_out_error("external v2 transfer unsupported");
	return CLI_EXIT_FAILED;
}

int
cli_token_check_share(const struct cli_token *token)
{
	return check(token, TOKEN_CAP_SHARE);
}

int
cli_token_check_pipe(const struct cli_token *token)
{
	return check(token, TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2);
}

int
cli_token_check_accept(const struct cli_token *token)
{
	return check(token, TOKEN_CAP_ATTACH);
}

int
cli_token_check_receive(const struct cli_token *token)
{
	const uint32_t wanted = TOKEN_CAP_STDIO_OFFER | TOKEN_CAP_TRANSFER_V2;
	uint32_t capabilities = 0;
	int code = get_capabilities(token, &capabilities);

	if (code != CLI_EXIT_OK || (capabilities & wanted) == wanted)
		return code;
	if ((capabilities & TOKEN_CAP_STDIO_OFFER) != 0)
		cli_out_error("unknown session");
	else if ((capabilities & TOKEN_CAP_STDIO) != 0)
		cli_out_error("this code expects `derphole send`, not "
			      "`derphole receive`");
	else if ((capabilities & TOKEN_CAP_WEB_FILE) != 0)
		cli_out_error("unsupported receive code: codes of browsers "
			      "are not supported");
	else if (right_command(capabilities) != NULL)
		cli_out_error("unsupported send code: this code is for %s",
		    right_command(capabilities));
	else
		cli_out_error("unsupported send code");
	return CLI_EXIT_FAILED;
}

int
cli_token_check_client(const struct cli_token *token)
{
	struct derptun_client_token t;
	struct token_error error;
	int r;

	if (token_classify(token->text) == TOKEN_KIND_DERPTUN_SERVER) {
		cli_out_error("server tokens are for derptun serve; use a "
			      "client token or copy the command printed by "
			      "derptun serve");
		return CLI_EXIT_USAGE;
	}
	r = token_derptun_decode_client(
	    &t, token->text, mono_unix_seconds(), &error);
	if (r < 0)
		return refuse(token, TOKEN_KIND_DERPTUN_CLIENT, error.text,
		    CLI_EXIT_USAGE);
	token_derptun_wipe_client(&t);
	return CLI_EXIT_OK;
}

int
cli_token_check_server(
    const struct cli_token *token, struct derptun_server_token *ret_server)
{
	struct token_error error;
	int r = token_derptun_decode_server(
	    ret_server, token->text, mono_unix_seconds(), &error);

	if (r < 0)
		return refuse(token, TOKEN_KIND_DERPTUN_SERVER, error.text,
		    CLI_EXIT_FAILED);
	return CLI_EXIT_OK;
}
