#include "libcommon/account/store/objects.h"

/* One SELECT a kind, and the function that reads its columns in that order. */

#include <sys/socket.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/model/domain.h"
#include "libcommon/account/store/rows.h"
#include "libcommon/base/alloc.h"

#define OBJECT(of_kind, name, columns, table, reader)                                              \
    {                                                                                              \
        .kind = of_kind,                                                                           \
        .some = { "load_" name, "SELECT " columns " FROM " table                                   \
                                " o WHERE o.account_id = $1 AND o.id = ANY($2::text[])" },         \
        .all = { "load_all_" name,                                                                 \
                 "SELECT " columns " FROM " table " o WHERE o.account_id = $1 ORDER BY o.id" },    \
        .read = reader                                                                             \
    }

static char *dup_col(const struct rk_pg_result *res, int row, int col)
{
    struct rk_str s = rk_pg_str(res, row, col);

    return rk_strndup(s.p, s.n);
}

static void copy_id(const struct rk_pg_result *res, int row, int col, char out[RK_XID_LEN + 1])
{
    (void)rk_str_copy(rk_pg_str(res, row, col), out, RK_XID_LEN + 1);
}

/* The row of `kind`, with the id of the first column. */
static void *row_of(enum rk_object_kind kind, const struct rk_pg_result *res, int row)
{
    return rk_row_new(kind, rk_pg_str(res, row, 0).p);
}

/* --- users ---------------------------------------------------------------------------------- */

#define USER_COLUMNS "o.id, NOT o.blocked AND NOT o.is_service_user, o.auto_groups, o.blocked"

static struct rk_row *read_user(const struct rk_pg_result *res, int row)
{
    struct rk_user_row *u = row_of(RK_OBJ_USER, res, row);

    u->active = rk_pg_bool(res, row, 1);
    u->blocked = rk_pg_bool(res, row, 3);
    store_ids(res, row, 2, &u->auto_groups);
    return &u->row;
}

/* --- posture checks ------------------------------------------------------------------------- */

#define POSTURE_COLUMNS "o.id, o.public_id, o.checks"

static char *dup_member(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return rk_strdup(s ? s : "");
}

static void read_os_versions(struct rk_posture_row *p, const json_t *os)
{
    static const struct {
        const char *name, *member;
    } systems[RK_OS_COUNT] = {
        [RK_OS_ANDROID] = { "android", "min_version" },
        [RK_OS_DARWIN] = { "darwin", "min_version" },
        [RK_OS_IOS] = { "ios", "min_version" },
        [RK_OS_LINUX] = { "linux", "min_kernel_version" },
        [RK_OS_WINDOWS] = { "windows", "min_kernel_version" },
    };

    p->has_os_version = json_is_object(os);
    for (size_t i = 0; i < RK_OS_COUNT; i++) {
        const json_t *entry = json_object_get(os, systems[i].name);

        if (json_is_object(entry))
            p->os_min[i] = dup_member(entry, systems[i].member);
    }
}

static bool allows(const json_t *check)
{
    const char *action = json_string_value(json_object_get(check, "action"));

    return action && strcmp(action, "allow") == 0;
}

static void read_locations(struct rk_posture_row *p, const json_t *geo)
{
    const json_t *list = json_object_get(geo, "locations");

    p->has_geo = json_is_object(geo);
    p->geo_allow = allows(geo);
    p->locations = rk_new_array(struct rk_geo_location, json_array_size(list) + 1);
    for (; p->locations_n < json_array_size(list); p->locations_n++) {
        const json_t *at = json_array_get(list, p->locations_n);

        p->locations[p->locations_n].country = dup_member(at, "country_code");
        p->locations[p->locations_n].city = dup_member(at, "city_name");
    }
}

static void read_ranges(struct rk_posture_row *p, const json_t *check)
{
    const json_t *list = json_object_get(check, "ranges");

    p->has_ranges = json_is_object(check);
    p->ranges_allow = allows(check);
    p->ranges = rk_new_array(struct rk_prefix, json_array_size(list) + 1);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text && rk_prefix_parse(rk_str(text), &p->ranges[p->ranges_n]))
            p->ranges_n++;
    }
}

static void read_processes(struct rk_posture_row *p, const json_t *check)
{
    const json_t *list = json_object_get(check, "processes");

    p->has_processes = json_is_object(check);
    p->processes = rk_new_array(struct rk_posture_process, json_array_size(list) + 1);
    for (; p->processes_n < json_array_size(list); p->processes_n++) {
        const json_t *at = json_array_get(list, p->processes_n);
        struct rk_posture_process *process = &p->processes[p->processes_n];

        process->linux_path = dup_member(at, "linux_path");
        process->mac_path = dup_member(at, "mac_path");
        process->windows_path = dup_member(at, "windows_path");
    }
}

static struct rk_row *read_posture(const struct rk_pg_result *res, int row)
{
    struct rk_posture_row *p = row_of(RK_OBJ_POSTURE_CHECK, res, row);
    struct rk_str text = rk_pg_str(res, row, 2);
    json_t *checks = json_loadb(text.p, text.n, 0, NULL);
    const json_t *version = json_object_get(checks, "nb_version_check");

    copy_id(res, row, 1, p->public_id);
    p->has_nb_version = json_is_object(version);
    p->nb_min = dup_member(version, "min_version");
    read_os_versions(p, json_object_get(checks, "os_version_check"));
    read_locations(p, json_object_get(checks, "geo_location_check"));
    read_ranges(p, json_object_get(checks, "peer_network_range_check"));
    read_processes(p, json_object_get(checks, "process_check"));
    json_decref(checks);
    return &p->row;
}

/* --- routes --------------------------------------------------------------------------------- */

#define ROUTE_COLUMNS                                                                              \
    "o.id, o.public_id, o.description, o.net_id, o.network, o.domains, o.peer_id, o.peer_groups, " \
    "o.groups, o.access_control_groups, o.metric, o.masquerade, o.keep_route, "                    \
    "o.skip_auto_apply, o.enabled"

static struct rk_row *read_route(const struct rk_pg_result *res, int row)
{
    struct rk_route_row *r = row_of(RK_OBJ_ROUTE, res, row);

    copy_id(res, row, 1, r->public_id);
    r->description = dup_col(res, row, 2);
    r->net_id = dup_col(res, row, 3);
    if (rk_pg_null(res, row, 4)) {
        r->type = RK_NET_DOMAIN; /* the network that agents expect there */
        (void)rk_prefix_parse(RK_STR("192.0.2.0/32"), &r->network);
    } else {
        (void)rk_prefix_parse(rk_pg_str(res, row, 4), &r->network);
        r->type = r->network.family == AF_INET6 ? RK_NET_IPV6 : RK_NET_IPV4;
    }
    store_strings(res, row, 5, &r->domains);
    copy_id(res, row, 6, r->peer);
    store_ids(res, row, 7, &r->peer_groups);
    store_ids(res, row, 8, &r->groups);
    store_ids(res, row, 9, &r->access_groups);
    r->metric = (uint32_t)rk_pg_int(res, row, 10);
    r->masquerade = rk_pg_bool(res, row, 11);
    r->keep_route = rk_pg_bool(res, row, 12);
    r->skip_auto_apply = rk_pg_bool(res, row, 13);
    r->enabled = rk_pg_bool(res, row, 14);
    return &r->row;
}

/* --- networks, their resources and routers -------------------------------------------------- */

#define NETWORK_COLUMNS "o.id, o.public_id, o.name"
#define RESOURCE_COLUMNS                                                                           \
    "o.id, o.public_id, o.network_id, o.name, o.description, o.type, o.prefix, o.domain, "         \
    "o.enabled"
#define ROUTER_COLUMNS                                                                             \
    "o.id, o.public_id, o.network_id, o.peer_id, o.peer_groups, o.metric, o.masquerade, o.enabled"

static struct rk_row *read_network(const struct rk_pg_result *res, int row)
{
    struct rk_network_row *n = row_of(RK_OBJ_NETWORK, res, row);

    copy_id(res, row, 1, n->public_id);
    n->name = dup_col(res, row, 2);
    return &n->row;
}

static enum rk_resource_type resource_type(struct rk_str s)
{
    if (rk_str_eq(s, RK_STR("domain")))
        return RK_RESOURCE_DOMAIN;
    return rk_str_eq(s, RK_STR("subnet")) ? RK_RESOURCE_SUBNET : RK_RESOURCE_HOST;
}

/* REST shows a resource's domain as it was written; agents know it in ASCII. */
static char *stored_domain(struct rk_str written)
{
    char domain[RK_DOMAIN_SIZE];

    return rk_domain_parse(written, domain) ? rk_strdup(domain) : rk_strndup(written.p, written.n);
}

static struct rk_row *read_resource(const struct rk_pg_result *res, int row)
{
    struct rk_resource_row *r = row_of(RK_OBJ_RESOURCE, res, row);

    copy_id(res, row, 1, r->public_id);
    copy_id(res, row, 2, r->network);
    r->name = dup_col(res, row, 3);
    r->description = dup_col(res, row, 4);
    r->type = resource_type(rk_pg_str(res, row, 5));
    (void)rk_prefix_parse(rk_pg_str(res, row, 6), &r->prefix);
    r->domain = stored_domain(rk_pg_str(res, row, 7));
    r->enabled = rk_pg_bool(res, row, 8);
    return &r->row;
}

static struct rk_row *read_router(const struct rk_pg_result *res, int row)
{
    struct rk_router_row *r = row_of(RK_OBJ_ROUTER, res, row);

    copy_id(res, row, 1, r->public_id);
    copy_id(res, row, 2, r->network);
    copy_id(res, row, 3, r->peer);
    store_ids(res, row, 4, &r->peer_groups);
    r->metric = (uint32_t)rk_pg_int(res, row, 5);
    r->masquerade = rk_pg_bool(res, row, 6);
    r->enabled = rk_pg_bool(res, row, 7);
    return &r->row;
}

/* --- DNS ------------------------------------------------------------------------------------ */

#define NSGROUP_COLUMNS                                                                            \
    "o.id, o.public_id, o.nameservers, o.groups, o.domains, o.is_primary, "                        \
    "o.search_domains_enabled, o.enabled"
#define ZONE_RECORDS(column)                                                                       \
    "(SELECT array_agg(" column " ORDER BY r.id) FROM zone_record r WHERE r.zone_id = o.id)"
#define ZONE_COLUMNS                                                                               \
    "o.id, o.domain, o.enabled, o.enable_search_domain, o.distribution_groups, " ZONE_RECORDS(     \
        "r.name") ", " ZONE_RECORDS("r.type") ", " ZONE_RECORDS("r.content") ", " ZONE_RECORDS("r" \
                                                                                               "." \
                                                                                               "t" \
                                                                                               "t" \
                                                                                               "l" \
                                                                                               ":" \
                                                                                               ":" \
                                                                                               "t" \
                                                                                               "e" \
                                                                                               "x" \
                                                                                               "t")

static struct rk_row *read_nsgroup(const struct rk_pg_result *res, int row)
{
    struct rk_nsgroup_row *g = row_of(RK_OBJ_NAMESERVER_GROUP, res, row);
    struct rk_str text = rk_pg_str(res, row, 2);
    json_t *servers = json_loadb(text.p, text.n, 0, NULL);

    copy_id(res, row, 1, g->public_id);
    g->servers = rk_new_array(struct rk_nameserver, json_array_size(servers) + 1);
    for (; g->servers_n < json_array_size(servers); g->servers_n++) {
        const json_t *at = json_array_get(servers, g->servers_n);

        g->servers[g->servers_n].ip = dup_member(at, "ip");
        g->servers[g->servers_n].port = (uint16_t)json_integer_value(json_object_get(at, "port"));
    }
    json_decref(servers);
    store_ids(res, row, 3, &g->groups);
    store_strings(res, row, 4, &g->domains);
    g->primary = rk_pg_bool(res, row, 5);
    g->search_domains = rk_pg_bool(res, row, 6);
    g->enabled = rk_pg_bool(res, row, 7);
    return &g->row;
}

static uint32_t record_type(struct rk_str s)
{
    if (rk_str_eq(s, RK_STR("AAAA")))
        return 28;
    return rk_str_eq(s, RK_STR("CNAME")) ? 5 : 1;
}

static struct rk_row *read_zone(const struct rk_pg_result *res, int row)
{
    struct rk_zone_row *z = row_of(RK_OBJ_ZONE, res, row);
    struct rk_str *column[4] = { NULL };
    size_t n = 0;

    z->domain = dup_col(res, row, 1);
    z->enabled = rk_pg_bool(res, row, 2);
    z->search_domain = rk_pg_bool(res, row, 3);
    store_ids(res, row, 4, &z->groups);
    for (int i = 0; i < 4; i++)
        rk_pg_array(res, row, 5 + i, &column[i], &n); /* all of one length */
    z->records = rk_new_array(struct rk_zone_record, n + 1);
    for (; z->records_n < n; z->records_n++) {
        struct rk_zone_record *r = &z->records[z->records_n];
        uint64_t ttl = 0;

        r->name = rk_strndup(column[0][z->records_n].p, column[0][z->records_n].n);
        r->type = record_type(column[1][z->records_n]);
        r->content = rk_strndup(column[2][z->records_n].p, column[2][z->records_n].n);
        (void)rk_str_u64(column[3][z->records_n], &ttl);
        r->ttl = (int64_t)ttl;
    }
    for (int i = 0; i < 4; i++)
        free(column[i]);
    return &z->row;
}

const struct store_object store_objects[] = {
    OBJECT(RK_OBJ_USER, "users", USER_COLUMNS, "users", read_user),
    OBJECT(RK_OBJ_POSTURE_CHECK, "posture_checks", POSTURE_COLUMNS, "posture_check", read_posture),
    OBJECT(RK_OBJ_ROUTE, "routes", ROUTE_COLUMNS, "route", read_route),
    OBJECT(RK_OBJ_NETWORK, "networks", NETWORK_COLUMNS, "network", read_network),
    OBJECT(RK_OBJ_RESOURCE, "resources", RESOURCE_COLUMNS, "network_resource", read_resource),
    OBJECT(RK_OBJ_ROUTER, "routers", ROUTER_COLUMNS, "network_router", read_router),
    OBJECT(RK_OBJ_NAMESERVER_GROUP, "nsgroups", NSGROUP_COLUMNS, "nameserver_group", read_nsgroup),
    OBJECT(RK_OBJ_ZONE, "zones", ZONE_COLUMNS, "zone", read_zone),
};
const size_t store_objects_count = RK_COUNT(store_objects);
