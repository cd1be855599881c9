#pragma once

/*
 * Who asks, and at which version what they may see is: the one question that is put to Postgres for
 * every read, however its answer comes about. A token's owner, and three versions that the database
 * itself keeps: of the account's row, which every change of the account writes (rk_change_commit);
 * of the user's row; and of the account's peers as far as they come and go (account_presence).
 *
 * Requests that wait share a question, whose answer is newer than all of them: a request never
 * joins a question that is under way. So a hundred requests at once cost one question, and each
 * still sees every change that was committed, on any replica, before it came.
 *
 * Loop thread; the question is put from there, over a connection of its own (libcommon/pg/asker.h).
 */

#include <stdbool.h>

#include "libcommon/base/list.h"
#include "libcommon/loop/loop.h"
#include "services/dashboard-api/kept/standing.h"

struct check;

struct check_item {
    struct rk_list node;              /* private */
    const struct standing *of;        /* private */
    char hash[STANDING_HASH_LEN + 1]; /* of the token, base64; "" for what anybody may ask */
    void (*on_done)(struct check_item *it);

    /* In on_done: */
    bool known; /* by a good token, and neither blocked nor waiting for approval */
    char pat_id[RK_XID_LEN + 1];
    char user_id[RK_USER_ID_MAX];
    char version[KEPT_VERSION_MAX];  /* of account and user; without a token, of what is public */
    char presence[KEPT_VERSION_MAX]; /* of the account's peers */
};

struct check *check_new(struct rk_loop *l, const char *postgres, const char *instance);
/* `gather` runs before a question is put: what could be read until then is added, and shares it. */
void check_gather(struct check *c, void (*gather)(void *arg), void *arg);
/* What waits comes back unknown; the loop must still run turns for that. */
void check_stop(struct check *c);
void check_free(struct check *c); /* NULL is fine; after its last item came back */

/* False when too many wait already. Without an answer from Postgres the item comes back unknown. */
bool check_add(struct check *c, struct check_item *it) RK_CHECKED;
/* How often Postgres did not answer, or may be another one than before: what is kept from before is
 * better not used. */
unsigned check_failures(const struct check *c);
