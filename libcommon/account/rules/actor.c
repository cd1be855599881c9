/* See actor.h. */

#include "libcommon/account/rules/actor.h"

#include <stdarg.h>

#include "libcommon/base/json.h"

static const struct rk_pg_stmt domain_stmt = {
    "actor_domain",
    "SELECT coalesce(nullif(settings->>'dns_domain', ''), $2) FROM account WHERE id = $1"
};
static const struct rk_pg_stmt auto_groups_stmt = {
    "auto_groups_check", "SELECT x.id, g.name FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n)"
                         " LEFT JOIN account_group g ON g.account_id = $1 AND g.id = x.id"
                         " WHERE g.id IS NULL OR g.name = 'All' ORDER BY x.n LIMIT 1"
};

static struct rk_str write_meta(struct rk_buf *b, va_list ap)
{
    struct rk_json j;
    const char *key;

    rk_buf_clear(b);
    rk_json_init(&j, b);
    rk_json_object(&j, NULL);
    while ((key = va_arg(ap, const char *)) != NULL) {
        const char *value = va_arg(ap, const char *);

        rk_json_cstr(&j, key, value);
    }
    rk_json_object_end(&j);
    return rk_buf_str(b);
}

struct rk_str rk_event_meta(struct rk_buf *b, ...)
{
    struct rk_str meta;
    va_list ap;

    va_start(ap, b);
    meta = write_meta(b, ap);
    va_end(ap);
    return meta;
}

int rk_actor_tell(struct rk_change *ch,
                  const struct rk_actor *actor,
                  const char *code,
                  const char *target_id,
                  struct rk_err *err,
                  ...)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_str meta;
    va_list ap;

    rk_buf_init(&b, RK_META_MAX);
    va_start(ap, err);
    meta = write_meta(&b, ap);
    va_end(ap);
    return rk_change_event(ch, code, actor->user_id, target_id, meta, err);
}

int rk_actor_finish(struct rk_change **ch,
                    const struct rk_actor *actor,
                    enum rk_object_kind kind,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    int r = rk_change_touch(*ch, kind, id, err);

    return r < 0 ? r : rk_actor_commit(ch, actor, out_bell, err);
}

int rk_actor_domain(struct rk_change *ch,
                    const struct rk_actor *actor,
                    struct rk_buf *out,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(rk_change_pg(ch), &domain_stmt, &res, err, RK_P_C(actor->account_id),
                  RK_P_C(actor->default_domain));
    if (r < 0)
        return r;
    rk_buf_clear(out);
    if (rk_pg_rows(res) > 0)
        rk_buf_put_str(out, rk_pg_str(res, 0, 0));
    rk_buf_put_u8(out, 0);
    return 0;
}

void rk_bell_set(struct rk_bell *bell, const char *account_id, uint64_t serial)
{
    (void)rk_str_copy(rk_str(account_id), bell->account_id, sizeof(bell->account_id));
    bell->serial = serial;
}

int rk_actor_row(struct rk_pg *pg,
                 const struct rk_actor *actor,
                 const struct rk_pg_stmt *stmt,
                 const char *what,
                 const char *id,
                 struct rk_pg_result **out,
                 struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(pg, stmt, &res, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "%s: %s not found", what, id);
    *out = rk_steal(res);
    return 0;
}

int rk_actor_begin(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   enum rk_watched kind,
                   const char *id,
                   const char *also,
                   struct rk_change **out,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    int r;

    r = rk_change_begin_later(pg, actor->account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_change_watch(ch, kind, id, also, err);
    if (r < 0)
        return r;
    *out = rk_steal(ch);
    return 0;
}

int rk_actor_commit(struct rk_change **ch,
                    const struct rk_actor *actor,
                    struct rk_bell *out_bell,
                    struct rk_err *err)
{
    uint64_t serial = 0;
    int r = rk_change_commit(ch, &serial, err);

    if (r < 0)
        return r;
    rk_bell_set(out_bell, actor->account_id, serial);
    return 0;
}

int rk_auto_groups_bad(struct rk_change *ch,
                       const struct rk_str *groups,
                       size_t n,
                       struct rk_pg_result **out,
                       struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (n == 0)
        return 0;
    r = rk_pg_run(rk_change_pg(ch), &auto_groups_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_ARRAY(groups, n));
    if (r == 0 && rk_pg_rows(res) > 0)
        *out = rk_steal(res);
    return r;
}

int rk_auto_groups_check(struct rk_change *ch,
                         const struct rk_str *groups,
                         size_t n,
                         struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_auto_groups_bad(ch, groups, n, &res, err);

    if (r < 0 || !res)
        return r;
    if (rk_pg_null(res, 0, 1))
        return rk_fail(err, RK_INVALID, "invalid auto groups: group not found: %s",
                       rk_pg_str(res, 0, 0).p);
    return rk_fail(err, RK_INVALID, "invalid auto groups: can't add 'all' group to the setup key");
}
