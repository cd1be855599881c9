/* The people of a directory. */

#include "libcommon/account/rules/scim_int.h"
#include "libcommon/account/rules/user_int.h"

static const struct rk_pg_stmt insert_stmt = {
    "scim_user_insert",
    "INSERT INTO scim_user (id, integration_id, user_name, external_id, name, email, email_keys, "
    "active, resource) VALUES ($1, $2, $3, $4, $5, $6, $7::text[], $8, $9::jsonb)"
};
static const struct rk_pg_stmt lock_stmt = {
    "scim_user_lock",
    "SELECT s.user_id, s.external_id, s.active, u.role = 'owner', s.user_name FROM scim_user s "
    "LEFT "
    "JOIN users u ON u.id = s.user_id WHERE s.integration_id = $1 AND s.id = $2 FOR UPDATE OF s"
};
enum {
    USER,
    EXTERNAL_ID,
    ACTIVE,
    OWNER,
    LOGIN_NAME,
};
static const struct rk_pg_stmt update_stmt = {
    "scim_user_update",
    "UPDATE scim_user SET user_name = $3, external_id = $4, name = $5, email = $6, email_keys = "
    "$7::text[], active = $8, resource = $9::jsonb, version = version + 1, updated_at = now() "
    "WHERE "
    "integration_id = $1 AND id = $2 AND (user_name, external_id, name, email, email_keys, active, "
    "resource) IS DISTINCT FROM ($3, $4, $5, $6, $7::text[], $8::boolean, $9::jsonb)"
};
static const struct rk_pg_stmt profile_stmt = {
    "scim_user_profile",
    "UPDATE users SET name = $3, email = coalesce(nullif($4, ''), email) WHERE account_id = $1 AND "
    "id = $2 AND (name, email) IS DISTINCT FROM ($3, coalesce(nullif($4, ''), email))"
};
static const struct rk_pg_stmt delete_stmt = {
    "scim_user_delete", "DELETE FROM scim_user WHERE integration_id = $1 AND id = $2"
};
static const struct rk_pg_stmt leave_stmt = { "scim_user_leave",
                                              "DELETE FROM scim_member WHERE user_id = $1" };

static int taken(struct rk_err *err)
{
    bool name = strstr(err->msg, "scim_user_name") != NULL;

    return rk_fail(err, RK_EXISTS, "a user with this %s exists already",
                   name ? "userName" : "externalId");
}

int rk_scim_user_create(struct rk_scim_change *sc,
                        const struct rk_scim_person *in,
                        char out_id[RK_UUID_LEN + 1],
                        struct rk_err *err)
{
    char id[RK_UUID_LEN + 1];
    int r;

    rk_uuid_new(id);
    r = rk_pg_run(rk_change_pg(sc->ch), &insert_stmt, NULL, err, RK_P_C(id), RK_P_INT(sc->scim.id),
                  RK_P_C(in->user_name), RK_P_C(in->external_id), RK_P_C(in->name),
                  RK_P_C(in->email), RK_P_ARRAY(in->email_keys, in->email_keys_n),
                  RK_P_BOOL(in->active), RK_P_STR(in->resource));
    if (r == RK_EXISTS)
        return taken(err);
    if (r < 0)
        return r;
    scim_dirty(sc, rk_str(id));
    memcpy(out_id, id, sizeof(id));
    return rk_scim_note(sc, RK_SCIM_INFO, err, "user %s created%s", in->user_name,
                        in->active ? "" : ", not active");
}

static int
lock(struct rk_scim_change *sc, const char *id, struct rk_pg_result **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r =
        rk_pg_run(rk_change_pg(sc->ch), &lock_stmt, &res, err, RK_P_INT(sc->scim.id), RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user %.64s not found", id);
    *out = rk_steal(res);
    return 0;
}

int rk_scim_user_update(struct rk_scim_change *sc,
                        const char *id,
                        const struct rk_scim_person *in,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *done = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *seen = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    const char *user_id;
    int r = lock(sc, id, &row, err);

    if (r < 0)
        return r;
    user_id = rk_pg_null(row, 0, USER) ? NULL : rk_pg_str(row, 0, USER).p;
    if (rk_pg_bool(row, 0, OWNER) && !in->active)
        return rk_fail(err, RK_PRECONDITION, "the owner of the account can't be deactivated");
    if (user_id) {
        r = rk_change_watch(sc->ch, RK_WATCH_USER, user_id, NULL, err);
        if (r < 0)
            return r;
    }
    r = rk_pg_run(pg, &update_stmt, &done, err, RK_P_INT(sc->scim.id), RK_P_C(id),
                  RK_P_C(in->user_name), RK_P_C(in->external_id), RK_P_C(in->name),
                  RK_P_C(in->email), RK_P_ARRAY(in->email_keys, in->email_keys_n),
                  RK_P_BOOL(in->active), RK_P_STR(in->resource));
    if (r == RK_EXISTS)
        return taken(err);
    if (r < 0)
        return r;
    scim_dirty(sc, rk_str(id)); /* also when nothing changed: what was undone is done again */
    sc->members_too = true;
    if (rk_pg_affected(done) == 0)
        return 0;
    if (user_id) {
        r = rk_pg_run(pg, &profile_stmt, &seen, err, RK_P_C(sc->scim.account_id), RK_P_C(user_id),
                      RK_P_C(in->name), RK_P_C(in->email));
        if (r == 0 && rk_pg_affected(seen) > 0)
            r = rk_change_touch(sc->ch, RK_OBJ_USER, user_id, err);
    }
    if (r == 0 && user_id && !rk_str_eq(rk_pg_str(row, 0, EXTERNAL_ID), rk_str(in->external_id)))
        r = rk_scim_note(sc, RK_SCIM_WARN, err,
                         "user %s has another externalId now, and stays the user it is",
                         in->user_name);
    if (r < 0)
        return r;
    return rk_scim_note(sc, RK_SCIM_INFO, err, "user %s %s", in->user_name,
                        in->active == rk_pg_bool(row, 0, ACTIVE) ? "updated"
                        : in->active                             ? "activated"
                                                                 : "deactivated");
}

/* The user behind it, with peers and tokens; or blocked, while a network is routed through a peer.
 */
static int delete_user(struct rk_scim_change *sc,
                       const char *user_id,
                       const char *login_name,
                       struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    const struct rk_str one = rk_str(user_id);
    struct rk_err inner = { 0 };
    int r = rk_change_watch(sc->ch, RK_WATCH_USER, user_id, NULL, err);

    if (r == 0)
        r = user_lock(sc->ch, user_id, &row, err);
    if (r < 0)
        return r;
    r = user_delete_within(sc->ch, &sc->actor, user_id, row, &inner);
    if (r != RK_PRECONDITION)
        return r < 0 ? rk_fail(err, r, "%s", inner.msg) : 0;
    r = scim_block(sc, &one, 1, err);
    if (r < 0)
        return r;
    return rk_scim_note(sc, RK_SCIM_WARN, err, "user %s is blocked and not deleted: %s", login_name,
                        inner.msg);
}

int rk_scim_user_delete(struct rk_scim_change *sc, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    int r = lock(sc, id, &row, err);

    if (r == 0 && rk_pg_null(row, 0, USER)) { /* they may be a user for all that */
        rk_pg_result_free(rk_steal(row));
        scim_dirty(sc, rk_str(id));
        r = scim_settle(sc, err);
        if (r == 0)
            r = lock(sc, id, &row, err);
    }
    if (r < 0)
        return r;
    if (rk_pg_bool(row, 0, OWNER))
        return rk_fail(err, RK_PRECONDITION, "the owner of the account can't be deleted");
    r = rk_pg_run(pg, &leave_stmt, NULL, err, RK_P_C(id));
    if (r == 0 && !rk_pg_null(row, 0, USER)) {
        scim_dirty(sc, rk_str(id));
        sc->members_too = true;
        r = scim_settle(sc, err); /* out of its groups, with events */
    }
    if (r == 0 && !rk_pg_null(row, 0, USER))
        r = delete_user(sc, rk_pg_str(row, 0, USER).p, rk_pg_str(row, 0, LOGIN_NAME).p, err);
    if (r == 0)
        r = rk_pg_run(pg, &delete_stmt, NULL, err, RK_P_INT(sc->scim.id), RK_P_C(id));
    if (r < 0)
        return r;
    return rk_scim_note(sc, RK_SCIM_INFO, err, "user %s deleted", rk_pg_str(row, 0, LOGIN_NAME).p);
}
