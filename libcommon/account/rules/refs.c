/* See refs.h. */

#include "libcommon/account/rules/refs.h"

static const struct rk_pg_stmt unknown_group_stmt = {
    "refs_unknown_group",
    "SELECT x.id FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n) WHERE NOT EXISTS"
    " (SELECT 1 FROM account_group g WHERE g.account_id = $1 AND g.id = x.id) ORDER BY x.n LIMIT 1"
};
static const struct rk_pg_stmt unknown_check_stmt = {
    "refs_unknown_check",
    "SELECT x.id FROM unnest($2::text[]) WITH ORDINALITY AS x(id, n) WHERE NOT EXISTS"
    " (SELECT 1 FROM posture_check c WHERE c.account_id = $1 AND c.id = x.id) ORDER BY x.n LIMIT 1"
};
static const struct rk_pg_stmt peer_stmt = {
    "refs_peer", "SELECT 1 FROM peer WHERE account_id = $1 AND id = $2"
};

int rk_refs_groups(struct rk_change *ch, const struct rk_str *ids, size_t n, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (n == 0)
        return rk_fail(err, RK_INVALID, "the list of group ids should not be empty");
    r = rk_pg_run(rk_change_pg(ch), &unknown_group_stmt, &res, err,
                  RK_P_C(rk_change_account_id(ch)), RK_P_ARRAY(ids, n));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return 0;
    if (rk_pg_str(res, 0, 0).n == 0)
        return rk_fail(err, RK_INVALID, "group id should not be empty string");
    return rk_fail(err, RK_INVALID, "group id %s not found", rk_pg_str(res, 0, 0).p);
}

int rk_refs_ask_posture_checks(struct rk_change *ch,
                               const struct rk_str *ids,
                               size_t n,
                               struct rk_pg_result **out,
                               struct rk_err *err)
{
    return rk_pg_later(rk_change_pg(ch), &unknown_check_stmt, out, err,
                       RK_P_C(rk_change_account_id(ch)), RK_P_ARRAY(ids, n));
}

int rk_refs_posture_checks(const struct rk_pg_result *answer, struct rk_err *err)
{
    if (!answer || rk_pg_rows(answer) == 0)
        return 0;
    return rk_fail(err, RK_INVALID, "posture checks: %.100s not found", rk_pg_str(answer, 0, 0).p);
}

int rk_refs_peer(struct rk_change *ch, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &peer_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                      RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_INVALID, "peer with id %s not found", id);
    return 0;
}
