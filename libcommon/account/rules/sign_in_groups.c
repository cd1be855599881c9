/*
 * Groups that follow the token. A group is found by its name; one that a token made is `jwt`, and
 * only those are given and taken here: a group of the same name that was made otherwise is left
 * alone.
 */

#include "libcommon/account/rules/sign_in_int.h"

#include <stdlib.h>

#include "libcommon/account/rules/user_int.h"
#include "libcommon/base/alloc.h"

static const struct rk_pg_stmt claim_stmt = {
    "sign_in_claim", "SELECT settings->>'jwt_groups_claim_name' FROM account WHERE id = $1 AND "
                     "coalesce((settings->>'jwt_groups_enabled')::boolean, false)"
};
static const struct rk_pg_stmt own_stmt = {
    "sign_in_own_groups",
    "SELECT x.id FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n) LEFT JOIN account_group g ON "
    "g.account_id = $1 AND g.id = x.id WHERE coalesce(g.issued, '') <> 'jwt' ORDER BY x.n"
};
/* Of each name the group of ours, or that it is taken: only what is new is NULL. */
static const struct rk_pg_stmt named_stmt = {
    "sign_in_named_groups",
    "SELECT x.name, g.id, coalesce(g.issued, '') FROM unnest($2::text[]) WITH ORDINALITY AS "
    "x(name, n) LEFT JOIN LATERAL (SELECT id, issued FROM account_group WHERE account_id = $1 AND "
    "name = x.name ORDER BY issued = 'jwt' DESC LIMIT 1) g ON true ORDER BY x.n"
};
static const struct rk_pg_stmt insert_stmt = {
    "sign_in_group_insert", "INSERT INTO account_group (id, public_id, account_id, name, issued) "
                            "VALUES ($1, $2, $3, $4, 'jwt')"
};

static bool among(struct rk_str s, const struct rk_str *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rk_str_eq(s, v[i]))
            return true;
    }
    return false;
}

void sign_in_group_names(const struct rk_claims *claims,
                         const char *claim,
                         struct rk_arena *arena,
                         struct rk_str **out,
                         size_t *out_n)
{
    struct rk_str *v;
    size_t all_n, n = 0;

    *out = NULL;
    *out_n = 0;
    if (!*claim)
        return;
    v = rk_arena_alloc(arena, SIGN_IN_GROUPS_MAX * sizeof(*v));
    all_n = rk_claims_list(claims, claim, arena, v, SIGN_IN_GROUPS_MAX, NULL);
    for (size_t i = 0; i < all_n; i++) {
        struct rk_str s = v[i];

        if (s.n > 0 && s.n <= SIGN_IN_GROUP_NAME_MAX && !memchr(s.p, 0, s.n) && rk_utf8_valid(s) &&
            !among(s, v, n))
            v[n++] = s;
    }
    *out = v;
    *out_n = n;
}

bool sign_in_let_in(const struct rk_str *allowed,
                    size_t allowed_n,
                    const struct rk_str *names,
                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (among(names[i], allowed, allowed_n))
            return true;
    }
    return allowed_n == 0;
}

bool sign_in_groups_same(const struct rk_str *names,
                         size_t n,
                         const struct rk_str *have,
                         size_t have_n,
                         const struct rk_str *taken,
                         size_t taken_n)
{
    for (size_t i = 0; i < n; i++) {
        if (!among(names[i], have, have_n) && !among(names[i], taken, taken_n))
            return false;
    }
    for (size_t i = 0; i < have_n; i++) {
        if (!among(have[i], names, n))
            return false;
    }
    return true;
}

/* What the user is to have: ids in `ids`, the new ones of them in `made`. */
struct wanted {
    struct rk_pg_result *own, *named;
    char (*made)[RK_XID_LEN + 1];
    size_t made_n;
    struct rk_str *ids;
    size_t n;
};

static void wanted_done(struct wanted *w)
{
    rk_pg_result_free(w->own);
    rk_pg_result_free(w->named);
    free(w->made);
    free(w->ids);
}
RK_DEFINE_AUTO_DONE(struct wanted, wanted_done)

static int make_group(struct rk_change *ch, struct rk_str name, char *id, struct rk_err *err)
{
    char public_id[RK_XID_LEN + 1];
    int r;

    rk_xid_new(id);
    rk_xid_new(public_id);
    r = rk_pg_run(rk_change_pg(ch), &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                  RK_P_C(rk_change_account_id(ch)), RK_P_STR(name));
    return r < 0 ? r : rk_change_touch(ch, RK_OBJ_GROUP, id, err);
}

static int want(struct rk_change *ch,
                const struct rk_str *was,
                size_t was_n,
                const struct rk_str *names,
                size_t n,
                struct wanted *w,
                struct rk_err *err)
{
    const char *account = rk_change_account_id(ch);
    int r;

    r = rk_pg_run(rk_change_pg(ch), &own_stmt, &w->own, err, RK_P_C(account),
                  RK_P_ARRAY(was, was_n));
    if (r == 0)
        r = rk_pg_run(rk_change_pg(ch), &named_stmt, &w->named, err, RK_P_C(account),
                      RK_P_ARRAY(names, n));
    if (r < 0)
        return r;
    w->ids = rk_new_array(struct rk_str, (size_t)rk_pg_rows(w->own) + n + 1);
    w->made = rk_alloc((n + 1) * sizeof(*w->made));
    for (int i = 0; i < rk_pg_rows(w->own); i++)
        w->ids[w->n++] = rk_pg_str(w->own, i, 0);
    for (int i = 0; r == 0 && i < rk_pg_rows(w->named); i++) {
        if (rk_str_eq(rk_pg_str(w->named, i, 2), RK_STR("jwt"))) {
            w->ids[w->n++] = rk_pg_str(w->named, i, 1);
        } else if (rk_pg_null(w->named, i, 1)) {
            r = make_group(ch, rk_pg_str(w->named, i, 0), w->made[w->made_n], err);
            w->ids[w->n++] = rk_str(w->made[w->made_n++]);
        }
    }
    return r;
}

static bool same_ids(const struct wanted *w, const struct rk_str *was, size_t was_n)
{
    if (w->n != was_n)
        return false;
    for (size_t i = 0; i < w->n; i++) {
        if (!among(w->ids[i], was, was_n))
            return false;
    }
    return true;
}

int sign_in_follow_groups(struct rk_pg *pg,
                          const struct rk_actor *user,
                          const struct rk_claims *claims,
                          struct rk_arena *arena,
                          struct rk_bell *out_bell,
                          struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *settings = NULL;
    rk_auto(wanted_done) struct wanted w = { .n = 0 };
    rk_auto(rk_free) struct rk_str *was = NULL;
    struct rk_str *names;
    size_t was_n = 0, n;
    int r;

    r = rk_actor_begin(pg, user, RK_WATCH_USER, user->user_id, NULL, &ch, err);
    if (r == 0)
        r = user_lock(ch, user->user_id, &row, err);
    if (r == 0)
        r = rk_pg_run(pg, &claim_stmt, &settings, err, RK_P_C(user->account_id));
    if (r < 0 || rk_pg_rows(settings) == 0)
        return r;
    sign_in_group_names(claims, rk_pg_str(settings, 0, 0).p, arena, &names, &n);
    rk_pg_array(row, 0, USER_GROUPS, &was, &was_n);
    r = want(ch, was, was_n, names, n, &w, err);
    if (r < 0 || same_ids(&w, was, was_n))
        return r; /* another token was quicker */
    r = user_set_groups(ch, user, user->user_id, row, w.ids, w.n, err);
    if (r == 0)
        r = rk_change_touch(ch, RK_OBJ_USER, user->user_id, err);
    return r < 0 ? r : rk_actor_commit(&ch, user, out_bell, err);
}
