/* See invite.h. */

#include "libcommon/account/rules/invite.h"

#include "libcommon/account/rules/password.h"
#include "libcommon/account/rules/user_int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/crypto/password.h"

const struct rk_rate rk_invite_strangers = { "invite", .per_minute = 10, .burst = 5 };

static const struct rk_pg_stmt insert_stmt = {
    "invite_insert",
    "INSERT INTO user_invite (id, account_id, name, email, role, auto_groups, hash, created_by, "
    "expires_at) VALUES ($1, $2, $3, $4, $5, $6::text[], $7, $8, now() + make_interval(secs => "
    "$9::bigint))"
};
static const struct rk_pg_stmt email_stmt = {
    "invite_by_email",
    "SELECT 1 FROM user_invite WHERE account_id = $1 AND lower(email) = lower($2)"
};
static const struct rk_pg_stmt there_stmt = {
    "invite_there", "SELECT 1 FROM user_invite WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt renew_stmt = {
    "invite_renew", "UPDATE user_invite SET hash = $3, expires_at = now() + make_interval(secs => "
                    "$4::bigint) WHERE account_id = $1 AND id = $2 RETURNING email, expires_at"
};
static const struct rk_pg_stmt drop_stmt = {
    "invite_delete", "DELETE FROM user_invite WHERE account_id = $1 AND id = $2 RETURNING email"
};
static const struct rk_pg_stmt find_stmt = {
    "invite_find",
    "SELECT i.email, i.name, coalesce(nullif(u.name, ''), u.email, ''), i.account_id, "
    "i.expires_at, i.expires_at <= now() FROM user_invite i LEFT JOIN users u ON u.id = "
    "i.created_by AND u.account_id = i.account_id WHERE i.hash = $1"
};
/* Whoever deletes the row has the invitation; groups that have gone since are no longer meant. */
static const struct rk_pg_stmt take_stmt = {
    "invite_take",
    "DELETE FROM user_invite i WHERE i.account_id = $1 AND i.hash = $2 AND i.expires_at > now() "
    "RETURNING i.name, i.email, i.role, ARRAY(SELECT x.id FROM unnest(i.auto_groups) WITH "
    "ORDINALITY AS x(id, n) JOIN account_group g ON g.account_id = i.account_id AND g.id = x.id "
    "WHERE g.name <> 'All' ORDER BY x.n)"
};

static int gone(struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "user invite not found");
}

static int check_life(int64_t seconds, struct rk_err *err)
{
    if (seconds < RK_INVITE_MIN_SECONDS)
        return rk_fail(err, RK_INVALID, "invite expiration must be at least 1 hour");
    if (seconds > RK_INVITE_MAX_SECONDS)
        return rk_fail(err, RK_INVALID, "invite expiration must be at most 365 days");
    return 0;
}

static int tell(struct rk_change *ch,
                const char *code,
                const char *initiator,
                const char *target,
                const char *email,
                struct rk_err *err)
{
    const struct rk_actor by = { .user_id = initiator };

    return rk_actor_tell(ch, &by, code, target, err, "email", email, NULL);
}

static void draw(char plain[RK_PAT_LEN + 1], char hash[45])
{
    rk_pat_new(RK_INVITE_PREFIX, plain);
    rk_sha256_b64(rk_str(plain), hash);
}

static int check_email(struct rk_change *ch, const char *email, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = user_check_email(ch, email, "user with this email already exists", err);

    if (r < 0)
        return r;
    r = rk_pg_run(rk_change_pg(ch), &email_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_C(email));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_EXISTS, "invite already exists for this email");
    return 0;
}

static int check_there(struct rk_change *ch, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &there_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                      RK_P_C(id));

    if (r < 0)
        return r;
    return rk_pg_rows(res) > 0 ? 0 : gone(err);
}

int rk_invite_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const struct rk_invite_input *in,
                     char out_id[RK_XID_LEN + 1],
                     char out_plain[RK_PAT_LEN + 1],
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    const struct rk_user_input user = {
        .role = in->role, .name = in->name, .email = in->email, .password_hash = ""
    };
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1], hash[45];
    int r;

    r = rk_user_validate(&user, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_INVITE, id, NULL, &ch, err);
    if (r == 0)
        r = check_email(ch, in->email, err);
    if (r == 0)
        r = check_life(in->expires_in_s, err);
    if (r == 0)
        r = user_check_groups(ch, in->email, in->auto_groups, in->auto_groups_n, err);
    if (r < 0)
        return r;
    draw(plain, hash);
    r = rk_pg_run(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                  RK_P_C(in->name), RK_P_C(in->email), RK_P_C(rk_role_name(in->role)),
                  RK_P_ARRAY(in->auto_groups, in->auto_groups_n), RK_P_C(hash),
                  RK_P_C(actor->user_id), RK_P_INT(in->expires_in_s));
    if (r == 0)
        r = tell(ch, "user.invite.link.create", actor->user_id, id, in->email, err);
    if (r == 0)
        r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    memcpy(out_plain, plain, sizeof(plain));
    rk_wipe(plain, sizeof(plain));
    return 0;
}

int rk_invite_regenerate(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         const char *id,
                         int64_t expires_in_s,
                         char out_plain[RK_PAT_LEN + 1],
                         int64_t *out_expires_us,
                         struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char plain[RK_PAT_LEN + 1], hash[45];
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_INVITE, id, NULL, &ch, err);
    if (r == 0)
        r = check_there(ch, id, err);
    if (r == 0)
        r = check_life(expires_in_s, err);
    if (r < 0)
        return r;
    draw(plain, hash);
    r = rk_pg_run(pg, &renew_stmt, &res, err, RK_P_C(actor->account_id), RK_P_C(id), RK_P_C(hash),
                  RK_P_INT(expires_in_s));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return gone(err);
    r = tell(ch, "user.invite.link.regenerate", actor->user_id, id, rk_pg_str(res, 0, 0).p, err);
    if (r == 0)
        r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    *out_expires_us = rk_pg_time(res, 0, 1);
    memcpy(out_plain, plain, sizeof(plain));
    rk_wipe(plain, sizeof(plain));
    return 0;
}

int rk_invite_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_INVITE, id, NULL, &ch, err);
    if (r == 0)
        r = rk_pg_run(pg, &drop_stmt, &res, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return gone(err);
    r = tell(ch, "user.invite.link.delete", actor->user_id, id, rk_pg_str(res, 0, 0).p, err);
    return r < 0 ? r : rk_change_commit(&ch, NULL, err);
}

/* === For who holds a token === */

static int check_token(const char *token, struct rk_err *err)
{
    const char *wrong = strlen(token) != RK_PAT_LEN                                       ? "length"
                        : strncmp(token, RK_INVITE_PREFIX, strlen(RK_INVITE_PREFIX)) != 0 ? "prefix"
                        : !rk_pat_valid(RK_INVITE_PREFIX, rk_str(token)) ? "checksum"
                                                                         : NULL;

    return wrong ? rk_fail(err, RK_INVALID, "invalid invite token: invalid token %s", wrong) : 0;
}

int rk_invite_find(struct rk_pg *pg, const char *token, struct rk_invite *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char hash[45];
    int r;

    r = check_token(token, err);
    if (r < 0)
        return r;
    rk_sha256_b64(rk_str(token), hash);
    r = rk_pg_run(pg, &find_stmt, &res, err, RK_P_C(hash));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return gone(err);
    *out = (struct rk_invite){ .email = rk_pg_str(res, 0, 0).p,
                               .name = rk_pg_str(res, 0, 1).p,
                               .invited_by = rk_pg_str(res, 0, 2).p,
                               .account_id = rk_pg_str(res, 0, 3).p,
                               .expires_us = rk_pg_time(res, 0, 4),
                               .expired = rk_pg_bool(res, 0, 5) };
    out->row = rk_steal(res);
    return 0;
}

void rk_invite_done(struct rk_invite *i)
{
    rk_pg_result_free(i->row);
}

int rk_invite_check(struct rk_pg *pg,
                    const char *token,
                    const char *password,
                    struct rk_invite *out,
                    struct rk_err *err)
{
    struct rk_err rule = { 0 };
    int r;

    if (password[0] == '\0')
        return rk_fail(err, RK_INVALID, "password is required");
    if (rk_password_rules(password, &rule) < 0)
        return rk_fail(err, RK_INVALID, "invalid password: %s", rule.msg);
    r = rk_invite_find(pg, token, out, err);
    if (r < 0)
        return r;
    return out->expired ? rk_fail(err, RK_INVALID, "invite has expired") : 0;
}

/* The user of an invitation that is ours now: `row` is what was deleted. */
static int make_user(struct rk_change *ch,
                     const struct rk_pg_result *row,
                     const char *id,
                     const char *password_hash,
                     struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *groups = NULL;
    struct rk_user_input in = { .name = rk_pg_str(row, 0, 0).p,
                                .email = rk_pg_str(row, 0, 1).p,
                                .password_hash = password_hash };
    int r;

    if (!rk_role_parse(rk_pg_str(row, 0, 2), &in.role))
        return rk_fail(err, RK_INTERNAL, "an invitation for a role that there is not");
    rk_pg_array(row, 0, 3, &groups, &in.auto_groups_n);
    in.auto_groups = groups;
    r = user_check_email(ch, in.email, "user with this email already exists", err);
    if (r < 0)
        return r;
    r = user_insert(ch, id, &in, err);
    if (r == RK_EXISTS)
        return rk_fail(err, RK_EXISTS, "user with this email already exists");
    if (r == 0)
        r = tell(ch, "user.invite.link.accept", id, id, in.email, err);
    return r < 0 ? r : rk_change_touch(ch, RK_OBJ_USER, id, err);
}

int rk_invite_accept(struct rk_pg *pg,
                     const char *token,
                     const char *password,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *taken = NULL;
    rk_auto(rk_invite_done) struct rk_invite invite = { .row = NULL };
    char uuid[RK_UUID_LEN + 1], id[RK_USER_ID_MAX], hash[45], password_hash[RK_PASSWORD_LEN];
    struct rk_actor self = { .user_id = id };
    int r;

    r = rk_invite_check(pg, token, password, &invite, err);
    if (r < 0)
        return r;
    rk_uuid_new(uuid);
    if (!rk_subject_encode(uuid, RK_CONNECTOR_LOCAL, id))
        return rk_fail(err, RK_INTERNAL, "user id is too long");
    rk_password_hash(rk_str(password), password_hash);
    rk_sha256_b64(rk_str(token), hash);
    self.account_id = invite.account_id;
    r = rk_actor_begin(pg, &self, RK_WATCH_USER, id, NULL, &ch, err);
    if (r == 0)
        r = rk_pg_run(pg, &take_stmt, &taken, err, RK_P_C(self.account_id), RK_P_C(hash));
    if (r < 0)
        return r;
    if (rk_pg_rows(taken) == 0)
        return gone(err); /* somebody was quicker */
    r = make_user(ch, taken, id, password_hash, err);
    return r < 0 ? r : rk_actor_commit(&ch, &self, out_bell, err);
}
