#pragma once

/* Walking two lists sorted by id side by side: what was there, what is there now. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Where the next pair begins in either list. */
struct pairs {
    size_t was, now;
};

/* Is there another pair? NULL = that list is at its end. *out_order tells which of the two are of
 * the pair: < 0 the old one alone, > 0 the new one alone. */
static inline bool
next_pair(struct pairs *p, const char *was_id, const char *now_id, int *out_order)
{
    int c = !was_id ? 1 : !now_id ? -1 : strcmp(was_id, now_id);

    if (!was_id && !now_id)
        return false;
    p->was += c <= 0;
    p->now += c >= 0;
    *out_order = c;
    return true;
}
