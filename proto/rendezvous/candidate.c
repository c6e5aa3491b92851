/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/candidate.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

bool
candidate_may_send(const struct addr *a)
{
	struct addr u = addr_unmap(a);

	return u.family != 0 && u.port != 0 && !addr_is_unspecified(&u) &&
	       !addr_is_multicast(&u) && !addr_is_broadcast(&u);
}

/* What the peer's rules allow; they allow broadcast, sending does not. */
static bool
is_allowed(const struct addr *a, enum candidate_policy policy)
{
	return a->port != 0 && !addr_is_unspecified(a) &&
	       !addr_is_multicast(a) &&
	       (policy == CANDIDATE_POLICY_LOOPBACK || !addr_is_loopback(a));
}

/* Any spelling that lib/addr reads; *@ret_addr is as written, still mapped. */
static int
parse_text(struct addr *ret_addr, struct message_text text,
    char copy[static CANDIDATE_MAX_TEXT + 1])
{
	if (text.n == 0 || text.n > CANDIDATE_MAX_TEXT ||
	    memchr(text.p, '\0', text.n) != NULL)
		return -DT_ERR_SYNTAX;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return addr_parse(ret_addr, copy);
}

int
candidate_parse(struct addr *ret_addr, struct message_text text,
    enum candidate_policy policy)
{
	char copy[CANDIDATE_MAX_TEXT + 1], canonical[ADDR_MAX_TEXT];
	struct addr a;

	if (parse_text(&a, text, copy) < 0)
		return -DT_ERR_SYNTAX;
	addr_format(&a, canonical);
	if (strcmp(copy, canonical) != 0)
		return -DT_ERR_SYNTAX;
	a = addr_unmap(&a);
	if (!is_allowed(&a, policy))
		return -DT_ERR_SYNTAX;
	*ret_addr = a;
	return 0;
}

bool
candidate_contains(const struct candidate_list *list, const struct addr *a)
{
	struct addr u = addr_unmap(a);

	for (size_t i = 0; i < list->n; i++)
		if (addr_equal(&list->a[i], &u))
			return true;
	return false;
}

bool
candidate_add(struct candidate_list *list, const struct addr *a,
    enum candidate_policy policy)
{
	struct addr u = addr_unmap(a);

	if (list->n == CANDIDATE_MAX_LIST || u.family == 0 ||
	    !is_allowed(&u, policy) || candidate_contains(list, &u))
		return false;
	list->a[list->n++] = u;
	return true;
}

int
candidate_from_claim(struct candidate_list *ret_list,
    const struct message_list *texts, enum candidate_policy policy)
{
	struct candidate_list list = { 0 };

	if (texts->n > CANDIDATE_MAX_LIST)
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < texts->n; i++) {
		struct addr a;

		if (candidate_parse(&a, texts->item[i], policy) < 0 ||
		    !candidate_add(&list, &a, policy))
			return -DT_ERR_SYNTAX;
	}
	*ret_list = list;
	return 0;
}

void
candidate_from_peer(struct candidate_list *ret_list,
    const struct message_list *texts, enum candidate_policy policy)
{
	ret_list->n = 0;
	for (size_t i = 0; i < texts->n; i++) {
		struct addr a;

		if (candidate_parse(&a, texts->item[i], policy) == 0)
			(void)candidate_add(ret_list, &a, policy);
	}
}

void
candidate_from_ready(
    struct candidate_list *ret_list, const struct message_list *texts)
{
	char copy[CANDIDATE_MAX_TEXT + 1];

	ret_list->n = 0;
	for (size_t i = 0; i < texts->n; i++) {
		struct addr a;

		if (parse_text(&a, texts->item[i], copy) == 0)
			(void)candidate_add(
			    ret_list, &a, CANDIDATE_POLICY_LOOPBACK);
	}
}

static int
compare_as_text(const void *a, const void *b)
{
	char ta[ADDR_MAX_TEXT], tb[ADDR_MAX_TEXT];

	addr_format(a, ta);
	addr_format(b, tb);
	return strcmp(ta, tb);
}

/*
 * The peer sorts everything and cuts then; with more than 32 we sort the first
 * 32, which the caller put in order of worth.
 */
void
candidate_advertise(struct candidate_list *ret_list, const struct addr *a,
    size_t n, enum candidate_policy policy)
{
	ret_list->n = 0;
	for (size_t i = 0; i < n; i++)
		if (candidate_may_send(&a[i]))
			(void)candidate_add(ret_list, &a[i], policy);
	qsort(
	    ret_list->a, ret_list->n, sizeof(ret_list->a[0]), compare_as_text);
}

void
candidate_remove_all(
    struct candidate_list *list, const struct candidate_list *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++)
		if (!candidate_contains(other, &list->a[i]))
			list->a[kept++] = list->a[i];
	list->n = kept;
}

struct message_list
candidate_to_texts(
    struct candidate_texts *ret_texts, const struct candidate_list *list)
{
	struct message_list texts = { .n = list->n };

	for (size_t i = 0; i < list->n; i++) {
		addr_format(&list->a[i], ret_texts->text[i]);
		ret_texts->item[i].p = ret_texts->text[i];
		ret_texts->item[i].n = strlen(ret_texts->text[i]);
	}
	texts.item = &ret_texts->item[0];
	return texts;
}
