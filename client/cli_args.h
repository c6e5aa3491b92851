/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line grammar of derphole and derptun, as scripts know it: one and
 * two dashes are equal, values stand after "=" or are the next word, the last
 * one wins, short options are never glued.  Pure: prints nothing.
 */
#ifndef CLIENT_CLI_ARGS_H
#define CLIENT_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The command with most options has 11; a table above this is a bug. */
#define CLI_MAX_OPTIONS 16
/* `open <token> [bindaddr]` and `stop session ID` have most. */
#define CLI_MAX_POSITIONALS 2
/* Values of one option that may be repeated: `netcheck --stun`. */
#define CLI_MAX_TEXTS 8
/* A message quotes at most one word of the user's. */
#define CLI_MAX_ERROR 512

/* CLI_STRINGS: every one counts, not only the last. */
enum cli_type { CLI_BOOL, CLI_STRING, CLI_INT, CLI_STRINGS };

/* One option; a name of NULL ends a table. */
struct cli_option {
	const char *name; /* without dashes */
	char letter;      /* short form, or 0 */
	enum cli_type type;
	const char *help;
};

/* One positional argument; a name of NULL ends a table. */
struct cli_positional {
	const char *name;
	bool optional;
	const char *help;
};

struct cli_call;

/* One command; a name of NULL ends a table. */
struct cli_command {
	const char *name;
	const char *about;
	const char *usage; /* what follows the positionals in the help */
	const struct cli_option *options;         /* NULL: none */
	const struct cli_positional *positionals; /* NULL: none */
	const char *const *examples;              /* NULL-terminated, or NULL */
	bool ignores_args;                        /* `version` takes anything */
	const struct cli_command *subcommands;    /* then run is NULL */
	/* A group whose name alone is a question for help, and no error. */
	bool explains_itself;
	const char *const *aliases; /* NULL-terminated, or NULL */
	/* Returns the exit code. */
	int (*run)(const struct cli_call *call);
};

struct cli_value {
	bool is_given;
	bool flag;                        /* CLI_BOOL */
	int64_t number;                   /* CLI_INT */
	const char *text;                 /* CLI_STRING; points into argv */
	const char *texts[CLI_MAX_TEXTS]; /* CLI_STRINGS; likewise */
	size_t n_texts;
};

/* What a command was given.  Borrows from argv and the option table. */
struct cli_args {
	const struct cli_option *options;
	struct cli_value values[CLI_MAX_OPTIONS]; /* same order as options */
	const char *positionals[CLI_MAX_POSITIONALS];
	size_t n_positionals;
};

/* The flags that are recognised anywhere before "--". */
struct cli_globals {
	bool verbose;
	bool quiet; /* --quiet or --silent: the default already */
	bool json;
};

/* Why a line was refused; an empty text means "show the help only". */
struct cli_error {
	char text[CLI_MAX_ERROR];
};

enum cli_outcome {
	CLI_OK,
	CLI_HELP,     /* help was asked for */
	CLI_HELP_LLM, /* as Markdown */
	CLI_USAGE,    /* see cli_error */
};

/**
 * cli_args_globals(): take -v, -q, -s, --json out of the words before "--".
 * @argc, @argv: changed in place; argv[0] is a word like the others.
 *
 * Returns CLI_OK or CLI_USAGE (a bad bool value, with help; or two of them that
 * exclude each other, *@ret_is_bare then: no help follows the message).
 */
enum cli_outcome cli_args_globals(struct cli_globals *ret_globals, int *argc,
    char **argv, struct cli_error *ret_error, bool *ret_is_bare);

/**
 * cli_args_strip_npx(): users paste "npx -y derptun@latest open --token T"
 * behind our own command; take "npx" up to the repeated command out.
 * @command: the name the pasted line may repeat.
 */
void cli_args_strip_npx(int *argc, char **argv, const char *command);

/**
 * cli_args_parse(): the words after the command's name.
 * @ret_args: complete only with CLI_OK.
 */
enum cli_outcome cli_args_parse(struct cli_args *ret_args,
    const struct cli_command *cmd, int argc, char **argv,
    struct cli_error *ret_error);

/** cli_args_help_word(): is @word -h, --help or --help-llm?  CLI_OK if not. */
enum cli_outcome cli_args_help_word(const char *word);

/* What was given; the name must be in the table of the command. */
/** cli_args_text(): "" when not given; an empty value counts as not given. */
const char *cli_args_text(const struct cli_args *args, const char *name);
/** cli_args_is_given(): tells an empty CLI_STRING from none. */
bool cli_args_is_given(const struct cli_args *args, const char *name);
/** cli_args_texts(): in the order of the line.  Returns @ret_n of them. */
const char *const *cli_args_texts(
    const struct cli_args *args, const char *name, size_t *ret_n);
bool cli_args_flag(const struct cli_args *args, const char *name);
int64_t cli_args_number(const struct cli_args *args, const char *name);
/** cli_args_parallel(): of --parallel: "", "auto" (0) or 1-16. */
bool cli_args_parallel(const char *text, unsigned *ret_n);
/** cli_args_positional(): "" beyond what was given. */
const char *cli_args_positional(const struct cli_args *args, size_t i);

#endif
