/* Deletion of a peer, with what only it gave a meaning to. */

#include <string.h>

#include "libcommon/account/audit.h"
#include "libcommon/account/peers.h"
#include "libcommon/account/store_int.h"
#include "libcommon/base/json.h"

void peer_facts_json(const struct peer_facts *f,
                     const char *extra_key,
                     struct rk_str extra,
                     struct rk_buf *out)
{
    char fqdn[512];
    struct rk_json j;

    snprintf(fqdn, sizeof(fqdn), "%.*s%s%.*s", RK_STR_FMT(f->label), f->domain.n ? "." : "",
             RK_STR_FMT(f->domain));
    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    rk_json_str(&j, "name", f->name);
    rk_json_cstr(&j, "fqdn", fqdn);
    rk_json_str(&j, "ip", f->ip);
    if (f->ip6.n)
        rk_json_str(&j, "ipv6", f->ip6);
    rk_json_time(&j, "created_at", f->created_at_us);
    rk_json_cstr(&j, "location_city_name", "");
    rk_json_cstr(&j, "location_country_code", "");
    rk_json_int(&j, "location_geo_name_id", 0);
    rk_json_str(&j, "location_connection_ip", f->connection_ip);
    if (extra_key)
        rk_json_str(&j, extra_key, extra);
    rk_json_object_end(&j);
}

/* The row of the transaction under way. */
static int event_meta(struct rk_change *ch,
                      const char *peer_id,
                      const char *default_domain,
                      struct rk_buf *out,
                      struct rk_err *err)
{
    static const struct rk_pg_stmt read = {
        "peer_event_meta", "SELECT p.name, p.dns_label, "
                           "coalesce(nullif(a.settings->>'dns_domain', ''), $2), "
                           "host(p.ip), host(p.ip6), "
                           "coalesce(s.connection_ip, ''), p.created_at FROM peer p JOIN account a "
                           "ON a.id = p.account_id "
                           "LEFT JOIN peer_status s ON s.peer_id = p.id WHERE p.id = $1"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct peer_facts facts;
    int r;

    r = rk_pg_run(rk_change_pg(ch), &read, &res, err, RK_P_C(peer_id), RK_P_C(default_domain));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", peer_id);
    facts = (struct peer_facts){
        .name = rk_pg_str(res, 0, 0),
        .label = rk_pg_str(res, 0, 1),
        .domain = rk_pg_str(res, 0, 2),
        .ip = rk_pg_str(res, 0, 3),
        .ip6 = rk_pg_str(res, 0, 4),
        .connection_ip = rk_pg_str(res, 0, 5),
        .created_at_us = rk_pg_time(res, 0, 6),
    };
    peer_facts_json(&facts, NULL, RK_STR(""), out);
    return 0;
}

/* Policies that name the peer as a side of a rule. */
static int delete_policies(struct rk_change *ch,
                           const char *peer_id,
                           const char *initiator_id,
                           struct rk_err *err)
{
    static const struct rk_pg_stmt drop = {
        "peer_delete_policies",
        "DELETE FROM policy p WHERE p.account_id = $1 AND EXISTS (SELECT 1 FROM policy_rule r "
        "WHERE r.policy_id = p.id AND (r.source_resource_id = $2 OR r.destination_resource_id = "
        "$2)) "
        "RETURNING p.id, p.name"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int i, r;

    r = rk_pg_run(rk_change_pg(ch), &drop, &res, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_C(peer_id));
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
            r = rk_change_event(ch, "policy.delete", initiator_id, peer_id, rk_buf_str(&meta), err);
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
        "peer_delete_lock",
        "SELECT coalesce(nullif(user_id, ''), 'sys') FROM peer WHERE account_id = $1 "
        "AND id = $2 FOR UPDATE"
    };
    static const struct rk_pg_stmt drop = { "peer_delete",
                                            "DELETE FROM peer WHERE account_id = $1 AND id = $2" };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL;
    rk_auto(rk_buf_done) struct rk_buf meta;
    struct rk_bell bell = { .serial = 0 };
    const char *account_id = actor->account_id, *initiator_id;
    int r;

    rk_buf_init(&meta, 64 * 1024);
    r = rk_change_begin(pg, account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &lock, &found, err, RK_P_C(account_id), RK_P_C(peer_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(found) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer %s account %s not found", peer_id, account_id);
    r = rk_change_watch(ch, RK_WATCH_PEER, peer_id, NULL, err);
    if (r < 0)
        return r;
    initiator_id = actor->user_id ? actor->user_id : rk_pg_str(found, 0, 0).p;
    r = event_meta(ch, peer_id, actor->default_domain, &meta, err);
    if (r < 0)
        return r;
    r = delete_policies(ch, peer_id, initiator_id, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &drop, NULL, err, RK_P_C(account_id), RK_P_C(peer_id));
    if (r < 0)
        return r;
    r = rk_change_touch(ch, RK_OBJ_PEER, peer_id, err);
    if (r < 0)
        return r;
    r = rk_change_event(ch, "user.peer.delete", initiator_id, peer_id, rk_buf_str(&meta), err);
    if (r < 0)
        return r;
    rk_str_copy(rk_str(account_id), bell.account_id, sizeof(bell.account_id));
    r = rk_change_commit(&ch, &bell.serial, err);
    if (r < 0)
        return r;
    *out_bell = bell;
    return 0;
}
