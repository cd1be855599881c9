/* See network.h. */

#include "libcommon/account/rules/network.h"

#include "libcommon/account/rules/resource.h"
#include "libcommon/account/rules/router.h"
#include "libcommon/base/alloc.h"

static const struct rk_pg_stmt get_stmt = {
    "network_get", "SELECT name FROM network WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt insert_stmt = {
    "network_insert", "INSERT INTO network (account_id, id, public_id, name, description)"
                      " VALUES ($1, $2, $3, $4, $5)"
};
static const struct rk_pg_stmt update_stmt = {
    "network_update",
    "UPDATE network SET name = $3, description = $4 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "network_delete", "DELETE FROM network WHERE account_id = $1 AND id = $2"
};

int rk_network_find(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    char **out_name,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_actor_row(pg, actor, &get_stmt, "failed to get network: network", id, &res, err);

    if (r < 0)
        return r;
    if (out_name)
        *out_name = rk_strdup(rk_pg_str(res, 0, 0).p);
    return 0;
}

static int network_event(struct rk_change *ch,
                         const struct rk_actor *actor,
                         const char *code,
                         const char *id,
                         const char *name,
                         struct rk_err *err)
{
    return rk_actor_tell(ch, actor, code, id, err, "name", name, NULL);
}

int rk_network_create(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const struct rk_network_input *in,
                      char out_id[RK_XID_LEN + 1],
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    rk_xid_new(id);
    rk_xid_new(public_id);
    r = rk_actor_begin(pg, actor, RK_WATCH_NETWORK, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(public_id), RK_P_C(in->name), RK_P_C(in->description));
    if (r < 0)
        return r;
    r = network_event(ch, actor, "network.create", id, in->name, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_network_update(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      const struct rk_network_input *in,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_NETWORK, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_network_find(pg, actor, id, NULL, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(in->name), RK_P_C(in->description));
    if (r < 0)
        return r;
    r = network_event(ch, actor, "network.update", id, in->name, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}

int rk_network_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *name = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_NETWORK, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_network_find(pg, actor, id, &name, err);
    if (r < 0)
        return r;
    r = rk_resources_drop(ch, actor, id, name, err);
    if (r < 0)
        return r;
    r = rk_routers_drop(ch, actor, id, name, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = network_event(ch, actor, "network.delete", id, name, err);
    if (r < 0)
        return r;
    return rk_actor_finish(&ch, actor, RK_OBJ_NETWORK, id, out_bell, err);
}
