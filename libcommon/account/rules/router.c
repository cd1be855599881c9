/* See router.h. */

#include "libcommon/account/rules/router.h"

#include "libcommon/account/rules/network.h"
#include "libcommon/account/rules/refs.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/json.h"

#define NOT_FOUND "failed to get network router: network router"

static const struct rk_pg_stmt get_stmt = {
    "router_get", "SELECT network_id FROM network_router WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt insert_stmt = {
    "router_insert",
    "INSERT INTO network_router (account_id, id, network_id, public_id, peer_id, peer_groups,"
    " metric, masquerade, enabled) VALUES ($1, $2, $3, $4, $5, $6::text[], $7, $8, $9)"
};
static const struct rk_pg_stmt update_stmt = {
    "router_update", "UPDATE network_router SET peer_id = $3, peer_groups = $4::text[],"
                     " metric = $5, masquerade = $6, enabled = $7 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "router_delete", "DELETE FROM network_router WHERE account_id = $1 AND network_id = $2"
                     " AND ($3::text IS NULL OR id = $3) RETURNING id, peer_id, peer_groups"
};

int rk_router_validate(const struct rk_router_input *in, struct rk_err *err)
{
    if (in->peer[0] != '\0' && in->peer_groups_n > 0)
        return rk_fail(err, RK_BAD_REQUEST, "peer and peer_groups cannot be set at the same time");
    if (in->peer[0] == '\0' && in->peer_groups_n == 0)
        return rk_fail(err, RK_BAD_REQUEST, "either peer or peer_groups must be provided");
    return 0;
}

/* Beyond what an agent can use as a metric, stock clients send anything. */
static int
check_references(struct rk_change *ch, const struct rk_router_input *in, struct rk_err *err)
{
    if (in->metric < 0 || in->metric > RK_ROUTER_MAX_METRIC)
        return rk_fail(err, RK_INVALID, "metric should be between 1 and 9999");
    if (in->peer_groups_n > 0)
        return rk_refs_groups(ch, in->peer_groups, in->peer_groups_n, err);
    return rk_refs_peer(ch, in->peer, err);
}

/* Its event and its place in the maps. */
static int tell(struct rk_change *ch,
                const struct rk_actor *actor,
                const char *code,
                const char *id,
                const char *network_id,
                const char *network_name,
                const char *peer,
                const struct rk_str *groups,
                size_t groups_n,
                struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta;
    struct rk_json j;
    int r;

    rk_buf_init(&meta, RK_META_MAX);
    rk_json_init(&j, &meta);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "network_name", network_name);
    rk_json_cstr(&j, "network_id", network_id);
    rk_json_cstr(&j, "peer", peer);
    if (groups_n == 0) {
        rk_json_null(&j, "peer_groups");
    } else {
        rk_json_array(&j, "peer_groups");
        for (size_t i = 0; i < groups_n; i++)
            rk_json_str(&j, NULL, groups[i]);
        rk_json_array_end(&j);
    }
    rk_json_object_end(&j);
    r = rk_change_event(ch, code, actor->user_id, id, rk_buf_str(&meta), err);
    if (r < 0)
        return r;
    return rk_change_touch(ch, RK_OBJ_ROUTER, id, err);
}

int rk_router_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *network_id,
                     const struct rk_router_input *in,
                     char out_id[RK_XID_LEN + 1],
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *network = NULL;
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    r = rk_router_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    rk_xid_new(public_id);
    r = rk_actor_begin(pg, actor, RK_WATCH_ROUTER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_network_find(pg, actor, network_id, &network, err);
    if (r < 0)
        return r;
    r = check_references(ch, in, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(network_id), RK_P_C(public_id), RK_P_C(in->peer),
                    RK_P_ARRAY(in->peer_groups, in->peer_groups_n), RK_P_INT(in->metric),
                    RK_P_BOOL(in->masquerade), RK_P_BOOL(in->enabled));
    if (r < 0)
        return r;
    r = tell(ch, actor, "network.router.create", id, network_id, network, in->peer, in->peer_groups,
             in->peer_groups_n, err);
    if (r < 0)
        return r;
    /* Its creation raised no serial; this is where maps begin to need it. */
    r = rk_change_touch(ch, RK_OBJ_NETWORK, network_id, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

/* RK_NOT_FOUND also for one of another network. */
static int check_belongs(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         const char *network_id,
                         const char *id,
                         struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_actor_row(pg, actor, &get_stmt, NOT_FOUND, id, &res, err);

    if (r < 0)
        return r;
    if (!rk_str_eq(rk_pg_str(res, 0, 0), rk_str(network_id)))
        return rk_fail(err, RK_NOT_FOUND, NOT_FOUND ": %s not found", id);
    return 0;
}

int rk_router_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *network_id,
                     const char *id,
                     const struct rk_router_input *in,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *network = NULL;
    int r;

    r = rk_router_validate(in, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_ROUTER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_network_find(pg, actor, network_id, &network, err);
    if (r < 0)
        return r;
    r = check_belongs(pg, actor, network_id, id, err);
    if (r < 0)
        return r;
    r = check_references(ch, in, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(in->peer), RK_P_ARRAY(in->peer_groups, in->peer_groups_n),
                    RK_P_INT(in->metric), RK_P_BOOL(in->masquerade), RK_P_BOOL(in->enabled));
    if (r < 0)
        return r;
    r = tell(ch, actor, "network.router.update", id, network_id, network, in->peer, in->peer_groups,
             in->peer_groups_n, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}

/* One router of the network, or all (id NULL). */
static int drop(struct rk_change *ch,
                const struct rk_actor *actor,
                const char *network_id,
                const char *network_name,
                const char *id,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *gone = NULL;
    int r;

    r = rk_pg_run(rk_change_pg(ch), &delete_stmt, &gone, err, RK_P_C(actor->account_id),
                  RK_P_C(network_id), RK_P_C(id));
    for (int i = 0; r == 0 && i < rk_pg_rows(gone); i++) {
        rk_auto(rk_free) struct rk_str *groups = NULL;
        size_t n = 0;

        rk_pg_array(gone, i, 2, &groups, &n);
        r = tell(ch, actor, "network.router.delete", rk_pg_str(gone, i, 0).p, network_id,
                 network_name, rk_pg_str(gone, i, 1).p, groups, n, err);
    }
    return r;
}

int rk_router_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *network_id,
                     const char *id,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *network = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_ROUTER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = check_belongs(pg, actor, network_id, id, err);
    if (r < 0)
        return r;
    r = rk_network_find(pg, actor, network_id, &network, err);
    if (r < 0)
        return r;
    r = drop(ch, actor, network_id, network, id, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}

int rk_routers_drop(struct rk_change *ch,
                    const struct rk_actor *actor,
                    const char *network_id,
                    const char *network_name,
                    struct rk_err *err)
{
    return drop(ch, actor, network_id, network_name, NULL, err);
}
