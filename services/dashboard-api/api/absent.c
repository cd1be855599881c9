/*
 * The parts of the API whose features this server does not have: the reverse proxy. Clients list
 * them, so lists are empty; what would make one says why it can not, after the checks that its body
 * would meet anyway.
 */

#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

int absent_list(struct call *c, struct rk_err *err)
{
    (void)err;
    rk_json_array(&c->json, NULL);
    rk_json_array_end(&c->json);
    return 0;
}

/* === Reverse proxy === */

static int check_service(struct call *c, const char **out_domain, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    const char *name, *mode, *domain;
    const json_t *targets;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    name = body_str(&body, body.root, "name");
    mode = body_str(&body, body.root, "mode");
    domain = body_str(&body, body.root, "domain");
    targets = body_array(&body, body.root, "targets");
    r = body_check(&body, err);
    if (r < 0)
        return r;
    if (name[0] == '\0')
        return rk_fail(err, RK_INVALID, "service name is required");
    if (strlen(name) > 255)
        return rk_fail(err, RK_INVALID, "service name exceeds maximum length of 255 characters");
    if (json_array_size(targets) == 0)
        return rk_fail(err, RK_INVALID, "at least one target is required");
    if (mode[0] != '\0' && strcmp(mode, "http") != 0 && strcmp(mode, "tcp") != 0 &&
        strcmp(mode, "udp") != 0 && strcmp(mode, "tls") != 0)
        return rk_fail(err, RK_INVALID, "unsupported mode \"%.64s\"", mode);
    if (domain[0] == '\0')
        return rk_fail(err, RK_INVALID, "service domain is required");
    *out_domain = rk_arena_strdup(c->arena, domain);
    return 0;
}

int service_create(struct call *c, struct rk_err *err)
{
    const char *domain;
    int r = check_service(c, &domain, err);

    if (r < 0)
        return r;
    return rk_fail(err, RK_PRECONDITION,
                   "could not derive cluster from domain %.255s: no proxy clusters available",
                   domain);
}

int service_get(struct call *c, struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "failed to get service: service %s not found", c->var[0]);
}

int service_update(struct call *c, struct rk_err *err)
{
    const char *domain;
    int r = check_service(c, &domain, err);

    return r < 0 ? r : rk_fail(err, RK_NOT_FOUND, "service %s not found", c->var[0]);
}

int service_delete(struct call *c, struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "service %s not found", c->var[0]);
}

int proxy_domain_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    const char *domain, *cluster;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    domain = body_str(&body, body.root, "domain");
    cluster = body_str(&body, body.root, "target_cluster");
    r = body_check(&body, err);
    if (r < 0)
        return r;
    if (domain[0] == '\0')
        return rk_fail(err, RK_INVALID, "domain is required");
    return rk_fail(err, RK_INVALID, "target cluster %.255s is not available", cluster);
}

int proxy_domain_delete(struct call *c, struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "get domain from store: custom domain %s not found",
                   c->var[0]);
}

int proxy_domain_validate(struct call *c, struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "custom domain %s not found", c->var[0]);
}

int proxy_cluster_delete(struct call *c, struct rk_err *err)
{
    (void)c;
    return rk_fail(err, RK_NOT_FOUND, "cluster not found");
}

/* Whoever comes back from signing in for a service: there is none that could have sent them. */
int proxy_callback(struct call *c, struct rk_err *err)
{
    (void)err;
    c->status = 400;
    c->content_type = "text/plain; charset=utf-8";
    rk_buf_put_c(&c->out, "Invalid state parameter\n");
    return 0;
}

/* A number of the query; what is none is the default. */
static uint64_t number(struct call *c, const char *name, uint64_t usual, uint64_t max)
{
    const char *text = call_query(c, name);
    uint64_t n;

    if (!text || !rk_str_u64(rk_str(text), &n) || n < 1)
        return usual;
    return n < max ? n : max;
}

int proxy_events(struct call *c, struct rk_err *err)
{
    struct rk_json *j = &c->json;

    (void)err;
    rk_json_object(j, NULL);
    rk_json_array(j, "data");
    rk_json_array_end(j);
    rk_json_uint(j, "page", number(c, "page", 1, INT32_MAX));
    rk_json_uint(j, "page_size", number(c, "page_size", 50, 100));
    rk_json_uint(j, "total_records", 0);
    rk_json_uint(j, "total_pages", 0);
    rk_json_object_end(j);
    return 0;
}
