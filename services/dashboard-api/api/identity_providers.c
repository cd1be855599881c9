/*
 * /api/identity-providers: the connectors of the embedded provider. A new issuer is asked for its
 * discovery document before it is stored, so that a typing error is found by who makes it; that may
 * take as long as the other host likes, so it happens on a thread for it.
 */

#include "libcommon/account/rules/connector.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/connector/redirect.h"
#include "services/dashboard-api/connector/upstream.h"
#include "services/dashboard-api/json/body.h"

static const struct rk_pg_stmt list_stmt = {
    "connector_list", "SELECT id, type, name, issuer, client_id, own_redirect_uri FROM "
                      "connector WHERE account_id = $1 ORDER BY created_at, id"
};

static bool embedded(const struct call *c)
{
    return rk_oidc_mode(&c->config->oidc) == RK_OIDC_EMBEDDED;
}

static void write_provider(struct call *c, const struct rk_connector *p, const char *type)
{
    struct rk_json *j = &c->json;

    rk_json_object(j, NULL);
    rk_json_cstr(j, "id", p->id);
    rk_json_cstr(j, "type", type);
    rk_json_cstr(j, "name", p->name);
    rk_json_cstr(j, "issuer", p->issuer);
    rk_json_cstr(j, "client_id", p->client_id);
    if (p->own_redirect_uri) {
        rk_json_bool(j, "own_redirect_uri", true);
        rk_json_cstr(j, "redirect_uri", redirect_uri(c, p));
    }
    rk_json_object_end(j);
}

static const char *column(struct call *c, const struct rk_pg_result *res, int row, int n)
{
    return rk_arena_strn(c->arena, rk_pg_str(res, row, n));
}

int provider_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    rk_json_array(&c->json, NULL);
    if (embedded(c)) {
        r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));
        if (r < 0)
            return r;
        for (int i = 0; i < rk_pg_rows(res); i++) {
            const struct rk_connector p = { .id = column(c, res, i, 0),
                                            .name = column(c, res, i, 2),
                                            .issuer = column(c, res, i, 3),
                                            .client_id = column(c, res, i, 4),
                                            .own_redirect_uri = rk_pg_bool(res, i, 5) };

            write_provider(c, &p, column(c, res, i, 1)); /* also of a kind that we do not know */
        }
    }
    rk_json_array_end(&c->json);
    return 0;
}

static int find(struct call *c, const char *id, struct rk_connector *out, struct rk_err *err)
{
    if (!embedded(c))
        return rk_fail(err, RK_NOT_FOUND, "identity provider not found");
    return rk_connector_read(c->pg, c->actor.account_id, id, NULL, c->arena, out, err);
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    struct rk_connector p;
    int r = find(c, id, &p, err);

    if (r < 0)
        return r;
    write_provider(c, &p, rk_connector_kind_name(p.kind));
    return 0;
}

int provider_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

/* `own` is what *in may point to. */
static int read_body(struct call *c,
                     bool creates,
                     struct body *body,
                     bool *own,
                     struct rk_connector_input *in,
                     struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    in->type = body_str(body, body->root, "type");
    in->name = body_str(body, body->root, "name");
    in->issuer = body_str(body, body->root, "issuer");
    in->client_id = body_str(body, body->root, "client_id");
    in->client_secret = body_str(body, body->root, "client_secret");
    *own = body_bool(body, body->root, "own_redirect_uri");
    in->own_redirect_uri = body_get(body->root, "own_redirect_uri") ? own : NULL;
    r = body_check(body, err);
    return r < 0 ? r : rk_connector_validate(in, creates, err);
}

/* Whether whoever answers at the issuer's address says that it is the issuer. */
static int ask_issuer(struct call *c, const char *issuer, struct rk_err *err)
{
    return upstream_probe(c->shared->upstreams, issuer, c->arena, err);
}

int provider_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_connector_input in = { 0 };
    char id[RK_CONNECTOR_ID_MAX];
    bool own;
    int r;

    r = read_body(c, true, &body, &own, &in, err);
    if (r < 0)
        return r;
    if (!embedded(c))
        return rk_fail(err, RK_PRECONDITION, "identity provider management requires embedded idp");
    if (in.issuer[0] != '\0') {
        r = ask_issuer(c, in.issuer, err);
        if (r < 0)
            return r;
    }
    r = rk_connector_create(c->pg, &c->actor, c->seal, &in, id, err);
    return r < 0 ? r : answer(c, id, err);
}

int provider_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_connector_input in = { 0 };
    struct rk_connector now;
    bool own;
    int r;

    r = read_body(c, false, &body, &own, &in, err);
    if (r < 0)
        return r;
    r = find(c, c->var[0], &now, err);
    if (r < 0)
        return r;
    if (in.issuer[0] != '\0' && strcmp(in.issuer, now.issuer) != 0) {
        r = ask_issuer(c, in.issuer, err);
        if (r < 0)
            return r;
    }
    r = rk_connector_update(c->pg, &c->actor, c->seal, c->var[0], &in, err);
    return r < 0 ? r : answer(c, c->var[0], err);
}

int provider_delete(struct call *c, struct rk_err *err)
{
    struct rk_connector p;
    int r = find(c, c->var[0], &p, err);

    if (r < 0)
        return r;
    /* Nobody could sign in any more. */
    r = rk_connector_delete(c->pg, &c->actor, c->var[0], c->config->local_auth_disabled, err);
    return r < 0 ? r : write_empty(c);
}
