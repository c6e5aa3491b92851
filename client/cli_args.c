/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_args.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static enum cli_outcome
refuse(struct cli_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* A quoted word may be cut; that is fine for a message. */
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return CLI_USAGE;
}

static bool
is_one_of(const char *text, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

static enum cli_outcome
parse_bool(const char *text, bool *ret, struct cli_error *e)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true",
		"True", NULL };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false",
		"False", NULL };

	if (!is_one_of(text, yes) && !is_one_of(text, no))
		return refuse(e,
		    "invalid bool value \"%s\": strconv.ParseBool: parsing "
		    "\"%s\": invalid syntax",
		    text, text);
	*ret = is_one_of(text, yes);
	return CLI_OK;
}

static enum cli_outcome
parse_int(const char *text, int64_t *ret, struct cli_error *e)
{
	const char *digits = text + (*text == '-' || *text == '+');
	long long v;

	if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return refuse(e,
		    "invalid int value \"%s\": strconv.ParseInt: parsing "
		    "\"%s\": invalid syntax",
		    text, text);
	errno = 0;
	v = strtoll(text, NULL, 10);
	if (errno == ERANGE)
		return refuse(e,
		    "invalid int value \"%s\": strconv.ParseInt: parsing "
		    "\"%s\": value out of range",
		    text, text);
	*ret = v;
	return CLI_OK;
}

/* "-5", "-1.5", "-.5": a value although it begins with a dash. */
static bool
is_negative_number(const char *w)
{
	size_t whole, part = 0;

	if (*w++ != '-')
		return false;
	whole = strspn(w, "0123456789");
	w += whole;
	if (*w == '.') {
		part = strspn(w + 1, "0123456789");
		w += 1 + part;
	}
	return *w == '\0' && whole + part > 0;
}

static void
drop_words(int *argc, char **argv, int at, int n)
{
	for (int i = at; i + n < *argc; i++)
		argv[i] = argv[i + n];
	*argc -= n;
}

/* The word without its dashes, and where its name ends. */
static const char *
option_name(const char *word, size_t *ret_len)
{
	const char *name = word + 1 + (word[1] == '-');

	*ret_len = strcspn(name, "=");
	return name;
}

static bool
matches(const struct cli_option *o, const char *name, size_t len)
{
	if (len == 1 && o->letter != '\0' && *name == o->letter)
		return true;
	return strlen(o->name) == len && strncmp(o->name, name, len) == 0;
}

static const struct cli_option global_options[] = {
	{ "verbose", 'v', CLI_BOOL, NULL },
	{ "quiet", 'q', CLI_BOOL, NULL },
	{ "silent", 's', CLI_BOOL, NULL },
	{ "json", '\0', CLI_BOOL, NULL },
	{ NULL, '\0', CLI_BOOL, NULL },
};

static int
find_option(const struct cli_option *table, const char *name, size_t len)
{
	for (int i = 0; table != NULL && table[i].name != NULL; i++)
		if (matches(&table[i], name, len))
			return i;
	return -1;
}

enum cli_outcome
cli_args_globals(struct cli_globals *ret_globals, int *argc, char **argv,
    struct cli_error *ret_error, bool *ret_is_bare)
{
	bool on[sizeof(global_options) / sizeof(global_options[0])] = { 0 };
	int i = 0;

	*ret_is_bare = false;
	while (i < *argc && strcmp(argv[i], "--") != 0) {
		size_t len;
		const char *name;
		int which = -1;

		if (argv[i][0] == '-') {
			name = option_name(argv[i], &len);
			which = find_option(global_options, name, len);
		}
		if (which < 0) {
			i++;
			continue;
		}
		on[which] = true;
		if (name[len] == '=' &&
		    parse_bool(name + len + 1, &on[which], ret_error) != CLI_OK)
			return CLI_USAGE;
		drop_words(argc, argv, i, 1);
	}
	if (on[0] + on[1] + on[2] > 1) {
		*ret_is_bare = true;
		return refuse(ret_error,
		    "only one of --verbose, --quiet, or --silent may be set");
	}
	ret_globals->verbose = on[0];
	ret_globals->quiet = on[1] || on[2];
	ret_globals->json = on[3];
	return CLI_OK;
}

void
cli_args_strip_npx(int *argc, char **argv, const char *command)
{
	for (int i = 0; i < *argc; i++) {
		int n = 1;

		if (strcmp(argv[i], "--") == 0)
			return;
		if (strcmp(argv[i], "npx") != 0)
			continue;
		if (i + n < *argc && strcmp(argv[i + n], "-y") == 0)
			n++;
		if (i + n >= *argc ||
		    (strncmp(argv[i + n], "derphole@", 9) != 0 &&
			strncmp(argv[i + n], "derptun@", 8) != 0))
			continue;
		n++;
		if (i + n < *argc && strcmp(argv[i + n], command) == 0)
			n++;
		drop_words(argc, argv, i, n);
		return;
	}
}

enum cli_outcome
cli_args_help_word(const char *word)
{
	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
		return CLI_HELP;
	return strcmp(word, "--help-llm") == 0 ? CLI_HELP_LLM : CLI_OK;
}

/* Takes the option at argv[*i]; *i moves on when the next word is its value. */
static enum cli_outcome
take_option(
    struct cli_args *args, int argc, char **argv, int *i, struct cli_error *e)
{
	size_t len;
	const char *name = option_name(argv[*i], &len), *text = "";
	int which = find_option(args->options, name, len);
	bool has_text = name[len] == '=';
	struct cli_value *v;

	if (which < 0)
		return refuse(e, "unknown flag: --%.*s", (int)len, name);
	v = &args->values[which];
	v->is_given = true;
	if (has_text) {
		text = name + len + 1;
	} else if (args->options[which].type != CLI_BOOL && *i + 1 < argc &&
		   (argv[*i + 1][0] != '-' ||
		       is_negative_number(argv[*i + 1]))) {
		text = argv[++*i];
	}
	v->flag = true;
	v->text = text;
	if (args->options[which].type == CLI_STRINGS) {
		if (v->n_texts == CLI_MAX_TEXTS)
			return refuse(e, "more than %d times: --%s",
			    CLI_MAX_TEXTS, args->options[which].name);
		v->texts[v->n_texts++] = text;
	}
	if (args->options[which].type == CLI_INT)
		return parse_int(text, &v->number, e);
	if (args->options[which].type == CLI_BOOL && has_text)
		return parse_bool(text, &v->flag, e);
	return CLI_OK;
}

static enum cli_outcome
check_count(const struct cli_command *cmd, size_t given, struct cli_error *e)
{
	size_t min = 0, max = 0;
	char text[48]; /* two numbers of up to 20 digits */

	for (; cmd->positionals != NULL && cmd->positionals[max].name != NULL;
	     max++)
		if (!cmd->positionals[max].optional)
			min++;
	assert(max <= CLI_MAX_POSITIONALS);
	if (given >= min && given <= max)
		return CLI_OK;
	if (max == 0)
		return refuse(e, "%s", "");
	if (min == max)
		(void)snprintf(text, sizeof(text), "%zu", max);
	else
		(void)snprintf(text, sizeof(text), "%zu-%zu", min, max);
	return refuse(
	    e, "'%s' requires %s argument(s), got %zu", cmd->name, text, given);
}

enum cli_outcome
cli_args_parse(struct cli_args *ret_args, const struct cli_command *cmd,
    int argc, char **argv, struct cli_error *ret_error)
{
	struct cli_args *a = ret_args;
	enum cli_outcome r;
	int i;

	memset(a, 0, sizeof(*a));
	a->options = cmd->options;
	ret_error->text[0] = '\0';
	if (cmd->ignores_args)
		return CLI_OK;
	for (i = 0; i < argc; i++) {
		r = cli_args_help_word(argv[i]);
		if (r != CLI_OK)
			return r;
	}
	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (argv[i][0] == '-') {
			r = take_option(a, argc, argv, &i, ret_error);
			if (r != CLI_OK)
				return r;
			continue;
		}
		if (a->n_positionals < CLI_MAX_POSITIONALS)
			a->positionals[a->n_positionals] = argv[i];
		a->n_positionals++;
	}
	r = check_count(cmd, a->n_positionals, ret_error);
	if (r != CLI_OK)
		return r;
	/* Words behind "--" have no use, and an empty required one has none. */
	if (i + 1 < argc ||
	    (a->n_positionals > 0 && !cmd->positionals[0].optional &&
		*a->positionals[0] == '\0'))
		return refuse(ret_error, "%s", "");
	return CLI_OK;
}

static const struct cli_value *
value(const struct cli_args *args, const char *name, enum cli_type type)
{
	int i = find_option(args->options, name, strlen(name));

	assert(i >= 0 && args->options[i].type == type);
	(void)type;
	return &args->values[i];
}

const char *
cli_args_text(const struct cli_args *args, const char *name)
{
	const struct cli_value *v = value(args, name, CLI_STRING);

	return v->is_given ? v->text : "";
}

bool
cli_args_is_given(const struct cli_args *args, const char *name)
{
	return value(args, name, CLI_STRING)->is_given;
}

const char *const *
cli_args_texts(const struct cli_args *args, const char *name, size_t *ret_n)
{
	const struct cli_value *v = value(args, name, CLI_STRINGS);

	*ret_n = v->n_texts;
	return v->texts;
}

bool
cli_args_flag(const struct cli_args *args, const char *name)
{
	return value(args, name, CLI_BOOL)->flag;
}

int64_t
cli_args_number(const struct cli_args *args, const char *name)
{
	return value(args, name, CLI_INT)->number;
}

const char *
cli_args_positional(const struct cli_args *args, size_t i)
{
	return i < args->n_positionals ? args->positionals[i] : "";
}

bool
cli_args_parallel(const char *text, unsigned *ret_n)
{
	char *rest;
	long n;

	*ret_n = 0;
	if (*text == '\0' || strcmp(text, "auto") == 0)
		return true;
	n = strtol(text, &rest, 10);
	if (*rest != '\0' || n < 1 || n > 16)
		return false;
	*ret_n = (unsigned)n;
	return true;
}
