/* See caller.h. */

#include "services/dashboard-api/auth/caller.h"

#include <string.h>

#include "libcommon/account/rules/pat.h"
#include "libcommon/account/rules/rate.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/auth/bearer.h"

#define DENIED "permission denied"
#define PREFIX "failed to validate user permissions: "

static const struct rk_pg_stmt load_stmt = {
    "caller_load",
    "SELECT t.id, u.id, u.account_id, u.role, u.is_service_user, u.blocked, u.pending_approval,"
    " coalesce((a.settings->>'regular_users_view_blocked')::boolean, false), "
    "coalesce(nullif(a.settings->>'dns_domain', ''), $2)"
    " FROM pat t JOIN users u ON u.id = t.user_id JOIN account a ON a.id = u.account_id"
    " WHERE t.hash = $1 AND t.expires_at > now()"
};
enum {
    PAT,
    USER,
    ACCOUNT,
    ROLE,
    SERVICE,
    BLOCKED,
    PENDING,
    VIEW_BLOCKED,
    DOMAIN
};

enum credential caller_credential(struct rk_str header, struct rk_str *out_token)
{
    struct rk_str rest = header, scheme, value;
    bool bearer;

    if (!rk_str_next(&rest, ' ', &scheme) || !rk_str_next(&rest, ' ', &value) || rest.p ||
        value.n == 0)
        return CREDENTIAL_NONE;
    bearer = rk_str_ieq(scheme, RK_STR("bearer"));
    if (!bearer && !rk_str_ieq(scheme, RK_STR("token")))
        return CREDENTIAL_NONE;
    *out_token = value;
    if (bearer && !rk_str_starts(value, RK_STR(RK_PAT_PREFIX)))
        return value.n <= RK_JWT_MAX ? CREDENTIAL_JWT : CREDENTIAL_INVALID;
    return rk_pat_valid(RK_PAT_PREFIX, value) ? CREDENTIAL_TOKEN : CREDENTIAL_INVALID;
}

/* Terraform asks for hundreds of objects, one by one. */
static int count(struct call *c, struct rk_err *err)
{
    const struct rk_rate rate = { .name = "token",
                                  .per_minute = (unsigned)c->config->token_rate_per_min,
                                  .burst = (unsigned)c->config->token_rate_burst };
    const char *agent = c->head.user_agent;
    int r;

    if (!c->config->token_rate_limit || c->counted || (agent && strcasestr(agent, "terraform")))
        return 0;
    r = rk_rate_take(c->pg, &rate, c->caller.pat_id, err);
    c->counted = r == 0;
    return r == RK_EXHAUSTED ? rk_fail(err, r, "too many requests") : r;
}

static int load_token(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct caller *who = &c->caller;
    char hash[45];
    int r;

    rk_sha256_b64(rk_str(c->token), hash);
    r = rk_pg_run(c->pg, &load_stmt, &res, err, RK_P_C(hash), RK_P_C(c->config->dns_domain));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_UNAUTHENTICATED, "token invalid");
    (void)rk_str_copy(rk_pg_str(res, 0, PAT), who->pat_id, sizeof(who->pat_id));
    who->user_id = rk_arena_strn(c->arena, rk_pg_str(res, 0, USER));
    who->account_id = rk_arena_strn(c->arena, rk_pg_str(res, 0, ACCOUNT));
    who->role_name = rk_arena_strn(c->arena, rk_pg_str(res, 0, ROLE));
    who->domain = rk_arena_strn(c->arena, rk_pg_str(res, 0, DOMAIN));
    who->is_service_user = rk_pg_bool(res, 0, SERVICE);
    who->blocked = rk_pg_bool(res, 0, BLOCKED);
    who->pending_approval = rk_pg_bool(res, 0, PENDING);
    who->view_blocked = rk_pg_bool(res, 0, VIEW_BLOCKED);
    return count(c, err);
}

int caller_load(struct call *c, struct rk_err *err)
{
    struct caller *who = &c->caller;
    int r = c->jwt ? bearer_load(c, err) : load_token(c, err);

    if (r != 0)
        return r;
    if (!rk_role_parse(rk_str(who->role_name), &who->role))
        return rk_fail(err, RK_DENIED, PREFIX "user role: %s not found", who->role_name);
    c->actor = (struct rk_actor){
        .account_id = who->account_id,
        .user_id = who->user_id,
        .is_service_user = who->is_service_user,
        .is_admin = who->role == RK_ROLE_OWNER || who->role == RK_ROLE_ADMIN,
        .default_domain = c->config->dns_domain,
    };
    return 0;
}

bool caller_may(const struct caller *caller, enum rk_module module, unsigned op)
{
    return (rk_role_ops(caller->role, module, caller->is_service_user) & op) == op;
}

int caller_permit(struct call *c, struct rk_err *err)
{
    const struct caller *who = &c->caller;
    const struct route *route = c->route;
    const char *prefix =
        route->refusal == REFUSE_BARE || route->refusal == REFUSE_SELF ? "" : PREFIX;

    c->permitted = true;
    /* Who waits is blocked, too; the dashboard tells them apart by the text. */
    if (who->pending_approval)
        return rk_fail(err, RK_DENIED, "%suser is pending approval", prefix);
    if (who->blocked)
        return rk_fail(err, RK_DENIED, "%suser is blocked", prefix);
    if (route->refusal == REFUSE_SELF && who->is_service_user && route->need[0].op == 0)
        return rk_fail(err, RK_DENIED, DENIED);
    for (size_t i = 0; i < ROUTE_MAX_NEEDS && route->need[i].op != 0; i++) {
        if (caller_may(who, route->need[i].module, route->need[i].op))
            continue;
        if (!rk_role_has_table(who->role))
            return rk_fail(err, RK_DENIED, "%suser role: %s not found", prefix, who->role_name);
        if (route->refusal != REFUSE_NEVER)
            return rk_fail(err, RK_DENIED, "%s", route->denied ? route->denied : DENIED);
        c->permitted = false;
    }
    return 0;
}
