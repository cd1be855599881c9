/* Deletion of peers, with what only they gave a meaning to. */

#include <string.h>

#include "libcommon/account/rules/audit.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/json.h"

/* Policies that name one of the peers as a side of a rule. */
static int delete_policies(struct rk_change *ch,
                           const struct rk_str *ids,
                           size_t n,
                           const char *initiator_id,
                           struct rk_err *err)
{
    static const struct rk_pg_stmt drop = {
        "peer_delete_policies",
        "WITH named AS (SELECT DISTINCT ON (r.policy_id) r.policy_id, x.id FROM policy_rule r "
        "JOIN unnest($2::text[]) x(id) ON x.id IN (r.source_resource_id, "
        "r.destination_resource_id)), "
        "gone AS (DELETE FROM policy p USING named WHERE p.account_id = $1 AND p.id = "
        "named.policy_id RETURNING p.id, p.name, named.id AS peer_id) "
        "SELECT g.id, g.name, g.peer_id, coalesce(nullif(p.user_id, ''), 'sys') FROM gone g "
        "JOIN peer p ON p.id = g.peer_id"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int i, r;

    r = rk_pg_run(rk_change_pg(ch), &drop, &res, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_ARRAY(ids, n));
    for (i = 0; r == 0 && i < rk_pg_rows(res); i++) {
        rk_auto(rk_buf_done) struct rk_buf meta;
        struct rk_json j;

        rk_buf_init(&meta, 64 * 1024);
        rk_json_init(&j, &meta);
        rk_json_object(&j, NULL);
        rk_json_str(&j, "name", rk_pg_str(res, i, 1));
        rk_json_object_end(&j);
        r = rk_change_touch(ch, RK_OBJ_POLICY, rk_pg_str(res, i, 0).p, err);
        if (r == 0)
            r = rk_change_event(ch, "policy.delete",
                                initiator_id ? initiator_id : rk_pg_str(res, i, 3).p,
                                rk_pg_str(res, i, 2).p, rk_buf_str(&meta), err);
    }
    return r;
}

/* Browser peers come and go unrecorded. */
static int
tell(struct rk_change *ch, const struct peer_facts *f, const char *initiator_id, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta;

    rk_buf_init(&meta, 64 * 1024);
    if (f->wasm)
        return 0;
    if (!initiator_id)
        initiator_id = f->user_id.n ? f->user_id.p : "sys";
    peer_facts_json(f, NULL, RK_STR(""), &meta);
    return rk_change_event(ch, "user.peer.delete", initiator_id, f->id.p, rk_buf_str(&meta), err);
}

int peer_delete_all(struct rk_change *ch,
                    const struct rk_str *ids,
                    size_t n,
                    const char *initiator_id,
                    const char *default_domain,
                    struct rk_err *err)
{
    static const struct rk_pg_stmt drop = {
        "peer_delete", "DELETE FROM peer WHERE account_id = $1 AND id = ANY($2::text[])"
    };
    /* After the status rows went, which is the order in which presence locks the two. */
    static const struct rk_pg_stmt drop_due = {
        "peer_delete_due", "DELETE FROM due WHERE account_id = $1 AND object_id = ANY($2::text[]) "
                           "AND kind IN ('ephemeral', 'login', 'inactivity')"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *facts = NULL;
    int r;

    r = peer_facts_load(ch, ids, n, default_domain, &facts, err);
    if (r < 0)
        return r;
    r = delete_policies(ch, ids, n, initiator_id, err);
    if (r < 0)
        return r;
    r = rk_pg_later(rk_change_pg(ch), &drop, NULL, err, RK_P_C(rk_change_account_id(ch)),
                    RK_P_ARRAY(ids, n));
    if (r < 0)
        return r;
    r = rk_pg_later(rk_change_pg(ch), &drop_due, NULL, err, RK_P_C(rk_change_account_id(ch)),
                    RK_P_ARRAY(ids, n));
    for (int i = 0; r == 0 && i < rk_pg_rows(facts); i++) {
        struct peer_facts f;

        peer_facts_read(facts, i, &f);
        r = rk_change_touch(ch, RK_OBJ_PEER, f.id.p, err);
        if (r == 0)
            r = tell(ch, &f, initiator_id, err);
    }
    return r;
}

int rk_peer_delete(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *peer_id,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    static const struct rk_pg_stmt lock = {
        "peer_delete_lock", "SELECT (SELECT r.id FROM network_router r WHERE r.account_id = $1 AND "
                            "r.peer_id = $2 ORDER BY r.id LIMIT 1) FROM peer WHERE account_id = $1 "
                            "AND id = $2 FOR UPDATE"
    };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL;
    const struct rk_str id = rk_str(peer_id);
    struct rk_bell bell = { .serial = 0 };
    int r;

    r = rk_change_begin(pg, actor->account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &lock, &found, err, RK_P_C(actor->account_id), RK_P_C(peer_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(found) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer %s account %s not found", peer_id,
                       actor->account_id);
    if (!rk_pg_null(found, 0, 0))
        return rk_fail(err, RK_PRECONDITION, "peer is linked to a network router: %s",
                       rk_pg_str(found, 0, 0).p);
    r = rk_change_watch(ch, RK_WATCH_PEER, peer_id, NULL, err);
    if (r < 0)
        return r;
    r = peer_delete_all(ch, &id, 1, actor->user_id, actor->default_domain, err);
    if (r < 0)
        return r;
    rk_str_copy(rk_str(actor->account_id), bell.account_id, sizeof(bell.account_id));
    r = rk_change_commit(&ch, &bell.serial, err);
    if (r < 0)
        return r;
    *out_bell = bell;
    return 0;
}
