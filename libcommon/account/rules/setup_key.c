/* See setup_key.h. */

#include "libcommon/account/rules/setup_key.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/crypto/hash.h"

/* Past it a time in microseconds would overflow; a thousand years is never. */
#define MAX_EXPIRES_S (1000LL * 366 * 86400)

static const struct rk_pg_stmt insert_stmt = {
    "setup_key_insert", "INSERT INTO setup_key (id, account_id, name, hash, masked, type, "
                        "expires_at, usage_limit, auto_groups, ephemeral,"
                        " allow_extra_dns_labels) VALUES ($1, $2, $3, $4, $5, $6,"
                        " CASE WHEN $7::bigint > 0 THEN now() + $7::bigint * interval '1 second' "
                        "END, $8, $9::text[], $10, $11)"
};
static const struct rk_pg_stmt lock_stmt = {
    "setup_key_lock", "SELECT name, type, masked, revoked, auto_groups FROM setup_key"
                      " WHERE account_id = $1 AND id = $2 FOR UPDATE"
};
static const struct rk_pg_stmt update_stmt = {
    "setup_key_update",
    "UPDATE setup_key SET revoked = $3, auto_groups = $4::text[], updated_at = now()"
    " WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "setup_key_delete", "DELETE FROM setup_key WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt group_name_stmt = {
    "setup_key_group_name", "SELECT name FROM account_group WHERE account_id = $1 AND id = $2"
};

int rk_setup_key_validate(const struct rk_setup_key_input *in, struct rk_err *err)
{
    bool one_off = strcmp(in->type, "one-off") == 0;

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "setup key name shouldn't be empty");
    if (!one_off && strcmp(in->type, "reusable") != 0)
        return rk_fail(err, RK_INVALID, "unknown setup key type %s", in->type);
    if (one_off && in->usage_limit > 1)
        return rk_fail(err, RK_INVALID,
                       "usage_limit %lld is not valid for a one-off setup key, which can be used "
                       "once; use type reusable"
                       " for a key that can be used more than once",
                       (long long)in->usage_limit);
    if (in->usage_limit < 0)
        return rk_fail(err, RK_INVALID, "usage_limit can not be negative");
    if (in->expires_in_s < 0)
        return rk_fail(err, RK_INVALID, "expiresin can not be in the past");
    if (in->expires_in_s > MAX_EXPIRES_S)
        return rk_fail(err, RK_INVALID, "expiresin is too far in the future");
    return 0;
}

static int group_event(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const char *code,
                       struct rk_str group,
                       const char *key_id,
                       const char *key_name,
                       struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char id[64];
    int r;

    r = rk_pg_run(rk_change_pg(ch), &group_name_stmt, &res, err, RK_P_C(actor->account_id),
                  RK_P_STR(group));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0 || !rk_str_copy(group, id, sizeof(id)))
        return 0; /* the group has gone since: nothing to name */
    return rk_actor_tell(ch, actor, code, key_id, err, "group", rk_pg_str(res, 0, 0).p, "group_id",
                         id, "setupkey", key_name, NULL);
}

static bool contains(const struct rk_str *list, size_t n, struct rk_str s)
{
    for (size_t i = 0; i < n; i++)
        if (rk_str_eq(list[i], s))
            return true;
    return false;
}

static int group_events(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *code,
                        const struct rk_str *of,
                        size_t of_n,
                        const struct rk_str *without,
                        size_t without_n,
                        const char *key_id,
                        const char *key_name,
                        struct rk_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < of_n; i++)
        if (!contains(without, without_n, of[i]))
            r = group_event(ch, actor, code, of[i], key_id, key_name, err);
    return r;
}

int rk_setup_key_create(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_setup_key_input *in,
                        char out_id[RK_XID_LEN + 1],
                        char out_secret[RK_UUID_LEN + 1],
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    char id[RK_XID_LEN + 1], secret[RK_UUID_LEN + 1], hash[45], masked[16];
    bool one_off = strcmp(in->type, "one-off") == 0;
    int r;

    r = rk_setup_key_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    rk_uuid_new(secret);
    for (char *p = secret; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    rk_sha256_b64(rk_str(secret), hash);
    snprintf(masked, sizeof(masked), "%.5s****", secret);

    r = rk_actor_begin(pg, actor, RK_WATCH_SETUP_KEY, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_auto_groups_check(ch, in->auto_groups, in->auto_groups_n, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_C(in->name), RK_P_C(hash), RK_P_C(masked), RK_P_C(in->type),
                    RK_P_INT(in->expires_in_s), RK_P_INT(one_off ? 1 : in->usage_limit),
                    RK_P_ARRAY(in->auto_groups, in->auto_groups_n), RK_P_BOOL(in->ephemeral),
                    RK_P_BOOL(in->allow_extra_dns_labels));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "setupkey.add", id, err, "name", in->name, "type", in->type, "key",
                      masked, NULL);
    if (r < 0)
        return r;
    r = group_events(ch, actor, "setupkey.group.add", in->auto_groups, in->auto_groups_n, NULL, 0,
                     id, in->name, err);
    if (r < 0)
        return r;
    r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    memcpy(out_secret, secret, sizeof(secret));
    return 0;
}

static int key_event(struct rk_change *ch,
                     const struct rk_actor *actor,
                     const char *code,
                     const char *id,
                     const struct rk_pg_result *key,
                     struct rk_err *err)
{
    return rk_actor_tell(ch, actor, code, id, err, "name", rk_pg_str(key, 0, 0).p, "type",
                         rk_pg_str(key, 0, 1).p, "key", rk_pg_str(key, 0, 2).p, NULL);
}

int rk_setup_key_update(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        bool revoked,
                        const struct rk_str *auto_groups,
                        size_t auto_groups_n,
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *key = NULL;
    rk_auto(rk_free) struct rk_str *was = NULL;
    const char *name;
    size_t was_n;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_SETUP_KEY, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(rk_change_pg(ch), actor, &lock_stmt, "setup key", id, &key, err);
    if (r < 0)
        return r;
    r = rk_auto_groups_check(ch, auto_groups, auto_groups_n, err);
    if (r < 0)
        return r;
    if (rk_pg_bool(key, 0, 3) && !revoked)
        return rk_fail(err, RK_INVALID, "can't un-revoke a revoked setup key");
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_BOOL(revoked), RK_P_ARRAY(auto_groups, auto_groups_n));
    if (r < 0)
        return r;

    if (revoked && !rk_pg_bool(key, 0, 3)) {
        r = key_event(ch, actor, "setupkey.revoke", id, key, err);
        if (r < 0)
            return r;
    }
    name = rk_pg_str(key, 0, 0).p;
    rk_pg_array(key, 0, 4, &was, &was_n);
    r = group_events(ch, actor, "setupkey.group.delete", was, was_n, auto_groups, auto_groups_n, id,
                     name, err);
    if (r < 0)
        return r;
    r = group_events(ch, actor, "setupkey.group.add", auto_groups, auto_groups_n, was, was_n, id,
                     name, err);
    if (r < 0)
        return r;
    return rk_change_commit(&ch, NULL, err);
}

int rk_setup_key_delete(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *key = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_SETUP_KEY, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(rk_change_pg(ch), actor, &lock_stmt, "setup key", id, &key, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = key_event(ch, actor, "setupkey.delete", id, key, err);
    if (r < 0)
        return r;
    return rk_change_commit(&ch, NULL, err);
}
