/* See request.h. */

#include "services/dashboard-api/http/request.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/auth/caller.h"
#include "services/dashboard-api/http/answer.h"
#include "services/dashboard-api/http/precondition.h"
#include "services/dashboard-api/http/server_int.h"

#define MAX_ARENA ((size_t)512 << 20)
#define MAX_REPLY 4096
#define MAX_ATTEMPTS 5

struct request *request_new(struct server *s, const char *uri)
{
    struct request *q = rk_new(struct request);
    struct rk_str rest;

    q->server = s;
    q->started_ns = rk_mono_ns();
    q->arena = rk_arena_new(MAX_ARENA);
    rk_list_init(&q->node);
    q->uri = rk_arena_strdup(q->arena, uri);
    rest = rk_str(q->uri);
    (void)rk_str_next(&rest, '?', &q->path);
    q->query = rest;
    rk_buf_init(&q->body, ROUTE_MAX_BODY);
    rk_buf_init(&q->reply, MAX_REPLY);
    rk_buf_init(&q->call.out, CALL_MAX_OUT);
    return q;
}

void request_drop_body(struct request *q)
{
    q->server->bodies -= q->body.cap;
    rk_buf_done(&q->body);
}

void request_free(struct request *q)
{
    if (!q)
        return;
    rk_list_remove(&q->node);
    request_drop_body(q);
    rk_buf_done(&q->reply);
    rk_buf_done(&q->call.out);
    kept_answer_unref(q->kept);
    rk_arena_free(q->arena);
    rk_free(q);
}

/* A list that was asked for in part. */
static int take_page(struct call *c, struct rk_err *err)
{
    int r;

    if (c->query.n == 0)
        return 0;
    if (!c->paged) {
        if (c->out.n == 0 || c->out.p[0] != '[')
            return 0;
        r = call_page(c, err);
        if (r < 0 || !c->page.asked)
            return r;
        r = page_apply(&c->page, c->arena, &c->out, &c->total, err);
        if (r < 0)
            return r;
        c->paged = true;
    }
    c->link = page_link(&c->page, c->query, c->total, c->arena);
    return 0;
}

static int attempt(struct request *q, struct rk_err *err)
{
    struct call *c = &q->call;
    int r;

    rk_buf_clear(&c->out);
    c->out.overflow = false;
    rk_json_init(&c->json, &c->out);
    c->status = 0;
    c->content_type = NULL;
    c->no_store = false;
    c->scripted = false;
    c->headers_n = 0;
    c->bell = (struct rk_bell){ .serial = 0 };
    c->job_bell = (struct job_bell){ .peer_id = "" };
    c->paged = false;
    c->link = "";
    if (q->route->kind == ROUTE_REST && !q->route->is_public) {
        r = caller_load(c, err);
        if (r != 0)
            return r;
        r = caller_permit(c, err);
        if (r < 0)
            return r;
    }
    precondition_set(q);
    r = q->route->handler(c, err);
    precondition_clear(q);
    call_ahead_done(c);
    if (r == 0 && q->route->kind == ROUTE_REST) {
        r = take_page(c, err);
        rk_buf_put_c(&c->out, "\n");
    }
    if (r != 0)
        return r;
    if (c->out.overflow)
        return rk_fail(err, RK_INTERNAL, "answer is larger than %zu bytes", CALL_MAX_OUT);
    return 0;
}

/* What is read has a tag, and is not sent again to who has it. */
static void tag(struct request *q)
{
    etag_of(rk_buf_str(&q->call.out), q->etag);
    if (q->version[0] != '\0')
        return; /* kept whole; the loop looks who has it */
    if (!q->if_none_match || !etag_listed(rk_str(q->if_none_match), q->etag, true))
        return;
    rk_buf_clear(&q->call.out);
    q->worker_status = 304;
}

void request_refuse(struct request *q, struct rk_err *err)
{
    struct call *c = &q->call;

    if (err->code == RK_INTERNAL)
        rk_error(NULL, "%s %s: %s", q->route->method, q->route->path, err->msg);
    c->content_type = NULL;
    c->no_store = false;
    c->scripted = false;
    c->headers_n = 0;
    c->paged = false;
    c->link = "";
    q->moves = false;
    q->worker_status = answer_error(q->route->kind, err, c->head.accept_language, &c->out);
}

void request_serve(struct request *q, struct rk_pg *pg)
{
    struct call *c = &q->call;
    struct rk_err err = { 0 };
    unsigned attempts = 0;
    int r;

    q->moves = false;
    c->pg = pg;
    c->arena = q->arena;
    c->route = q->route;
    c->query = q->query;
    c->body = rk_buf_str(&q->body);
    c->token = q->token;
    for (size_t i = 0; i < ROUTE_MAX_VARS; i++)
        c->var[i] = route_text(q->arena, q->vars[i], false);
    do {
        err = (struct rk_err){ 0 };
        r = attempt(q, &err);
    } while (r == RK_CONFLICT && ++attempts < MAX_ATTEMPTS);
    if (r == CALL_MOVE) {
        q->moves = true;
        return;
    }
    if (r == 0) {
        q->worker_status = c->status ? c->status : 200;
        if (q->route->kind == ROUTE_REST && !q->route->writes && !c->no_store)
            tag(q);
        return;
    }
    err.code = r;
    request_refuse(q, &err);
}

void request_fail(struct request *q, int code, const char *message)
{
    struct rk_err err = { .code = code };

    (void)rk_str_copy(rk_str(message), err.msg, sizeof(err.msg));
    q->status = answer_error(q->route ? q->route->kind : ROUTE_REST, &err,
                             q->call.head.accept_language, &q->reply);
    q->retry_after = code == RK_UNAVAILABLE;
    q->state = REQUEST_ANSWERED;
}
