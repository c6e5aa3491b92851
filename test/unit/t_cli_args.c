/* SPDX-License-Identifier: BSD-3-Clause */
/* Every row was seen in the peer v0.18.2 at its command line. */
#include <stdlib.h>

#include "client/cli_args.h"
#include "test/tap.h"

#define MAX_WORDS 24

static const struct cli_option options[] = {
	{ "force-relay", '\0', CLI_BOOL, "" },
	{ "parallel", 'P', CLI_STRING, "" },
	{ "days", '\0', CLI_INT, "" },
	{ "stun", '\0', CLI_STRINGS, "" },
	{ .name = NULL },
};

static const struct cli_positional one_or_two[] = {
	{ "token", false, "" },
	{ "bindaddr", true, "" },
	{ .name = NULL },
};

static const struct cli_positional one[] = {
	{ "target", false, "" },
	{ .name = NULL },
};

static const struct cli_command open_cmd = {
	.name = "open", .options = options, .positionals = one_or_two
};
static const struct cli_command share_cmd = {
	.name = "share", .options = options, .positionals = one
};
static const struct cli_command bare_cmd = { .name = "serve",
	.options = options };
static const struct cli_command version_cmd = { .name = "version",
	.ignores_args = true };

/* Words are separated by blanks; "''" is the empty word. */
struct line {
	char *argv[MAX_WORDS + 1];
	int argc;
	char text[256];
};

static void
split(struct line *l, const char *text)
{
	char *save, *word;

	memset(l, 0, sizeof(*l));
	(void)snprintf(l->text, sizeof(l->text), "%s", text);
	for (word = strtok_r(l->text, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		if (strcmp(word, "''") == 0)
			*word = '\0';
		l->argv[l->argc++] = word;
	}
}

struct parse_row {
	const struct cli_command *cmd;
	const char *line;
	enum cli_outcome outcome;
	const char *error; /* with CLI_USAGE */
};

#define NOT_BOOL(x)                                                            \
	"invalid bool value \"" x "\": strconv.ParseBool: parsing \"" x        \
	"\": invalid syntax"
#define NOT_INT(x, why)                                                        \
	"invalid int value \"" x "\": strconv.ParseInt: parsing \"" x "\":"    \
	" " why

static const struct parse_row parse_rows[] = {
	{ &open_cmd, "tok", CLI_OK, "" },
	{ &open_cmd, "tok addr", CLI_OK, "" },
	{ &open_cmd, "-force-relay tok", CLI_OK, "" },
	{ &open_cmd, "tok --force-relay", CLI_OK, "" },
	{ &open_cmd, "-P 4 tok", CLI_OK, "" },
	{ &open_cmd, "--P 4 tok", CLI_OK, "" },
	{ &open_cmd, "-parallel=4 tok", CLI_OK, "" },
	{ &open_cmd, "tok -P", CLI_OK, "" },
	{ &open_cmd, "-P -5 tok", CLI_OK, "" },
	{ &open_cmd, "-P -1.5 tok", CLI_OK, "" },
	{ &open_cmd, "-P -.5 tok", CLI_OK, "" },
	{ &open_cmd, "-P -5x tok", CLI_USAGE, "unknown flag: --5x" },
	{ &open_cmd, "-P4 tok", CLI_USAGE, "unknown flag: --P4" },
	{ &open_cmd, "-nope tok", CLI_USAGE, "unknown flag: --nope" },
	{ &open_cmd, "--nope=x tok", CLI_USAGE, "unknown flag: --nope" },
	{ &open_cmd, "--paralle tok", CLI_USAGE, "unknown flag: --paralle" },
	{ &open_cmd, "tok -", CLI_USAGE, "unknown flag: --" },
	{ &open_cmd, "tok -1", CLI_USAGE, "unknown flag: --1" },
	{ &open_cmd, "tok --force-relay=zz", CLI_USAGE, NOT_BOOL("zz") },
	{ &open_cmd, "tok --force-relay=", CLI_USAGE, NOT_BOOL("") },
	{ &open_cmd, "tok --force-relay=F", CLI_OK, "" },
	{ &open_cmd, "tok --force-relay false", CLI_OK, "" },
	{ &open_cmd, "", CLI_USAGE, "'open' requires 1-2 argument(s), got 0" },
	{ &open_cmd, "a b c", CLI_USAGE,
	    "'open' requires 1-2 argument(s), got 3" },
	{ &share_cmd, "a b c d e", CLI_USAGE,
	    "'share' requires 1 argument(s), got 5" },
	{ &share_cmd, "-- a", CLI_USAGE,
	    "'share' requires 1 argument(s), got 0" },
	{ &share_cmd, "a -- b", CLI_USAGE, "" },
	{ &share_cmd, "a --", CLI_OK, "" },
	{ &share_cmd, "''", CLI_USAGE, "" },
	{ &bare_cmd, "x", CLI_USAGE, "" },
	{ &bare_cmd, "--days 5", CLI_OK, "" },
	{ &bare_cmd, "--days +5", CLI_OK, "" },
	{ &bare_cmd, "--days x", CLI_USAGE, NOT_INT("x", "invalid syntax") },
	{ &bare_cmd, "--days", CLI_USAGE, NOT_INT("", "invalid syntax") },
	{ &bare_cmd, "--days 1.5", CLI_USAGE,
	    NOT_INT("1.5", "invalid syntax") },
	{ &bare_cmd, "--days 0x5", CLI_USAGE,
	    NOT_INT("0x5", "invalid syntax") },
	{ &bare_cmd, "--days 9223372036854775807", CLI_OK, "" },
	{ &bare_cmd, "--days 9223372036854775808", CLI_USAGE,
	    NOT_INT("9223372036854775808", "value out of range") },
	{ &bare_cmd, "-stun a -stun=b --stun c --stun d --stun 5 --stun 6",
	    CLI_OK, "" },
	{ &bare_cmd,
	    "--stun 1 --stun 2 --stun 3 --stun 4 --stun 5 --stun 6 --stun 7 "
	    "--stun 8",
	    CLI_OK, "" },
	{ &bare_cmd,
	    "--stun 1 --stun 2 --stun 3 --stun 4 --stun 5 --stun 6 --stun 7 "
	    "--stun 8 --stun 9",
	    CLI_USAGE, "more than 8 times: --stun" },
	{ &share_cmd, "-h", CLI_HELP, "" },
	{ &share_cmd, "a b --nope --help", CLI_HELP, "" },
	{ &share_cmd, "-- -h", CLI_HELP, "" },
	{ &share_cmd, "--help-llm", CLI_HELP_LLM, "" },
	{ &share_cmd, "-help", CLI_USAGE, "unknown flag: --help" },
	{ &share_cmd, "--help=false x", CLI_USAGE, "unknown flag: --help" },
	{ &version_cmd, "--nope a b -- --help", CLI_OK, "" },
};

static void
test_parse(void)
{
	for (size_t i = 0; i < sizeof(parse_rows) / sizeof(parse_rows[0]);
	     i++) {
		const struct parse_row *row = &parse_rows[i];
		struct cli_error error = { "" };
		struct cli_args args;
		struct line l;

		split(&l, row->line);
		EQ_INT(cli_args_parse(&args, row->cmd, l.argc, l.argv, &error),
		    row->outcome, "%s: %s", row->cmd->name, row->line);
		if (row->outcome == CLI_USAGE)
			EQ_STR(error.text, row->error, "its message");
	}
}

static void
parse(struct cli_args *args, struct line *l, const struct cli_command *cmd,
    const char *text)
{
	struct cli_error error;

	split(l, text);
	EQ_INT(cli_args_parse(args, cmd, l->argc, l->argv, &error), CLI_OK,
	    "values of: %s", text);
}

static void
test_values(void)
{
	const char *const *texts;
	struct cli_args args;
	size_t n;
	struct line l;

	parse(&args, &l, &open_cmd, "tok");
	EQ_STR(cli_args_text(&args, "parallel"), "", "not given");
	OK(!cli_args_flag(&args, "force-relay"), "not given");
	EQ_INT(cli_args_number(&args, "days"), 0, "not given");
	EQ_STR(cli_args_positional(&args, 0), "tok", "positional");
	EQ_STR(cli_args_positional(&args, 1), "", "missing positional");

	parse(&args, &l, &open_cmd, "-P 1 --parallel=auto tok at -P 3");
	EQ_STR(cli_args_text(&args, "parallel"), "3", "the last one wins");
	EQ_STR(cli_args_positional(&args, 1), "at", "second positional");

	parse(&args, &l, &open_cmd, "tok -P --force-relay=T");
	EQ_STR(cli_args_text(&args, "parallel"), "", "no value is empty");
	OK(cli_args_flag(&args, "force-relay"), "a bool after it");

	parse(&args, &l, &open_cmd, "tok --force-relay --force-relay=0");
	OK(!cli_args_flag(&args, "force-relay"), "switched off again");

	parse(&args, &l, &open_cmd, "--force-relay false tok");
	OK(cli_args_flag(&args, "force-relay"), "bools take no next word");
	EQ_STR(cli_args_positional(&args, 0), "false", "it is a positional");

	OK(cli_args_is_given(&args, "parallel") == false, "not given");
	parse(&args, &l, &open_cmd, "tok --parallel=");
	OK(cli_args_is_given(&args, "parallel"), "empty is given");

	parse(&args, &l, &bare_cmd, "--stun=a --days 1 --stun b");
	texts = cli_args_texts(&args, "stun", &n);
	EQ_INT(n, 2, "both count");
	EQ_STR(texts[0], "a", "the first");
	EQ_STR(texts[1], "b", "the second");
	parse(&args, &l, &bare_cmd, "");
	(void)cli_args_texts(&args, "stun", &n);
	EQ_INT(n, 0, "none");

	parse(&args, &l, &bare_cmd, "--days -9");
	EQ_INT(cli_args_number(&args, "days"), -9, "a negative number");
}

struct global_row {
	const char *line;
	enum cli_outcome outcome;
	const char *rest; /* or the message */
	bool verbose, quiet, json;
};

static const struct global_row global_rows[] = {
	{ "share a", CLI_OK, "share a", false, false, false },
	{ "-v share a", CLI_OK, "share a", true, false, false },
	{ "share -v a", CLI_OK, "share a", true, false, false },
	{ "share a -verbose", CLI_OK, "share a", true, false, false },
	{ "-v -v share", CLI_OK, "share", true, false, false },
	{ "-v=0 -q share", CLI_OK, "share", false, true, false },
	{ "share --silent", CLI_OK, "share", false, true, false },
	{ "list --json", CLI_OK, "list", false, false, true },
	{ "share -- -v", CLI_OK, "share -- -v", false, false, false },
	{ "share -vv", CLI_OK, "share -vv", false, false, false },
	{ "-v -q share", CLI_USAGE,
	    "only one of --verbose, --quiet, or --silent may be set", false,
	    false, false },
	{ "-q share -s", CLI_USAGE,
	    "only one of --verbose, --quiet, or --silent may be set", false,
	    false, false },
	{ "share --verbose=zz", CLI_USAGE, NOT_BOOL("zz"), false, false,
	    false },
};

static void
join(const struct line *l, char out[256])
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < l->argc; i++)
		n += (size_t)snprintf(
		    out + n, 256 - n, "%s%s", i > 0 ? " " : "", l->argv[i]);
}

static void
test_globals(void)
{
	for (size_t i = 0; i < sizeof(global_rows) / sizeof(global_rows[0]);
	     i++) {
		const struct global_row *row = &global_rows[i];
		struct cli_globals g = { 0 };
		struct cli_error error = { "" };
		char rest[256];
		struct line l;
		bool is_bare;

		split(&l, row->line);
		EQ_INT(cli_args_globals(&g, &l.argc, l.argv, &error, &is_bare),
		    row->outcome, "globals: %s", row->line);
		if (row->outcome == CLI_USAGE) {
			EQ_STR(error.text, row->rest, "its message");
			EQ_INT(is_bare, row->rest[0] == 'o', "help or none");
			continue;
		}
		join(&l, rest);
		EQ_STR(rest, row->rest, "what is left");
		OK(g.verbose == row->verbose && g.quiet == row->quiet &&
			g.json == row->json,
		    "what was seen");
	}
}

static const char *const npx_rows[][3] = {
	{ "open", "npx -y derphole@latest open tok", "tok" },
	{ "open", "npx derphole@0.18.2 open tok", "tok" },
	{ "open", "npx -y derptun@latest open --token T", "--token T" },
	{ "open", "tok", "tok" },
	{ "open", "npx", "npx" },
	{ "open", "npx -y other@latest open tok",
	    "npx -y other@latest open tok" },
	{ "open", "-- npx -y derphole@latest", "-- npx -y derphole@latest" },
	{ "connect", "npx -y derptun@latest open --token T", "open --token T" },
};

static void
test_npx(void)
{
	for (size_t i = 0; i < sizeof(npx_rows) / sizeof(npx_rows[0]); i++) {
		char rest[256];
		struct line l;

		split(&l, npx_rows[i][1]);
		cli_args_strip_npx(&l.argc, l.argv, npx_rows[i][0]);
		join(&l, rest);
		EQ_STR(rest, npx_rows[i][2], "npx: %s", npx_rows[i][1]);
	}
}

int
main(void)
{
	test_parse();
	test_values();
	test_globals();
	test_npx();
	return tap_done();
}
