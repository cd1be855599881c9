/* See route.h. */

#include "libcommon/account/rules/route.h"

#include "libcommon/account/model/domain.h"
#include "libcommon/account/rules/refs.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/json.h"
#include "libcommon/base/prefix.h"

static const struct rk_pg_stmt get_stmt = {
    "route_get", "SELECT net_id FROM route WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt insert_stmt = {
    "route_insert",
    "INSERT INTO route (account_id, id, public_id, net_id, description, network, domains, peer_id,"
    " peer_groups, groups, access_control_groups, metric, masquerade, keep_route, skip_auto_apply,"
    " enabled) VALUES ($1, $2, $3, $4, $5, $6::cidr, $7::text[], $8, $9::text[], $10::text[],"
    " $11::text[], $12, $13, $14, $15, $16)"
};
static const struct rk_pg_stmt update_stmt = {
    "route_update",
    "UPDATE route SET public_id = coalesce($3, public_id), net_id = $4, description = $5, network "
    "= $6::cidr, domains = $7::text[],"
    " peer_id = $8, peer_groups = $9::text[], groups = $10::text[],"
    " access_control_groups = $11::text[], metric = $12, masquerade = $13, keep_route = $14,"
    " skip_auto_apply = $15, enabled = $16 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "route_delete", "DELETE FROM route WHERE account_id = $1 AND id = $2"
                    " RETURNING net_id, coalesce(network::text, ''), domains, peer_id, peer_groups"
};

/* The groups through which other routes ($2 is this one) lead to the same place. */
#define TAKEN                                                                                      \
    "SELECT DISTINCT g FROM route r, unnest(r.peer_groups) AS g WHERE r.account_id = $1"           \
    " AND r.id <> $2 AND r.network IS NOT DISTINCT FROM $3::cidr AND r.domains = $4::text[]"
static const struct rk_pg_stmt group_taken_stmt = {
    "route_group_taken",
    "WITH taken AS (" TAKEN ") SELECT g.name FROM unnest($5::text[]) WITH ORDINALITY AS x(id, n)"
    " JOIN account_group g ON g.id = x.id WHERE x.id IN (SELECT g FROM taken) ORDER BY x.n LIMIT 1"
};
static const struct rk_pg_stmt peer_taken_stmt = {
    "route_peer_taken", "WITH taken AS (" TAKEN ") SELECT 1 FROM group_peer m"
                        " WHERE m.peer_id = $5 AND m.group_id IN (SELECT g FROM taken) LIMIT 1"
};
static const struct rk_pg_stmt member_taken_stmt = {
    "route_member_taken",
    "WITH taken AS (" TAKEN ") SELECT p.name, g.name FROM unnest($5::text[])"
    " WITH ORDINALITY AS x(id, n) JOIN account_group g ON g.id = x.id"
    " JOIN group_peer m ON m.group_id = x.id JOIN peer p ON p.id = m.peer_id"
    " WHERE EXISTS (SELECT 1 FROM group_peer o WHERE o.peer_id = m.peer_id"
    " AND o.group_id IN (SELECT g FROM taken)) ORDER BY x.n, p.created_at, p.id LIMIT 1"
};

/* Where a route leads, in the form that is stored. */
struct place {
    char network[RK_PREFIX_LEN]; /* "" for domains */
    struct rk_str domains[RK_ROUTE_MAX_DOMAINS];
    size_t domains_n;
    char (*block)[RK_DOMAIN_SIZE]; /* where the domains are */
};

static void place_done(struct place *p)
{
    rk_free(p->block);
}
RK_DEFINE_AUTO_DONE(struct place, place_done)

static int read_domains(const struct rk_route_list *list, struct place *out, struct rk_err *err)
{
    if (list->n == 0)
        return rk_fail(err, RK_INVALID, "invalid domains: domains list is empty");
    if (list->n > RK_ROUTE_MAX_DOMAINS)
        return rk_fail(err, RK_INVALID,
                       "invalid domains: domains list exceeds maximum allowed domains: %d",
                       RK_ROUTE_MAX_DOMAINS);
    out->block = rk_zalloc_array(list->n, sizeof(*out->block));
    for (size_t i = 0; i < list->n; i++) {
        if (!rk_domain_parse(list->v[i], out->block[i]))
            return rk_fail(err, RK_INVALID, "invalid domains: invalid domain format: %.*s",
                           RK_STR_FMT(list->v[i]));
        out->domains[i] = rk_str(out->block[i]);
    }
    out->domains_n = list->n;
    return 0;
}

static int read_network(const char *text, struct place *out, struct rk_err *err)
{
    struct rk_prefix prefix;

    if (!strchr(text, '/') || !rk_prefix_parse(rk_str(text), &prefix))
        return rk_fail(err, RK_INVALID, "invalid network %s", text);
    rk_prefix_mask(&prefix);
    rk_prefix_format(&prefix, out->network);
    return 0;
}

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* What needs no database, in the order of the API. */
static int read_place(const struct rk_route_input *in, struct place *out, struct rk_err *err)
{
    size_t net_id = characters(in->net_id);
    int r;

    if (in->network && in->domains.sent)
        return rk_fail(err, RK_INVALID, "only one of 'network' or 'domains' should be provided");
    if (!in->network && !in->domains.sent)
        return rk_fail(err, RK_INVALID, "either 'network' or 'domains' should be provided");
    if (!in->peer && !in->peer_groups.sent)
        return rk_fail(err, RK_INVALID, "either 'peer' or 'peer_groups' should be provided");
    if (in->peer && in->peer_groups.sent)
        return rk_fail(err, RK_INVALID, "only one of 'peer' or 'peer_groups' should be provided");
    if (net_id < 1 || net_id > RK_ROUTE_MAX_NET_ID)
        return rk_fail(err, RK_INVALID, "identifier should be between 1 and 40 characters");
    r = in->network ? read_network(in->network, out, err) : read_domains(&in->domains, out, err);
    if (r < 0)
        return r;
    if (in->metric < 1 || in->metric > RK_ROUTE_MAX_METRIC)
        return rk_fail(err, RK_INVALID, "metric should be between 1 and %d", RK_ROUTE_MAX_METRIC);
    return 0;
}

static int
check_references(struct rk_change *ch, const struct rk_route_input *in, struct rk_err *err)
{
    const struct rk_route_list *lists[] = { &in->peer_groups, &in->access_groups };
    int r;

    for (size_t i = 0; i < RK_COUNT(lists); i++) {
        if (lists[i]->n == 0)
            continue;
        r = rk_refs_groups(ch, lists[i]->v, lists[i]->n, err);
        if (r < 0)
            return r;
    }
    r = rk_refs_groups(ch, in->groups.v, in->groups.n, err);
    if (r < 0)
        return r;
    return in->peer && in->peer[0] != '\0' ? rk_refs_peer(ch, in->peer, err) : 0;
}

/* The domains as people read them, "a, b". */
static void show_domains(const struct rk_str *domains, size_t n, struct rk_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        rk_auto(rk_cfree) char *stored = rk_strndup(domains[i].p, domains[i].n);
        rk_auto(rk_cfree) char *shown = rk_domain_show(stored);

        rk_buf_printf(out, "%s%s", i > 0 ? ", " : "", shown);
    }
}

#define MAX_SHOWN ((size_t)16 << 10)

static int conflict(const struct place *place, const char *who, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf shown;

    rk_buf_init(&shown, MAX_SHOWN);
    if (place->domains_n == 0) {
        rk_buf_printf(&shown, "prefix %s", place->network);
    } else {
        rk_buf_put_c(&shown, "domains [");
        show_domains(place->domains, place->domains_n, &shown);
        rk_buf_put_c(&shown, "]");
    }
    return rk_fail(err, RK_EXISTS, "failed to add route with %.*s - %s already has this route",
                   RK_STR_FMT(rk_buf_str(&shown)), who);
}

static int run_taken(struct rk_change *ch,
                     const struct rk_pg_stmt *stmt,
                     const char *id,
                     const struct place *place,
                     struct rk_pg_param by,
                     struct rk_pg_result **out,
                     struct rk_err *err)
{
    return rk_pg_run(rk_change_pg(ch), stmt, out, err, RK_P_C(rk_change_account_id(ch)), RK_P_C(id),
                     place->domains_n > 0 ? RK_P_NULL : RK_P_C(place->network),
                     RK_P_ARRAY(place->domains, place->domains_n), by);
}

/* Nobody leads to one place twice: not as a group named again, nor as a member of another group. */
static int check_conflicts(struct rk_change *ch,
                           const char *id,
                           const struct rk_route_input *in,
                           const struct place *place,
                           struct rk_err *err)
{
    struct rk_pg_param groups = RK_P_ARRAY(in->peer_groups.v, in->peer_groups.n);
    rk_auto(rk_pg_result_free) struct rk_pg_result *group = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *member = NULL;
    rk_auto(rk_buf_done) struct rk_buf who = { 0 };
    int r;

    rk_buf_init(&who, 4096);
    if (in->peer) {
        r = run_taken(ch, &peer_taken_stmt, id, place, RK_P_C(in->peer), &member, err);
        if (r < 0 || rk_pg_rows(member) == 0)
            return r;
        rk_buf_printf(&who, "peer %.64s", in->peer);
    } else {
        r = run_taken(ch, &group_taken_stmt, id, place, groups, &group, err);
        if (r < 0)
            return r;
        r = run_taken(ch, &member_taken_stmt, id, place, groups, &member, err);
        if (r < 0)
            return r;
        if (rk_pg_rows(group) > 0)
            rk_buf_printf(&who, "peer group %.200s", rk_pg_str(group, 0, 0).p);
        else if (rk_pg_rows(member) > 0)
            rk_buf_printf(&who, "peer %.100s from the group %.100s", rk_pg_str(member, 0, 0).p,
                          rk_pg_str(member, 0, 1).p);
        else
            return 0;
    }
    rk_buf_put_u8(&who, 0);
    return conflict(place, (const char *)who.p, err);
}

static int route_event(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const char *code,
                       const char *id,
                       const char *net_id,
                       const struct place *place,
                       const char *peer,
                       const struct rk_route_list *peer_groups,
                       struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf domains, meta;
    struct rk_json j;
    int r;

    rk_buf_init(&domains, MAX_SHOWN);
    rk_buf_init(&meta, RK_META_MAX);
    show_domains(place->domains, place->domains_n, &domains);
    rk_json_init(&j, &meta);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "name", net_id);
    rk_json_cstr(&j, "network_range",
                 place->domains_n > 0 ? RK_ROUTE_DOMAIN_NETWORK : place->network);
    rk_json_str(&j, "domains", rk_buf_str(&domains));
    rk_json_cstr(&j, "peer_id", peer);
    if (!peer_groups->sent) {
        rk_json_null(&j, "peer_groups");
    } else {
        rk_json_array(&j, "peer_groups");
        for (size_t i = 0; i < peer_groups->n; i++)
            rk_json_str(&j, NULL, peer_groups->v[i]);
        rk_json_array_end(&j);
    }
    rk_json_object_end(&j);
    r = rk_change_event(ch, code, actor->user_id, id, rk_buf_str(&meta), err);
    if (r < 0)
        return r;
    return rk_change_touch(ch, RK_OBJ_ROUTE, id, err);
}

/* public_id NULL keeps the one it has. */
static int write_row(struct rk_change *ch,
                     const struct rk_pg_stmt *stmt,
                     const char *id,
                     const char *public_id,
                     const struct rk_route_input *in,
                     const struct place *place,
                     struct rk_err *err)
{
    return rk_pg_later(
        rk_change_pg(ch), stmt, NULL, err, RK_P_C(rk_change_account_id(ch)), RK_P_C(id),
        RK_P_C(public_id), RK_P_C(in->net_id), RK_P_C(in->description),
        place->domains_n > 0 ? RK_P_NULL : RK_P_C(place->network),
        RK_P_ARRAY(place->domains, place->domains_n), RK_P_C(in->peer ? in->peer : ""),
        RK_P_ARRAY(in->peer_groups.v, in->peer_groups.n), RK_P_ARRAY(in->groups.v, in->groups.n),
        RK_P_ARRAY(in->access_groups.v, in->access_groups.n), RK_P_INT(in->metric),
        RK_P_BOOL(in->masquerade), RK_P_BOOL(in->keep_route), RK_P_BOOL(in->skip_auto_apply),
        RK_P_BOOL(in->enabled));
}

int rk_route_create(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const struct rk_route_input *in,
                    char out_id[RK_XID_LEN + 1],
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(place_done) struct place place = { .domains_n = 0 };
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    r = read_place(in, &place, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    rk_xid_new(public_id);
    r = rk_actor_begin(pg, actor, RK_WATCH_ROUTE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = check_references(ch, in, err);
    if (r < 0)
        return r;
    r = check_conflicts(ch, id, in, &place, err);
    if (r < 0)
        return r;
    r = write_row(ch, &insert_stmt, id, public_id, in, &place, err);
    if (r < 0)
        return r;
    r = route_event(ch, actor, "route.add", id, in->net_id, &place, in->peer ? in->peer : "",
                    &in->peer_groups, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_route_exists(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    return rk_actor_row(pg, actor, &get_stmt, "route", id, &res, err);
}

int rk_route_update(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    const struct rk_route_input *in,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(place_done) struct place place = { .domains_n = 0 };
    int r;

    r = read_place(in, &place, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_ROUTE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_route_exists(pg, actor, id, err);
    if (r < 0)
        return r;
    r = check_references(ch, in, err);
    if (r < 0)
        return r;
    r = check_conflicts(ch, id, in, &place, err);
    if (r < 0)
        return r;
    r = write_row(ch, &update_stmt, id, NULL, in, &place, err);
    if (r < 0)
        return r;
    r = route_event(ch, actor, "route.update", id, in->net_id, &place, in->peer ? in->peer : "",
                    &in->peer_groups, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}

int rk_route_delete(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *was = NULL;
    rk_auto(rk_free) struct rk_str *domains = NULL;
    rk_auto(rk_free) struct rk_str *peer_groups = NULL;
    struct rk_route_list groups = { .n = 0 };
    struct place place = { .domains_n = 0 };
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_ROUTE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &delete_stmt, "route", id, &was, err);
    if (r == RK_NOT_FOUND)
        return rk_fail(err, r, "failed to delete route %.64s: route: %.64s not found", id, id);
    if (r < 0)
        return r;
    (void)rk_str_copy(rk_pg_str(was, 0, 1), place.network, sizeof(place.network));
    rk_pg_array(was, 0, 2, &domains, &place.domains_n);
    for (size_t i = 0; i < place.domains_n && i < RK_ROUTE_MAX_DOMAINS; i++)
        place.domains[i] = domains[i];
    rk_pg_array(was, 0, 4, &peer_groups, &groups.n);
    groups.v = peer_groups;
    groups.sent = rk_pg_str(was, 0, 3).n == 0; /* a route has either peer or groups */
    r = route_event(ch, actor, "route.delete", id, rk_pg_str(was, 0, 0).p, &place,
                    rk_pg_str(was, 0, 3).p, &groups, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}
