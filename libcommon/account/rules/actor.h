#pragma once

/* Who changes an account over REST, and the small things its rules share. Worker threads only. */

#include <stdbool.h>

#include "libcommon/account/rules/audit.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"

/* Borrowed strings; the caller's permission has been checked already. */
struct rk_actor {
    const char *account_id;
    const char *user_id;
    bool is_service_user;
    bool is_admin;              /* admin or owner */
    const char *default_domain; /* the server's dns_domain */
};

/* More than the names of one request can fill, even escaped. */
#define RK_META_MAX ((size_t)16 << 20)

/* Starts over and writes {"key":"value",...} of pairs of C strings, ended by NULL; the answer
 * points into *b. */
struct rk_str rk_event_meta(struct rk_buf *b, ...) __attribute__((sentinel));

/* Domain of the peers' names, as a C string inside *out (cleared first). */
int rk_actor_domain(struct rk_change *ch,
                    const struct rk_actor *actor,
                    struct rk_buf *out,
                    struct rk_err *err) RK_CHECKED;

/* The row of an account's object: `stmt` takes (account, id). RK_NOT_FOUND "<what>: <id> not
 * found". Free *out. */
int rk_actor_row(struct rk_pg *pg,
                 const struct rk_actor *actor,
                 const struct rk_pg_stmt *stmt,
                 const char *what,
                 const char *id,
                 struct rk_pg_result **out,
                 struct rk_err *err) RK_CHECKED;

/* rk_change_begin_later, and rk_change_watch of the object that changes, with the other id by which
 * its events may name it (NULL: none). */
int rk_actor_begin(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   enum rk_watched kind,
                   const char *id,
                   const char *also,
                   struct rk_change **out,
                   struct rk_err *err) RK_CHECKED;

/* rk_change_commit for a change that moves the serial; *out_bell tells the caller whom to tell. */
int rk_actor_commit(struct rk_change **ch,
                    const struct rk_actor *actor,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;

/* rk_change_event of the actor's act, with its meta as pairs of C strings, ended by NULL. */
int rk_actor_tell(struct rk_change *ch,
                  const struct rk_actor *actor,
                  const char *code,
                  const char *target_id,
                  struct rk_err *err,
                  ...) __attribute__((sentinel)) RK_CHECKED;

/* rk_change_touch of the object that has changed, and rk_actor_commit. */
int rk_actor_finish(struct rk_change **ch,
                    const struct rk_actor *actor,
                    enum rk_object_kind kind,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;

/* Whom to tell of a serial that was committed otherwise. */
void rk_bell_set(struct rk_bell *bell, const char *account_id, uint64_t serial);

/* The first of these groups that may not be given to peers: in column 1 its name, which is All, or
 * NULL when the account has none of that id (column 0). *out stays NULL when all of them may. */
int rk_auto_groups_bad(struct rk_change *ch,
                       const struct rk_str *groups,
                       size_t n,
                       struct rk_pg_result **out,
                       struct rk_err *err) RK_CHECKED;
/* Groups that a setup key gives to its peers. RK_INVALID "invalid auto groups: ...". */
int rk_auto_groups_check(struct rk_change *ch,
                         const struct rk_str *groups,
                         size_t n,
                         struct rk_err *err) RK_CHECKED;
