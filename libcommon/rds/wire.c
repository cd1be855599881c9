/*
 * Bytes go by net/conn, which knows TLS; hiredis reads the protocol. A host's name is looked up by
 * libuv's threads, and of several addresses one is taken by chance: whoever dials again soon has
 * another.
 */

#include "libcommon/rds/wire.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/id.h"
#include "libcommon/conf/addr.h"
#include "libcommon/net/conn.h"

#define HOST_MAX 256

struct question {
    struct rk_list node;
    wire_reply_fn *on_reply;
    void *arg;
};

struct wire {
    struct rk_loop *loop;
    const struct wire_door *door;
    const struct wire_ops *ops;
    void *arg;
    struct rk_conn *conn; /* NULL before it is dialled */
    uv_getaddrinfo_t lookup;
    char host[HOST_MAX];
    char port[8];
    redisReader *reader;
    struct rk_list questions;
    struct rk_task failed; /* before there was a connection */
    char why[160];
    bool looking_up;
    bool closed; /* by its owner, who hears no more than on_freed */
};

/* === Address === */

struct place {
    struct rk_str host, port; /* or the path, and no port */
    bool unix_path;
};

static bool place_of(struct rk_str address, struct place *out)
{
    const char *colon = address.n ? memrchr(address.p, ':', address.n) : NULL;
    struct rk_str host;
    uint64_t port;

    if (rk_str_starts(address, RK_STR("unix:"))) {
        *out = (struct place){ .host = rk_strn(address.p + 5, address.n - 5), .unix_path = true };
        return out->host.n > 0;
    }
    if (!colon)
        return false;
    host = rk_strn(address.p, (size_t)(colon - address.p));
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = rk_strn(host.p + 1, host.n - 2);
    else if (memchr(host.p, ':', host.n) || memchr(host.p, ' ', host.n))
        return false;
    *out =
        (struct place){ .host = host,
                        .port = rk_strn(colon + 1, (size_t)(address.p + address.n - colon - 1)) };
    return host.n > 0 && host.n < HOST_MAX && out->port.n < 6 && rk_str_u64(out->port, &port) &&
           port > 0 && port < 65536;
}

bool wire_address_ok(struct rk_str address)
{
    struct place place;
    struct rk_addr addr;

    return place_of(address, &place) && (!place.unix_path || rk_addr_unix(place.host, &addr) == 0);
}

/* === End === */

static void wire_free(struct wire *w)
{
    w->ops->on_freed(w->arg);
    redisReaderFree(w->reader);
    free(w);
}

static void answer_all(struct wire *w)
{
    while (!rk_list_empty(&w->questions)) {
        struct question *q = rk_list_entry(w->questions.next, struct question, node);

        rk_list_remove(&q->node);
        q->on_reply(NULL, q->arg);
        free(q);
    }
}

static void lost(struct wire *w, const char *why)
{
    if (!w->closed) {
        w->ops->on_lost(why, w->arg);
        answer_all(w);
    }
    wire_free(w);
}

static void run_failed(struct rk_task *t)
{
    struct wire *w = rk_container_of(t, struct wire, failed);

    lost(w, w->why);
}

/* There is no connection whose end would be told. */
static void fail(struct wire *w, const char *why)
{
    (void)snprintf(w->why, sizeof(w->why), "%.*s", (int)sizeof(w->why) - 1, why);
    rk_loop_defer(w->loop, &w->failed);
}

void wire_close(struct wire *w)
{
    if (!w || w->closed)
        return;
    w->closed = true;
    answer_all(w);
    if (w->conn)
        rk_conn_close(w->conn, "closed");
    else if (w->looking_up)
        (void)uv_cancel((uv_req_t *)&w->lookup);
}

/* === Talk === */

static void put(struct wire *w, const struct rk_str *argv, size_t argc)
{
    char head[32];

    rk_conn_write(w->conn, head, (size_t)snprintf(head, sizeof(head), "*%zu\r\n", argc));
    for (size_t i = 0; i < argc; i++) {
        rk_conn_write(w->conn, head, (size_t)snprintf(head, sizeof(head), "$%zu\r\n", argv[i].n));
        rk_conn_write(w->conn, argv[i].p, argv[i].n);
        rk_conn_write(w->conn, "\r\n", 2);
    }
}

void wire_ask(
    struct wire *w, const struct rk_str *argv, size_t argc, wire_reply_fn *on_reply, void *arg)
{
    struct question *q = rk_new(struct question);

    q->on_reply = on_reply;
    q->arg = arg;
    rk_list_append(&w->questions, &q->node);
    put(w, argv, argc);
}

void wire_tell(struct wire *w, const struct rk_str *argv, size_t argc)
{
    put(w, argv, argc);
}

static void dispatch(struct wire *w, const redisReply *said)
{
    struct question *q;

    if (rk_list_empty(&w->questions)) {
        w->ops->on_push(said, w->arg);
        return;
    }
    q = rk_list_entry(w->questions.next, struct question, node);
    rk_list_remove(&q->node);
    q->on_reply(said, q->arg);
    free(q);
}

static void on_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct wire *w = arg;
    void *said = NULL;

    if (redisReaderFeed(w->reader, (const char *)p, n) != REDIS_OK) {
        rk_conn_close(c, w->reader->errstr);
        return;
    }
    while (!w->closed) {
        if (redisReaderGetReply(w->reader, &said) != REDIS_OK) {
            rk_conn_close(c, w->reader->errstr);
            return;
        }
        if (!said)
            return;
        dispatch(w, said);
        freeReplyObject(said);
    }
}

static void on_let_in(const redisReply *said, void *arg)
{
    struct wire *w = arg;

    if (!said)
        return;
    if (said->type == REDIS_REPLY_ERROR)
        rk_conn_close(w->conn, said->str);
    else
        w->ops->on_ready(w->arg);
}

static void on_open(struct rk_conn *c, void *arg)
{
    struct wire *w = arg;
    const struct wire_door *d = w->door;
    bool user = d->user && *d->user;

    (void)c;
    if (!d->password || !*d->password)
        w->ops->on_ready(w->arg);
    else if (user)
        wire_ask(w, (const struct rk_str[]){ RK_STR("AUTH"), rk_str(d->user), rk_str(d->password) },
                 3, on_let_in, w);
    else
        wire_ask(w, (const struct rk_str[]){ RK_STR("AUTH"), rk_str(d->password) }, 2, on_let_in,
                 w);
}

static void on_closed(struct rk_conn *c, const char *why, void *arg)
{
    (void)c;
    lost(arg, why);
}

/* === Dial === */

/* Made for each connection: files that were replaced meanwhile count, and a lost Redis is rare. */
static int
door_tls(const struct wire_door *d, struct rk_loop *l, struct rk_tls **out, struct rk_err *err)
{
    struct rk_tls *tls;
    int r = rk_tls_client_new(l, d->ca_file && *d->ca_file ? d->ca_file : NULL, NULL, &tls, err);

    if (r == 0 && d->cert_file && *d->cert_file) {
        r = rk_tls_client_show(tls, d->cert_file, d->key_file, err);
        if (r < 0)
            rk_tls_free(tls);
    }
    if (r == 0)
        *out = tls;
    return r;
}

int wire_door_check(const struct wire_door *door, struct rk_err *err)
{
    struct rk_tls *tls = NULL;
    int r = door_tls(door, NULL, &tls, err);

    rk_tls_free(tls);
    return r;
}

static void connect_to(struct wire *w, const struct rk_addr *addr)
{
    static const struct rk_conn_ops ops = { .on_open = on_open,
                                            .on_read = on_read,
                                            .on_closed = on_closed };
    struct rk_tls *tls = NULL;
    struct rk_err err = { 0 };
    int r = w->door->tls ? door_tls(w->door, w->loop, &tls, &err) : 0;

    if (r == 0)
        r = rk_conn_connect(w->loop, addr, tls, w->host, &ops, w, &w->conn, &err);
    rk_tls_free(tls); /* the connection keeps what it needs */
    if (r < 0)
        fail(w, err.msg);
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct wire *w = req->data;
    const struct addrinfo *one = found;
    struct rk_addr addr = { .len = 0 };
    unsigned n = 0;

    w->looking_up = false;
    if (w->closed || status < 0) {
        snprintf(w->why, sizeof(w->why), "%.100s: %s", w->host, uv_strerror(status));
        uv_freeaddrinfo(found);
        lost(w, w->why);
        return;
    }
    for (; one; one = one->ai_next)
        n++;
    one = found;
    for (n = (unsigned)rk_random_below(n); n > 0; n--)
        one = one->ai_next;
    memcpy(&addr.ss, one->ai_addr, one->ai_addrlen);
    addr.len = one->ai_addrlen;
    uv_freeaddrinfo(found);
    connect_to(w, &addr);
}

static void look_up(struct wire *w)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    int r;

    w->lookup.data = w;
    r = uv_getaddrinfo(rk_loop_uv(w->loop), &w->lookup, on_found, w->host, w->port, &hints);
    w->looking_up = r == 0;
    if (r < 0)
        fail(w, uv_strerror(r));
}

struct wire *wire_dial(struct rk_loop *l,
                       const char *address,
                       const struct wire_door *door,
                       const struct wire_ops *ops,
                       void *arg)
{
    struct wire *w = rk_new(struct wire);
    struct place place;
    struct rk_addr addr;

    *w = (struct wire){ .loop = l, .door = door, .ops = ops, .arg = arg };
    w->failed.run = run_failed;
    rk_list_init(&w->questions);
    w->reader = redisReaderCreate();
    if (!w->reader)
        abort(); /* memory is out */
    if (!place_of(rk_str(address), &place)) {
        fail(w, "neither unix:/path nor host:port");
        return w;
    }
    if (place.unix_path) {
        if (rk_addr_unix(place.host, &addr) == 0)
            connect_to(w, &addr);
        else
            fail(w, "the path is too long");
        return w;
    }
    (void)rk_str_copy(place.host, w->host, sizeof(w->host));
    (void)rk_str_copy(place.port, w->port, sizeof(w->port));
    if (rk_addr_parse(rk_str(address), &addr, NULL) == 0)
        connect_to(w, &addr);
    else
        look_up(w);
    return w;
}
