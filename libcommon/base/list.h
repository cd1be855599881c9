#pragma once

/* Intrusive doubly linked list with a sentinel head. A node off any list points to itself. */

#include <stdbool.h>

#include "libcommon/base/attr.h"

struct rk_list {
    struct rk_list *prev, *next;
};

static inline void rk_list_init(struct rk_list *l)
{
    l->prev = l->next = l;
}

static inline bool rk_list_empty(const struct rk_list *l)
{
    return l->next == l;
}

static inline void rk_list_append(struct rk_list *head, struct rk_list *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}

static inline void rk_list_remove(struct rk_list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    rk_list_init(n);
}

#define rk_list_entry(ptr, type, member) rk_container_of(ptr, type, member)
/* `n` may be removed in the body. */
#define rk_list_each(head, n, tmp)                                                                 \
    for ((n) = (head)->next, (tmp) = (n)->next; (n) != (head); (n) = (tmp), (tmp) = (n)->next)
