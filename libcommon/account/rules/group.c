/* See group.h. */

#include "libcommon/account/rules/group.h"

#include <stdio.h>

#include "libcommon/account/rules/group_int.h"
#include "libcommon/account/rules/settings_int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/json.h"

/* Past this many memberships one reload of the group is cheaper than naming each. */
#define MAX_NAMED_MEMBERS 64

static const struct rk_pg_stmt get_stmt = {
    "group_get", "SELECT name, issued FROM account_group WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt by_name_stmt = {
    "group_by_name", "SELECT id FROM account_group WHERE account_id = $1 AND name = $2 LIMIT 1"
};
static const struct rk_pg_stmt insert_stmt = {
    "group_insert", "INSERT INTO account_group (id, public_id, account_id, name, issued) VALUES "
                    "($1, $2, $3, $4, 'api')"
};
static const struct rk_pg_stmt rename_stmt = {
    "group_rename", "UPDATE account_group SET name = $3 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt remove_stmt = {
    "group_remove", "DELETE FROM account_group WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt unknown_peer_stmt = {
    "group_unknown_peer", "SELECT x.id FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n)"
                          " WHERE NOT EXISTS (SELECT 1 FROM peer p WHERE p.account_id = $1 AND "
                          "p.id = x.id) ORDER BY x.n LIMIT 1"
};
static const struct rk_pg_stmt known_resource_stmt = {
    "group_known_resource",
    "SELECT 1 FROM network_resource WHERE account_id = $1 AND id = $2 AND type = $3"
};
static const struct rk_pg_stmt add_peers_stmt = {
    "group_add_peers",
    "WITH a AS (INSERT INTO group_peer (group_id, peer_id) SELECT $1, x FROM unnest($2::text[]) AS "
    "x"
    " ON CONFLICT DO NOTHING RETURNING peer_id)"
    " SELECT a.peer_id, host(p.ip), p.dns_label FROM a JOIN peer p ON p.id = a.peer_id ORDER BY 1"
};
static const struct rk_pg_stmt keep_peers_stmt = {
    "group_keep_peers",
    "WITH d AS (DELETE FROM group_peer WHERE group_id = $1 AND peer_id <> ALL ($2::text[])"
    " RETURNING peer_id)"
    " SELECT d.peer_id, host(p.ip), p.dns_label FROM d JOIN peer p ON p.id = d.peer_id ORDER BY 1"
};
static const struct rk_pg_stmt keep_resources_stmt = {
    "group_keep_resources",
    "WITH d AS (DELETE FROM group_resource WHERE group_id = $1 AND resource_id <> ALL ($2::text[])"
    " RETURNING resource_id) SELECT o.id, o.name, o.type FROM d JOIN network_resource o"
    " ON o.id = d.resource_id ORDER BY 1"
};
static const struct rk_pg_stmt add_resources_stmt = {
    "group_add_resources",
    "WITH a AS (INSERT INTO group_resource (group_id, resource_id, resource_type)"
    " SELECT $1, id, type FROM network_resource WHERE id = ANY ($2::text[])"
    " ON CONFLICT DO NOTHING RETURNING resource_id) SELECT o.id, o.name, o.type FROM a"
    " JOIN network_resource o ON o.id = a.resource_id ORDER BY 1"
};

/* What may hold on to a group, in the order it is told; each answers ($1 account, $2 group) with
 * the name of the user. */
static const struct {
    struct rk_pg_stmt stmt;
    const char *what;
} links[] = {
    { { "group_link_resource",
        "SELECT resource_id FROM group_resource WHERE $1::text IS NOT NULL AND group_id = $2"
        " ORDER BY 1 LIMIT 1" },
      "network resource" },
    { { "group_link_traffic", "SELECT 'traffic event logging' FROM account WHERE id = $1"
                              " AND settings->'extra'->'network_traffic_logs_groups' ? $2" },
      "settings" },
    { { "group_link_route",
        "SELECT net_id FROM route WHERE account_id = $1 AND ($2 = ANY (groups) OR"
        " $2 = ANY (peer_groups) OR $2 = ANY (access_control_groups)) ORDER BY created_at, id "
        "LIMIT 1" },
      "route" },
    { { "group_link_nameservers", "SELECT name FROM nameserver_group WHERE account_id = $1"
                                  " AND $2 = ANY (groups) ORDER BY created_at, id LIMIT 1" },
      "name server groups" },
    { { "group_link_policy",
        "SELECT p.name FROM policy p JOIN policy_rule r ON r.policy_id = p.id WHERE p.account_id = "
        "$1"
        " AND ($2 = ANY (r.sources) OR $2 = ANY (r.destinations) OR r.authorized_groups ? $2)"
        " ORDER BY p.created_at, p.id LIMIT 1" },
      "policy" },
    { { "group_link_setup_key",
        "SELECT name FROM setup_key WHERE account_id = $1 AND $2 = ANY (auto_groups)"
        " ORDER BY created_at, id LIMIT 1" },
      "setup key" },
    { { "group_link_user", "SELECT id FROM users WHERE account_id = $1 AND $2 = ANY (auto_groups) "
                           "ORDER BY id LIMIT 1" },
      "user" },
    { { "group_link_router", "SELECT id FROM network_router WHERE account_id = $1"
                             " AND $2 = ANY (peer_groups) ORDER BY created_at, id LIMIT 1" },
      "network router" },
    { { "group_link_dns", "SELECT g.name FROM account a JOIN account_group g ON g.id = $2"
                          " WHERE a.id = $1 AND $2 = ANY (a.dns_disabled_groups)" },
      "disabled DNS management groups" },
    { { "group_link_zone", "SELECT name FROM zone WHERE account_id = $1"
                           " AND $2 = ANY (distribution_groups) ORDER BY created_at, id LIMIT 1" },
      "dns zone" },
};

static int
check_name(struct rk_change *ch, const struct rk_actor *actor, const char *name, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(rk_change_pg(ch), &by_name_stmt, &res, err, RK_P_C(actor->account_id),
                  RK_P_C(name));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_EXISTS, "group with name %s already exists", name);
    return 0;
}

static int check_members(struct rk_change *ch,
                         const struct rk_actor *actor,
                         const struct rk_group_input *in,
                         struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (in->peers_n > 0) {
        r = rk_pg_run(rk_change_pg(ch), &unknown_peer_stmt, &res, err, RK_P_C(actor->account_id),
                      RK_P_ARRAY(in->peers, in->peers_n));
        if (r < 0)
            return r;
        if (rk_pg_rows(res) > 0)
            return rk_fail(err, RK_INVALID, "peer not found: %s", rk_pg_str(res, 0, 0).p);
    }
    for (size_t i = 0; i < in->resources_n; i++) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *known = NULL;

        r = rk_pg_run(rk_change_pg(ch), &known_resource_stmt, &known, err,
                      RK_P_C(actor->account_id), RK_P_C(in->resources[i].id),
                      RK_P_C(in->resources[i].type));
        if (r < 0)
            return r;
        if (rk_pg_rows(known) == 0)
            return rk_fail(err, RK_INVALID, "network resource: %s not found", in->resources[i].id);
    }
    return 0;
}

/* Writes one event a membership in `res`, and touches each when there are few. */
static int tell_members(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *code,
                        const char *group_id,
                        const char *group_name,
                        const struct rk_pg_result *res,
                        struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf domain = { 0 };
    int r;

    if (rk_pg_rows(res) == 0)
        return 0;
    rk_buf_init(&domain, 1024);
    r = rk_actor_domain(ch, actor, &domain, err);
    for (int i = 0; r == 0 && i < rk_pg_rows(res); i++) {
        const char *peer = rk_pg_str(res, i, 0).p;
        char fqdn[512];
        char member[2 * RK_XID_LEN + 2];

        snprintf(fqdn, sizeof(fqdn), "%s.%s", rk_pg_str(res, i, 2).p, (const char *)domain.p);
        r = rk_actor_tell(ch, actor, code, peer, err, "group", group_name, "group_id", group_id,
                          "peer_ip", rk_pg_str(res, i, 1).p, "peer_fqdn", fqdn, NULL);
        if (r == 0 && rk_pg_rows(res) <= MAX_NAMED_MEMBERS) {
            snprintf(member, sizeof(member), "%s:%s", group_id, peer);
            r = rk_change_touch(ch, RK_OBJ_GROUP_PEER, member, err);
        }
    }
    return r;
}

/* One event a resource in `res`. */
static int tell_resources(struct rk_change *ch,
                          const struct rk_actor *actor,
                          const char *code,
                          const char *group_id,
                          const char *group_name,
                          const struct rk_pg_result *res,
                          struct rk_err *err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < rk_pg_rows(res); i++)
        r = rk_actor_tell(ch, actor, code, group_id, err, "name", group_name, "id", group_id,
                          "resource_name", rk_pg_str(res, i, 1).p, "resource_id",
                          rk_pg_str(res, i, 0).p, "resource_type", rk_pg_str(res, i, 2).p, NULL);
    return r;
}

static int replace_resources(struct rk_change *ch,
                             const struct rk_actor *actor,
                             const char *id,
                             const struct rk_group_input *in,
                             bool *out_changed,
                             struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *ids = rk_new_array(struct rk_str, in->resources_n + 1);
    rk_auto(rk_pg_result_free) struct rk_pg_result *gone = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *came = NULL;
    struct rk_pg *pg = rk_change_pg(ch);
    int r;

    for (size_t i = 0; i < in->resources_n; i++)
        ids[i] = rk_str(in->resources[i].id);
    r = rk_pg_run(pg, &keep_resources_stmt, &gone, err, RK_P_C(id),
                  RK_P_ARRAY(ids, in->resources_n));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &add_resources_stmt, &came, err, RK_P_C(id),
                  RK_P_ARRAY(ids, in->resources_n));
    if (r < 0)
        return r;
    *out_changed = rk_pg_rows(gone) + rk_pg_rows(came) > 0;
    r = tell_resources(ch, actor, "resource.group.delete", id, in->name, gone, err);
    if (r < 0)
        return r;
    return tell_resources(ch, actor, "resource.group.add", id, in->name, came, err);
}

/* Makes membership and resources what `in` says. *out_named = every difference has been touched by
 * its own name. */
static int replace_members(struct rk_change *ch,
                           const struct rk_actor *actor,
                           const char *id,
                           const struct rk_group_input *in,
                           bool *out_named,
                           struct rk_err *err)
{
    struct rk_pg *pg = rk_change_pg(ch);
    rk_auto(rk_pg_result_free) struct rk_pg_result *gone = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *came = NULL;
    bool resources = false;
    int r;

    r = rk_pg_run(pg, &keep_peers_stmt, &gone, err, RK_P_C(id), RK_P_ARRAY(in->peers, in->peers_n));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &add_peers_stmt, &came, err, RK_P_C(id), RK_P_ARRAY(in->peers, in->peers_n));
    if (r < 0)
        return r;
    r = tell_members(ch, actor, "peer.group.delete", id, in->name, gone, err);
    if (r < 0)
        return r;
    r = tell_members(ch, actor, "peer.group.add", id, in->name, came, err);
    if (r < 0)
        return r;
    r = replace_resources(ch, actor, id, in, &resources, err);
    if (r < 0)
        return r;
    *out_named = !resources && rk_pg_rows(gone) <= MAX_NAMED_MEMBERS &&
                 rk_pg_rows(came) <= MAX_NAMED_MEMBERS && rk_pg_rows(gone) + rk_pg_rows(came) > 0;
    return 0;
}

int rk_group_create(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const struct rk_group_input *in,
                    char out_id[RK_XID_LEN + 1],
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    bool named;
    int r;

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "group name shouldn't be empty");
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_GROUP, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = check_name(ch, actor, in->name, err);
    if (r < 0)
        return r;
    r = check_members(ch, actor, in, err);
    if (r < 0)
        return r;

    rk_xid_new(public_id);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                    RK_P_C(actor->account_id), RK_P_C(in->name));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "group.add", id, err, "name", in->name, NULL);
    if (r < 0)
        return r;
    r = replace_members(ch, actor, id, in, &named, err);
    if (r < 0)
        return r;
    r = rk_change_touch(ch, RK_OBJ_GROUP, id, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

static bool is_all(const struct rk_pg_result *group)
{
    return rk_str_eq(rk_pg_str(group, 0, 0), RK_STR(RK_GROUP_ALL));
}

int rk_group_check_editable(struct rk_pg *pg,
                            const struct rk_actor *actor,
                            const char *id,
                            struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_actor_row(pg, actor, &get_stmt, "group", id, &res, err);
    if (r < 0)
        return r;
    if (is_all(res))
        return rk_fail(err, RK_INVALID, "updating group all is not allowed");
    return 0;
}

int rk_group_update(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    const struct rk_group_input *in,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *old = NULL;
    bool renamed, named;
    int r;

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "group name shouldn't be empty");
    r = rk_actor_begin(pg, actor, RK_WATCH_GROUP, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "group", id, &old, err);
    if (r < 0)
        return r;
    if (is_all(old))
        return rk_fail(err, RK_INVALID, "updating group all is not allowed");
    renamed = !rk_str_eq(rk_pg_str(old, 0, 0), rk_str(in->name));
    /* Other names may repeat, but All is found by its name. */
    if (renamed && strcmp(in->name, RK_GROUP_ALL) == 0)
        return rk_fail(err, RK_EXISTS, "group with name %s already exists", in->name);
    r = check_members(ch, actor, in, err);
    if (r < 0)
        return r;

    if (renamed) {
        r = rk_pg_later(pg, &rename_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                        RK_P_C(in->name));
        if (r < 0)
            return r;
        r = rk_actor_tell(ch, actor, "group.update", id, err, "old_name", rk_pg_str(old, 0, 0).p,
                          "new_name", in->name, NULL);
        if (r < 0)
            return r;
    }
    r = replace_members(ch, actor, id, in, &named, err);
    if (r < 0)
        return r;
    r = rk_settings_follow6(ch, id, err);
    if (r < 0)
        return r;
    if (renamed || !named) {
        r = rk_change_touch(ch, RK_OBJ_GROUP, id, err);
        if (r < 0)
            return r;
    }
    return rk_actor_commit(&ch, actor, out_bell, err);
}

int group_check_unlinked(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         const char *id,
                         struct rk_err *err)
{
    for (size_t i = 0; i < RK_COUNT(links); i++) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
        int r = rk_pg_run(pg, &links[i].stmt, &res, err, RK_P_C(actor->account_id), RK_P_C(id));

        if (r < 0)
            return r;
        if (rk_pg_rows(res) > 0)
            return rk_fail(err, RK_BAD_REQUEST, "group has been linked to %s: %s", links[i].what,
                           rk_pg_str(res, 0, 0).p);
    }
    return 0;
}

int rk_group_delete(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *old = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_GROUP, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "group", id, &old, err);
    if (r < 0)
        return r;
    if (rk_str_eq(rk_pg_str(old, 0, 1), RK_STR("integration")) &&
        !(actor->is_service_user && actor->is_admin))
        return rk_fail(err, RK_BAD_REQUEST,
                       "only service users with admin power can delete integration group");
    if (is_all(old))
        return rk_fail(err, RK_BAD_REQUEST, "deleting group ALL is not allowed");
    r = group_check_unlinked(pg, actor, id, err);
    if (r < 0)
        return r;

    r = rk_pg_later(pg, &remove_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = rk_settings_follow6(ch, id, err);
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "group.delete", id, err, "name", rk_pg_str(old, 0, 0).p, NULL);
    if (r < 0)
        return r;
    return rk_actor_finish(&ch, actor, RK_OBJ_GROUP, id, out_bell, err);
}
