/* See zone.h; records are in zone_records.c. */

#include "libcommon/account/rules/zone.h"

#include "libcommon/account/model/domain.h"
#include "libcommon/account/rules/zone_int.h"

/* Of a zone that goes: the others are told by their names alone. */
#define MAX_WATCHED_RECORDS 100

static const struct rk_pg_stmt get_stmt = {
    "zone_get", "SELECT name, domain FROM zone WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt unknown_group_stmt = {
    "zone_unknown_group",
    "SELECT x.id FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n) WHERE NOT EXISTS"
    " (SELECT 1 FROM account_group g WHERE g.account_id = $1 AND g.id = x.id) ORDER BY x.n LIMIT 1"
};
static const struct rk_pg_stmt taken_stmt = {
    "zone_taken", "SELECT 1 FROM zone WHERE account_id = $1 AND lower(domain) = lower($2) LIMIT 1"
};
static const struct rk_pg_stmt insert_stmt = {
    "zone_insert", "INSERT INTO zone (id, account_id, name, domain, enabled, enable_search_domain, "
                   "distribution_groups) VALUES ($1, $2, $3, $4, $5, $6, $7::text[])"
};
static const struct rk_pg_stmt update_stmt = {
    "zone_update",
    "UPDATE zone SET name = $3, enabled = $4, enable_search_domain = $5, distribution_groups = "
    "$6::text[] WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt records_stmt = {
    "zone_records",
    "SELECT id, name, type, content, ttl FROM zone_record WHERE zone_id = $1 ORDER BY id"
};
static const struct rk_pg_stmt delete_stmt = {
    "zone_delete", "DELETE FROM zone WHERE account_id = $1 AND id = $2"
};

int rk_zone_validate(const struct rk_zone_input *in, struct rk_err *err)
{
    struct rk_str domain = rk_str(in->domain);
    char parsed[RK_DOMAIN_SIZE];

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "zone name is required");
    if (strlen(in->name) > RK_ZONE_MAX_NAME)
        return rk_fail(err, RK_INVALID, "zone name exceeds maximum length of %d characters",
                       RK_ZONE_MAX_NAME);
    /* Other scripts have to be sent as punycode here. */
    if (!rk_domain_parse(domain, parsed) || rk_domain_is_wildcard(parsed) ||
        !rk_str_ieq(rk_str(parsed), domain))
        return rk_fail(err, RK_INVALID, "invalid zone domain format");
    if (in->groups_n == 0)
        return rk_fail(err, RK_INVALID, "at least one distribution group is required");
    return 0;
}

static int check_groups(struct rk_change *ch, const struct rk_zone_input *in, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &unknown_group_stmt, &res, err,
                      RK_P_C(rk_change_account_id(ch)), RK_P_ARRAY(in->groups, in->groups_n));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_INVALID, "group: %s not found", rk_pg_str(res, 0, 0).p);
    return 0;
}

/* The domain is neither that of the peers' names, nor the server's own, which those have where the
 * settings say nothing, nor another zone's, however it is written. */
static int check_domain(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *domain,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf own = { 0 };
    int r;

    rk_buf_init(&own, RK_META_MAX);
    r = rk_actor_domain(ch, actor, &own, err);
    if (r < 0)
        return r;
    if (rk_str_ieq(rk_str((const char *)own.p), rk_str(domain)) ||
        rk_str_ieq(rk_str(actor->default_domain), rk_str(domain)))
        return rk_fail(err, RK_INVALID, "zone domain %s conflicts with peer dns domain", domain);
    r = rk_pg_run(rk_change_pg(ch), &taken_stmt, &res, err, RK_P_C(actor->account_id),
                  RK_P_C(domain));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_EXISTS, "zone with domain %s already exists", domain);
    return 0;
}

int zone_row(struct rk_pg *pg,
             const struct rk_actor *actor,
             const char *id,
             struct rk_pg_result **out,
             struct rk_err *err)
{
    return rk_actor_row(pg, actor, &get_stmt, "failed to get zone: zone", id, out, err);
}

int zone_finish(struct rk_change **ch,
                const struct rk_actor *actor,
                const char *zone_id,
                struct rk_bell *out_bell,
                struct rk_err *err)
{
    int r = rk_change_touch(*ch, RK_OBJ_ZONE, zone_id, err);

    return r < 0 ? r : rk_actor_commit(ch, actor, out_bell, err);
}

static int zone_event(struct rk_change *ch,
                      const struct rk_actor *actor,
                      const char *code,
                      const char *id,
                      const char *name,
                      const char *domain,
                      struct rk_err *err)
{
    return rk_actor_tell(ch, actor, code, id, err, "name", name, "domain", domain, NULL);
}

int rk_zone_create(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const struct rk_zone_input *in,
                   char out_id[RK_XID_LEN + 1],
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    char id[RK_XID_LEN + 1];
    int r;

    r = rk_zone_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_ZONE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = check_domain(ch, actor, in->domain, err);
    if (r < 0)
        return r;
    r = check_groups(ch, in, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_C(in->name), RK_P_C(in->domain), RK_P_BOOL(in->enabled),
                    RK_P_BOOL(in->enable_search_domain), RK_P_ARRAY(in->groups, in->groups_n));
    if (r < 0)
        return r;
    r = zone_event(ch, actor, "dns.zone.create", id, in->name, in->domain, err);
    if (r < 0)
        return r;
    r = zone_finish(&ch, actor, id, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_zone_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_zone_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = rk_zone_validate(in, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_ZONE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = zone_row(pg, actor, id, &row, err);
    if (r < 0)
        return r;
    if (!rk_str_eq(rk_pg_str(row, 0, 1), rk_str(in->domain)))
        return rk_fail(err, RK_INVALID, "zone domain cannot be updated");
    r = check_groups(ch, in, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(in->name), RK_P_BOOL(in->enabled), RK_P_BOOL(in->enable_search_domain),
                    RK_P_ARRAY(in->groups, in->groups_n));
    if (r < 0)
        return r;
    r = zone_event(ch, actor, "dns.zone.update", id, in->name, in->domain, err);
    if (r < 0)
        return r;
    return zone_finish(&ch, actor, id, out_bell, err);
}

/* One event a record, all of which go with the zone. */
static int tell_records(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *id,
                        const char *name,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *gone = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &records_stmt, &gone, err, RK_P_C(id));

    for (int i = 0; r == 0 && i < rk_pg_rows(gone); i++) {
        const struct rk_record_input was = { .name = rk_pg_str(gone, i, 1).p,
                                             .type = rk_pg_str(gone, i, 2).p,
                                             .content = rk_pg_str(gone, i, 3).p,
                                             .ttl = rk_pg_int(gone, i, 4) };

        if (i < MAX_WATCHED_RECORDS)
            r = rk_change_watch(ch, RK_WATCH_RECORD, rk_pg_str(gone, i, 0).p, NULL, err);
        if (r == 0)
            r = zone_record_event(ch, actor, "dns.zone.record.delete", rk_pg_str(gone, i, 0).p,
                                  &was, id, name, err);
    }
    return r;
}

int rk_zone_delete(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    const char *name;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_ZONE, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = zone_row(pg, actor, id, &row, err);
    if (r < 0)
        return r;
    name = rk_pg_str(row, 0, 0).p;
    r = tell_records(ch, actor, id, name, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = zone_event(ch, actor, "dns.zone.delete", id, name, rk_pg_str(row, 0, 1).p, err);
    if (r < 0)
        return r;
    return zone_finish(&ch, actor, id, out_bell, err);
}
