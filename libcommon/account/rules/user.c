/* See user.h: how users come and change. */

#include "libcommon/account/rules/user.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/rules/password.h"
#include "libcommon/account/rules/rate.h"
#include "libcommon/account/rules/user_int.h"
#include "libcommon/crypto/password.h"

/* Whoever has got hold of a token cannot find out the password by it. */
static const struct rk_rate guesses = { "password_change", .per_minute = 1, .burst = 5 };

#define EMAIL_TAKEN "can't invite a user with an existing netbird account"

static const struct rk_pg_stmt insert_stmt = {
    "user_insert",
    "INSERT INTO users (id, account_id, role, name, email, is_service_user, "
    "auto_groups, password_hash, invited) VALUES ($1, $2, $3, $4, $5, $6, $7::text[], $8, $9)"
};
/* Whoever signs in with a password is found by the e-mail, whatever the account. */
static const struct rk_pg_stmt email_stmt = {
    "user_by_email", "SELECT 1 FROM users WHERE NOT is_service_user AND lower(email) = lower($2) "
                     "AND (account_id = $1 OR password_hash IS NOT NULL) LIMIT 1"
};
static const struct rk_pg_stmt exists_stmt = {
    "user_exists", "SELECT 1 FROM users WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt lock_stmt = {
    "user_lock",
    "SELECT role, is_service_user, blocked, pending_approval, auto_groups, name, email, issued, "
    "created_at, invited FROM users WHERE account_id = $1 AND id = $2 FOR UPDATE"
};
static const struct rk_pg_stmt role_stmt = {
    "user_set_role", "UPDATE users SET role = $3 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt block_stmt = {
    "user_set_blocked", "UPDATE users SET blocked = $3 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt password_stmt = {
    "user_set_password", "UPDATE users SET password_hash = $3 WHERE account_id = $1 AND id = $2 "
                         "AND password_hash = $4"
};
static const struct rk_pg_stmt stored_stmt = {
    "user_password", "SELECT password_hash FROM users WHERE account_id = $1 AND id = $2"
};

static bool is_service(const struct rk_user_input *in)
{
    return !in->password_hash && !in->invited;
}

int rk_user_validate(const struct rk_user_input *in, struct rk_err *err)
{
    bool service = is_service(in);

    if (!service && in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "name can't be empty");
    if (!service && in->email[0] == '\0')
        return rk_fail(err, RK_INVALID, "email can't be empty");
    if (in->role == RK_ROLE_OWNER)
        return rk_fail(err, RK_INVALID,
                       service ? "can't create a service user with owner role"
                               : "can't invite a user with owner role");
    return 0;
}

int user_check_email(struct rk_change *ch, const char *email, const char *text, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &email_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                      RK_P_C(email));

    if (r < 0)
        return r;
    return rk_pg_rows(res) > 0 ? rk_fail(err, RK_EXISTS, "%s", text) : 0;
}

int user_insert(struct rk_change *ch,
                const char *id,
                const struct rk_user_input *in,
                struct rk_err *err)
{
    bool service = is_service(in);

    return rk_pg_run(rk_change_pg(ch), &insert_stmt, NULL, err, RK_P_C(id),
                     RK_P_C(rk_change_account_id(ch)), RK_P_C(rk_role_name(in->role)),
                     RK_P_C(in->name), RK_P_C(service ? "" : in->email), RK_P_BOOL(service),
                     RK_P_ARRAY(in->auto_groups, in->auto_groups_n), RK_P_C(in->password_hash),
                     RK_P_BOOL(in->invited));
}

int rk_user_create(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const struct rk_user_input *in,
                   char out_id[RK_USER_ID_MAX],
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_buf_done) struct rk_buf meta = { 0 };
    bool service = is_service(in);
    char uuid[RK_UUID_LEN + 1], id[RK_USER_ID_MAX];
    int r;

    r = rk_user_validate(in, err);
    if (r < 0)
        return r;
    rk_uuid_new(uuid);
    (void)rk_str_copy(rk_str(uuid), id, sizeof(id));
    if (in->password_hash && !rk_subject_encode(uuid, RK_CONNECTOR_LOCAL, id))
        return rk_fail(err, RK_INTERNAL, "user id is too long");
    r = rk_actor_begin(pg, actor, RK_WATCH_USER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = service ? 0 : user_check_email(ch, in->email, EMAIL_TAKEN, err);
    if (r < 0)
        return r;
    r = user_check_groups(ch, id, in->auto_groups, in->auto_groups_n, err);
    if (r < 0)
        return r;
    r = user_insert(ch, id, in, err);
    if (r == RK_EXISTS) /* in another account, at this very moment */
        return rk_fail(err, RK_EXISTS, EMAIL_TAKEN);
    if (r < 0)
        return r;
    rk_buf_init(&meta, RK_META_MAX);
    r = rk_change_event(ch,
                        service       ? "service.user.create"
                        : in->invited ? "user.invite"
                                      : "user.create",
                        actor->user_id, id,
                        service ? rk_event_meta(&meta, "name", in->name, NULL) : RK_STR(""), err);
    if (r < 0)
        return r;
    r = rk_change_touch(ch, RK_OBJ_USER, id, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    (void)rk_str_copy(rk_str(id), out_id, RK_USER_ID_MAX);
    return 0;
}

int rk_user_exists(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    return rk_actor_row(pg, actor, &exists_stmt, "user", id, &res, err);
}

int user_lock(struct rk_change *ch, const char *id, struct rk_pg_result **out, struct rk_err *err)
{
    const struct rk_actor account = { .account_id = rk_change_account_id(ch) };

    return rk_actor_row(rk_change_pg(ch), &account, &lock_stmt, "user", id, out, err);
}

#define REFUSE(code, text)                                                                         \
    return rk_fail(err, (code), "failed to process update for user %s: %s", id, (text))

/* Who may change what of whom; roles as they are inside the transaction. */
static int check_update(const struct rk_actor *actor,
                        enum rk_role mine,
                        const char *id,
                        const struct rk_pg_result *row,
                        const struct rk_user_input *in,
                        struct rk_err *err)
{
    bool self = strcmp(actor->user_id, id) == 0, was_blocked = rk_pg_bool(row, 0, USER_BLOCKED);
    enum rk_role was = RK_ROLE_USER;

    (void)rk_role_parse(rk_pg_str(row, 0, USER_ROLE), &was);
    if (mine != RK_ROLE_OWNER && mine != RK_ROLE_ADMIN)
        REFUSE(RK_DENIED, "only admins and owners can update users");
    if (self && in->blocked != was_blocked)
        REFUSE(RK_DENIED, "admins can't block or unblock themselves");
    if (self && in->role != was)
        REFUSE(RK_DENIED, "admins can't change their role");
    if (mine != RK_ROLE_OWNER && was == RK_ROLE_OWNER && in->role != was)
        REFUSE(RK_DENIED, "only owners can remove owner role from their user");
    if ((was == RK_ROLE_OWNER || in->role == RK_ROLE_OWNER) && in->blocked)
        REFUSE(RK_DENIED, "unable to block owner user");
    if (mine != RK_ROLE_OWNER && in->role == RK_ROLE_OWNER && was != RK_ROLE_OWNER)
        REFUSE(RK_DENIED, "only owners can add owner role to other users");
    if (rk_pg_bool(row, 0, USER_INVITED) && in->role == RK_ROLE_OWNER)
        REFUSE(RK_DENIED, "nobody can own the account before having signed in");
    if (rk_pg_bool(row, 0, USER_PENDING) && in->role == RK_ROLE_OWNER)
        REFUSE(RK_DENIED, "nobody can own the account before being approved");
    if (rk_pg_bool(row, 0, USER_SERVICE) && in->role == RK_ROLE_OWNER)
        REFUSE(RK_DENIED, "can't update a service user with owner role");
    return 0;
}

static int set_role(struct rk_change *ch, const char *id, enum rk_role role, struct rk_err *err)
{
    return rk_pg_run(rk_change_pg(ch), &role_stmt, NULL, err, RK_P_C(rk_change_account_id(ch)),
                     RK_P_C(id), RK_P_C(rk_role_name(role)));
}

static int change_role(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const char *id,
                       enum rk_role role,
                       struct rk_err *err)
{
    int r;

    if (role == RK_ROLE_OWNER) {
        /* One owner at any time: the old one steps down first. */
        r = set_role(ch, actor->user_id, RK_ROLE_ADMIN, err);
        if (r == 0)
            r = set_role(ch, id, role, err);
        if (r == 0)
            r = rk_actor_tell(ch, actor, "transferred.owner.role", id, err, NULL);
        return r;
    }
    r = set_role(ch, id, role, err);
    if (r < 0)
        return r;
    return rk_actor_tell(ch, actor, "user.role.update", id, err, "role", rk_role_name(role), NULL);
}

static int change_block(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *id,
                        bool blocked,
                        struct rk_err *err)
{
    int r;

    r = rk_pg_run(rk_change_pg(ch), &block_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                  RK_P_BOOL(blocked));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, blocked ? "user.block" : "user.unblock", id, err, NULL);
    if (r < 0 || !blocked)
        return r;
    r = rk_user_sessions_end(rk_change_pg(ch), id, err);
    if (r < 0)
        return r;
    return rk_peer_expire_user(ch, id, actor->default_domain, "blocked owner account", err);
}

/* The role of who asks, as it is now. */
static int
my_role(struct rk_change *ch, const struct rk_actor *actor, enum rk_role *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *me = NULL;
    int r = user_lock(ch, actor->user_id, &me, err);

    if (r < 0)
        return r;
    if (rk_pg_bool(me, 0, USER_BLOCKED) || !rk_role_parse(rk_pg_str(me, 0, USER_ROLE), out))
        return rk_fail(err, RK_DENIED, "permission denied");
    return 0;
}

int rk_user_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_user_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct rk_err inner = { 0 };
    enum rk_role mine;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_USER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = my_role(ch, actor, &mine, err);
    if (r < 0)
        return r;
    r = user_lock(ch, id, &row, err);
    if (r < 0)
        return r;
    r = check_update(actor, mine, id, row, in, err);
    if (r < 0)
        return r;
    r = user_check_groups(ch, id, in->auto_groups, in->auto_groups_n, &inner);
    if (r == RK_INVALID)
        REFUSE(r, inner.msg);
    if (r < 0)
        return rk_fail(err, r, "%s", inner.msg);

    if (!rk_str_eq(rk_pg_str(row, 0, USER_ROLE), rk_str(rk_role_name(in->role))))
        r = change_role(ch, actor, id, in->role, err);
    if (r == 0 && rk_pg_bool(row, 0, USER_BLOCKED) != in->blocked)
        r = change_block(ch, actor, id, in->blocked, err);
    if (r == 0)
        r = user_set_groups(ch, actor, id, row, in->auto_groups, in->auto_groups_n, err);
    return r < 0 ? r : rk_actor_finish(&ch, actor, RK_OBJ_USER, id, out_bell, err);
}

/* Everything that can be refused. */
static int check_password(const char *stored,
                          const char *old_password,
                          const char *new_password,
                          struct rk_err *err)
{
    struct rk_err rule = { 0 };

    if (!rk_password_verify(rk_str(old_password), stored))
        return rk_fail(err, RK_INVALID, "failed to update password: current password is incorrect");
    if (strcmp(old_password, new_password) == 0)
        return rk_fail(
            err, RK_INVALID,
            "failed to update password: new password must be different from current password");
    if (rk_password_rules(new_password, &rule) < 0)
        return rk_fail(err, RK_INVALID, "failed to update password: %s", rule.msg);
    return 0;
}

int rk_user_replace_password(struct rk_pg *pg,
                             const struct rk_actor *actor,
                             struct rk_str grant,
                             struct rk_str stored,
                             const char *new_password,
                             struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *done = NULL;
    char hash[RK_PASSWORD_LEN];
    int r;

    rk_password_hash(rk_str(new_password), hash); /* outside the transaction: it takes long */
    r = rk_change_begin(pg, actor->account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &password_stmt, &done, err, RK_P_C(actor->account_id), RK_P_C(actor->user_id),
                  RK_P_C(hash), RK_P_STR(stored));
    if (r < 0)
        return r;
    if (rk_pg_affected(done) == 0)
        return rk_fail(err, RK_CONFLICT, "the password has changed meanwhile");
    r = rk_user_sessions_end_others(pg, actor->user_id, grant, err);
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "user.password.change", actor->user_id, err, NULL);
    return r < 0 ? r : rk_change_commit(&ch, NULL, err);
}

int rk_user_set_password(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         struct rk_str grant,
                         const char *id,
                         const char *old_password,
                         const char *new_password,
                         struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    if (old_password[0] == '\0')
        return rk_fail(err, RK_INVALID, "old password is required");
    if (new_password[0] == '\0')
        return rk_fail(err, RK_INVALID, "new password is required");
    if (strcmp(id, actor->user_id) != 0)
        return rk_fail(err, RK_INVALID,
                       "failed to update password: users can only change their own password");
    r = rk_actor_row(pg, actor, &stored_stmt, "user", id, &row, err);
    if (r < 0)
        return r;
    if (rk_pg_null(row, 0, 0))
        return rk_fail(err, RK_PRECONDITION,
                       "password change is only available with embedded identity provider");
    r = rk_rate_take(pg, &guesses, id, err);
    if (r == 0)
        r = check_password(rk_pg_str(row, 0, 0).p, old_password, new_password, err);
    return r < 0 ? r
                 : rk_user_replace_password(pg, actor, grant, rk_pg_str(row, 0, 0), new_password,
                                            err);
}
