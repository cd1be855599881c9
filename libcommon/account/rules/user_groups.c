/* What a user's groups mean for its peers. */

#include "libcommon/account/rules/settings_int.h"
#include "libcommon/account/store/int.h"
#include "libcommon/account/rules/user_int.h"
#include "libcommon/base/alloc.h"

/* Past this many memberships one reload of a group is cheaper than naming each. */
#define MAX_NAMED_MEMBERS 64

static const struct rk_pg_stmt set_stmt = {
    "user_set_groups", "UPDATE users SET auto_groups = $3::text[] WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt name_stmt = {
    "user_group_name", "SELECT name FROM account_group WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt propagated_stmt = {
    "user_propagated",
    "SELECT coalesce((settings->>'groups_propagation_enabled')::boolean, false) FROM account "
    "WHERE id = $1"
};
static const struct rk_pg_stmt join_stmt = {
    "user_peers_join",
    "INSERT INTO group_peer (group_id, peer_id) SELECT $3, p.id FROM peer p "
    "WHERE p.account_id = $1 AND p.user_id IN (SELECT unnest($2::text[])) ON CONFLICT DO NOTHING "
    "RETURNING peer_id"
};
static const struct rk_pg_stmt leave_stmt = {
    "user_peers_leave", "DELETE FROM group_peer m USING peer p WHERE m.group_id = $3 AND "
                        "p.id = m.peer_id AND p.account_id = $1 AND p.user_id IN (SELECT "
                        "unnest($2::text[])) "
                        "RETURNING m.peer_id"
};
static const struct rk_pg_stmt join_all_stmt = {
    "user_all_peers_join",
    "WITH came AS (INSERT INTO group_peer (group_id, peer_id) SELECT g.id, p.id FROM users u JOIN "
    "peer p ON p.account_id = u.account_id AND p.user_id = u.id CROSS JOIN "
    "unnest(u.auto_groups) AS x(id) JOIN account_group g ON g.account_id = u.account_id AND g.id = "
    "x.id AND g.name <> 'All' WHERE u.account_id = $1 ON CONFLICT DO NOTHING RETURNING group_id, "
    "peer_id) SELECT group_id, peer_id FROM came ORDER BY group_id, peer_id"
};

int user_check_groups(
    struct rk_change *ch, const char *id, const struct rk_str *groups, size_t n, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *bad = NULL;
    int r;

    r = rk_auto_groups_bad(ch, groups, n, &bad, err);
    if (r < 0 || !bad)
        return r;
    if (rk_pg_null(bad, 0, 1))
        return rk_fail(err, RK_INVALID,
                       "provided group id %.100s in the user %s update doesn't exist",
                       rk_pg_str(bad, 0, 0).p, id);
    return rk_fail(err, RK_INVALID, "can't add all group to the user");
}

int user_groups_propagated(struct rk_change *ch, bool *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r =
        rk_pg_run(rk_change_pg(ch), &propagated_stmt, &res, err, RK_P_C(rk_change_account_id(ch)));

    if (r == 0)
        *out = rk_pg_rows(res) > 0 && rk_pg_bool(res, 0, 0);
    return r;
}

int user_move_peers(struct rk_change *ch,
                    const char *group_id,
                    bool in,
                    const struct rk_str *user_ids,
                    size_t n,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *moved = NULL;
    int r, rows;

    r = rk_pg_run(rk_change_pg(ch), in ? &join_stmt : &leave_stmt, &moved, err,
                  RK_P_C(rk_change_account_id(ch)), RK_P_ARRAY(user_ids, n), RK_P_C(group_id));
    rows = r < 0 ? 0 : rk_pg_rows(moved);
    if (rows == 0)
        return r;
    if (rows > MAX_NAMED_MEMBERS)
        r = rk_change_touch(ch, RK_OBJ_GROUP, group_id, err);
    for (int i = 0; r == 0 && rows <= MAX_NAMED_MEMBERS && i < rows; i++)
        r = rk_change_touch_member(ch, group_id, rk_pg_str(moved, i, 0).p, err);
    return r < 0 ? r : rk_settings_follow6(ch, group_id, err);
}

struct move {
    struct rk_change *ch;
    const struct rk_actor *actor;
    const char *user_id;
    const struct rk_pg_result *row; /* of the user */
    bool propagated;
};

static int move_group(const struct move *m, struct rk_str group, bool in, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char id[RK_XID_LEN + 1];
    int r;

    if (!rk_str_copy(group, id, sizeof(id)))
        return 0; /* none of ours: it was stored before groups were checked */
    r = rk_pg_run(rk_change_pg(m->ch), &name_stmt, &res, err, RK_P_C(rk_change_account_id(m->ch)),
                  RK_P_C(id));
    if (r < 0 || rk_pg_rows(res) == 0)
        return r; /* the group has gone since: nothing to name */
    if (m->propagated) {
        const struct rk_str one = rk_str(m->user_id);

        r = user_move_peers(m->ch, id, in, &one, 1, err);
        if (r < 0)
            return r;
    }
    return rk_actor_tell(m->ch, m->actor, in ? "user.group.add" : "user.group.delete", m->user_id,
                         err, "group", rk_pg_str(res, 0, 0).p, "group_id", id, "is_service_user",
                         rk_pg_bool(m->row, 0, USER_SERVICE) ? "true" : "false", "user_name",
                         rk_pg_str(m->row, 0, USER_NAME).p, NULL);
}

/* Those of `of` that are not in `without`. */
static int move_groups(const struct move *m,
                       const struct rk_str *of,
                       size_t of_n,
                       const struct rk_str *without,
                       size_t without_n,
                       bool in,
                       struct rk_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < of_n; i++) {
        bool found = false;

        for (size_t k = 0; !found && k < without_n; k++)
            found = rk_str_eq(of[i], without[k]);
        for (size_t k = 0; !found && k < i; k++)
            found = rk_str_eq(of[i], of[k]); /* named twice */
        if (!found)
            r = move_group(m, of[i], in, err);
    }
    return r;
}

int user_set_groups(struct rk_change *ch,
                    const struct rk_actor *actor,
                    const char *id,
                    const struct rk_pg_result *row,
                    const struct rk_str *groups,
                    size_t n,
                    struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *was = NULL;
    struct move m = { .ch = ch, .actor = actor, .user_id = id, .row = row };
    size_t was_n = 0;
    int r;

    r = rk_pg_later(rk_change_pg(ch), &set_stmt, NULL, err, RK_P_C(rk_change_account_id(ch)),
                    RK_P_C(id), RK_P_ARRAY(groups, n));
    if (r < 0)
        return r;
    r = user_groups_propagated(ch, &m.propagated, err);
    if (r < 0)
        return r;
    rk_pg_array(row, 0, USER_GROUPS, &was, &was_n);
    r = move_groups(&m, was, was_n, groups, n, false, err);
    if (r < 0)
        return r;
    return move_groups(&m, groups, n, was, was_n, true, err);
}

int user_propagate_groups(struct rk_change *ch, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *came = NULL;
    int r =
        rk_pg_run(rk_change_pg(ch), &join_all_stmt, &came, err, RK_P_C(rk_change_account_id(ch)));

    for (int i = 0; r == 0 && i < rk_pg_rows(came); i++) {
        struct rk_str group = rk_pg_str(came, i, 0);
        bool first = i == 0 || !rk_str_eq(group, rk_pg_str(came, i - 1, 0));

        if (rk_pg_rows(came) <= MAX_NAMED_MEMBERS)
            r = rk_change_touch_member(ch, group.p, rk_pg_str(came, i, 1).p, err);
        else if (first)
            r = rk_change_touch(ch, RK_OBJ_GROUP, group.p, err);
        if (r == 0 && first)
            r = rk_settings_follow6(ch, group.p, err);
    }
    return r;
}
