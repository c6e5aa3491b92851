/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_help.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longest name of a positional or option, with dashes and letter. */
#define MAX_NAME 64

static const struct cli_option help_options[] = {
	{ "help", 'h', CLI_BOOL, "Show this help" },
	{ "help-llm", '\0', CLI_BOOL, "Show the help as Markdown" },
	{ NULL, '\0', CLI_BOOL, NULL },
};

static const struct cli_option root_options[] = {
	{ "verbose", 'v', CLI_BOOL, "Show status updates" },
	{ "quiet", 'q', CLI_BOOL, "No status updates (the default)" },
	{ "silent", 's', CLI_BOOL, "The same" },
	{ "json", '\0', CLI_BOOL, "One JSON object per result and event" },
	{ "help", 'h', CLI_BOOL, "Show this help" },
	{ NULL, '\0', CLI_BOOL, NULL },
};

__attribute__((format(printf, 1, 2))) static void
put(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap); /* nowhere left to complain */
	va_end(ap);
}

static void
upper(char out[MAX_NAME], const char *name)
{
	size_t i;

	for (i = 0; i < MAX_NAME - 1 && name[i] != '\0'; i++)
		out[i] = (char)toupper((unsigned char)name[i]);
	out[i] = '\0';
}

/* " <TOKEN> [BINDADDR] rest" behind the command's name. */
static void
put_usage(const struct cli_command *cmd)
{
	char name[MAX_NAME];

	for (size_t i = 0;
	     cmd->positionals != NULL && cmd->positionals[i].name != NULL;
	     i++) {
		upper(name, cmd->positionals[i].name);
		put(cmd->positionals[i].optional ? " [%s]" : " <%s>", name);
	}
	if (cmd->usage != NULL)
		put(" %s", cmd->usage);
	put("\n");
}

static void
put_options(const struct cli_option *o)
{
	char name[MAX_NAME];

	for (; o != NULL && o->name != NULL; o++) {
		if (o->letter != '\0')
			(void)snprintf(name, sizeof(name), "-%c, --%s",
			    o->letter, o->name);
		else
			(void)snprintf(name, sizeof(name), "--%s", o->name);
		put("    %-24s %s\n", name, o->help);
	}
}

static void
put_examples(const char *const *examples)
{
	if (examples == NULL)
		return;
	put("\nEXAMPLES:\n");
	for (; *examples != NULL; examples++)
		put("    %s\n", *examples);
}

void
cli_help_root(const struct cli_program *p)
{
	put("%s - %s\n\nUSAGE:\n    %s [OPTIONS] COMMAND [ARGS...]\n\n"
	    "COMMANDS:\n",
	    p->name, p->about, p->name);
	for (const struct cli_command *c = p->commands; c->name != NULL; c++)
		put("    %-12s %s\n", c->name, c->about);
	put("    %-12s %s\n\nGLOBAL OPTIONS:\n", "help", "Show this help");
	put_options(root_options);
	put_examples(p->examples);
	put("\nRun '%s COMMAND --help' for more information on a specific "
	    "command.\n",
	    p->name);
}

void
cli_help_command(const struct cli_program *p, const struct cli_command *cmd)
{
	char name[MAX_NAME];

	put("%s\n\nUSAGE:\n    %s %s [OPTIONS]", cmd->about, p->name,
	    cmd->name);
	put_usage(cmd);
	if (cmd->positionals != NULL) {
		put("\nARGUMENTS:\n");
		for (size_t i = 0; cmd->positionals[i].name != NULL; i++) {
			upper(name, cmd->positionals[i].name);
			put("    %-20s %s\n", name, cmd->positionals[i].help);
		}
	}
	put("\nOPTIONS:\n");
	put_options(cmd->options);
	put_options(help_options);
	put_examples(cmd->examples);
}

static void
put_llm_command(const struct cli_program *p, const struct cli_command *cmd,
    const char *level)
{
	put("%s %s %s\n\n%s\n\n```\n%s %s [OPTIONS]", level, p->name, cmd->name,
	    cmd->about, p->name, cmd->name);
	put_usage(cmd);
	put("```\n\n");
	for (size_t i = 0;
	     cmd->positionals != NULL && cmd->positionals[i].name != NULL; i++)
		put("- `%s`: %s\n", cmd->positionals[i].name,
		    cmd->positionals[i].help);
	for (const struct cli_option *o = cmd->options;
	     o != NULL && o->name != NULL; o++)
		put("- `--%s`: %s\n", o->name, o->help);
	put("\n");
}

void
cli_help_llm(const struct cli_program *p, const struct cli_command *cmd)
{
	if (cmd != NULL) {
		put_llm_command(p, cmd, "#");
		return;
	}
	put("# %s CLI Reference\n\n%s\n\n", p->name, p->about);
	for (const struct cli_command *c = p->commands; c->name != NULL; c++)
		put_llm_command(p, c, "##");
}
