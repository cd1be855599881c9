/* See approval.h. */

#include "libcommon/account/peer/approval.h"

#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"

static int approve_all(struct rk_change *ch, const struct rk_actor *actor, struct rk_err *err)
{
    static const struct rk_pg_stmt approve = {
        "approval_all", "WITH a AS (UPDATE peer SET requires_approval = false WHERE account_id = "
                        "$1 AND requires_approval RETURNING id) SELECT array_agg(id ORDER BY id) "
                        "FROM a"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL, *facts = NULL;
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n = 0;
    int r = rk_pg_run(rk_change_pg(ch), &approve, &res, err, RK_P_C(actor->account_id));

    if (r < 0)
        return r;
    rk_pg_array(res, 0, 0, &ids, &n);
    if (n == 0)
        return 0;
    r = peer_facts_load(ch, ids, n, actor->default_domain, &facts, err);
    for (int i = 0; r == 0 && i < rk_pg_rows(facts); i++) {
        rk_auto(rk_buf_done) struct rk_buf meta;
        struct peer_facts f;

        rk_buf_init(&meta, 64 * 1024);
        peer_facts_read(facts, i, &f);
        peer_facts_json(&f, NULL, RK_STR(""), &meta);
        r = rk_change_touch(ch, RK_OBJ_PEER, f.id.p, err);
        if (r == 0)
            r = rk_change_event(ch, "peer.approve", actor->user_id, f.id.p, rk_buf_str(&meta), err);
    }
    return r;
}

int rk_approval_follow(
    struct rk_change *ch, const struct rk_actor *actor, bool was, bool now, struct rk_err *err)
{
    int r;

    if (was == now)
        return 0;
    r = rk_change_event(
        ch, now ? "account.setting.peer.approval.enable" : "account.setting.peer.approval.disable",
        actor->user_id, actor->account_id, RK_STR(""), err);
    return r < 0 || now ? r : approve_all(ch, actor, err);
}
