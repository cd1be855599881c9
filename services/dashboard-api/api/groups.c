/* /api/groups */

#include "libcommon/account/rules/group.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

/* Groups in their order, and their members in the same order, so that the two are walked together.
 */
#define GROUPS "SELECT g.id, g.name, g.issued FROM account_group g WHERE g.account_id = $1"
#define PEERS                                                                                      \
    "SELECT m.group_id, p.id, p.name FROM group_peer m JOIN account_group g ON g.id = m.group_id"  \
    " JOIN peer p ON p.id = m.peer_id WHERE g.account_id = $1"
#define RESOURCES                                                                                  \
    "SELECT r.group_id, r.resource_id, r.resource_type FROM group_resource r JOIN account_group g" \
    " ON g.id = r.group_id WHERE g.account_id = $1"
#define ORDER " ORDER BY g.created_at, g.id"

static const struct rk_pg_stmt list_stmt = { "group_list", GROUPS ORDER };
static const struct rk_pg_stmt list_peers_stmt = { "group_list_peers",
                                                   PEERS ORDER ", p.created_at, p.id" };
static const struct rk_pg_stmt list_resources_stmt = { "group_list_resources",
                                                       RESOURCES ORDER ", r.resource_id" };
static const struct rk_pg_stmt get_stmt = { "group_get_one", GROUPS " AND g.id = $2" };
static const struct rk_pg_stmt get_peers_stmt = { "group_get_peers", PEERS
                                                  " AND g.id = $2 ORDER BY p.created_at, p.id" };
static const struct rk_pg_stmt get_resources_stmt = { "group_get_resources", RESOURCES
                                                      " AND g.id = $2 ORDER BY r.resource_id" };
static const struct rk_pg_stmt by_name_stmt = {
    "group_find_name", "SELECT g.id FROM account_group g WHERE g.account_id = $1 AND g.name = $2"
                       " ORDER BY (SELECT count(*) FROM group_peer m WHERE m.group_id = g.id) "
                       "DESC, g.created_at LIMIT 1"
};

static const struct {
    const char *list, *count, *second; /* names of the members */
} peers_words = { "peers", "peers_count", "name" },
  resources_words = { "resources", "resources_count", "type" };

/* Writes the run of members of `group` that begins at *at, and its length; null when there are
 * none. */
static void write_members(struct rk_json *j,
                          struct rk_str group,
                          const struct rk_pg_result *members,
                          int *at,
                          const char *list,
                          const char *count,
                          const char *second)
{
    int from = *at;

    while (*at < rk_pg_rows(members) && rk_str_eq(rk_pg_str(members, *at, 0), group)) {
        if (*at == from)
            rk_json_array(j, list);
        rk_json_object(j, NULL);
        rk_json_str(j, "id", rk_pg_str(members, *at, 1));
        rk_json_str(j, second, rk_pg_str(members, *at, 2));
        rk_json_object_end(j);
        (*at)++;
    }
    if (*at == from)
        rk_json_null(j, list);
    else
        rk_json_array_end(j);
    rk_json_int(j, count, *at - from);
}

static void write_group(struct rk_json *j,
                        const struct rk_pg_result *groups,
                        int row,
                        const struct rk_pg_result *peers,
                        int *peer,
                        const struct rk_pg_result *resources,
                        int *resource)
{
    struct rk_str id = rk_pg_str(groups, row, 0);

    rk_json_object(j, NULL);
    rk_json_str(j, "id", id);
    rk_json_str(j, "name", rk_pg_str(groups, row, 1));
    rk_json_str(j, "issued", rk_pg_str(groups, row, 2));
    write_members(j, id, peers, peer, peers_words.list, peers_words.count, peers_words.second);
    write_members(j, id, resources, resource, resources_words.list, resources_words.count,
                  resources_words.second);
    rk_json_object_end(j);
}

static int write_one(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *group = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *peers = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *resources = NULL;
    int peer = 0, resource = 0, r;

    r = find_object(c, &get_stmt, "group", id, &group, err);
    if (r == 0)
        r = ask_object(c, &get_peers_stmt, id, &peers, err);
    if (r == 0)
        r = ask_object(c, &get_resources_stmt, id, &resources, err);
    if (r < 0)
        return r;
    write_group(&c->json, group, 0, peers, &peer, resources, &resource);
    return 0;
}

static int write_named(struct call *c, const char *name, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(c->pg, &by_name_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(name));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "group: %s not found", name);
    rk_json_array(&c->json, NULL);
    r = write_one(c, rk_pg_str(res, 0, 0).p, err);
    rk_json_array_end(&c->json);
    return r;
}

int group_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *groups = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *peers = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *resources = NULL;
    const char *name = call_query(c, "name");
    int peer = 0, resource = 0, r;

    if (name && name[0] != '\0')
        return write_named(c, name, err);
    /* One picture, or the two walks would part. */
    r = rk_pg_begin(c->pg, RK_PG_REPEATABLE_READ_ONLY, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_stmt, &groups, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_peers_stmt, &peers, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_resources_stmt, &resources, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(groups); i++)
        write_group(&c->json, groups, i, peers, &peer, resources, &resource);
    rk_json_array_end(&c->json);
    return 0;
}

int group_get(struct call *c, struct rk_err *err)
{
    return write_one(c, c->var[0], err);
}

/* Strings are borrowed from the body. */
static int decode(struct call *c, struct body *body, struct rk_group_input *out, struct rk_err *err)
{
    const json_t *resources;
    struct rk_group_resource *list = NULL;
    int r;

    r = body_parse(c->body, c->arena, body, err);
    if (r < 0)
        return r;
    out->name = body_str(body, body->root, "name");
    out->peers = body_strs(body, body->root, "peers", &out->peers_n, NULL);
    resources = body_array(body, body->root, "resources");
    out->resources_n = json_array_size(resources);
    if (out->resources_n > 0)
        list = rk_arena_alloc(c->arena, out->resources_n * sizeof(*list));
    for (size_t i = 0; i < out->resources_n; i++) {
        const json_t *item = json_array_get(resources, i);

        if (!json_is_object(item))
            return rk_fail(err, RK_BAD_REQUEST, BODY_UNREADABLE);
        list[i].id = body_str(body, item, "id");
        list[i].type = body_str(body, item, "type");
    }
    out->resources = list;
    return body_check(body, err);
}

int group_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_group_input in = { 0 };
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_group_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return write_one(c, id, err);
}

int group_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_group_input in = { 0 };
    int r;

    r = rk_group_check_editable(c->pg, &c->actor, c->var[0], err);
    if (r < 0)
        return r;
    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    answer_ahead(c, c->var[0], &get_stmt, &get_peers_stmt, &get_resources_stmt, NULL);
    r = rk_group_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    if (r < 0)
        return r;
    return write_one(c, c->var[0], err);
}

int group_delete(struct call *c, struct rk_err *err)
{
    int r = rk_group_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
