/*
 * What follows from what a directory has said: users who come, are blocked or let in again, and the
 * groups of everybody concerned with their peers. Sets all the way; only what differs is written.
 */

#include "libcommon/account/peer/due.h"
#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/rules/scim_int.h"
#include "libcommon/account/rules/subject.h"
#include "libcommon/account/rules/user_int.h"
#include "libcommon/base/alloc.h"

/* Past this many users the audit trail says what happened, not what each looked like before. */
#define MAX_WATCHED 8

/* $4 = what the name of a group has to begin with that lets somebody in; none = anybody. */
#define EFFECTIVE                                                                                  \
    "(s.active AND (cardinality($4::text[]) = 0 OR EXISTS (SELECT 1 FROM scim_member m JOIN "      \
    "scim_group g ON g.id = m.group_id, unnest($4::text[]) AS p WHERE m.user_id = s.id AND "       \
    "starts_with(g.name, p))))"

/* Everybody dirty whose access is not what it should be, or who may be a user and is bound to none.
 */
static const struct rk_pg_stmt look_stmt = {
    "scim_settle_look",
    "SELECT x.* FROM (SELECT s.id, s.user_id, s.user_name, s.external_id, s.name, s.email, "
    "s.blocked AS ours, u.blocked, u.role = 'owner' AS owner, " EFFECTIVE
    " AS effective FROM scim_user s LEFT JOIN users u ON u.id = s.user_id AND u.account_id = $1 "
    "WHERE s.integration_id = $2 AND s.id IN (SELECT unnest($3::text[]))) x WHERE CASE WHEN "
    "x.user_id IS NULL "
    "THEN x.external_id <> '' WHEN x.effective THEN x.ours ELSE NOT x.blocked END "
    "ORDER BY x.id"
};
enum {
    PERSON,
    USER,
    LOGIN_NAME,
    EXTERNAL_ID,
    NAME,
    EMAIL,
    OURS,
    BLOCKED,
    OWNER,
    EFFECTIVE_NOW,
};

/* Those of $1 who are users, by their place there. */
static const struct rk_pg_stmt known_stmt = {
    "scim_known",
    "SELECT x.n, u.account_id = $2 AND NOT u.is_service_user AND s.id IS NULL, u.role = 'owner', "
    "u.blocked AND NOT u.pending_approval FROM unnest($1::text[]) WITH ORDINALITY AS x(id, n) JOIN "
    "users u ON u.id = x.id LEFT JOIN scim_user s ON s.user_id = u.id"
};
enum {
    PLACE,
    KNOWN_FREE,
    KNOWN_OWNER,
    KNOWN_BLOCKED,
};
static const struct rk_pg_stmt adopt_stmt = {
    "scim_adopt",
    "UPDATE users SET issued = 'integration', blocked = blocked AND NOT pending_approval, "
    "pending_approval = false, name = coalesce(nullif($2, ''), name), email = "
    "coalesce(nullif($3, ''), email) WHERE id = $1"
};
static const struct rk_pg_stmt block_stmt = {
    "scim_block",
    "WITH b AS (UPDATE users SET blocked = true WHERE account_id = $1 AND id IN (SELECT "
    "unnest($2::text[])) AND "
    "NOT blocked RETURNING id), s AS (UPDATE scim_user SET blocked = true FROM b WHERE user_id = "
    "b.id) SELECT id FROM b ORDER BY id"
};
static const struct rk_pg_stmt unblock_stmt = {
    "scim_unblock", "WITH s AS (UPDATE scim_user SET blocked = false WHERE user_id IN (SELECT "
                    "unnest($2::text[]))) UPDATE users "
                    "SET blocked = false WHERE account_id = $1 AND id IN (SELECT "
                    "unnest($2::text[])) AND blocked RETURNING id"
};
/* The groups of everybody dirty become: those that are not the integration's, and those of their
 * memberships. A row for each one that came or went. */
static const struct rk_pg_stmt groups_stmt = {
    "scim_settle_groups",
    "WITH mine AS MATERIALIZED (SELECT group_id FROM scim_group WHERE integration_id = $2 AND "
    "group_id IS NOT NULL), want AS MATERIALIZED (SELECT u.id, u.name, u.auto_groups AS was, "
    "ARRAY(SELECT x.g FROM unnest(u.auto_groups) WITH ORDINALITY AS x(g, n) WHERE x.g NOT IN "
    "(SELECT group_id FROM mine) ORDER BY x.n) || ARRAY(SELECT g.group_id FROM scim_member m JOIN "
    "scim_group g ON g.id = m.group_id WHERE m.user_id = s.id AND g.group_id IS NOT NULL ORDER BY "
    "g.seq) AS now FROM scim_user s JOIN users u ON u.id = s.user_id AND u.account_id = $1 WHERE "
    "s.integration_id = $2 AND s.id IN (SELECT unnest($3::text[]))), done AS (UPDATE users u SET "
    "auto_groups = "
    "w.now FROM want w WHERE u.id = w.id AND w.was <> w.now) SELECT d.g, d.came, w.id, w.name, "
    "a.name FROM want w CROSS JOIN LATERAL (SELECT g, true AS came FROM unnest(w.now) AS g WHERE g "
    "<> ALL(w.was) UNION ALL SELECT g, false FROM unnest(w.was) AS g WHERE g <> ALL(w.now)) d JOIN "
    "account_group a ON a.id = d.g AND a.account_id = $1 ORDER BY d.g, d.came, w.id"
};
enum {
    GROUP,
    CAME,
    GROUP_USER,
    GROUP_USER_NAME,
    GROUP_NAME,
};
static const struct rk_pg_stmt events_stmt = {
    "scim_settle_events",
    "INSERT INTO event (account_id, code, initiator_id, target_id, meta) SELECT $1, x.code, $2, "
    "x.target, x.meta::jsonb FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS "
    "x(code, target, meta, n) ORDER BY x.n"
};

static int tell(struct rk_scim_change *sc, const char *code, const char *id, struct rk_err *err)
{
    int r = rk_change_event(sc->ch, code, sc->actor.user_id, id, RK_STR(""), err);

    return r < 0 ? r : rk_change_touch(sc->ch, RK_OBJ_USER, id, err);
}

/* Of somebody who is bound to no user. */
struct newcomer {
    const char *id; /* under which they sign in; "" = there is none */
    bool known;     /* a user already, who has signed in before the directory spoke */
    bool free;      /* and may be bound */
    bool owner;
    bool blocked; /* by an administrator */
};

static const char *sign_in_id(struct rk_scim_change *sc, struct rk_str external_id)
{
    char id[RK_USER_ID_MAX];
    bool fits = sc->connector_id[0] == '\0'
                    ? rk_str_copy(external_id, id, sizeof(id))
                    : rk_subject_encode(external_id.p, sc->connector_id, id);

    return fits ? rk_arena_strdup(sc->arena, id) : "";
}

/* Fills out[] of those who are bound to no user. */
static int find_newcomers(struct rk_scim_change *sc,
                          const struct rk_pg_result *people,
                          struct newcomer *out,
                          struct rk_err *err)
{
    int rows = rk_pg_rows(people), r;
    rk_auto(rk_pg_result_free) struct rk_pg_result *known = NULL;
    rk_auto(rk_free) struct rk_str *ids = rk_new_array(struct rk_str, (size_t)rows + 1);
    bool any = false;

    for (int i = 0; i < rows; i++) {
        bool bound = !rk_pg_null(people, i, USER);

        out[i].id = bound ? "" : sign_in_id(sc, rk_pg_str(people, i, EXTERNAL_ID));
        ids[i] = rk_str(out[i].id);
        any = any || ids[i].n > 0;
    }
    if (!any)
        return 0;
    r = rk_pg_run(rk_change_pg(sc->ch), &known_stmt, &known, err, RK_P_ARRAY(ids, (size_t)rows),
                  RK_P_C(sc->scim.account_id));
    for (int i = 0; r == 0 && i < rk_pg_rows(known); i++) {
        struct newcomer *n = &out[rk_pg_int(known, i, PLACE) - 1];

        n->known = true;
        n->free = rk_pg_bool(known, i, KNOWN_FREE);
        n->owner = rk_pg_bool(known, i, KNOWN_OWNER);
        n->blocked = rk_pg_bool(known, i, KNOWN_BLOCKED);
    }
    return r;
}

/* Somebody whose id is known: a new user, or one who has signed in before the directory spoke.
 * *out_bound = they are that user now. */
static int become_user(struct rk_scim_change *sc,
                       const struct rk_pg_result *people,
                       int row,
                       const struct newcomer *n,
                       bool watch,
                       bool *out_bound,
                       struct rk_err *err)
{
    struct rk_pg *pg = rk_change_pg(sc->ch);
    const char *login = rk_pg_str(people, row, LOGIN_NAME).p;
    int r;

    *out_bound = false;
    if (n->id[0] == '\0')
        return rk_scim_note(sc, RK_SCIM_ERROR, err, "%s: the externalId is too long for an id",
                            login);
    /* The first sign-in binds who has no access yet, and who comes by no connector: their id is the
     * provider's, and might be anybody's in another account. */
    if (!n->known && (sc->connector_id[0] == '\0' || !rk_pg_bool(people, row, EFFECTIVE_NOW)))
        return 0;
    if (n->known && !n->free)
        return rk_scim_note(sc, RK_SCIM_ERROR, err,
                            "%s: the user is provisioned by another integration already", login);
    r = watch ? rk_change_watch(sc->ch, RK_WATCH_USER, n->id, NULL, err) : 0;
    if (r < 0)
        return r;
    if (n->known) {
        r = rk_pg_run(pg, &adopt_stmt, NULL, err, RK_P_C(n->id),
                      RK_P_STR(rk_pg_str(people, row, NAME)),
                      RK_P_STR(rk_pg_str(people, row, EMAIL)));
        if (r == 0)
            r = rk_change_touch(sc->ch, RK_OBJ_USER, n->id, err);
    } else {
        r = scim_make_user(sc->ch, n->id, rk_pg_str(people, row, NAME),
                           rk_pg_str(people, row, EMAIL), err);
        if (r == 0)
            r = tell(sc, "user.create", n->id, err);
    }
    if (r == 0)
        r = scim_bind_user(sc->ch, rk_pg_str(people, row, PERSON), n->id, err);
    *out_bound = r == 0;
    return r;
}

int scim_block(struct rk_scim_change *sc,
               const struct rk_str *user_ids,
               size_t n,
               struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *blocked = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    int r;

    r = rk_pg_run(pg, &block_stmt, &blocked, err, RK_P_C(sc->scim.account_id),
                  RK_P_ARRAY(user_ids, n));
    for (int i = 0; r == 0 && i < rk_pg_rows(blocked); i++)
        r = tell(sc, "user.block", rk_pg_str(blocked, i, 0).p, err);
    if (r == 0)
        r = rk_users_sessions_end(pg, user_ids, n, err);
    if (r < 0)
        return r;
    return rk_peer_expire_users(sc->ch, user_ids, n, sc->actor.default_domain,
                                "blocked owner account", err);
}

static int
unblock(struct rk_scim_change *sc, const struct rk_str *user_ids, size_t n, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(sc->ch), &unblock_stmt, &res, err, RK_P_C(sc->scim.account_id),
                      RK_P_ARRAY(user_ids, n));

    for (int i = 0; r == 0 && i < rk_pg_rows(res); i++)
        r = tell(sc, "user.unblock", rk_pg_str(res, i, 0).p, err);
    return r;
}

static int settle_access(struct rk_scim_change *sc, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *people = NULL;
    rk_auto(rk_free) struct newcomer *new = NULL;
    rk_auto(rk_free) struct rk_str *in = NULL, *out = NULL;
    size_t in_n = 0, out_n = 0;
    int r, rows;

    r = rk_pg_run(rk_change_pg(sc->ch), &look_stmt, &people, err, RK_P_C(sc->scim.account_id),
                  RK_P_INT(sc->scim.id), RK_P_ARRAY(sc->dirty, sc->dirty_n),
                  RK_P_ARRAY(sc->user_group_prefixes, sc->user_group_prefixes_n));
    if (r < 0)
        return r;
    rows = rk_pg_rows(people);
    new = rk_new_array(struct newcomer, (size_t)rows + 1);
    in = rk_new_array(struct rk_str, (size_t)rows + 1);
    out = rk_new_array(struct rk_str, (size_t)rows + 1);
    r = find_newcomers(sc, people, new, err);
    for (int i = 0; r == 0 && i < rows; i++) {
        bool effective = rk_pg_bool(people, i, EFFECTIVE_NOW), few = rows <= MAX_WATCHED;
        bool owner = rk_pg_bool(people, i, OWNER), bound = !rk_pg_null(people, i, USER);
        struct rk_str id = rk_pg_str(people, i, USER);

        if (!bound) {
            r = become_user(sc, people, i, &new[i], few, &bound, err);
            if (r < 0 || !bound || effective || new[i].blocked)
                continue; /* nothing is left to do */
            owner = new[i].owner;
            id = rk_str(new[i].id);
            few = false; /* watched already */
        }
        if (owner && !effective) {
            r = rk_scim_note(sc, RK_SCIM_WARN, err, "%s is the owner and keeps access",
                             rk_pg_str(people, i, LOGIN_NAME).p);
            continue;
        }
        if (few)
            r = rk_change_watch(sc->ch, RK_WATCH_USER, id.p, NULL, err);
        if (effective)
            in[in_n++] = id;
        else
            out[out_n++] = id;
    }
    if (r == 0 && in_n > 0)
        r = unblock(sc, in, in_n, err);
    if (r == 0 && out_n > 0)
        r = scim_block(sc, out, out_n, err);
    if (r == 0 && out_n > 0)
        r = rk_scim_note(sc, RK_SCIM_INFO, err, "%zu users have lost access", out_n);
    return r;
}

/* One of few, so that it may say what the user looked like before. */
static int tell_group(struct rk_scim_change *sc,
                      const struct rk_pg_result *res,
                      int row,
                      struct rk_str meta,
                      struct rk_err *err)
{
    return rk_change_event(sc->ch,
                           rk_pg_bool(res, row, CAME) ? "user.group.add" : "user.group.delete",
                           sc->actor.user_id, rk_pg_str(res, row, GROUP_USER).p, meta, err);
}

/* Who came into which group, and who left it. */
static int
tell_groups(struct rk_scim_change *sc, const struct rk_pg_result *res, struct rk_err *err)
{
    int rows = rk_pg_rows(res), r = 0;
    rk_auto(rk_free) struct rk_str *codes = rk_new_array(struct rk_str, 3 * (size_t)rows);
    struct rk_str *users = codes + rows, *metas = users + rows;
    rk_auto(rk_buf_done) struct rk_buf meta;

    rk_buf_init(&meta, RK_META_MAX);
    for (int i = 0; r == 0 && i < rows; i++) {
        struct rk_str text = rk_event_meta(
            &meta, "group", rk_pg_str(res, i, GROUP_NAME).p, "group_id", rk_pg_str(res, i, GROUP).p,
            "is_service_user", "false", "user_name", rk_pg_str(res, i, GROUP_USER_NAME).p, NULL);

        codes[i] =
            rk_pg_bool(res, i, CAME) ? RK_STR("user.group.add") : RK_STR("user.group.delete");
        users[i] = rk_pg_str(res, i, GROUP_USER);
        if (rows <= MAX_WATCHED)
            r = tell_group(sc, res, i, text, err);
        else
            metas[i] = rk_str(rk_arena_strn(sc->arena, text));
        if (r == 0)
            r = rk_change_touch(sc->ch, RK_OBJ_USER, users[i].p, err);
    }
    if (r < 0 || rows <= MAX_WATCHED)
        return r;
    return rk_pg_later(rk_change_pg(sc->ch), &events_stmt, NULL, err, RK_P_C(sc->scim.account_id),
                       RK_P_C(sc->actor.user_id), RK_P_ARRAY(codes, (size_t)rows),
                       RK_P_ARRAY(users, (size_t)rows), RK_P_ARRAY(metas, (size_t)rows));
}

static int settle_groups(struct rk_scim_change *sc, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_free) struct rk_str *users = NULL;
    bool propagated = false;
    size_t n = 0;
    int r, rows;

    r = rk_pg_run(rk_change_pg(sc->ch), &groups_stmt, &res, err, RK_P_C(sc->scim.account_id),
                  RK_P_INT(sc->scim.id), RK_P_ARRAY(sc->dirty, sc->dirty_n));
    rows = r < 0 ? 0 : rk_pg_rows(res);
    if (rows == 0)
        return r;
    r = tell_groups(sc, res, err);
    if (r == 0)
        r = user_groups_propagated(sc->ch, &propagated, err);
    if (r < 0)
        return r;
    users = rk_new_array(struct rk_str, (size_t)rows);
    /* Rows of one group and direction stand together. */
    for (int i = 0; r == 0 && i < rows; i++) {
        bool last = i + 1 == rows ||
                    !rk_str_eq(rk_pg_str(res, i, GROUP), rk_pg_str(res, i + 1, GROUP)) ||
                    rk_pg_bool(res, i, CAME) != rk_pg_bool(res, i + 1, CAME);

        users[n++] = rk_pg_str(res, i, GROUP_USER);
        if (!last)
            continue;
        if (propagated)
            r = user_move_peers(sc->ch, rk_pg_str(res, i, GROUP).p, rk_pg_bool(res, i, CAME), users,
                                n, err);
        n = 0;
    }
    return r;
}

int scim_settle(struct rk_scim_change *sc, struct rk_err *err)
{
    int r;

    if (sc->dirty_n == 0)
        return 0;
    r = settle_access(sc, err);
    if (r == 0 && sc->members_too)
        r = settle_groups(sc, err);
    sc->dirty_n = 0;
    sc->members_too = false;
    return r;
}
