#include "libcommon/admin/admin.h"

/*
 * One request a connection. The connection lives until its socket and its timer have closed, the
 * server until its listener and its last connection have.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/admin/request.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/json.h"
#include "libcommon/base/list.h"
#include "libcommon/conf/addr.h"
#include "libcommon/obs/metrics.h"

#define MAX_CONDITIONS 8
#define MAX_NOTES 4
#define MAX_CONNECTIONS 64
#define MAX_RESPONSE ((size_t)4 * 1024 * 1024)
#define TIMEOUT_MS 5000

struct condition {
    const char *name;
    bool ok;
    char why[128];
};

struct note {
    const char *name;
    char text[384];
};

struct rk_admin {
    struct rk_loop *loop;
    uv_tcp_t listener;
    bool closing, listener_closed;
    struct rk_list connections;
    unsigned connection_count;
    char address[RK_ADDR_LEN];
    struct condition conditions[MAX_CONDITIONS];
    unsigned condition_count;
    struct note notes[MAX_NOTES];
    unsigned note_count;
    bool draining;
    void (*on_scrape)(void *arg);
    void *scrape_arg;
    unsigned max_connections;
    uint64_t timeout_ms;
};

struct connection {
    uv_tcp_t tcp;
    struct rk_timer timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct rk_list node;
    struct rk_admin *admin;
    unsigned open_handles;
    bool answered, eof;
    size_t n;
    struct rk_buf response;
    char in[RK_ADMIN_MAX_REQUEST];
};

static void free_when_done(struct rk_admin *a)
{
    if (a->closing && a->listener_closed && a->connection_count == 0)
        free(a);
}

static void handle_gone(struct connection *c)
{
    struct rk_admin *a = c->admin;

    if (--c->open_handles > 0)
        return;
    rk_list_remove(&c->node);
    rk_buf_done(&c->response);
    free(c);
    a->connection_count--;
    free_when_done(a);
}

static void on_tcp_closed(uv_handle_t *h)
{
    handle_gone(h->data);
}

static void on_timer_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct connection, timer));
}

static void connection_close(struct connection *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
    rk_timer_close(&c->timer, on_timer_closed);
}

static void on_timeout(struct rk_timer *t)
{
    connection_close(rk_container_of(t, struct connection, timer));
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct connection *c = req->handle->data;

    if (status < 0 || c->eof)
        connection_close(c);
    /* Else the client closes, or the timer does: closing now could destroy the answer if more input
     * is on its way. */
}

static void on_written(uv_write_t *req, int status)
{
    struct connection *c = req->handle->data;

    if (status < 0 || uv_is_closing((uv_handle_t *)&c->tcp) ||
        uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
        connection_close(c);
}

static const char *not_ready_because(const struct rk_admin *a, char *out, size_t size)
{
    if (a->draining)
        return "draining";
    if (a->condition_count == 0)
        return "starting";
    for (unsigned i = 0; i < a->condition_count; i++) {
        const struct condition *c = &a->conditions[i];

        if (c->ok)
            continue;
        (void)snprintf(out, size, "%s: %s", c->name, c->why);
        return out;
    }
    return NULL;
}

static void put_head(struct rk_buf *out, const char *status, const char *type, size_t n)
{
    rk_buf_printf(out,
                  "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                  "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n",
                  status, type, n, strncmp(status, "405", 3) == 0 ? "Allow: GET, HEAD\r\n" : "");
}

static void put_notes(const struct rk_admin *a, struct rk_json *j)
{
    bool any = false;

    for (unsigned i = 0; i < a->note_count; i++) {
        if (a->notes[i].text[0] == '\0')
            continue;
        if (!any)
            rk_json_object(j, "notes");
        any = true;
        rk_json_cstr(j, a->notes[i].name, a->notes[i].text);
    }
    if (any)
        rk_json_object_end(j);
}

static const char *readyz(const struct rk_admin *a, struct rk_buf *body)
{
    char text[256];
    const char *why = not_ready_because(a, text, sizeof(text));
    struct rk_json j;

    rk_json_init(&j, body);
    rk_json_object(&j, NULL);
    rk_json_bool(&j, "ready", !why);
    if (why)
        rk_json_cstr(&j, "reason", why);
    put_notes(a, &j);
    rk_json_object_end(&j);
    rk_buf_put_u8(body, '\n');
    return why ? "503 Service Unavailable" : "200 OK";
}

static void respond(struct connection *c, const struct rk_admin_request *req)
{
    rk_auto(rk_buf_done) struct rk_buf body;
    const char *type = "application/json";
    const char *status = "200 OK";
    bool head = req && rk_str_eq(req->method, RK_STR("HEAD"));
    uv_buf_t out;

    rk_buf_init(&body, MAX_RESPONSE / 2);
    if (!req) {
        status = "400 Bad Request";
    } else if (!head && !rk_str_eq(req->method, RK_STR("GET"))) {
        status = "405 Method Not Allowed";
    } else if (rk_str_eq(req->path, RK_STR("/livez"))) {
        rk_buf_put_c(&body, "{\"live\":true}\n");
    } else if (rk_str_eq(req->path, RK_STR("/readyz"))) {
        status = readyz(c->admin, &body);
    } else if (rk_str_eq(req->path, RK_STR("/metrics"))) {
        type = "text/plain; version=0.0.4; charset=utf-8";
        if (c->admin->on_scrape)
            c->admin->on_scrape(c->admin->scrape_arg);
        rk_metrics_print(&body);
    } else {
        status = "404 Not Found";
    }
    put_head(&c->response, status, type, body.n);
    if (!head)
        rk_buf_put_str(&c->response, rk_buf_str(&body));
    c->answered = true;
    out = uv_buf_init((char *)c->response.p, (unsigned)c->response.n);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &out, 1, on_written) < 0)
        connection_close(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    struct connection *c = h->data;

    (void)suggested;
    /* After the answer, what still arrives is read over the request and forgotten. */
    *out = c->answered ? uv_buf_init(c->in, sizeof(c->in))
                       : uv_buf_init(c->in + c->n, (unsigned)(sizeof(c->in) - c->n));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    struct rk_admin_request req;

    (void)buf;
    if (nread == 0)
        return;
    if (nread < 0) {
        /* A client that half-closes after its request still gets the answer. */
        c->eof = true;
        if (nread != UV_EOF || !c->answered || uv_stream_get_write_queue_size(stream) == 0)
            connection_close(c);
        return;
    }
    if (c->answered)
        return;
    c->n += (size_t)nread;
    switch (rk_admin_request_parse(rk_strn(c->in, c->n), &req)) {
    case RK_ADMIN_MORE:
        if (c->n == sizeof(c->in))
            respond(c, NULL);
        break;
    case RK_ADMIN_READY:
        respond(c, &req);
        break;
    case RK_ADMIN_BAD:
        respond(c, NULL);
        break;
    }
}

/* Whoever holds connections and says nothing must not keep a health check out: the oldest goes. */
static void make_room(struct rk_admin *a)
{
    struct rk_list *n, *tmp;

    if (a->connection_count < a->max_connections)
        return;
    rk_list_each(&a->connections, n, tmp)
    {
        struct connection *c = rk_list_entry(n, struct connection, node);

        if (uv_is_closing((uv_handle_t *)&c->tcp))
            continue;
        connection_close(c);
        return;
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct rk_admin *a = server->data;
    struct connection *c;

    if (status < 0)
        return;
    make_room(a);
    c = rk_new(struct connection);
    c->admin = a;
    c->open_handles = 2;
    rk_buf_init(&c->response, MAX_RESPONSE);
    rk_list_append(&a->connections, &c->node);
    a->connection_count++;
    (void)uv_tcp_init(server->loop, &c->tcp);
    c->tcp.data = c;
    rk_timer_init(a->loop, &c->timer, on_timeout);
    if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0) {
        connection_close(c);
        return;
    }
    rk_timer_start(&c->timer, a->timeout_ms, 0);
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
        connection_close(c);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct rk_admin *a = h->data;

    a->listener_closed = true;
    free_when_done(a);
}

int rk_admin_new(struct rk_loop *l, const char *listen, struct rk_admin **out, struct rk_err *err)
{
    struct sockaddr_storage bound;
    int len = sizeof(bound), r;
    struct rk_admin *a;
    struct rk_addr addr;

    r = rk_addr_parse(rk_str(listen), &addr, err);
    if (r < 0)
        return r;
    a = rk_new(struct rk_admin);
    a->loop = l;
    a->max_connections = MAX_CONNECTIONS;
    a->timeout_ms = TIMEOUT_MS;
    rk_list_init(&a->connections);
    (void)uv_tcp_init(rk_loop_uv(l), &a->listener);
    a->listener.data = a;
    r = uv_tcp_bind(&a->listener, (struct sockaddr *)&addr.ss, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&a->listener, 64, on_connection);
    if (r == 0)
        r = uv_tcp_getsockname(&a->listener, (struct sockaddr *)&bound, &len);
    if (r < 0) {
        rk_admin_close(a);
        return rk_fail(err, RK_UNAVAILABLE, "admin port %s: %s", listen, uv_strerror(r));
    }
    rk_addr_format((struct sockaddr *)&bound, a->address);
    *out = a;
    return 0;
}

void rk_admin_close(struct rk_admin *a)
{
    struct rk_list *n, *tmp;

    if (!a || a->closing)
        return;
    a->closing = true;
    uv_close((uv_handle_t *)&a->listener, on_listener_closed);
    rk_list_each(&a->connections, n, tmp)
        connection_close(rk_list_entry(n, struct connection, node));
}

const char *rk_admin_address(const struct rk_admin *a)
{
    return a->address;
}

void rk_admin_ready(struct rk_admin *a, const char *name, bool ok, const char *why)
{
    struct condition *c = NULL;

    for (unsigned i = 0; i < a->condition_count && !c; i++)
        if (strcmp(a->conditions[i].name, name) == 0)
            c = &a->conditions[i];
    if (!c) {
        if (a->condition_count == MAX_CONDITIONS)
            abort(); /* our own mistake: the set of conditions is fixed in the code */
        c = &a->conditions[a->condition_count++];
        c->name = name;
    }
    c->ok = ok;
    (void)snprintf(c->why, sizeof(c->why), "%s", why ? why : "not ready");
}

void rk_admin_note(struct rk_admin *a, const char *name, const char *text)
{
    struct note *n = NULL;

    for (unsigned i = 0; i < a->note_count && !n; i++)
        if (strcmp(a->notes[i].name, name) == 0)
            n = &a->notes[i];
    if (!n) {
        if (a->note_count == MAX_NOTES)
            abort(); /* our own mistake, as above */
        n = &a->notes[a->note_count++];
        n->name = name;
    }
    (void)snprintf(n->text, sizeof(n->text), "%s", text);
}

void rk_admin_draining(struct rk_admin *a)
{
    a->draining = true;
}

void rk_admin_limit(struct rk_admin *a, unsigned max_connections, uint64_t timeout_ms)
{
    a->max_connections = max_connections;
    a->timeout_ms = timeout_ms;
}

void rk_admin_on_scrape(struct rk_admin *a, void (*on_scrape)(void *arg), void *arg)
{
    a->on_scrape = on_scrape;
    a->scrape_arg = arg;
}
