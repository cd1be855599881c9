/* See token_check.h. */

#include "services/dashboard-api/oauth/token_check.h"

#include "libcommon/account/rules/grant_name.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/jansson.h"
#include "services/dashboard-api/oauth/keys.h"
#include "services/dashboard-api/oauth/provider.h"

/* When it expires, said by a token that nobody has checked yet; 0: nothing readable. */
static int64_t claimed_expiry(struct rk_str token, struct rk_arena *arena)
{
    rk_auto(json_decref) json_t *all = NULL;
    struct rk_str part;
    uint8_t *json;
    size_t n;

    if (token.n > RK_JWT_MAX || !rk_str_next(&token, '.', &part) ||
        !rk_str_next(&token, '.', &part))
        return 0;
    json = rk_arena_alloc(arena, part.n + 1);
    if (!rk_b64url_decode(part, json, part.n, &n))
        return 0;
    all = json_loadb((const char *)json, n, JSON_REJECT_DUPLICATES, NULL);
    return json_integer_value(json_object_get(all, "exp"));
}

static const struct client *
client_of(const struct clients *clients, const struct rk_claims *claims, struct rk_arena *arena)
{
    struct rk_str aud[1];
    bool present;

    if (rk_claims_list(claims, "aud", arena, aud, RK_COUNT(aud), &present) != 1)
        return NULL;
    return client_find(clients, rk_arena_strn(arena, aud[0]));
}

int token_check(
    struct call *c, const char *token, bool old_too, struct token_checked *out, struct rk_err *err)
{
    rk_auto(key_set_unref) struct key_set *set = NULL;
    struct rk_str audiences[CLIENTS_N];
    struct rk_jwt_expect expect = { .audiences = audiences, .audiences_n = CLIENTS_N };
    enum rk_jwt_refusal why = RK_JWT_ACCEPTED;
    struct token_checked got = { .client = NULL };
    const struct provider *p;
    uint8_t grant[RK_GRANT_ID_LEN];
    enum rk_grant_use use;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < CLIENTS_N; i++)
        audiences[i] = rk_str(p->clients.list[i].id);
    expect.issuer = p->issuer;
    if (old_too) {
        int64_t at = claimed_expiry(rk_str(token), c->arena);

        expect.now_s = at > 1 ? at - 1 : 0;
    }
    for (unsigned again = 0; again < 2; again++) {
        key_set_unref(rk_steal(set));
        r = keys_get(p->keys, c->pg, again, &set, err);
        if (r < 0)
            return r;
        r = rk_jwt_verify(set->published, rk_str(token), &expect, c->arena, &got.claims, &why, err);
        if (r == 0 || why != RK_JWT_KEY)
            break;
    }
    if (r < 0)
        return r;
    got.client = client_of(&p->clients, &got.claims, c->arena);
    if (!got.client)
        return rk_fail(err, RK_UNAUTHENTICATED, "the token has several audiences");
    use = rk_jti_grant(rk_claims_str(&got.claims, "jti", c->arena), grant);
    got.access = use == RK_GRANT_ACCESS;
    if (use != RK_GRANT_NONE)
        got.grant_id =
            rk_strn(rk_arena_strn(c->arena, rk_strn(grant, sizeof(grant))), sizeof(grant));
    *out = got;
    return 0;
}
