/* /api/dns/nameservers */

#include "libcommon/account/rules/nameserver.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, name, description, nameservers, enabled, groups, is_primary, domains, "            \
    "search_domains_enabled FROM nameserver_group WHERE account_id = $1"
enum {
    ID,
    NAME,
    DESCRIPTION,
    SERVERS,
    ENABLED,
    GROUPS,
    PRIMARY,
    DOMAINS,
    SEARCH
};

static const struct rk_pg_stmt list_stmt = { "nsgroup_list", COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "nsgroup_get_one", COLUMNS " AND id = $2" };

static void write_nsgroup(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "description", rk_pg_str(res, row, DESCRIPTION));
    write_jsonb(j, "nameservers", res, row, SERVERS);
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    write_strings(j, "groups", res, row, GROUPS);
    rk_json_bool(j, "primary", rk_pg_bool(res, row, PRIMARY));
    if (rk_pg_null(res, row, DOMAINS))
        rk_json_null(j, "domains");
    else
        write_strings(j, "domains", res, row, DOMAINS);
    rk_json_bool(j, "search_domains_enabled", rk_pg_bool(res, row, SEARCH));
    rk_json_object_end(j);
}

int nsgroup_list(struct call *c, struct rk_err *err)
{
    return answer_rows(c, &list_stmt, write_nsgroup, err);
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    return answer_row(c, &get_stmt, "nameserver group", id, write_nsgroup, err);
}

int nsgroup_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

/* Strings are borrowed from the body. */
static int
decode(struct call *c, struct body *body, struct rk_nsgroup_input *out, struct rk_err *err)
{
    struct rk_nameserver_input *servers = NULL;
    const json_t *list;
    int r;

    r = body_parse(c->body, c->arena, body, err);
    if (r < 0)
        return r;
    out->name = body_str(body, body->root, "name");
    out->description = body_str(body, body->root, "description");
    list = body_array(body, body->root, "nameservers");
    out->servers_n = json_array_size(list);
    if (out->servers_n > 0)
        servers = rk_arena_alloc(c->arena, out->servers_n * sizeof(*servers));
    for (size_t i = 0; i < out->servers_n; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_object(item) && !json_is_null(item))
            body->bad = true;
        servers[i].ip = body_str(body, item, "ip");
        servers[i].ns_type = body_str(body, item, "ns_type");
        servers[i].port = body_int(body, item, "port");
    }
    out->servers = servers;
    out->groups = body_strs(body, body->root, "groups", &out->groups_n, NULL);
    out->domains = body_strs(body, body->root, "domains", &out->domains_n, &out->has_domains);
    out->primary = body_bool(body, body->root, "primary");
    out->search_domains_enabled = body_bool(body, body->root, "search_domains_enabled");
    out->enabled = body_bool(body, body->root, "enabled");
    return body_check(body, err);
}

int nsgroup_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_nsgroup_input in = { 0 };
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_nsgroup_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int nsgroup_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_nsgroup_input in = { 0 };
    int r;

    r = decode(c, &body, &in, err);
    if (r == 0) {
        answer_ahead(c, c->var[0], &get_stmt, NULL);
        r = rk_nsgroup_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    }
    return r == 0 ? answer(c, c->var[0], err) : refused(c, r, rk_nsgroup_exists, c->var[0], err);
}

int nsgroup_delete(struct call *c, struct rk_err *err)
{
    int r = rk_nsgroup_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
