/* How users go, and how those who wait are let in. */

#include "libcommon/account/store/int.h"
#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/rules/user_int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"

static const struct rk_pg_stmt peers_stmt = {
    "user_peers", "SELECT id FROM peer WHERE account_id = $1 AND user_id = $2 ORDER BY id"
};
static const struct rk_pg_stmt router_stmt = {
    "user_routers", "SELECT r.id FROM network_router r JOIN peer p ON p.id = r.peer_id WHERE "
                    "p.account_id = $1 AND p.user_id = $2 ORDER BY r.id LIMIT 1"
};
static const struct rk_pg_stmt remember_stmt = {
    "user_remember", "INSERT INTO departed_user (id, account_id, name, email) VALUES ($1, $2, $3, "
                     "$4) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, email = "
                     "EXCLUDED.email, at = now()"
};
static const struct rk_pg_stmt drop_stmt = {
    "user_delete", "DELETE FROM users WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt approve_stmt = {
    "user_approve", "UPDATE users SET blocked = false, pending_approval = false WHERE account_id = "
                    "$1 AND id = $2"
};

static int tell(struct rk_change *ch,
                const struct rk_actor *actor,
                const char *id,
                const struct rk_pg_result *row,
                struct rk_err *err)
{
    const char *name = rk_pg_str(row, 0, USER_NAME).p;
    char created[RK_TIME_LEN];

    rk_time_format(rk_pg_time(row, 0, USER_CREATED), created);
    if (rk_pg_bool(row, 0, USER_SERVICE))
        return rk_actor_tell(ch, actor, "service.user.delete", id, err, "name", name, "created_at",
                             created, NULL);
    return rk_actor_tell(ch, actor, "user.delete", id, err, "name", name, "email",
                         rk_pg_str(row, 0, USER_EMAIL).p, "created_at", created, "issued",
                         rk_pg_str(row, 0, USER_ISSUED).p, NULL);
}

/* As each of them would go by itself; none while one of them routes for a network. */
static int
delete_peers(struct rk_change *ch, const struct rk_actor *actor, const char *id, struct rk_err *err)
{
    struct rk_pg *pg = rk_change_pg(ch);
    rk_auto(rk_pg_result_free) struct rk_pg_result *router = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *peers = NULL;
    rk_auto(rk_free) struct rk_str *ids = NULL;
    int r;

    r = rk_pg_run(pg, &router_stmt, &router, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(router) > 0)
        return rk_fail(err, RK_PRECONDITION, "peer is linked to a network router: %s",
                       rk_pg_str(router, 0, 0).p);
    r = rk_pg_run(pg, &peers_stmt, &peers, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    ids = rk_new_array(struct rk_str, (size_t)rk_pg_rows(peers) + 1);
    for (int i = 0; r == 0 && i < rk_pg_rows(peers); i++) {
        ids[i] = rk_pg_str(peers, i, 0);
        r = rk_change_watch(ch, RK_WATCH_PEER, ids[i].p, NULL, err);
    }
    if (r < 0)
        return r;
    return peer_delete_all(ch, ids, (size_t)rk_pg_rows(peers), actor->user_id,
                           actor->default_domain, err);
}

int user_delete_within(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const char *id,
                       const struct rk_pg_result *row,
                       struct rk_err *err)
{
    struct rk_pg *pg = rk_change_pg(ch);
    int r;

    r = delete_peers(ch, actor, id, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &remember_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_STR(rk_pg_str(row, 0, USER_NAME)),
                    RK_P_STR(rk_pg_str(row, 0, USER_EMAIL)));
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &drop_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = rk_user_sessions_end(pg, id, err);
    if (r < 0)
        return r;
    r = tell(ch, actor, id, row, err);
    if (r < 0)
        return r;
    return rk_change_touch(ch, RK_OBJ_USER, id, err);
}

/* An account without an owner would never have one again. */
static int check_owner(const struct rk_pg_result *row, struct rk_err *err)
{
    if (rk_str_eq(rk_pg_str(row, 0, USER_ROLE), rk_str(rk_role_name(RK_ROLE_OWNER))))
        return rk_fail(err, RK_DENIED, "can't delete a user with the owner role");
    return 0;
}

int rk_user_delete(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    if (strcmp(id, actor->user_id) == 0)
        return rk_fail(err, RK_INVALID, "self deletion is not allowed");
    r = rk_actor_begin(pg, actor, RK_WATCH_USER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = user_lock(ch, id, &row, err);
    if (r < 0)
        return r;
    r = check_owner(row, err);
    if (r < 0)
        return r;
    if (rk_str_eq(rk_pg_str(row, 0, USER_ISSUED), RK_STR("integration")))
        return rk_fail(err, RK_DENIED, "only integration service user can delete this user");
    r = user_delete_within(ch, actor, id, row, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}

/* A user who waits, locked. */
static int waiting(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_change **out,
                   struct rk_pg_result **row,
                   struct rk_err *err)
{
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_USER, id, NULL, out, err);
    if (r < 0)
        return r;
    r = user_lock(*out, id, row, err);
    if (r < 0)
        return r;
    if (!rk_pg_bool(*row, 0, USER_PENDING))
        return rk_fail(err, RK_INVALID, "user %s is not pending approval", id);
    return 0;
}

int rk_user_approve(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = waiting(pg, actor, id, &ch, &row, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &approve_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "user.approve", id, err, NULL);
    if (r < 0)
        return r;
    return rk_actor_finish(&ch, actor, RK_OBJ_USER, id, out_bell, err);
}

int rk_user_reject(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = waiting(pg, actor, id, &ch, &row, err);
    if (r == 0)
        r = check_owner(row, err);
    if (r < 0)
        return r;
    r = user_delete_within(ch, actor, id, row, err);
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "user.reject", id, err, NULL);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}
