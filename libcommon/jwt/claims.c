/* What a verified token says. */

#include "libcommon/jwt/claims_int.h"

#include "libcommon/base/clock.h"
#include "libcommon/jwt/member.h"

#define YEAR_10000_S 253402300800

bool claims_time(const json_t *o, const char *name, int64_t *out_s)
{
    const json_t *v = json_object_get(o, name);
    double d = json_number_value(v);

    if (!json_is_number(v) || d < -(double)YEAR_10000_S || d >= (double)YEAR_10000_S)
        return false;
    *out_s = json_is_integer(v) ? json_integer_value(v) : (int64_t)d;
    return true;
}

static const char *text(const json_t *o, const char *name, struct rk_arena *arena)
{
    struct rk_str v = rk_json_member(o, name);

    return v.n > 0 ? rk_arena_strn(arena, v) : "";
}

void claims_fill(struct rk_claims *c, const json_t *o, struct rk_arena *arena)
{
    c->issuer = text(o, "iss", arena);
    c->subject = text(o, "sub", arena);
    c->email = text(o, "email", arena);
    c->name = text(o, "name", arena);
    c->preferred_username = text(o, "preferred_username", arena);
    c->nonce = text(o, "nonce", arena);
    c->email_verified = json_is_true(json_object_get(o, "email_verified"));
    if (!claims_time(o, "auth_time", &c->auth_time_s))
        c->auth_time_s = 0;
    c->account_id = c->account_domain = c->account_domain_category = "";
}

/* It has been read before, so it is an object. */
static json_t *payload(const struct rk_claims *c)
{
    return json_loadb(c->payload.p, c->payload.n, JSON_REJECT_DUPLICATES, NULL);
}

/* A claim of the namespace: joined as URLs are, else as text. */
static const json_t *
namespaced(const json_t *o, const char *audience, const char *suffix, struct rk_arena *arena)
{
    bool slash = rk_str_ends(rk_str(audience), RK_STR("/"));
    const json_t *v =
        json_object_get(o, rk_arena_printf(arena, "%s%s%s", audience, slash ? "" : "/", suffix));

    return v ? v : json_object_get(o, rk_arena_printf(arena, "%s%s", audience, suffix));
}

void rk_claims_read_account(struct rk_claims *c, const char *audience, struct rk_arena *arena)
{
    const struct {
        const char *suffix;
        const char **to;
    } texts[] = {
        { "wt_account_id", &c->account_id },
        { "wt_account_domain", &c->account_domain },
        { "wt_account_domain_category", &c->account_domain_category },
    };
    json_t *o = payload(c);
    const json_t *v;

    for (size_t i = 0; i < RK_COUNT(texts); i++) {
        v = namespaced(o, audience, texts[i].suffix, arena);
        if (json_is_string(v))
            *texts[i].to = rk_arena_strdup(arena, json_string_value(v));
    }
    v = namespaced(o, audience, "nb_last_login", arena);
    if (!json_is_string(v) || !rk_time_parse(rk_json_text(v), &c->last_login_us))
        c->last_login_us = RK_TIME_UNSET;
    c->invited = json_is_true(namespaced(o, audience, "nb_invited", arena));
    json_decref(o);
}

const char *rk_claims_str(const struct rk_claims *c, const char *name, struct rk_arena *arena)
{
    json_t *o = payload(c);
    const char *v = text(o, name, arena);

    json_decref(o);
    return v;
}

size_t rk_claims_list(const struct rk_claims *c,
                      const char *name,
                      struct rk_arena *arena,
                      struct rk_str *out,
                      size_t max,
                      bool *out_present)
{
    json_t *o = payload(c);
    const json_t *v = json_object_get(o, name), *one;
    size_t n = 0, i;

    if (out_present)
        *out_present = json_is_string(v) || json_is_array(v);
    if (json_is_string(v) && max > 0)
        out[n++] = rk_str(rk_arena_strdup(arena, json_string_value(v)));
    json_array_foreach(v, i, one)
    {
        if (json_is_string(one) && n < max)
            out[n++] = rk_str(rk_arena_strdup(arena, json_string_value(one)));
    }
    json_decref(o);
    return n;
}
