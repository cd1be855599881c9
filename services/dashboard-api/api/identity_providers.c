/*
 * /api/identity-providers: the connectors of the embedded provider. A new issuer is asked for its
 * discovery document before it is stored, so that a typing error is found by who makes it; that may
 * take as long as the other host likes, so it happens on a thread for it.
 */

#include "libcommon/account/rules/connector.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/connector/upstream.h"
#include "services/dashboard-api/json/body.h"

static const struct rk_pg_stmt list_stmt = {
    "connector_list", "SELECT id, type, name, issuer, client_id FROM connector"
                      " WHERE account_id = $1 ORDER BY created_at, id"
};

static bool embedded(const struct call *c)
{
    return rk_oidc_mode(&c->config->oidc) == RK_OIDC_EMBEDDED;
}

static void write_provider(struct rk_json *j,
                           struct rk_str id,
                           struct rk_str type,
                           struct rk_str name,
                           struct rk_str issuer,
                           struct rk_str client_id)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", id);
    rk_json_str(j, "type", type);
    rk_json_str(j, "name", name);
    rk_json_str(j, "issuer", issuer);
    rk_json_str(j, "client_id", client_id);
    rk_json_object_end(j);
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
        for (int i = 0; i < rk_pg_rows(res); i++)
            write_provider(&c->json, rk_pg_str(res, i, 0), rk_pg_str(res, i, 1),
                           rk_pg_str(res, i, 2), rk_pg_str(res, i, 3), rk_pg_str(res, i, 4));
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
    write_provider(&c->json, rk_str(p.id), rk_str(rk_connector_kind_name(p.kind)), rk_str(p.name),
                   rk_str(p.issuer), rk_str(p.client_id));
    return 0;
}

int provider_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

static int read_body(struct call *c,
                     bool creates,
                     struct body *body,
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
    int r;

    r = read_body(c, true, &body, &in, err);
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
    int r;

    r = read_body(c, false, &body, &in, err);
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
    r = rk_connector_delete(c->pg, &c->actor, c->var[0], err);
    return r < 0 ? r : write_empty(c);
}
