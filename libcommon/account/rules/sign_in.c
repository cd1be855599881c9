/*
 * Looks first, without a transaction: most tokens change nothing. What has to change is changed
 * under the locks that make it happen once: the account's row, or, where there may be no account
 * yet, the lock of all who make one.
 */

#include "libcommon/account/rules/sign_in.h"

#include <stdlib.h>

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/pre_invite.h"
#include "libcommon/account/rules/scim_bind.h"
#include "libcommon/account/rules/sign_in_int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"

/* A provider that does not say when the person signed in: every renewed token looks like a login.
 * Such a one counts when the last is this long ago. */
#define GUESSED_LOGIN_US (3600LL * 1000000)

#define GRANT_STANDS "($4::bytea IS NULL OR EXISTS (SELECT 1 FROM oauth_grant WHERE id = $4))"

/* All that a settled user's request needs. $3 = names of the groups in the token, $4 = its grant or
 * NULL. */
static const struct rk_pg_stmt look_stmt = {
    "sign_in_look",
    "SELECT u.account_id, u.role, u.is_service_user, u.blocked, u.pending_approval, u.name = '', "
    "u.email = '', u.last_login, "
    "coalesce((a.settings->>'regular_users_view_blocked')::boolean, false), "
    "coalesce(nullif(a.settings->>'dns_domain', ''), $2), a.domain = '' AND u.role = 'owner', "
    "coalesce((a.settings->>'jwt_groups_enabled')::boolean, false) AS follows, "
    "coalesce(a.settings->>'jwt_groups_claim_name', ''), "
    "array(SELECT jsonb_array_elements_text(CASE jsonb_typeof(a.settings->'jwt_allow_groups') WHEN "
    "'array' THEN a.settings->'jwt_allow_groups' ELSE '[]' END)), "
    "array(SELECT g.name FROM account_group g WHERE g.account_id = a.id AND g.id = "
    "ANY(u.auto_groups) AND g.issued = 'jwt'), "
    "array(SELECT g.name FROM account_group g WHERE g.account_id = a.id AND g.name = "
    "ANY($3::text[]) AND g.issued <> 'jwt'), " GRANT_STANDS " "
    "FROM users u JOIN account a ON a.id = u.account_id WHERE u.id = $1"
};
enum {
    ACCOUNT,
    ROLE,
    SERVICE,
    BLOCKED,
    PENDING,
    NAMELESS,
    MAILLESS,
    LAST_LOGIN,
    VIEW_BLOCKED,
    DOMAIN,
    DOMAINLESS,
    FOLLOWS,
    CLAIM,
    ALLOWED,
    HAVE,
    TAKEN,
    STANDS,
};

static const struct rk_pg_stmt only_stmt = {
    "sign_in_only_account",
    "SELECT id FROM account WHERE $1 OR NOT EXISTS (SELECT 1 FROM account OFFSET 1) "
    "ORDER BY created_at, id LIMIT 1"
};
static const struct rk_pg_stmt several_stmt = { "sign_in_several",
                                                "SELECT EXISTS (SELECT 1 FROM account OFFSET 1)" };
static const struct rk_pg_stmt primary_stmt = {
    "sign_in_primary", "SELECT id FROM account WHERE domain = $1 AND is_primary"
};
static const struct rk_pg_stmt tenant_stmt = { "sign_in_tenant",
                                               "SELECT account_id FROM connector WHERE id = $1" };
static const struct rk_pg_stmt granted_stmt = { "sign_in_granted",
                                                "SELECT 1 FROM oauth_grant WHERE id = $1" };
static const struct rk_pg_stmt known_stmt = { "sign_in_known",
                                              "SELECT 1 FROM users WHERE id = $1" };
static const struct rk_pg_stmt departed_stmt = {
    "sign_in_departed", "SELECT 1 FROM departed_user WHERE id = $1 AND at >= $2"
};
static const struct rk_pg_stmt gate_stmt = {
    "sign_in_gate",
    "SELECT coalesce((settings->>'jwt_groups_enabled')::boolean, false), "
    "coalesce(settings->>'jwt_groups_claim_name', ''), "
    "array(SELECT jsonb_array_elements_text(CASE jsonb_typeof(settings->'jwt_allow_groups') WHEN "
    "'array' THEN settings->'jwt_allow_groups' ELSE '[]' END)) FROM account WHERE id = $1"
};
static const struct rk_pg_stmt join_stmt = {
    "sign_in_join",
    "INSERT INTO users (id, account_id, role, name, email, blocked, pending_approval) SELECT $1, "
    "a.id, 'user', $3, $4, x.waits, x.waits FROM account a CROSS JOIN LATERAL (SELECT "
    "coalesce((a.settings->'extra'->>'user_approval_required')::boolean, false) AS waits) x "
    "WHERE a.id = $2 RETURNING pending_approval"
};
static const struct rk_pg_stmt fill_stmt = {
    "sign_in_fill",
    "UPDATE users SET name = coalesce(nullif(name, ''), $2), email = coalesce(nullif(email, ''), "
    "$3) WHERE id = $1"
};
static const struct rk_pg_stmt domain_stmt = {
    "sign_in_domain",
    "UPDATE account a SET domain = $2, domain_category = 'private', is_primary = true WHERE a.id = "
    "$1 AND a.domain = '' AND NOT EXISTS (SELECT 1 FROM account b WHERE b.domain = $2 AND "
    "b.is_primary)"
};
/* Of many requests with one new token one is the first. */
static const struct rk_pg_stmt login_stmt = {
    "sign_in_login",
    "WITH was AS (SELECT id, account_id, last_login FROM users WHERE id = $1 AND (last_login IS "
    "NULL OR last_login < $2::timestamptz - make_interval(secs => $3::bigint)) FOR UPDATE), now AS "
    "(UPDATE users u SET last_login = $2 FROM was WHERE u.id = was.id) "
    "INSERT INTO event (account_id, code, initiator_id, target_id, meta) SELECT account_id, "
    "'dashboard.login', id, id, jsonb_build_object('timestamp', $5::text) FROM was WHERE $4 AND "
    "last_login IS NOT NULL"
};

struct signing {
    struct rk_pg *pg;
    const struct rk_sign_in_rules *rules;
    const struct rk_claims *claims;
    struct rk_arena *arena;
    const char *name;
    char domain[256]; /* lower case; "" when it is none */
    bool private;     /* the domain shares an account */
    bool single;      /* everybody does */
    bool local;       /* our own provider's own user: groups are the administrator's */
    char connector[RK_SUBJECT_PART_MAX]; /* of our own provider, by which the user came; or "" */
    struct rk_str *names;                /* of the groups in the token */
    size_t names_n;
    struct rk_signed_in *out;
};

/* ^([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}$ of lower case. */
static bool domain_valid(const char *s)
{
    size_t label = 0, labels = 0, letters = 0;

    for (; *s; s++) {
        bool letter = *s >= 'a' && *s <= 'z', digit = *s >= '0' && *s <= '9';

        if (*s == '.' || *s == '-') {
            if (label == 0 || (*s == '-' && s[1] == '-') || (*s == '.' && s[-1] == '-'))
                return false;
            if (*s == '.') {
                labels++;
                label = letters = 0;
                continue;
            }
        } else if (!letter && !digit) {
            return false;
        }
        label++;
        letters += letter;
    }
    return labels > 0 && label >= 2 && letters == label;
}

static void lower(char *s)
{
    for (; *s; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + 32);
    }
}

static void read_domain(struct signing *s)
{
    const char *text = s->single ? s->rules->single_account_domain : s->claims->account_domain;

    (void)rk_str_copy(rk_str(text), s->domain, sizeof(s->domain));
    lower(s->domain);
    if (!domain_valid(s->domain))
        s->domain[0] = '\0';
    s->private = s->domain[0] != '\0' &&
                 (s->single || strcmp(s->claims->account_domain_category, "private") == 0);
}

/* --- somebody new --- */

/* The account that this user joins, "" = there is none. Whoever comes by a tenant's own provider
 * belongs to that tenant. */
static int find_account(struct signing *s, char out[RK_XID_LEN + 1], struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = 0;

    out[0] = '\0';
    if (s->connector[0] != '\0')
        r = rk_pg_run(s->pg, &tenant_stmt, &res, err, RK_P_C(s->connector));
    else if (s->single)
        r = rk_pg_run(s->pg, &only_stmt, &res, err, RK_P_BOOL(s->rules->embedded));
    else if (s->private)
        r = rk_pg_run(s->pg, &primary_stmt, &res, err, RK_P_C(s->domain));
    if (r == 0 && res && rk_pg_rows(res) > 0)
        (void)rk_str_copy(rk_pg_str(res, 0, 0), out, RK_XID_LEN + 1);
    return r;
}

static int is_known(struct signing *s, bool *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(s->pg, &known_stmt, &res, err, RK_P_C(s->claims->user_id));

    if (r == 0)
        *out = rk_pg_rows(res) > 0;
    return r;
}

static int refuse_revoked(struct signing *s, struct rk_err *err)
{
    s->out->revoked = true;
    return rk_fail(err, RK_UNAUTHENTICATED, "the token was taken back");
}

static int check_granted(struct signing *s, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (!s->out->granted)
        return 0;
    r = rk_pg_run(s->pg, &granted_stmt, &res, err,
                  RK_P_BYTEA(rk_strn(s->out->grant, RK_GRANT_ID_LEN)));
    return r == 0 && rk_pg_rows(res) == 0 ? refuse_revoked(s, err) : r;
}

/* Tokens outlive their users: whoever was deleted comes back with a new one only. */
static int check_newcomer(struct signing *s, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (s->local)
        return rk_fail(err, RK_UNAUTHENTICATED, "there is no such local user");
    if (s->rules->embedded) {
        r = rk_pg_run(s->pg, &tenant_stmt, &res, err, RK_P_C(s->connector));
        if (r < 0)
            return r;
        if (rk_pg_rows(res) == 0)
            return rk_fail(err, RK_UNAUTHENTICATED, "there is no such identity provider any more");
        rk_pg_result_free(rk_steal(res));
    }
    if (*s->claims->account_id)
        return rk_fail(err, RK_UNAUTHENTICATED, "the token is for another account");
    r = check_granted(s, err);
    if (r < 0)
        return r;
    r = rk_pg_run(s->pg, &departed_stmt, &res, err, RK_P_C(s->claims->user_id),
                  RK_P_TIME(s->claims->issued_s * 1000000));
    if (r == 0 && rk_pg_rows(res) > 0)
        return rk_fail(err, RK_UNAUTHENTICATED, "the user was deleted after the token was issued");
    return r;
}

static int refuse_groups(struct rk_err *err)
{
    return rk_fail(err, RK_DENIED, "user does not belong to any of the allowed JWT groups");
}

/* Whom the account does not let in does not wait for approval either. */
static int check_gate(struct signing *s, const char *account_id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_free) struct rk_str *allowed = NULL;
    struct rk_str *names;
    size_t n = 0, allowed_n = 0;
    int r = rk_pg_run(s->pg, &gate_stmt, &res, err, RK_P_C(account_id));

    if (r < 0 || rk_pg_rows(res) == 0 || !rk_pg_bool(res, 0, 0))
        return r;
    sign_in_group_names(s->claims, rk_pg_str(res, 0, 1).p, s->arena, &names, &n);
    rk_pg_array(res, 0, 2, &allowed, &allowed_n);
    return sign_in_let_in(allowed, allowed_n, names, n) ? 0 : refuse_groups(err);
}

/* Somebody whom a directory has announced. */
static int bind_provisioned(struct signing *s, struct rk_change *ch, bool *out, struct rk_err *err)
{
    char upstream[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX] = "";
    struct rk_scim_login login = {
        .user_id = s->claims->user_id,
        .upstream_id = s->claims->user_id,
        .connector_id = connector,
        .email = s->claims->email,
        .email_verified = s->claims->email_verified,
        .default_domain = s->rules->default_domain,
    };

    if (s->rules->embedded && rk_subject_decode(s->claims->user_id, upstream, connector))
        login.upstream_id = upstream;
    return rk_scim_bind(ch, &login, out, err);
}

static int join(struct signing *s, const char *account_id, struct rk_err *err)
{
    const struct rk_actor user = { .account_id = account_id,
                                   .user_id = s->claims->user_id,
                                   .default_domain = s->rules->default_domain };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf meta;
    bool known = false, adopted = false;
    int r;

    rk_buf_init(&meta, 4096);
    r = rk_actor_begin(s->pg, &user, RK_WATCH_USER, user.user_id, NULL, &ch, err);
    if (r == RK_NOT_FOUND)
        return rk_fail(err, RK_CONFLICT, "the account has just gone");
    if (r == 0)
        r = is_known(s, &known, err);
    if (r < 0 || known)
        return r;
    r = check_gate(s, account_id, err);
    if (r == 0)
        r = bind_provisioned(s, ch, &adopted, err);
    if (r == 0 && !adopted)
        r = rk_pre_invite_adopt(ch, user.user_id, s->claims->email, s->claims->email_verified,
                                &adopted, err);
    if (r == 0 && !adopted)
        r = rk_pg_run(s->pg, &join_stmt, &res, err, RK_P_C(user.user_id), RK_P_C(account_id),
                      RK_P_C(s->name), RK_P_C(s->claims->email));
    if (r == RK_EXISTS)
        return rk_fail(err, RK_CONFLICT, "the user has just come");
    if (r == 0 && !adopted)
        r = rk_change_event(ch, "user.join", user.user_id, user.user_id,
                            rk_pg_bool(res, 0, 0)
                                ? rk_event_meta(&meta, "pending_approval", "true", NULL)
                                : RK_STR(""),
                            err);
    if (r == 0 && !adopted)
        r = rk_change_touch(ch, RK_OBJ_USER, user.user_id, err);
    if (r == 0)
        r = rk_actor_commit(&ch, &user, &s->out->bell, err);
    if (r == 0)
        s->out->joined = true;
    return r;
}

static const char *category(const struct signing *s)
{
    const char *said = s->claims->account_domain_category;

    if (s->private)
        return "private";
    return strcmp(said, "public") == 0 ? said : "unknown";
}

/* Nobody else makes an account meanwhile. *out_found: somebody did before us, look again. */
static int found_account(struct signing *s, bool *out_found, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    const struct rk_account_new in = {
        .user_id = s->claims->user_id,
        .email = s->claims->email,
        .name = s->name,
        .domain = s->domain,
        .domain_category = category(s),
        .is_primary = s->private,
    };
    char account_id[RK_XID_LEN + 1];
    bool known = false;
    int r;

    r = rk_pg_begin(s->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_account_lock(s->pg, err);
    if (r == 0)
        r = is_known(s, &known, err);
    if (r == 0)
        r = find_account(s, account_id, err);
    if (r < 0)
        return r;
    *out_found = known || account_id[0] != '\0';
    if (*out_found)
        return 0;
    r = rk_account_insert(s->pg, &in, account_id, err);
    if (r == RK_EXISTS)
        return rk_fail(err, RK_CONFLICT, "the user has just come");
    if (r == 0)
        r = rk_pg_commit(&tx, err);
    if (r == 0)
        s->out->joined = true;
    return r;
}

static int come(struct signing *s, struct rk_err *err)
{
    char account_id[RK_XID_LEN + 1];
    bool found = true;
    int r;

    r = check_newcomer(s, err);
    if (r == 0)
        r = find_account(s, account_id, err);
    if (r == 0 && !account_id[0]) {
        r = found_account(s, &found, err);
        if (r == 0 && found)
            r = find_account(s, account_id, err);
    }
    if (r < 0 || !found || !account_id[0])
        return r;
    return join(s, account_id, err);
}

/* --- somebody known --- */

/* The claim that the account last looked at by this thread follows: a guess that saves a second
 * read, and costs one when it is wrong. */
static _Thread_local char claim_guess[RK_USER_ID_MAX];

static int look(struct signing *s, struct rk_pg_result **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    for (int turn = 0; turn < 2; turn++) {
        int r;

        sign_in_group_names(s->claims, claim_guess, s->arena, &s->names, &s->names_n);
        rk_pg_result_free(rk_steal(res));
        r = rk_pg_run(s->pg, &look_stmt, &res, err, RK_P_C(s->claims->user_id),
                      RK_P_C(s->rules->default_domain), RK_P_ARRAY(s->names, s->names_n),
                      s->out->granted ? RK_P_BYTEA(rk_strn(s->out->grant, RK_GRANT_ID_LEN))
                                      : RK_P_NULL);
        if (r < 0)
            return r;
        if (rk_pg_rows(res) == 0 || s->local || !rk_pg_bool(res, 0, FOLLOWS) ||
            rk_str_eq(rk_pg_str(res, 0, CLAIM), rk_str(claim_guess)))
            break;
        if (!rk_str_copy(rk_pg_str(res, 0, CLAIM), claim_guess, sizeof(claim_guess)))
            break; /* a name that no claim has */
    }
    *out = rk_steal(res);
    return 0;
}

static void take(struct signing *s, const struct rk_pg_result *res)
{
    struct rk_signed_in *out = s->out;

    (void)rk_str_copy(rk_pg_str(res, 0, ACCOUNT), out->account_id, sizeof(out->account_id));
    out->role = rk_arena_strn(s->arena, rk_pg_str(res, 0, ROLE));
    out->domain = rk_arena_strn(s->arena, rk_pg_str(res, 0, DOMAIN));
    out->blocked = rk_pg_bool(res, 0, BLOCKED);
    out->pending_approval = rk_pg_bool(res, 0, PENDING);
    out->view_blocked = rk_pg_bool(res, 0, VIEW_BLOCKED);
}

/* Name and address that the row was made without, and the domain its account was. */
static int fill(struct signing *s, const struct rk_pg_result *res, struct rk_err *err)
{
    int r = 0;

    if ((rk_pg_bool(res, 0, NAMELESS) && *s->name) ||
        (rk_pg_bool(res, 0, MAILLESS) && *s->claims->email))
        r = rk_pg_run(s->pg, &fill_stmt, NULL, err, RK_P_C(s->claims->user_id), RK_P_C(s->name),
                      RK_P_C(s->claims->email));
    if (r == 0 && s->private && rk_pg_bool(res, 0, DOMAINLESS)) {
        r = rk_pg_run(s->pg, &domain_stmt, NULL, err, RK_P_C(s->out->account_id),
                      RK_P_C(s->domain));
        if (r == RK_EXISTS) /* another account has it, as of now */
            r = 0;
    }
    return r;
}

static int
note_login(struct signing *s, const struct rk_pg_result *res, bool dashboard, struct rk_err *err)
{
    const struct rk_claims *c = s->claims;
    bool told = c->last_login_us != RK_TIME_UNSET || c->auth_time_s > 0;
    int64_t at = c->last_login_us != RK_TIME_UNSET ? c->last_login_us
                 : c->auth_time_s > 0              ? c->auth_time_s * 1000000
                                                   : c->issued_s * 1000000;
    int64_t was = rk_pg_time(res, 0, LAST_LOGIN), gap = told ? 0 : GUESSED_LOGIN_US;
    char text[RK_TIME_LEN];

    if (at <= 0 || at > rk_wall_us() + RK_JWT_LEEWAY_S * 1000000LL ||
        (was != RK_TIME_UNSET && at <= was + gap))
        return 0;
    rk_time_format(at, text);
    return rk_pg_run(s->pg, &login_stmt, NULL, err, RK_P_C(c->user_id), RK_P_TIME(at),
                     RK_P_INT(gap / 1000000), RK_P_BOOL(dashboard), RK_P_C(text));
}

/* Whether the token's groups let the user in, and whether they are the user's already. */
static int
check_groups(struct signing *s, const struct rk_pg_result *res, bool *out_same, struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *allowed = NULL, *have = NULL, *taken = NULL;
    size_t allowed_n = 0, have_n = 0, taken_n = 0;

    *out_same = true;
    if (s->local || !rk_pg_bool(res, 0, FOLLOWS))
        return 0;
    rk_pg_array(res, 0, ALLOWED, &allowed, &allowed_n);
    if (!sign_in_let_in(allowed, allowed_n, s->names, s->names_n))
        return refuse_groups(err);
    if (rk_pg_str(res, 0, CLAIM).n == 0)
        return 0; /* nothing to follow */
    rk_pg_array(res, 0, HAVE, &have, &have_n);
    rk_pg_array(res, 0, TAKEN, &taken, &taken_n);
    *out_same = sign_in_groups_same(s->names, s->names_n, have, have_n, taken, taken_n);
    return 0;
}

static int
settle(struct signing *s, const struct rk_pg_result *res, bool dashboard, struct rk_err *err)
{
    const struct rk_actor user = { .account_id = s->out->account_id,
                                   .user_id = s->claims->user_id,
                                   .default_domain = s->rules->default_domain };
    bool same = true;
    int r;

    /* What keeps out who is blocked or waits is for them to know. */
    if (!rk_pg_bool(res, 0, STANDS) && !s->out->blocked && !s->out->pending_approval)
        return refuse_revoked(s, err);
    if (rk_pg_bool(res, 0, SERVICE))
        return rk_fail(err, RK_UNAUTHENTICATED, "a service user cannot sign in");
    if (*s->claims->account_id && strcmp(s->claims->account_id, s->out->account_id) != 0)
        return rk_fail(err, RK_UNAUTHENTICATED, "the token is for another account");
    r = check_groups(s, res, &same, err);
    if (r < 0)
        return r;
    r = fill(s, res, err);
    if (r == 0)
        r = note_login(s, res, dashboard, err);
    if (r < 0 || same || s->out->blocked)
        return r;
    /* Who is let in is let in, also while groups cannot be followed. */
    r = sign_in_follow_groups(s->pg, &user, s->claims, s->arena, &s->out->bell,
                              &s->out->groups_err);
    if (r == RK_CONFLICT || r == RK_UNAVAILABLE)
        return rk_fail(err, r, "%s", s->out->groups_err.msg);
    s->out->groups_err.code = r;
    return 0;
}

/* Whether everybody shares one account. */
static int find_mode(struct signing *s, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    s->single = s->rules->single_account_domain && *s->rules->single_account_domain;
    if (!s->single || s->rules->embedded)
        return 0;
    r = rk_pg_run0(s->pg, &several_stmt, &res, err);
    if (r == 0)
        s->single = !rk_pg_bool(res, 0, 0);
    return r;
}

/* What our own provider says besides. */
static void read_ours(struct signing *s)
{
    char id[RK_SUBJECT_PART_MAX];

    if (!s->rules->embedded || !rk_subject_decode(s->claims->user_id, id, s->connector))
        s->connector[0] = '\0';
    s->local = strcmp(s->connector, RK_CONNECTOR_LOCAL) == 0;
    s->out->granted = s->rules->embedded && rk_jti_grant(rk_claims_str(s->claims, "jti", s->arena),
                                                         s->out->grant) != RK_GRANT_NONE;
}

static int check_claims(const struct rk_claims *c, struct rk_err *err)
{
    size_t n = strlen(c->user_id);

    if (n == 0 || n >= RK_USER_ID_MAX)
        return rk_fail(err, RK_UNAUTHENTICATED, "the user id has %zu bytes", n);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)c->user_id[i] < ' ' || c->user_id[i] == 127)
            return rk_fail(err, RK_UNAUTHENTICATED, "the user id has control characters");
    }
    return 0;
}

int rk_sign_in(struct rk_pg *pg,
               const struct rk_sign_in_rules *rules,
               const struct rk_claims *claims,
               bool dashboard,
               struct rk_arena *arena,
               struct rk_signed_in *out,
               struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct signing s = { .pg = pg,
                         .rules = rules,
                         .claims = claims,
                         .arena = arena,
                         .name = *claims->name ? claims->name : claims->preferred_username,
                         .out = out };
    int r;

    *out = (struct rk_signed_in){ .role = "", .domain = "" };
    r = check_claims(claims, err);
    if (r < 0)
        return r;
    read_ours(&s);
    r = look(&s, &res, err);
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0) {
        rk_pg_result_free(rk_steal(res));
        r = find_mode(&s, err);
        if (r < 0)
            return r;
        read_domain(&s);
        r = come(&s, err);
        if (r == 0)
            r = look(&s, &res, err);
        if (r < 0)
            return r;
        if (rk_pg_rows(res) == 0)
            return rk_fail(err, RK_CONFLICT, "the user has just gone");
    } else {
        read_domain(&s);
    }
    take(&s, res);
    return settle(&s, res, dashboard, err);
}
