/* See scim_bind.h. */

#include "libcommon/account/rules/scim_bind.h"

#include "libcommon/account/rules/scim_int.h"

/* Those whom an integration of this connector has announced, and who have no user yet. */
#define WAITING                                                                                    \
    "FROM scim_user s JOIN scim_integration i ON i.id = s.integration_id WHERE i.account_id = $1 " \
    "AND i.connector_id = $2 AND s.user_id IS NULL AND "

static const struct rk_pg_stmt by_id_stmt = {
    "scim_bind_id", "SELECT s.id, i.id, s.name, s.email, s.user_name " WAITING
                    "s.external_id = $3 ORDER BY i.id LIMIT 2"
};
static const struct rk_pg_stmt by_email_stmt = {
    "scim_bind_email", "SELECT s.id, i.id, s.name, s.email, s.user_name " WAITING
                       "lower(s.email) = lower($3) ORDER BY i.id LIMIT 2"
};
enum {
    PERSON,
    INTEGRATION,
    NAME,
    EMAIL,
    LOGIN_NAME,
};
static const struct rk_pg_stmt insert_stmt = {
    "scim_bind_user", "INSERT INTO users (id, account_id, role, name, email, issued) VALUES ($1, "
                      "$2, 'user', $3, $4, 'integration')"
};
static const struct rk_pg_stmt bind_stmt = {
    "scim_bind", "UPDATE scim_user SET user_id = $2, blocked = false WHERE id = $1"
};

/* One that cannot be mistaken for another. */
static int find(struct rk_change *ch,
                const struct rk_scim_login *login,
                struct rk_pg_result **out,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *by_id = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *by_email = NULL;
    struct rk_pg *pg = rk_change_pg(ch);
    const char *account = rk_change_account_id(ch);
    int r;

    r = rk_pg_run(pg, &by_id_stmt, &by_id, err, RK_P_C(account), RK_P_C(login->connector_id),
                  RK_P_C(login->upstream_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(by_id) == 1) {
        *out = rk_steal(by_id);
        return 0;
    }
    if (rk_pg_rows(by_id) > 1 || !login->email_verified || login->email[0] == '\0')
        return 0;
    r = rk_pg_run(pg, &by_email_stmt, &by_email, err, RK_P_C(account), RK_P_C(login->connector_id),
                  RK_P_C(login->email));
    if (r == 0 && rk_pg_rows(by_email) == 1)
        *out = rk_steal(by_email);
    return r;
}

/* The change is the caller's; what settles it needs one of its own kind around it. */
static int settle(struct rk_change *ch,
                  const struct rk_scim_login *login,
                  const struct rk_pg_result *person,
                  struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    struct rk_scim scim = { .id = rk_pg_int(person, 0, INTEGRATION),
                            .default_domain = login->default_domain };
    int r;

    (void)rk_str_copy(rk_str(rk_change_account_id(ch)), scim.account_id, sizeof(scim.account_id));
    r = scim_within(ch, &scim, NULL, &sc, err);
    if (r < 0)
        return r;
    scim_dirty(sc, rk_pg_str(person, 0, PERSON));
    sc->members_too = true;
    r = scim_settle(sc, err);
    if (r == 0)
        r = rk_scim_note(sc, RK_SCIM_INFO, err, "user %s has signed in for the first time",
                         rk_pg_str(person, 0, LOGIN_NAME).p);
    sc->ch = NULL; /* not ours */
    return r;
}

int scim_make_user(struct rk_change *ch,
                   const char *id,
                   struct rk_str name,
                   struct rk_str email,
                   struct rk_err *err)
{
    int r = rk_pg_run(rk_change_pg(ch), &insert_stmt, NULL, err, RK_P_C(id),
                      RK_P_C(rk_change_account_id(ch)), RK_P_STR(name), RK_P_STR(email));

    return r == RK_EXISTS ? rk_fail(err, RK_CONFLICT, "the user has just come") : r;
}

int scim_bind_user(struct rk_change *ch, struct rk_str person, const char *id, struct rk_err *err)
{
    return rk_pg_later(rk_change_pg(ch), &bind_stmt, NULL, err, RK_P_STR(person), RK_P_C(id));
}

int rk_scim_bind(struct rk_change *ch,
                 const struct rk_scim_login *login,
                 bool *out_bound,
                 struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *person = NULL;
    int r = find(ch, login, &person, err);

    *out_bound = false;
    if (r < 0 || !person)
        return r;
    r = scim_make_user(ch, login->user_id, rk_pg_str(person, 0, NAME), rk_pg_str(person, 0, EMAIL),
                       err);
    if (r == 0)
        r = scim_bind_user(ch, rk_pg_str(person, 0, PERSON), login->user_id, err);
    if (r == 0)
        r = rk_change_event(ch, "user.join", login->user_id, login->user_id, RK_STR(""), err);
    if (r == 0)
        r = rk_change_touch(ch, RK_OBJ_USER, login->user_id, err);
    if (r == 0)
        r = settle(ch, login, person, err);
    if (r == 0)
        *out_bound = true;
    return r;
}
