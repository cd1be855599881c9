/* See nameserver.h. */

#include "libcommon/account/rules/nameserver.h"

#include <arpa/inet.h>

#include "libcommon/account/model/domain.h"
#include "libcommon/account/rules/refs.h"
#include "libcommon/base/json.h"

/* Of three servers. */
#define MAX_SERVERS_JSON 4096

static const struct rk_pg_stmt get_stmt = {
    "nsgroup_get", "SELECT name FROM nameserver_group WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt by_name_stmt = {
    "nsgroup_by_name",
    "SELECT 1 FROM nameserver_group WHERE account_id = $1 AND name = $2 AND id <> $3"
};
static const struct rk_pg_stmt insert_stmt = {
    "nsgroup_insert",
    "INSERT INTO nameserver_group (id, public_id, account_id, name, description, nameservers, "
    "groups, domains, is_primary, search_domains_enabled, enabled) VALUES ($1, $2, $3, $4, $5, "
    "$6::jsonb, $7::text[], CASE WHEN $8::boolean THEN $9::text[] END, $10, $11, $12)"
};
static const struct rk_pg_stmt update_stmt = {
    "nsgroup_update",
    "UPDATE nameserver_group SET name = $3, description = $4, nameservers = $5::jsonb, groups = "
    "$6::text[], domains = CASE WHEN $7::boolean THEN $8::text[] END, is_primary = $9, "
    "search_domains_enabled = $10, enabled = $11 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "nsgroup_delete", "DELETE FROM nameserver_group WHERE account_id = $1 AND id = $2"
};
/* Each group that joins or leaves the list, and which of both; repetitions do not count. */
static const struct rk_pg_stmt disabled_diff_stmt = {
    "dns_disabled_diff",
    "SELECT DISTINCT x.id, coalesce(g.name, ''), x.id = ANY ($2::text[]) FROM account a,"
    " unnest(a.dns_disabled_groups || $2::text[]) AS x(id)"
    " LEFT JOIN account_group g ON g.account_id = $1 AND g.id = x.id"
    " WHERE a.id = $1 AND (x.id = ANY (a.dns_disabled_groups)) <> (x.id = ANY ($2::text[]))"
    " ORDER BY 3, 1"
};
static const struct rk_pg_stmt disabled_store_stmt = {
    "dns_disabled_store", "UPDATE account SET dns_disabled_groups = $2::text[] WHERE id = $1"
};

static bool server_valid(const struct rk_nameserver_input *s, char out[INET6_ADDRSTRLEN])
{
    uint8_t addr[16];
    int family = strchr(s->ip, ':') ? AF_INET6 : AF_INET;

    return strcmp(s->ns_type, "udp") == 0 && s->port >= 1 && s->port <= 65535 &&
           inet_pton(family, s->ip, addr) == 1 &&
           inet_ntop(family, addr, out, INET6_ADDRSTRLEN) != NULL;
}

static int check_domain(struct rk_str domain, struct rk_err *err)
{
    struct rk_str name = domain;
    char parsed[RK_DOMAIN_SIZE];

    if (rk_str_starts(domain, RK_STR("*.")) && domain.n > 2)
        return rk_fail(err, RK_INVALID,
                       "nameserver group got an invalid domain: %.*s \"wildcards not allowed\"",
                       RK_STR_FMT(domain));
    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--; /* the root may be written */
    if (rk_domain_parse(name, parsed))
        return 0;
    return rk_fail(err, RK_INVALID,
                   "nameserver group got an invalid domain: %.*s \"invalid domain name: invalid "
                   "domain format: %.*s\"",
                   RK_STR_FMT(domain), RK_STR_FMT(domain));
}

/* The text is valid UTF-8. */
static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

int rk_nsgroup_validate(const struct rk_nsgroup_input *in, struct rk_err *err)
{
    size_t name_n = characters(in->name);
    char ip[INET6_ADDRSTRLEN];
    int r = 0;

    for (size_t i = 0; i < in->servers_n; i++)
        if (!server_valid(&in->servers[i], ip))
            return rk_fail(err, RK_INVALID, "invalid ns servers format");
    if (!in->primary && in->domains_n == 0)
        return rk_fail(err, RK_INVALID,
                       "nameserver group primary status is false and domains are empty, it should "
                       "be primary or have at least one domain");
    if (in->primary && in->domains_n > 0)
        return rk_fail(err, RK_INVALID,
                       "nameserver group primary status is true and domains are not empty, you "
                       "should set either primary or domain");
    if (in->primary && in->search_domains_enabled)
        return rk_fail(err, RK_INVALID,
                       "nameserver group primary status is true and search domains is enabled, you "
                       "should not set search domains for primary nameservers");
    for (size_t i = 0; r == 0 && i < in->domains_n; i++)
        r = check_domain(in->domains[i], err);
    if (r < 0)
        return r;
    if (in->servers_n < 1 || in->servers_n > RK_NSGROUP_MAX_SERVERS)
        return rk_fail(err, RK_INVALID, "the list of nameservers should be 1 or 3, got %zu",
                       in->servers_n);
    if (name_n < 1 || name_n > RK_NSGROUP_MAX_NAME)
        return rk_fail(err, RK_INVALID, "nameserver group name should be between 1 and 40");
    return 0;
}

/* What needs the database. `id` is the group's own, "" for a new one. */
static int check_stored(struct rk_change *ch,
                        const char *id,
                        const struct rk_nsgroup_input *in,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &by_name_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                      RK_P_C(in->name), RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_INVALID, "nameserver group with name %s already exist", in->name);
    return rk_refs_groups(ch, in->groups, in->groups_n, err);
}

/* Addresses in their usual form. */
static void write_servers(struct rk_buf *b, const struct rk_nsgroup_input *in)
{
    struct rk_json j;

    rk_json_init(&j, b);
    rk_json_array(&j, NULL);
    for (size_t i = 0; i < in->servers_n; i++) {
        char ip[INET6_ADDRSTRLEN] = "";

        (void)server_valid(&in->servers[i], ip);
        rk_json_object(&j, NULL);
        rk_json_cstr(&j, "ip", ip);
        rk_json_cstr(&j, "ns_type", in->servers[i].ns_type);
        rk_json_int(&j, "port", in->servers[i].port);
        rk_json_object_end(&j);
    }
    rk_json_array_end(&j);
}

/* The event of a change of this group, the touch, and the commit. */
static int finish(struct rk_change **ch,
                  const struct rk_actor *actor,
                  const char *code,
                  const char *id,
                  const char *name,
                  struct rk_bell *out_bell,
                  struct rk_err *err)
{
    int r;

    r = rk_actor_tell(*ch, actor, code, id, err, "name", name, NULL);
    if (r < 0)
        return r;
    return rk_actor_finish(ch, actor, RK_OBJ_NAMESERVER_GROUP, id, out_bell, err);
}

int rk_nsgroup_create(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const struct rk_nsgroup_input *in,
                      char out_id[RK_XID_LEN + 1],
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_buf_done) struct rk_buf servers = { 0 };
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    rk_buf_init(&servers, MAX_SERVERS_JSON);
    r = rk_nsgroup_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_NAMESERVER_GROUP, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = check_stored(ch, "", in, err);
    if (r < 0)
        return r;
    rk_xid_new(public_id);
    write_servers(&servers, in);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                    RK_P_C(actor->account_id), RK_P_C(in->name), RK_P_C(in->description),
                    RK_P_STR(rk_buf_str(&servers)), RK_P_ARRAY(in->groups, in->groups_n),
                    RK_P_BOOL(in->has_domains), RK_P_ARRAY(in->domains, in->domains_n),
                    RK_P_BOOL(in->primary), RK_P_BOOL(in->search_domains_enabled),
                    RK_P_BOOL(in->enabled));
    if (r < 0)
        return r;
    r = finish(&ch, actor, "nameserver.group.add", id, in->name, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_nsgroup_exists(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    return rk_actor_row(pg, actor, &get_stmt, "nameserver group", id, &res, err);
}

int rk_nsgroup_update(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      const struct rk_nsgroup_input *in,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_buf_done) struct rk_buf servers = { 0 };
    int r;

    rk_buf_init(&servers, MAX_SERVERS_JSON);
    r = rk_nsgroup_validate(in, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_NAMESERVER_GROUP, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_nsgroup_exists(pg, actor, id, err);
    if (r < 0)
        return r;
    r = check_stored(ch, id, in, err);
    if (r < 0)
        return r;
    write_servers(&servers, in);
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(in->name), RK_P_C(in->description), RK_P_STR(rk_buf_str(&servers)),
                    RK_P_ARRAY(in->groups, in->groups_n), RK_P_BOOL(in->has_domains),
                    RK_P_ARRAY(in->domains, in->domains_n), RK_P_BOOL(in->primary),
                    RK_P_BOOL(in->search_domains_enabled), RK_P_BOOL(in->enabled));
    if (r < 0)
        return r;
    return finish(&ch, actor, "nameserver.group.update", id, in->name, out_bell, err);
}

int rk_nsgroup_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_NAMESERVER_GROUP, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "nameserver group", id, &row, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    return finish(&ch, actor, "nameserver.group.delete", id, rk_pg_str(row, 0, 0).p, out_bell, err);
}

int rk_dns_settings_update(struct rk_pg *pg,
                           const struct rk_actor *actor,
                           const struct rk_str *disabled_groups,
                           size_t n,
                           struct rk_bell *out_bell,
                           struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *diff = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_ACCOUNT, actor->account_id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = n == 0 ? 0 : rk_refs_groups(ch, disabled_groups, n, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &disabled_diff_stmt, &diff, err, RK_P_C(actor->account_id),
                  RK_P_ARRAY(disabled_groups, n));
    if (r < 0)
        return r;
    for (int i = 0; r == 0 && i < rk_pg_rows(diff); i++)
        r = rk_actor_tell(ch, actor,
                          rk_pg_bool(diff, i, 2) ? "dns.setting.disabled.management.group.add"
                                                 : "dns.setting.disabled.management.group.delete",
                          actor->account_id, err, "group", rk_pg_str(diff, i, 1).p, "group_id",
                          rk_pg_str(diff, i, 0).p, NULL);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &disabled_store_stmt, NULL, err, RK_P_C(actor->account_id),
                    RK_P_ARRAY(disabled_groups, n));
    if (r < 0)
        return r;
    return rk_actor_finish(&ch, actor, RK_OBJ_ACCOUNT, actor->account_id, out_bell, err);
}
