/* /api/peers */

#include <stdlib.h>

#include "libcommon/account/peer/rules.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/compile/compile.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "proto/management.pb-c.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/auth/caller.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT p.id, p.name, p.created_at, host(p.ip), host(p.ip6),"                                  \
    " coalesce(nullif(s.connection_ip, ''), p.location_ip), coalesce(s.connected, false),"         \
    " coalesce(s.last_seen, p.last_login, p.created_at),"                                          \
    " concat_ws(' ', p.meta->>'OS', coalesce(nullif(p.meta->>'OSVersion', ''),"                    \
    " nullif(p.meta->>'kernel', ''), p.meta->>'core')),"                                           \
    " p.meta->>'kernelVersion', p.meta->>'netbirdVersion', p.ssh_enabled, p.user_id,"              \
    " p.meta->>'hostname', p.meta->>'uiVersion', p.dns_label, p.login_expiration_enabled,"         \
    " p.login_expired, p.last_login, p.inactivity_expiration_enabled, p.requires_approval,"        \
    " p.meta->>'sysSerialNumber', p.extra_dns_labels, p.ephemeral, p.country_code, p.city_name,"   \
    " p.geoname_id, p.meta->'flags'->>'rosenpassEnabled', "                                        \
    "p.meta->'flags'->>'rosenpassPermissive',"                                                     \
    " p.meta->'flags'->>'serverSSHAllowed', p.meta->'flags'->>'disableClientRoutes',"              \
    " p.meta->'flags'->>'disableServerRoutes', p.meta->'flags'->>'disableDNS',"                    \
    " p.meta->'flags'->>'disableFirewall', p.meta->'flags'->>'blockLANAccess',"                    \
    " p.meta->'flags'->>'blockInbound', p.meta->'flags'->>'lazyConnectionEnabled',"                \
    " (SELECT array_agg(m.group_id) FROM group_peer m WHERE m.peer_id = p.id)"                     \
    " FROM peer p LEFT JOIN peer_status s ON s.peer_id = p.id WHERE p.account_id = $1"
enum {
    ID,
    NAME,
    CREATED,
    IP,
    IP6,
    CONNECTION_IP,
    CONNECTED,
    LAST_SEEN,
    OS,
    KERNEL_VERSION,
    VERSION,
    SSH,
    USER,
    HOSTNAME,
    UI_VERSION,
    LABEL,
    LOGIN_EXPIRATION,
    LOGIN_EXPIRED,
    LAST_LOGIN,
    INACTIVITY_EXPIRATION,
    APPROVAL,
    SERIAL,
    EXTRA_LABELS,
    EPHEMERAL,
    COUNTRY,
    CITY,
    GEONAME,
    FLAGS,
};
#define FLAGS_COUNT 10
#define GROUP_IDS (FLAGS + FLAGS_COUNT)

/* strpos takes the filters as they are: no pattern characters. */
static const struct rk_pg_stmt list_stmt = {
    "peer_list", COLUMNS " AND strpos(p.name, $2) > 0 AND (strpos(host(p.ip), $3) > 0 OR "
                         "strpos(coalesce(host(p.ip6), ''), $3) > 0)"
                         " AND ($4 = '' OR p.user_id = $4) ORDER BY p.created_at, p.id"
};
static const struct rk_pg_stmt get_stmt = { "peer_get", COLUMNS " AND p.id = $2" };
static const struct rk_pg_stmt some_stmt = {
    "peer_some", COLUMNS " AND p.id = ANY ($2::text[]) ORDER BY p.created_at, p.id"
};

static const char *const flag_names[FLAGS_COUNT] = {
    "rosenpass_enabled",       "rosenpass_permissive",  "server_ssh_allowed",
    "disable_client_routes",   "disable_server_routes", "disable_dns",
    "disable_firewall",        "block_lan_access",      "block_inbound",
    "lazy_connection_enabled",
};

static void write_name(struct rk_json *j, const char *key, struct rk_str label, const char *domain)
{
    char fqdn[512];
    int n = snprintf(fqdn, sizeof(fqdn), "%.*s.%s", RK_STR_FMT(label), domain);

    rk_json_str(j, key, rk_strn(fqdn, (size_t)n < sizeof(fqdn) ? (size_t)n : sizeof(fqdn) - 1));
}

static void
write_extra_names(struct rk_json *j, const struct rk_pg_result *res, int row, const char *domain)
{
    rk_auto(rk_free) struct rk_str *labels = NULL;
    size_t n = 0;

    rk_pg_array(res, row, EXTRA_LABELS, &labels, &n);
    rk_json_array(j, "extra_dns_labels");
    for (size_t i = 0; i < n; i++)
        write_name(j, NULL, labels[i], domain);
    rk_json_array_end(j);
}

/* What both shapes of a peer have. */
static void
write_common(struct rk_json *j, const struct rk_pg_result *res, int row, const char *domain)
{
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "ip", rk_pg_str(res, row, IP));
    if (!rk_pg_null(res, row, IP6))
        rk_json_str(j, "ipv6", rk_pg_str(res, row, IP6));
    write_name(j, "dns_label", rk_pg_str(res, row, LABEL), domain);
    rk_json_str(j, "user_id", rk_pg_str(res, row, USER));
    rk_json_str(j, "os", rk_str_trim(rk_pg_str(res, row, OS)));
    rk_json_str(j, "country_code", rk_pg_str(res, row, COUNTRY));
    rk_json_str(j, "city_name", rk_pg_str(res, row, CITY));
    rk_json_int(j, "geoname_id", rk_pg_int(res, row, GEONAME));
    rk_json_bool(j, "connected", rk_pg_bool(res, row, CONNECTED));
    rk_json_time(j, "last_seen", rk_pg_time(res, row, LAST_SEEN));
}

static void write_groups(struct rk_json *j,
                         const struct rk_pg_result *res,
                         int row,
                         const struct group_briefs *groups)
{
    rk_auto(rk_free) struct rk_str *ids = NULL;
    rk_auto(rk_free) const struct group_brief **found = NULL;
    size_t n = 0, known = 0;

    if (!groups) {
        rk_json_null(j, "groups");
        return;
    }
    rk_pg_array(res, row, GROUP_IDS, &ids, &n);
    found = rk_new_array(const struct group_brief *, n + 1);
    for (size_t i = 0; i < n; i++) {
        found[known] = rk_map_get(groups->by_id, ids[i]);
        known += found[known] != NULL;
    }
    qsort(found, known, sizeof(*found), group_brief_order);
    rk_json_array(j, "groups");
    for (size_t i = 0; i < known; i++)
        write_group_brief(j, found[i]);
    rk_json_array_end(j);
}

/* `groups` NULL: the caller sees none. */
static void write_peer(struct call *c,
                       const struct rk_pg_result *res,
                       int row,
                       const struct group_briefs *groups,
                       bool in_list)
{
    struct rk_json *j = &c->json;

    rk_json_object(j, NULL);
    write_common(j, res, row, c->caller.domain);
    rk_json_time(j, "created_at", rk_pg_time(res, row, CREATED));
    rk_json_str(j, "connection_ip", rk_pg_str(res, row, CONNECTION_IP));
    rk_json_str(j, "kernel_version", rk_pg_str(res, row, KERNEL_VERSION));
    rk_json_str(j, "version", rk_pg_str(res, row, VERSION));
    write_groups(j, res, row, groups);
    rk_json_bool(j, "ssh_enabled", rk_pg_bool(res, row, SSH));
    rk_json_str(j, "hostname", rk_pg_str(res, row, HOSTNAME));
    rk_json_str(j, "ui_version", rk_pg_str(res, row, UI_VERSION));
    rk_json_bool(j, "login_expiration_enabled", rk_pg_bool(res, row, LOGIN_EXPIRATION));
    rk_json_bool(j, "login_expired", rk_pg_bool(res, row, LOGIN_EXPIRED));
    rk_json_time(j, "last_login", rk_pg_time(res, row, LAST_LOGIN));
    rk_json_bool(j, "inactivity_expiration_enabled", rk_pg_bool(res, row, INACTIVITY_EXPIRATION));
    rk_json_bool(j, "approval_required", rk_pg_bool(res, row, APPROVAL));
    rk_json_str(j, "serial_number", rk_pg_str(res, row, SERIAL));
    write_extra_names(j, res, row, c->caller.domain);
    rk_json_bool(j, "ephemeral", rk_pg_bool(res, row, EPHEMERAL));
    rk_json_object(j, "local_flags");
    for (int i = 0; i < FLAGS_COUNT; i++)
        rk_json_bool(j, flag_names[i], rk_str_eq(rk_pg_str(res, row, FLAGS + i), RK_STR("true")));
    rk_json_object_end(j);
    if (in_list)
        rk_json_int(j, "accessible_peers_count", 0);
    rk_json_object_end(j);
}

int peer_list(struct call *c, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *name = call_query(c, "name"), *ip = call_query(c, "ip");
    int r;

    if (!c->permitted && c->caller.view_blocked) {
        rk_json_array(&c->json, NULL);
        rk_json_array_end(&c->json);
        return 0;
    }
    if (c->permitted) {
        r = group_briefs_load(c, &groups, err);
        if (r < 0)
            return r;
    }
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id),
                  RK_P_C(name ? name : ""), RK_P_C(ip ? ip : ""),
                  RK_P_C(c->permitted ? "" : c->caller.user_id));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_peer(c, res, i, c->permitted ? &groups : NULL, true);
    rk_json_array_end(&c->json);
    return 0;
}

/* Another's peer is not found, for a caller who may see only the own ones. */
static int find(struct call *c, struct rk_pg_result **out, struct rk_err *err)
{
    int r = rk_pg_run(c->pg, &get_stmt, out, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]));

    if (r < 0)
        return r;
    if (rk_pg_rows(*out) == 0 ||
        (!c->permitted && !rk_str_eq(rk_pg_str(*out, 0, USER), rk_str(c->caller.user_id))))
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", c->var[0]);
    return 0;
}

int peer_get(struct call *c, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = find(c, &res, err);
    if (r < 0)
        return r;
    if (c->permitted) {
        r = group_briefs_load(c, &groups, err);
        if (r < 0)
            return r;
    }
    write_peer(c, res, 0, c->permitted ? &groups : NULL, false);
    return 0;
}

int peer_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_peer_input in;
    bool approval;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    in = (struct rk_peer_input){
        .name = body_str(&body, body.root, "name"),
        .ssh_enabled = body_bool(&body, body.root, "ssh_enabled"),
        .login_expiration_enabled = body_bool(&body, body.root, "login_expiration_enabled"),
        .inactivity_expiration_enabled =
            body_bool(&body, body.root, "inactivity_expiration_enabled"),
        .ip = body_str_opt(&body, body.root, "ip"),
        .ip6 = body_str_opt(&body, body.root, "ipv6"),
    };
    approval = body_bool(&body, body.root, "approval_required");
    if (body_get(body.root, "approval_required"))
        in.approval = &approval;
    r = body_check(&body, err);
    if (r < 0)
        return r;
    r = rk_peer_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    if (r < 0)
        return r;
    return peer_get(c, err);
}

int peer_delete(struct call *c, struct rk_err *err)
{
    int r = rk_peer_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    if (r == RK_NOT_FOUND)
        return rk_fail(err, RK_NOT_FOUND, "peer %s account not found", c->var[0]);
    return r < 0 ? r : write_empty(c);
}

static void add_ids(struct call *c,
                    const struct rk_snapshot *s,
                    Management__RemotePeerConfig *const *peers,
                    size_t n,
                    struct rk_str *out,
                    size_t *out_n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t key[RK_KEY_LEN];
        size_t index = rk_key_parse(rk_str(peers[i]->wgpubkey), key) ? rk_snapshot_find_key(s, key)
                                                                     : RK_NO_PEER;

        if (index != RK_NO_PEER)
            out[(*out_n)++] = rk_str(rk_arena_strdup(c->arena, rk_snapshot_peer(s, index)->id));
    }
}

/* Ids of the peers in the very map that c->var[0] holds, those that are offline too; *out_n 0 when
 * there is no such peer. */
static int map_ids(struct call *c, struct rk_str **out, size_t *out_n, struct rk_err *err)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    const Management__SyncResponse *m;
    const Management__NetworkMap *map;
    size_t index;
    int r;

    *out_n = 0;
    r = picture_get(c->pictures, c->pg, c->actor.account_id, &s, err);
    if (r < 0)
        return r;
    index = rk_snapshot_find_id(s, rk_str(c->var[0]));
    if (index == RK_NO_PEER)
        return 0;
    r = picture_map(s, index, c->arena, &m, err);
    if (r < 0)
        return r;
    map = m->networkmap;
    if (!map)
        return 0;
    *out = rk_arena_alloc(c->arena, (map->n_remotepeers + map->n_offlinepeers + 1) * sizeof(**out));
    add_ids(c, s, map->remotepeers, map->n_remotepeers, *out, out_n);
    add_ids(c, s, map->offlinepeers, map->n_offlinepeers, *out, out_n);
    return 0;
}

int peer_accessible(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_str *ids = NULL;
    size_t n = 0;
    bool own = true;
    int r;

    if (!c->permitted) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *peer = NULL;

        own = false;
        if (!c->caller.view_blocked) {
            r = rk_pg_run(c->pg, &get_stmt, &peer, err, RK_P_C(c->actor.account_id),
                          RK_P_C(c->var[0]));
            if (r < 0)
                return r;
            if (rk_pg_rows(peer) == 0)
                return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", c->var[0]);
            own = rk_str_eq(rk_pg_str(peer, 0, USER), rk_str(c->caller.user_id));
        }
    }
    if (own) {
        r = map_ids(c, &ids, &n, err);
        if (r < 0)
            return r;
    }
    r = rk_pg_run(c->pg, &some_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_ARRAY(ids, n));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++) {
        rk_json_object(&c->json, NULL);
        write_common(&c->json, res, i, c->caller.domain);
        rk_json_object_end(&c->json);
    }
    rk_json_array_end(&c->json);
    return 0;
}
