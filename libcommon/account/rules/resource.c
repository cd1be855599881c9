/* See resource.h. */

#include "libcommon/account/rules/resource.h"

#include <sys/socket.h>

#include "libcommon/account/model/domain.h"
#include "libcommon/account/rules/network.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/prefix.h"

static const struct rk_pg_stmt get_stmt = {
    "resource_get", "SELECT network_id FROM network_resource WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt name_stmt = {
    "resource_name_taken",
    "SELECT 1 FROM network_resource WHERE account_id = $1 AND name = $2 AND id <> $3"
};
static const struct rk_pg_stmt insert_stmt = {
    "resource_insert",
    "INSERT INTO network_resource (account_id, id, public_id, network_id, name, description, type,"
    " prefix, domain, enabled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::inet, $9, $10)"
};
static const struct rk_pg_stmt update_stmt = {
    "resource_update",
    "UPDATE network_resource SET public_id = coalesce($3, public_id), network_id = $4, name = $5,"
    " description = $6, type = $7, prefix = $8::inet, domain = $9, enabled = $10"
    " WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt list_stmt = {
    "resource_of_network",
    "SELECT id, name, type FROM network_resource WHERE account_id = $1 AND network_id = $2"
    " AND ($3::text IS NULL OR id = $3) ORDER BY created_at, id"
};
static const struct rk_pg_stmt delete_stmt = {
    "resource_delete", "DELETE FROM network_resource WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt unknown_group_stmt = {
    "resource_unknown_group",
    "SELECT x.id FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n) WHERE NOT EXISTS"
    " (SELECT 1 FROM account_group g WHERE g.account_id = $1 AND g.id = x.id) ORDER BY x.n LIMIT 1"
};
static const struct rk_pg_stmt leave_stmt = {
    "resource_leave", "DELETE FROM group_resource r USING account_group g WHERE r.resource_id = $2"
                      " AND g.id = r.group_id AND g.account_id = $1"
                      " AND r.group_id <> ALL ($3::text[]) RETURNING g.id, g.name"
};
static const struct rk_pg_stmt join_stmt = {
    "resource_join",
    "WITH a AS (INSERT INTO group_resource (group_id, resource_id, resource_type)"
    " SELECT x, $1, $2 FROM unnest($3::text[]) AS x ON CONFLICT DO NOTHING RETURNING group_id)"
    " SELECT g.id, g.name FROM a JOIN account_group g ON g.id = a.group_id ORDER BY g.id"
};
static const struct rk_pg_stmt retype_stmt = {
    "resource_retype", "UPDATE group_resource SET resource_type = $2 WHERE resource_id = $1"
                       " AND resource_type <> $2"
};

/* An address as it is stored. */
struct address {
    const char *type;
    char prefix[RK_PREFIX_LEN]; /* "" for a domain, which is stored as it was sent */
};

static bool read_address(const char *text, struct address *out)
{
    struct rk_prefix prefix;
    char domain[RK_DOMAIN_SIZE];

    if (rk_prefix_parse(rk_str(text), &prefix)) {
        out->type = prefix.bits == (prefix.family == AF_INET ? 32 : 128) ? "host" : "subnet";
        rk_prefix_format(&prefix, out->prefix);
        return true;
    }
    out->type = "domain";
    return rk_domain_parse(rk_str(text), domain);
}

/* `doing` is how the text of an error begins. */
static int check_groups(struct rk_change *ch,
                        const struct rk_resource_input *in,
                        const char *doing,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *unknown = NULL;
    int r;

    if (in->groups_n == 0)
        return 0;
    r = rk_pg_run(rk_change_pg(ch), &unknown_group_stmt, &unknown, err,
                  RK_P_C(rk_change_account_id(ch)), RK_P_ARRAY(in->groups, in->groups_n));
    if (r < 0)
        return r;
    if (rk_pg_rows(unknown) > 0)
        return rk_fail(err, RK_NOT_FOUND,
                       "%sfailed to add resource to group: error adding resource to group: "
                       "group: %s not found",
                       doing, rk_pg_str(unknown, 0, 0).p);
    return 0;
}

static int
name_taken(struct rk_change *ch, const char *name, const char *id, bool *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &name_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                      RK_P_C(name), RK_P_C(id));

    if (r < 0)
        return r;
    *out = rk_pg_rows(res) > 0;
    return 0;
}

static int resource_event(struct rk_change *ch,
                          const struct rk_actor *actor,
                          const char *code,
                          const char *id,
                          const char *name,
                          const char *type,
                          const char *network_id,
                          const char *network_name,
                          struct rk_err *err)
{
    return rk_actor_tell(ch, actor, code, id, err, "name", name, "type", type, "network_name",
                         network_name, "network_id", network_id, NULL);
}

/* `groups` holds id and name of each; they have changed too. */
static int tell_groups(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const char *code,
                       const struct rk_pg_result *groups,
                       const char *id,
                       const char *name,
                       const char *type,
                       struct rk_err *err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < rk_pg_rows(groups); i++) {
        const char *group = rk_pg_str(groups, i, 0).p;

        r = rk_actor_tell(ch, actor, code, group, err, "name", rk_pg_str(groups, i, 1).p, "id",
                          group, "resource_name", name, "resource_id", id, "resource_type", type,
                          NULL);
        if (r == 0)
            r = rk_change_touch(ch, RK_OBJ_GROUP, group, err);
    }
    return r;
}

/* Makes `groups` the ones that hold it. */
static int replace_groups(struct rk_change *ch,
                          const struct rk_actor *actor,
                          const char *id,
                          const char *name,
                          const char *type,
                          const struct rk_str *groups,
                          size_t n,
                          struct rk_err *err)
{
    struct rk_pg *pg = rk_change_pg(ch);
    rk_auto(rk_pg_result_free) struct rk_pg_result *left = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *joined = NULL;
    int r;

    r = rk_pg_run(pg, &leave_stmt, &left, err, RK_P_C(actor->account_id), RK_P_C(id),
                  RK_P_ARRAY(groups, n));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &join_stmt, &joined, err, RK_P_C(id), RK_P_C(type), RK_P_ARRAY(groups, n));
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &retype_stmt, NULL, err, RK_P_C(id), RK_P_C(type));
    if (r < 0)
        return r;
    r = tell_groups(ch, actor, "resource.group.delete", left, id, name, type, err);
    if (r < 0)
        return r;
    return tell_groups(ch, actor, "resource.group.add", joined, id, name, type, err);
}

/* The row, its groups, its event. */
static int store(struct rk_change *ch,
                 const struct rk_actor *actor,
                 const char *network_id,
                 const char *network_name,
                 const char *id,
                 const char *public_id,
                 const struct rk_resource_input *in,
                 const struct address *address,
                 struct rk_err *err)
{
    bool domain = address->prefix[0] == '\0';
    int r;

    r = rk_pg_later(rk_change_pg(ch), public_id ? &insert_stmt : &update_stmt, NULL, err,
                    RK_P_C(actor->account_id), RK_P_C(id), RK_P_C(public_id), RK_P_C(network_id),
                    RK_P_C(in->name), RK_P_C(in->description), RK_P_C(address->type),
                    domain ? RK_P_NULL : RK_P_C(address->prefix), RK_P_C(domain ? in->address : ""),
                    RK_P_BOOL(in->enabled));
    if (r < 0)
        return r;
    r = resource_event(ch, actor, public_id ? "network.resource.create" : "network.resource.update",
                       id, in->name, address->type, network_id, network_name, err);
    if (r < 0)
        return r;
    r = replace_groups(ch, actor, id, in->name, address->type, in->groups, in->groups_n, err);
    if (r < 0)
        return r;
    r = rk_change_touch(ch, RK_OBJ_RESOURCE, id, err);
    if (r < 0)
        return r;
    /* Its creation raised no serial; this is where maps begin to need it. */
    return rk_change_touch(ch, RK_OBJ_NETWORK, network_id, err);
}

/* Puts `doing` before the text of what was not found. */
static int with_prefix(int r, const char *doing, struct rk_err *err)
{
    struct rk_err why = *err;

    if (r != RK_NOT_FOUND)
        return r;
    return rk_fail(err, r, "%s%.400s", doing, why.msg);
}

int rk_resource_create(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *network_id,
                       const struct rk_resource_input *in,
                       char out_id[RK_XID_LEN + 1],
                       struct rk_bell *out_bell,
                       struct rk_err *err)
{
    static const char doing[] = "failed to create network resource: ";
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *network = NULL;
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    struct address address = { .type = NULL };
    bool taken = false;
    int r;

    if (!read_address(in->address, &address))
        return rk_fail(err, RK_INVALID, "%sinvalid address %.300s", doing, in->address);
    rk_xid_new(id);
    rk_xid_new(public_id);
    r = rk_actor_begin(pg, actor, RK_WATCH_RESOURCE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = with_prefix(rk_network_find(pg, actor, network_id, &network, err), doing, err);
    if (r < 0)
        return r;
    r = name_taken(ch, in->name, id, &taken, err);
    if (r < 0)
        return r;
    if (taken)
        return rk_fail(err, RK_INVALID, "%sresource with name %.300s already exists", doing,
                       in->name);
    r = check_groups(ch, in, doing, err);
    if (r < 0)
        return r;
    r = store(ch, actor, network_id, network, id, public_id, in, &address, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_resource_update(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *network_id,
                       const char *id,
                       const struct rk_resource_input *in,
                       struct rk_bell *out_bell,
                       struct rk_err *err)
{
    static const char doing[] = "failed to update network resource: ";
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *was = NULL;
    rk_auto(rk_cfree) char *network = NULL;
    struct address address = { .type = NULL };
    bool taken = false;
    int r;

    if (!read_address(in->address, &address))
        return rk_fail(err, RK_INVALID, "%sinvalid address %.300s", doing, in->address);
    r = rk_actor_begin(pg, actor, RK_WATCH_RESOURCE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = with_prefix(rk_network_find(pg, actor, network_id, &network, err), doing, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "failed to get network resource: network resource", id,
                     &was, err);
    if (r < 0)
        return with_prefix(r, doing, err);
    r = name_taken(ch, in->name, id, &taken, err);
    if (r < 0)
        return r;
    if (taken)
        return rk_fail(err, RK_INVALID, "%snew resource name already exists", doing);
    r = check_groups(ch, in,
                     "failed to update network resource: failed to update resource groups: ", err);
    if (r < 0)
        return r;
    r = store(ch, actor, network_id, network, id, NULL, in, &address, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}

/* One resource of the network, or all (id NULL); *out_n = how many. */
static int drop(struct rk_change *ch,
                const struct rk_actor *actor,
                const char *network_id,
                const char *network_name,
                const char *id,
                int *out_n,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *gone = NULL;
    struct rk_pg *pg = rk_change_pg(ch);
    int r;

    r = rk_pg_run(pg, &list_stmt, &gone, err, RK_P_C(actor->account_id), RK_P_C(network_id),
                  RK_P_C(id));
    for (int i = 0; r == 0 && i < rk_pg_rows(gone); i++) {
        const char *each = rk_pg_str(gone, i, 0).p, *name = rk_pg_str(gone, i, 1).p;
        const char *type = rk_pg_str(gone, i, 2).p;

        r = replace_groups(ch, actor, each, name, type, NULL, 0, err);
        if (r == 0)
            r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(each));
        if (r == 0)
            r = resource_event(ch, actor, "network.resource.delete", each, name, type, network_id,
                               network_name, err);
        if (r == 0)
            r = rk_change_touch(ch, RK_OBJ_RESOURCE, each, err);
    }
    *out_n = rk_pg_rows(gone);
    return r;
}

int rk_resource_delete(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *network_id,
                       const char *id,
                       struct rk_bell *out_bell,
                       struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *network = NULL;
    int r, n = 0;

    r = rk_actor_begin(pg, actor, RK_WATCH_RESOURCE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_network_find(pg, actor, network_id, &network, err);
    if (r == 0)
        r = drop(ch, actor, network_id, network, id, &n, err);
    if (r < 0 && r != RK_NOT_FOUND)
        return r;
    /* A network that is not there has no such resource either. */
    if (n == 0)
        return rk_fail(err, RK_NOT_FOUND,
                       "failed to delete network resource: failed to get network resource: network "
                       "resource: %.64s not found",
                       id);
    return rk_actor_commit(&ch, actor, out_bell, err);
}

int rk_resources_drop(struct rk_change *ch,
                      const struct rk_actor *actor,
                      const char *network_id,
                      const char *network_name,
                      struct rk_err *err)
{
    int n;

    return drop(ch, actor, network_id, network_name, NULL, &n, err);
}
