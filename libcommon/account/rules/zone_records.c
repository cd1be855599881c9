/* The records of a zone. See zone.h. */

#include <arpa/inet.h>
#include <stdio.h>

#include "libcommon/account/model/domain.h"
#include "libcommon/account/rules/zone_int.h"

static const struct rk_pg_stmt get_stmt = {
    "record_get",
    "SELECT r.name, r.type, r.content, r.ttl FROM zone_record r JOIN zone z ON z.id = r.zone_id"
    " WHERE z.account_id = $1 AND z.id = $2 AND r.id = $3"
};
/* Records of the same name beside the one that changes: whether one is identical, and whether one
 * of both would be an alias. */
static const struct rk_pg_stmt clash_stmt = {
    "record_clash", "SELECT coalesce(bool_or(type = $4 AND content = $5), false),"
                    " coalesce(bool_or(type = 'CNAME' OR $4 = 'CNAME'), false)"
                    " FROM zone_record WHERE zone_id = $1 AND id <> $2 AND name = $3"
};
static const struct rk_pg_stmt insert_stmt = {
    "record_insert", "INSERT INTO zone_record (id, zone_id, name, type, content, ttl) VALUES ($1, "
                     "$2, $3, $4, $5, $6)"
};
static const struct rk_pg_stmt update_stmt = {
    "record_update", "UPDATE zone_record SET name = $3, type = $4, content = $5, ttl = $6 WHERE "
                     "zone_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "record_delete", "DELETE FROM zone_record WHERE zone_id = $1 AND id = $2"
};

/* ASCII, as it stands. */
static bool name_valid(const char *name, bool wildcard)
{
    char parsed[RK_DOMAIN_SIZE];

    return rk_domain_parse(rk_str(name), parsed) && rk_str_ieq(rk_str(parsed), rk_str(name)) &&
           (wildcard || !rk_domain_is_wildcard(parsed));
}

static bool ipv6_valid(const char *text)
{
    struct in6_addr a;

    return inet_pton(AF_INET6, text, &a) == 1 && !IN6_IS_ADDR_V4MAPPED(&a);
}

static int validate_content(const struct rk_record_input *in, struct rk_err *err)
{
    struct in_addr a4;

    if (strcmp(in->type, "A") == 0) {
        if (in->content[0] == '\0')
            return rk_fail(err, RK_INVALID, "a record is required");
        if (inet_pton(AF_INET, in->content, &a4) != 1)
            return rk_fail(err, RK_INVALID, "a record must be a valid ipv4 address");
    } else if (strcmp(in->type, "AAAA") == 0) {
        if (in->content[0] == '\0')
            return rk_fail(err, RK_INVALID, "aaaa record is required");
        if (!ipv6_valid(in->content))
            return rk_fail(err, RK_INVALID, "aaaa record must be a valid ipv6 address");
    } else if (strcmp(in->type, "CNAME") == 0) {
        if (!name_valid(in->content, false))
            return rk_fail(err, RK_INVALID, "invalid cname target format");
    } else {
        return rk_fail(err, RK_INVALID, "invalid record type, must be a, aaaa, or cname");
    }
    return 0;
}

int rk_record_validate(const struct rk_record_input *in, struct rk_err *err)
{
    int r;

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "record name is required");
    if (!name_valid(in->name, true))
        return rk_fail(err, RK_INVALID, "invalid record name format");
    if (in->type[0] == '\0')
        return rk_fail(err, RK_INVALID, "record type is required");
    r = validate_content(in, err);
    if (r < 0)
        return r;
    if (in->ttl < 0)
        return rk_fail(err, RK_INVALID, "ttl cannot be negative");
    return 0;
}

/* The name is the zone's domain or ends in "." and it. */
static bool belongs(struct rk_str name, struct rk_str domain)
{
    if (!rk_str_ends(name, domain))
        return false;
    return name.n == domain.n || name.p[name.n - domain.n - 1] == '.';
}

static int check_stored(struct rk_change *ch,
                        const char *zone_id,
                        struct rk_str domain,
                        const char *id,
                        const struct rk_record_input *in,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (!belongs(rk_str(in->name), domain))
        return rk_fail(err, RK_INVALID, "record name does not belong to zone");
    r = rk_pg_run(rk_change_pg(ch), &clash_stmt, &res, err, RK_P_C(zone_id), RK_P_C(id),
                  RK_P_C(in->name), RK_P_C(in->type), RK_P_C(in->content));
    if (r < 0)
        return r;
    if (rk_pg_bool(res, 0, 0))
        return rk_fail(err, RK_EXISTS, "identical record already exists");
    if (rk_pg_bool(res, 0, 1))
        return rk_fail(err, RK_INVALID, "an a, aaaa, or cname record with name %s already exists",
                       in->name);
    return 0;
}

int zone_record_event(struct rk_change *ch,
                      const struct rk_actor *actor,
                      const char *code,
                      const char *id,
                      const struct rk_record_input *in,
                      const char *zone_id,
                      const char *zone_name,
                      struct rk_err *err)
{
    char ttl[24];

    snprintf(ttl, sizeof(ttl), "%lld", (long long)in->ttl);
    return rk_actor_tell(ch, actor, code, id, err, "name", in->name, "type", in->type, "content",
                         in->content, "ttl", ttl, "zone_id", zone_id, "zone_name", zone_name, NULL);
}

static int record_row(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *zone_id,
                      const char *id,
                      struct rk_pg_result **out,
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r =
        rk_pg_run(pg, &get_stmt, &res, err, RK_P_C(actor->account_id), RK_P_C(zone_id), RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "failed to get record: dns record: %s not found", id);
    *out = rk_steal(res);
    return 0;
}

int rk_record_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *zone_id,
                     const struct rk_record_input *in,
                     char out_id[RK_XID_LEN + 1],
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *zone = NULL;
    char id[RK_XID_LEN + 1];
    int r;

    r = rk_record_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_RECORD, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = zone_row(pg, actor, zone_id, &zone, err);
    if (r < 0)
        return r;
    r = check_stored(ch, zone_id, rk_pg_str(zone, 0, 1), "", in, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(zone_id), RK_P_C(in->name),
                    RK_P_C(in->type), RK_P_C(in->content), RK_P_INT(in->ttl));
    if (r < 0)
        return r;
    r = zone_record_event(ch, actor, "dns.zone.record.create", id, in, zone_id,
                          rk_pg_str(zone, 0, 0).p, err);
    if (r < 0)
        return r;
    r = zone_finish(&ch, actor, zone_id, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_record_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *zone_id,
                     const char *id,
                     const struct rk_record_input *in,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *zone = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *was = NULL;
    int r;

    r = rk_record_validate(in, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_RECORD, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = zone_row(pg, actor, zone_id, &zone, err);
    if (r < 0)
        return r;
    r = record_row(pg, actor, zone_id, id, &was, err);
    if (r < 0)
        return r;
    r = check_stored(ch, zone_id, rk_pg_str(zone, 0, 1), id, in, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(zone_id), RK_P_C(id), RK_P_C(in->name),
                    RK_P_C(in->type), RK_P_C(in->content), RK_P_INT(in->ttl));
    if (r < 0)
        return r;
    r = zone_record_event(ch, actor, "dns.zone.record.update", id, in, zone_id,
                          rk_pg_str(zone, 0, 0).p, err);
    if (r < 0)
        return r;
    return zone_finish(&ch, actor, zone_id, out_bell, err);
}

int rk_record_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *zone_id,
                     const char *id,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *zone = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct rk_record_input was;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_RECORD, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = zone_row(pg, actor, zone_id, &zone, err);
    if (r < 0)
        return r;
    r = record_row(pg, actor, zone_id, id, &row, err);
    if (r < 0)
        return r;
    was = (struct rk_record_input){ .name = rk_pg_str(row, 0, 0).p,
                                    .type = rk_pg_str(row, 0, 1).p,
                                    .content = rk_pg_str(row, 0, 2).p,
                                    .ttl = rk_pg_int(row, 0, 3) };
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(zone_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = zone_record_event(ch, actor, "dns.zone.record.delete", id, &was, zone_id,
                          rk_pg_str(zone, 0, 0).p, err);
    if (r < 0)
        return r;
    return zone_finish(&ch, actor, zone_id, out_bell, err);
}
