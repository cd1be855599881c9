#pragma once

/*
 * The store: schema, loading, and the frame of every change. Worker threads only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/err.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/seal.h"
#include "libcommon/pg/pg.h"

/* Brings the schema up to date; any number of processes may call it at once. */
int rk_store_migrate(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;

/*
 * Everything of the account past `since` in one repeatable-read transaction: the changed objects,
 * or the whole account
 * (`full`) when since is 0, when changes past it have been pruned or soon will be, or when so much
 * changed that a reload is cheaper. RK_NOT_FOUND never: a vanished account is `account_gone`.
 * `default_domain` is the server's dns_domain.
 */
int rk_store_load(struct rk_pg *pg,
                  const char *account_id,
                  uint64_t since,
                  const char *default_domain,
                  struct rk_delta **out,
                  struct rk_err *err) RK_CHECKED;

/* Account and serial of the peer with this key. RK_NOT_FOUND when there is none. */
int rk_store_find_peer(struct rk_pg *pg,
                       const char *key_b64,
                       char out_account_id[RK_XID_LEN + 1],
                       uint64_t *out_serial,
                       struct rk_err *err) RK_CHECKED;

/* The sweep: current serials of `n` accounts; 0 for one that is gone. */
int rk_store_serials(struct rk_pg *pg,
                     const char (*ids)[RK_XID_LEN + 1],
                     size_t n,
                     uint64_t *out_serials,
                     struct rk_err *err) RK_CHECKED;

/*
 * After the database was put back to an earlier time: takes every account's serial past all that
 * agents may have seen since, as they leave maps of a lower one alone. Replicas that run load the
 * accounts anew with the next sweep. How many accounts in *out_accounts.
 */
int rk_store_restored(struct rk_pg *pg, int64_t *out_accounts, struct rk_err *err) RK_CHECKED;

/* Secret shared by all replicas, sealed in Postgres. If it does not exist yet `make` fills it; of
 * several replicas that race one wins and all get its value. */
int rk_store_secret(struct rk_pg *pg,
                    const struct rk_seal *seal,
                    const char *name,
                    void (*make)(struct rk_buf *out),
                    struct rk_buf *out,
                    struct rk_err *err) RK_CHECKED;

/* The same when it is there: RK_NOT_FOUND otherwise. */
int rk_store_secret_read(struct rk_pg *pg,
                         const struct rk_seal *seal,
                         const char *name,
                         struct rk_buf *out,
                         struct rk_err *err) RK_CHECKED;
#define RK_SECRET_SERVER_KEY "management.server_key" /* the private key, RK_KEY_LEN bytes */

/* Deletes account_change rows older than this many seconds (RK_CHANGES_KEEP_S, or what was named
 * may be loaded in part), in batches; a call deletes a bounded number and says how many in
 * *out_gone. Any number of replicas may do it at once. */
#define RK_CHANGES_KEEP_S 3600
int rk_store_prune_changes(struct rk_pg *pg,
                           int64_t older_than_s,
                           int64_t *out_gone,
                           struct rk_err *err) RK_CHECKED;

/*
 * One change of one account = one transaction. begin locks the account row (which serialises its
 * writers) and asks the connection's guard; touch names an object that maps are made of, and makes
 * commit raise the serial by one and write account_change; event writes the audit event. Changes
 * that touch nothing (setup keys) raise no serial.
 *
 *     rk_auto(rk_change_abort) struct rk_change *ch = NULL;
 *     r = rk_change_begin(pg, account_id, &ch, err); ...
 *     r = rk_change_touch(ch, RK_OBJ_GROUP, id, err); ...
 *     r = rk_change_event(ch, "group.add", initiator, target, &meta, err); ...
 *     r = rk_change_commit(&ch, &out->serial, err);
 */
struct rk_change;
int rk_change_begin(struct rk_pg *pg,
                    const char *account_id,
                    struct rk_change **out,
                    struct rk_err *err) RK_CHECKED; /* RK_NOT_FOUND: no account */
/* The same without a round trip of its own: the account is locked on the way to the first statement
 * whose answer is waited for. That there is none is said no later than at commit. */
int rk_change_begin_later(struct rk_pg *pg,
                          const char *account_id,
                          struct rk_change **out,
                          struct rk_err *err) RK_CHECKED;
/* As rk_change_begin, but RK_NOT_FOUND also while somebody else changes the account. */
int rk_change_begin_idle(struct rk_pg *pg,
                         const char *account_id,
                         struct rk_change **out,
                         struct rk_err *err) RK_CHECKED;
void rk_change_abort(struct rk_change *ch);
RK_DEFINE_AUTO(struct rk_change, rk_change_abort)
int rk_change_touch(struct rk_change *ch,
                    enum rk_object_kind kind,
                    const char *object_id,
                    struct rk_err *err) RK_CHECKED;
/* RK_OBJ_GROUP_PEER, with the id put together here. */
int rk_change_touch_member(struct rk_change *ch,
                           const char *group_id,
                           const char *peer_id,
                           struct rk_err *err) RK_CHECKED;
/* `meta` is the JSON text of an object, or {NULL,0} for {}. What has changed comes from
 * rk_change_watch (audit.h). */
int rk_change_event(struct rk_change *ch,
                    const char *code,
                    const char *initiator_id,
                    const char *target_id,
                    struct rk_str meta,
                    struct rk_err *err) RK_CHECKED;
/* *out_serial = the account's serial after the commit, 0 when nothing was touched (nobody need be
 * told); may be NULL. */
int rk_change_commit(struct rk_change **ch, uint64_t *out_serial, struct rk_err *err) RK_CHECKED;
const char *rk_change_account_id(const struct rk_change *ch);
struct rk_pg *rk_change_pg(const struct rk_change *ch);

/* What the caller tells the other replicas after COMMIT: PUBLISH RK_DOORBELL "<account id>
 * <serial>". */
#define RK_DOORBELL "rk:account"
struct rk_bell {
    char account_id[RK_XID_LEN + 1];
    uint64_t serial; /* 0: do not ring */
};

/*
 * Changes of one account that share a commit and a serial, for who serves one after the other
 * requests that would only wait for each other (rk_pg_share): from the first until the end each
 * change is put off for as long as `more` says that another one waits; its serial reads 0.
 * *out_bell is set to what all of them have to be rung for, if anything. What end returns is
 * rk_pg_share_end's.
 */
struct rk_batch;
struct rk_batch *rk_batch_begin(struct rk_pg *pg, bool (*more)(void *arg), void *arg);
int rk_batch_end(struct rk_batch *b, struct rk_pg *pg, struct rk_bell *out_bell, struct rk_err *err)
    RK_CHECKED;

/*
 * What a change has read of the account and leaves as it is: the next change of its batch need not
 * read it again, as nobody else changes the account meanwhile. It is there for that one only, which
 * may leave it again. Whose it is is told by `free`.
 */
struct rk_left {
    void (*free)(struct rk_left *l);
};
struct rk_left *rk_change_left(const struct rk_change *ch); /* by the one before; NULL: nothing */
/* Once it has committed. Instead of what was left before. */
void rk_change_leave(struct rk_change *ch, struct rk_left *l);
