/* From an answered request to bytes on the wire: status, headers, body. */

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/http/answer.h"
#include "services/dashboard-api/http/server_int.h"
#include "services/dashboard-api/page/page.h"

static const char request_id[] = "X-Request-Id";

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    /* Refused only for a value with line breaks, which MHD does not hand us in a request header
     * either. */
    (void)MHD_add_response_header(response, name, value);
}

/* The methods of a path; none for one that is not ours. */
static void list_methods(struct rk_str path, struct rk_buf *out)
{
    static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };

    for (size_t i = 0; i < RK_COUNT(methods); i++) {
        struct rk_str vars[ROUTE_MAX_VARS];
        const struct route *route;

        if (route_find(rk_str(methods[i]), path, &route, vars) == ROUTE_FOUND) {
            rk_buf_put_c(out, out->n > 0 ? ", " : "");
            rk_buf_put_c(out, methods[i]);
        }
    }
    rk_buf_put(out, "", 1);
}

/* RFC 7644, 3.11 and 3.12: what a service does not do has a status of its own. */
static bool scim_lacks(const struct request *q, struct rk_str path)
{
    static const char *const all[] = { "Me", "Bulk" };
    static const char *const posted[] = { ".search", "Users/.search", "Groups/.search" };

    for (size_t i = 0; i < RK_COUNT(all); i++)
        if (rk_str_eq(path, rk_str(all[i])))
            return true;
    for (size_t i = 0; i < RK_COUNT(posted); i++)
        if (q->posted && rk_str_eq(path, rk_str(posted[i])))
            return true;
    return false;
}

static struct MHD_Response *make_scim_unknown(struct request *q, struct rk_str path)
{
    rk_auto(rk_buf_done) struct rk_buf body, methods;
    struct MHD_Response *response;
    const char *text = "there is no such resource";

    rk_buf_init(&body, 4096);
    rk_buf_init(&methods, 256);
    list_methods(q->path, &methods);
    q->status = 404;
    if (scim_lacks(q, path)) {
        q->status = 501;
        text = "this service does not do that";
    } else if (methods.n > 1) {
        q->status = 405;
        text = "this resource does not know that method";
    }
    answer_scim(q->status, text, &body);
    response = MHD_create_response_from_buffer(body.n, body.p, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return NULL;
    add(response, "Content-Type", answer_type(ROUTE_SCIM));
    if (q->status == 405)
        add(response, "Allow", (const char *)methods.p);
    return response;
}

static struct MHD_Response *make_unknown(struct request *q)
{
    static const char text[] = "404 page not found\n";
    struct MHD_Response *response;
    struct rk_str path = q->path, scim = RK_STR("/api/scim/v2/");

    if (rk_str_starts(path, scim))
        return make_scim_unknown(q, rk_strn(path.p + scim.n, path.n - scim.n));
    q->status = 404;
    response = MHD_create_response_from_buffer(sizeof(text) - 1, (void *)(uintptr_t)text,
                                               MHD_RESPMEM_PERSISTENT);
    add(response, "Content-Type", "text/plain; charset=utf-8");
    add(response, "X-Content-Type-Options", "nosniff");
    return response;
}

static struct MHD_Response *make_preflight(const struct request *q)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    static const char *const allowed[] = { "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE" };

    add(response, "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    add(response, "Access-Control-Allow-Origin", "*");
    for (size_t i = 0; i < RK_COUNT(allowed); i++)
        if (strcmp(allowed[i], q->wanted_method) == 0)
            add(response, "Access-Control-Allow-Methods", allowed[i]);
    if (q->wanted_headers)
        add(response, "Access-Control-Allow-Headers", q->wanted_headers);
    return response;
}

/* What goes on everything that a browser shows; nobody keeps it unless the handler says how long.
 */
static void add_page_headers(struct MHD_Response *response, const struct request *q)
{
    const char *name, *value;

    for (unsigned i = 0; page_header(i, q->call.scripted, &name, &value); i++)
        add(response, name, value);
    if (!MHD_get_response_header(response, "Cache-Control"))
        add(response, "Cache-Control", "no-store");
}

/* What the worker has said beside the body. */
static void add_worker_headers(struct MHD_Response *response, const struct request *q)
{
    const struct call *c = &q->call;
    char total[24];

    if (c->no_store)
        add(response, "Cache-Control", "no-store");
    for (unsigned i = 0; i < c->headers_n; i++)
        add(response, c->header[i].name, c->header[i].value);
    if (q->etag[0] != '\0') {
        add(response, "ETag", q->etag);
        /* Kept only to be asked about: nobody may show it without asking. */
        add(response, "Cache-Control", "private, no-cache");
    }
    if (c->paged) {
        snprintf(total, sizeof(total), "%llu", (unsigned long long)c->total);
        add(response, "X-Total-Count", total);
    }
    if (c->link[0] != '\0')
        add(response, "Link", c->link);
}

/* The bytes of a kept answer are lent to the response: q holds it until it has been completed. */
static struct MHD_Response *make_response(struct request *q, struct rk_buf *body)
{
    if (!q->kept || body != &q->call.out)
        return MHD_create_response_from_buffer(body->n, body->p, MHD_RESPMEM_MUST_FREE);
    if (q->status == 304)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer(q->kept->body_n, q->kept->body, MHD_RESPMEM_PERSISTENT);
}

/* The body moves from the request to the response. */
static struct MHD_Response *make_answer(struct request *q, struct rk_buf *body)
{
    enum route_kind kind = q->route ? q->route->kind : ROUTE_REST;
    const char *type = body == &q->call.out ? q->call.content_type : NULL;
    struct MHD_Response *response = make_response(q, body);

    if (!response)
        return NULL;
    if (body->n > 0 || (q->kept && q->status == 200))
        add(response, "Content-Type", type ? type : answer_type(kind));
    if (body == &q->call.out)
        add_worker_headers(response, q);
    if (kind == ROUTE_PAGE)
        add_page_headers(response, q);
    if (q->retry_after)
        add(response, "Retry-After", "1");
    *body = (struct rk_buf){ .max = body->max };
    if (q->has_origin && (kind == ROUTE_REST || kind == ROUTE_OAUTH)) {
        add(response, "Access-Control-Allow-Origin", "*");
        add(response, "Access-Control-Expose-Headers",
            "ETag, Link, Retry-After, X-Request-Id, X-Total-Count");
        add(response, "Vary", "Origin");
    }
    return response;
}

/* Nothing in it but its id is this request's own. */
static bool is_alike(const struct server *s, const struct request *q)
{
    return q->kept && q->status == 200 && !q->has_origin && !s->draining;
}

/* NULL when none is idle, or can be used. */
static struct MHD_Response *borrow(struct server *s, struct request *q)
{
    struct MHD_Response *r = is_alike(s, q) ? kept_lend(s->kept, q->kept) : NULL;
    const char *id = r ? MHD_get_response_header(r, request_id) : NULL;

    if (id)
        (void)MHD_del_response_header(r, request_id, id);
    return r;
}

/* The route and not the path, which may hold a secret, such as that of an invitation. */
static void tell(const struct request *q)
{
    struct rk_logctx ctx = { .trace = q->trace.id };

    if (q->call.remote_ip[0] != '\0')
        ctx.remote = q->call.remote_ip;
    rk_debug(&ctx, "%s %s: %u in %.1f ms", q->route ? q->route->method : "unknown",
             q->route ? q->route->path : "route", q->status,
             (double)(rk_mono_ns() - q->started_ns) / 1e6);
}

enum MHD_Result reply_queue(struct server *s, struct request *q, struct MHD_Connection *connection)
{
    struct MHD_Response *response;
    enum MHD_Result r;

    if (q->unknown) {
        response = make_unknown(q);
    } else if (q->preflight) {
        response = make_preflight(q);
        q->status = 204;
    } else {
        response = borrow(s, q);
        if (!response)
            response = make_answer(q, q->reply.n > 0 ? &q->reply : &q->call.out);
    }
    if (!response)
        return MHD_NO;
    if (!q->unknown)
        add(response, request_id, q->trace.id);
    if (s->draining)
        add(response, "Connection", "close");
    server_count(q);
    tell(q);
    s->queued = true;
    r = MHD_queue_response(connection, q->status, response);
    if (is_alike(s, q))
        q->lent = response;
    else
        MHD_destroy_response(response);
    return r;
}
