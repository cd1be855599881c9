/*
 * The groups of a directory, and who is in them. A group of the directory has one of the account
 * when the integration's prefixes ask for it; its members are rows of scim_member either way.
 */

#include "libcommon/account/rules/group_int.h"
#include "libcommon/account/rules/scim_int.h"
#include "libcommon/account/rules/settings_int.h"

static const struct rk_pg_stmt insert_stmt = {
    "scim_group_insert",
    "INSERT INTO scim_group (id, integration_id, name, external_id) VALUES ($1, $2, $3, $4)"
};
static const struct rk_pg_stmt get_stmt = {
    "scim_group_get_row", "SELECT s.name, s.group_id, g.name, EXISTS (SELECT 1 FROM "
                          "unnest($3::text[]) AS p WHERE starts_with(s.name, p)) FROM scim_group s "
                          "LEFT JOIN account_group g ON g.id = s.group_id WHERE s.integration_id = "
                          "$1 AND s.id = $2"
};
enum {
    NAME,
    GROUP,
    GROUP_NAME,
    WANTED,
};
static const struct rk_pg_stmt update_stmt = {
    "scim_group_update",
    "UPDATE scim_group SET name = coalesce($3, name), external_id = coalesce($4, external_id), "
    "version = version + 1, updated_at = now() WHERE integration_id = $1 AND id = $2 AND (name, "
    "external_id) IS DISTINCT FROM (coalesce($3, name), coalesce($4, external_id))"
};
static const struct rk_pg_stmt by_name_stmt = {
    "scim_group_taken",
    "SELECT g.id, g.issued = 'integration' AND NOT EXISTS (SELECT 1 FROM scim_group s WHERE "
    "s.group_id = g.id) FROM account_group g WHERE g.account_id = $1 AND g.name = $2 AND g.id <> "
    "$3 "
    "ORDER BY 2 LIMIT 1"
};
static const struct rk_pg_stmt make_stmt = {
    "scim_group_make", "INSERT INTO account_group (id, public_id, account_id, name, issued) VALUES "
                       "($1, $2, $3, $4, 'integration')"
};
static const struct rk_pg_stmt rename_stmt = {
    "scim_group_rename", "UPDATE account_group SET name = $3 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt bind_stmt = { "scim_group_bind",
                                             "UPDATE scim_group SET group_id = $2 WHERE id = $1" };
static const struct rk_pg_stmt members_stmt = {
    "scim_group_all", "SELECT user_id FROM scim_member WHERE group_id = $1"
};
static const struct rk_pg_stmt add_stmt = {
    "scim_member_add",
    "WITH want AS (SELECT DISTINCT s.id FROM unnest($3::text[]) AS x JOIN scim_user s ON s.id = x "
    "AND s.integration_id = $1), new AS (INSERT INTO scim_member (group_id, user_id) SELECT $2, id "
    "FROM want ON CONFLICT DO NOTHING RETURNING user_id) SELECT user_id FROM new"
};
static const struct rk_pg_stmt remove_stmt = {
    "scim_member_remove", "DELETE FROM scim_member WHERE group_id = $1 AND user_id IN (SELECT "
                          "unnest($2::text[])) RETURNING user_id"
};
static const struct rk_pg_stmt keep_stmt = {
    "scim_member_keep",
    "WITH want AS MATERIALIZED (SELECT DISTINCT x FROM unnest($2::text[]) AS x) DELETE FROM "
    "scim_member WHERE group_id = $1 AND user_id NOT IN (SELECT x FROM want) RETURNING user_id"
};
static const struct rk_pg_stmt unknown_stmt = {
    "scim_member_unknown",
    "SELECT count(*) OVER (), x FROM (SELECT DISTINCT x FROM unnest($2::text[]) AS x) x WHERE NOT "
    "EXISTS (SELECT 1 FROM scim_user s WHERE s.id = x.x AND s.integration_id = $1) LIMIT 5"
};
static const struct rk_pg_stmt touch_stmt = {
    "scim_group_touch",
    "UPDATE scim_group SET version = version + 1, updated_at = now() WHERE id = $1"
};
static const struct rk_pg_stmt sweep_stmt = {
    "scim_group_sweep", "UPDATE users SET auto_groups = array_remove(auto_groups, $2) WHERE "
                        "account_id = $1 AND $2 = ANY(auto_groups) RETURNING id"
};
static const struct rk_pg_stmt empty_stmt = { "scim_group_empty",
                                              "DELETE FROM group_peer WHERE group_id = $1" };
static const struct rk_pg_stmt drop_stmt = {
    "scim_group_drop", "DELETE FROM account_group WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = { "scim_group_delete",
                                               "DELETE FROM scim_group WHERE id = $1" };
static const struct rk_pg_stmt leave_stmt = {
    "scim_group_leave", "DELETE FROM scim_member WHERE group_id = $1 RETURNING user_id"
};

static int
get(struct rk_scim_change *sc, const char *id, struct rk_pg_result **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(sc->ch), &get_stmt, &res, err, RK_P_INT(sc->scim.id), RK_P_C(id),
                      RK_P_ARRAY(sc->group_prefixes, sc->group_prefixes_n));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "group %.64s not found", id);
    *out = rk_steal(res);
    return 0;
}

static int tell(struct rk_scim_change *sc,
                const char *code,
                const char *id,
                const char *key,
                const char *name,
                const char *old_name,
                struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta;
    int r;

    rk_buf_init(&meta, RK_META_MAX);
    r = rk_change_event(sc->ch, code, sc->actor.user_id, id,
                        old_name ? rk_event_meta(&meta, "old_name", old_name, key, name, NULL)
                                 : rk_event_meta(&meta, key, name, NULL),
                        err);
    return r < 0 ? r : rk_change_touch(sc->ch, RK_OBJ_GROUP, id, err);
}

/* Nobody else in the account may have the name; one of ours that was left behind is taken up. */
static int check_name(struct rk_scim_change *sc,
                      const char *name,
                      const char *own_id,
                      char out_left[RK_XID_LEN + 1],
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(sc->ch), &by_name_stmt, &res, err, RK_P_C(sc->scim.account_id),
                      RK_P_C(name), RK_P_C(own_id));

    out_left[0] = '\0';
    if (r < 0 || rk_pg_rows(res) == 0)
        return r;
    if (!rk_pg_bool(res, 0, 1) || own_id[0] != '\0')
        return rk_fail(err, RK_EXISTS, "a group named %.255s exists already in the account", name);
    (void)rk_str_copy(rk_pg_str(res, 0, 0), out_left, RK_XID_LEN + 1);
    return 0;
}

static int make(struct rk_scim_change *sc, const char *id, const char *name, struct rk_err *err)
{
    struct rk_pg *pg = rk_change_pg(sc->ch);
    char group[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r = check_name(sc, name, "", group, err);

    if (r < 0)
        return r;
    if (group[0] == '\0') {
        rk_xid_new(group);
        rk_xid_new(public_id);
        r = rk_pg_run(pg, &make_stmt, NULL, err, RK_P_C(group), RK_P_C(public_id),
                      RK_P_C(sc->scim.account_id), RK_P_C(name));
        if (r == 0)
            r = tell(sc, "group.add", group, "name", name, NULL, err);
        if (r < 0)
            return r;
    }
    return rk_pg_run(pg, &bind_stmt, NULL, err, RK_P_C(id), RK_P_C(group));
}

/* The account's group goes, or stays empty while something uses it. Nobody is in it through the
 * directory any more. */
static int unmake(struct rk_scim_change *sc,
                  const char *id,
                  const char *group,
                  const char *name,
                  struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *swept = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    struct rk_err linked = { 0 };
    int r;

    r = rk_pg_run(pg, &sweep_stmt, &swept, err, RK_P_C(sc->scim.account_id), RK_P_C(group));
    for (int i = 0; r == 0 && i < rk_pg_rows(swept); i++)
        r = rk_change_touch(sc->ch, RK_OBJ_USER, rk_pg_str(swept, i, 0).p, err);
    if (r == 0)
        r = rk_pg_run(pg, &empty_stmt, NULL, err, RK_P_C(group));
    if (r == 0)
        r = rk_settings_follow6(sc->ch, group, err);
    if (r == 0)
        r = rk_pg_run(pg, &bind_stmt, NULL, err, RK_P_C(id), RK_P_NULL);
    if (r < 0)
        return r;
    r = group_check_unlinked(pg, &sc->actor, group, &linked);
    if (r == RK_BAD_REQUEST) {
        r = rk_change_touch(sc->ch, RK_OBJ_GROUP, group, err);
        return r < 0 ? r
                     : rk_scim_note(sc, RK_SCIM_WARN, err, "group %s is kept, empty: %s", name,
                                    linked.msg);
    }
    if (r < 0)
        return rk_fail(err, r, "%s", linked.msg);
    r = rk_pg_run(pg, &drop_stmt, NULL, err, RK_P_C(sc->scim.account_id), RK_P_C(group));
    return r < 0 ? r : tell(sc, "group.delete", group, "name", name, NULL, err);
}

static int dirty_members(struct rk_scim_change *sc, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(sc->ch), &members_stmt, &res, err, RK_P_C(id));

    if (r == 0)
        scim_dirty_rows(sc, res);
    return r;
}

int scim_group_place(struct rk_scim_change *sc,
                     const char *id,
                     bool *out_changed,
                     struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    char left[RK_XID_LEN + 1];
    bool wanted, there;
    const char *name;
    int r = get(sc, id, &row, err);

    *out_changed = false;
    if (r < 0)
        return r;
    name = rk_pg_str(row, 0, NAME).p;
    wanted = sc->group_prefixes_n == 0 || rk_pg_bool(row, 0, WANTED);
    there = !rk_pg_null(row, 0, GROUP);
    *out_changed = wanted != there;
    if (!wanted) /* its members stay what they are in the directory */
        return there ? unmake(sc, id, rk_pg_str(row, 0, GROUP).p, rk_pg_str(row, 0, GROUP_NAME).p,
                              err)
                     : 0;
    if (!there)
        return make(sc, id, name, err);
    if (rk_str_eq(rk_pg_str(row, 0, GROUP_NAME), rk_str(name)))
        return 0;
    r = check_name(sc, name, rk_pg_str(row, 0, GROUP).p, left, err);
    if (r == 0)
        r = rk_pg_run(rk_change_pg(sc->ch), &rename_stmt, NULL, err, RK_P_C(sc->scim.account_id),
                      RK_P_STR(rk_pg_str(row, 0, GROUP)), RK_P_C(name));
    return r < 0 ? r
                 : tell(sc, "group.update", rk_pg_str(row, 0, GROUP).p, "new_name", name,
                        rk_pg_str(row, 0, GROUP_NAME).p, err);
}

static int taken(const char *name, struct rk_err *err)
{
    if (strstr(err->msg, "scim_group_external"))
        return rk_fail(err, RK_EXISTS, "a group with this externalId exists already");
    return rk_fail(err, RK_EXISTS, "a group named %.255s exists already", name);
}

int rk_scim_group_create(struct rk_scim_change *sc,
                         const char *name,
                         const char *external_id,
                         char out_id[RK_UUID_LEN + 1],
                         struct rk_err *err)
{
    char id[RK_UUID_LEN + 1];
    bool changed;
    int r;

    rk_uuid_new(id);
    r = rk_pg_run(rk_change_pg(sc->ch), &insert_stmt, NULL, err, RK_P_C(id), RK_P_INT(sc->scim.id),
                  RK_P_C(name), RK_P_C(external_id));
    if (r == RK_EXISTS)
        return taken(name, err);
    if (r == 0)
        r = scim_group_place(sc, id, &changed, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return rk_scim_note(sc, RK_SCIM_INFO, err, "group %s created%s", name,
                        changed ? "" : ", without a group of the account");
}

int rk_scim_group_update(struct rk_scim_change *sc,
                         const char *id,
                         const char *name,
                         const char *external_id,
                         struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *done = NULL;
    bool changed = false, renamed;
    int r = get(sc, id, &row, err);

    if (r < 0)
        return r;
    r = rk_pg_run(rk_change_pg(sc->ch), &update_stmt, &done, err, RK_P_INT(sc->scim.id), RK_P_C(id),
                  RK_P_C(name), RK_P_C(external_id));
    if (r == RK_EXISTS)
        return taken(name ? name : "", err);
    if (r < 0)
        return r;
    renamed = name && !rk_str_eq(rk_pg_str(row, 0, NAME), rk_str(name));
    if (!renamed && !rk_pg_null(row, 0, GROUP))
        return 0;
    r = scim_group_place(sc, id, &changed, err);
    /* A name may let its members in. */
    if (r == 0 && (changed || (renamed && sc->user_group_prefixes_n > 0)))
        r = dirty_members(sc, id, err);
    if (r == 0 && renamed)
        r = rk_scim_note(sc, RK_SCIM_INFO, err, "group %s renamed to %s", rk_pg_str(row, 0, NAME).p,
                         name);
    return r;
}

static int note_unknown(struct rk_scim_change *sc,
                        const char *id,
                        const struct rk_str *ids,
                        size_t n,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf list = { 0 };
    int r = rk_pg_run(rk_change_pg(sc->ch), &unknown_stmt, &res, err, RK_P_INT(sc->scim.id),
                      RK_P_ARRAY(ids, n));

    if (r < 0 || rk_pg_rows(res) == 0)
        return r;
    rk_buf_init(&list, 1024);
    for (int i = 0; i < rk_pg_rows(res); i++) {
        struct rk_str one = rk_pg_str(res, i, 1);

        rk_buf_put_c(&list, i ? ", " : "");
        rk_buf_put_str(&list, rk_strn(one.p, one.n < RK_UUID_LEN ? one.n : RK_UUID_LEN));
    }
    rk_buf_put_u8(&list, 0);
    return rk_scim_note(sc, RK_SCIM_WARN, err, "group %s: %lld members are unknown: %s", id,
                        (long long)rk_pg_int(res, 0, 0), (const char *)list.p);
}

int rk_scim_group_members(struct rk_scim_change *sc,
                          const char *id,
                          enum rk_scim_members how,
                          const struct rk_str *ids,
                          size_t n,
                          struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *came = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *gone = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    int r = 0, came_n = 0, gone_n = 0;

    if (how == RK_SCIM_REPLACE)
        r = rk_pg_run(pg, &keep_stmt, &gone, err, RK_P_C(id), RK_P_ARRAY(ids, n));
    else if (how == RK_SCIM_REMOVE && n > 0)
        r = rk_pg_run(pg, &remove_stmt, &gone, err, RK_P_C(id), RK_P_ARRAY(ids, n));
    if (r == 0 && how != RK_SCIM_REMOVE && n > 0) {
        r = rk_pg_run(pg, &add_stmt, &came, err, RK_P_INT(sc->scim.id), RK_P_C(id),
                      RK_P_ARRAY(ids, n));
        if (r == 0)
            r = note_unknown(sc, id, ids, n, err);
    }
    if (r < 0)
        return r;
    if (gone) {
        gone_n = rk_pg_rows(gone);
        scim_dirty_rows(sc, gone);
    }
    if (came) {
        came_n = rk_pg_rows(came);
        scim_dirty_rows(sc, came);
    }
    if (came_n + gone_n == 0)
        return 0;
    r = rk_pg_run(pg, &touch_stmt, NULL, err, RK_P_C(id));
    if (r < 0)
        return r;
    return rk_scim_note(sc, RK_SCIM_INFO, err, "group %s: %d members added, %d removed", id, came_n,
                        gone_n);
}

int rk_scim_group_delete(struct rk_scim_change *sc, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *members = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    int r = get(sc, id, &row, err);

    if (r == 0)
        r = rk_pg_run(pg, &leave_stmt, &members, err, RK_P_C(id));
    if (r < 0)
        return r;
    scim_dirty_rows(sc, members);
    r = scim_settle(sc, err); /* while the account's group is known as the integration's */
    if (r == 0 && !rk_pg_null(row, 0, GROUP))
        r = unmake(sc, id, rk_pg_str(row, 0, GROUP).p, rk_pg_str(row, 0, GROUP_NAME).p, err);
    if (r == 0)
        r = rk_pg_run(pg, &delete_stmt, NULL, err, RK_P_C(id));
    if (r < 0)
        return r;
    return rk_scim_note(sc, RK_SCIM_INFO, err, "group %s deleted", rk_pg_str(row, 0, NAME).p);
}
