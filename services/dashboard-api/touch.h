#pragma once

/*
 * When access tokens were last used, gathered on the loop and written in batches, so that reading
 * over REST writes nothing. Bounded: past the bound the batch is due at once, and what comes
 * meanwhile is left out.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/account/rules/actor.h"

#define TOUCH_MAX 1024

struct touch_entry {
    char pat_id[RK_XID_LEN + 1];
    int64_t at_us;
};

struct touch {
    struct touch_entry entries[TOUCH_MAX];
    size_t n;
};

/* The newest use of a token counts. */
void touch_note(struct touch *t, const char *pat_id, int64_t at_us);
/* One statement for all; worker thread. */
int touch_store(struct rk_pg *pg, const struct touch *t, struct rk_err *err) RK_CHECKED;
