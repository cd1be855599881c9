#pragma once

/* A server and clients in one loop, on loopback sockets. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/client.h"
#include "libcommon/grpc/server.h"
#include "tests/support/test.h"

struct fixture {
    struct rk_loop *loop;
    struct rk_grpc_server *server;
    struct rk_addr addr;
    bool server_closed;
    /* what the methods saw */
    unsigned started, messages, half_closes, gone, gone_finished, writable;
    size_t last_size;
    struct rk_grpc_call *held; /* of Hold */
    struct rk_grpc_call *feed; /* of Feed */
    char remote[128];
};

/* What a client's call saw. */
struct seen {
    bool headers, done;
    int status;
    char message[256];
    unsigned messages;
    size_t bytes;
    bool wrong; /* a message whose bytes are not its first byte repeated */
    char registered[64];
    struct rk_buf last;
};

struct guard {
    uv_timer_t timer;
    bool fired;
};

static RK_UNUSED void guard_fired(uv_timer_t *t)
{
    struct guard *g = t->data;

    g->fired = true;
}

/* Turns the loop until `cond`; fails after 20 s. */
#define UNTIL(f, cond)                                                                             \
    do {                                                                                           \
        struct guard *guard_ = rk_new(struct guard);                                               \
        uv_timer_init(rk_loop_uv((f)->loop), &guard_->timer);                                      \
        guard_->timer.data = guard_;                                                               \
        uv_timer_start(&guard_->timer, guard_fired, 20000, 0);                                     \
        while (!(cond) && !guard_->fired)                                                          \
            uv_run(rk_loop_uv((f)->loop), UV_RUN_ONCE);                                            \
        bool late_ = guard_->fired;                                                                \
        uv_close((uv_handle_t *)&guard_->timer, guard_free);                                       \
        uv_run(rk_loop_uv((f)->loop), UV_RUN_NOWAIT);                                              \
        if (late_)                                                                                 \
            fail_msg("never: %s", #cond);                                                          \
    } while (0)

static RK_UNUSED void guard_free(uv_handle_t *h)
{
    free(h->data);
}

static RK_UNUSED void seen_headers(struct rk_grpc_client_call *c, void *arg)
{
    struct seen *s = arg;

    s->headers = true;
    (void)rk_str_copy(rk_grpc_call_header(c, "x-registered"), s->registered, sizeof(s->registered));
}

static RK_UNUSED void seen_message(struct rk_grpc_client_call *c, struct rk_str msg, void *arg)
{
    struct seen *s = arg;

    (void)c;
    s->messages++;
    s->bytes += msg.n;
    for (size_t i = 1; i < msg.n; i++)
        s->wrong |= msg.p[i] != msg.p[0];
    rk_buf_clear(&s->last);
    if (msg.n <= 256)
        rk_buf_put_str(&s->last, msg);
}

static RK_UNUSED void
seen_done(struct rk_grpc_client_call *c, int status, const char *message, void *arg)
{
    struct seen *s = arg;

    (void)c;
    s->done = true;
    s->status = status;
    snprintf(s->message, sizeof(s->message), "%s", message);
}

static RK_UNUSED const struct rk_grpc_client_ops seen_ops = { seen_headers, seen_message,
                                                              seen_done };

static RK_UNUSED void seen_init(struct seen *s)
{
    *s = (struct seen){ .status = -1 };
    rk_buf_init(&s->last, 4096);
}

/* --- methods --- */

static void count_start(struct rk_grpc_call *c, void *arg)
{
    struct fixture *f = arg;

    f->started++;
    snprintf(f->remote, sizeof(f->remote), "%s", rk_grpc_remote(c));
}

static void count_gone(struct rk_grpc_call *c, bool finished, void *arg)
{
    struct fixture *f = arg;

    f->gone++;
    f->gone_finished += finished;
    if (f->held == c)
        f->held = NULL;
    if (f->feed == c)
        f->feed = NULL;
}

static void echo(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct fixture *f = arg;

    f->messages++;
    f->last_size = msg.n;
    rk_grpc_send(c, msg);
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static void refuse(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    (void)msg;
    (void)arg;
    rk_grpc_finish(c, RK_GRPC_PERMISSION_DENIED, "no: 100% \xc3\xa4");
}

static void hold(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct fixture *f = arg;

    (void)msg;
    f->messages++;
    f->held = c;
}

static void feed_start(struct rk_grpc_call *c, void *arg)
{
    struct fixture *f = arg;
    struct rk_str key = rk_grpc_header(c, "x-peer-id");
    char text[64];

    count_start(c, arg);
    if (!key.p) {
        rk_grpc_finish(c, RK_GRPC_FAILED_PRECONDITION, "missing connection header: x-peer-id");
        return;
    }
    assert_true(rk_str_copy(key, text, sizeof(text)));
    f->feed = c;
    rk_grpc_send_headers(c, "x-registered", text);
}

static void chat_message(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct fixture *f = arg;

    f->messages++;
    f->last_size = msg.n;
    assert_int_equal((uint8_t)msg.p[-5], 0); /* the frame's head stands before it */
    assert_int_equal((uint8_t)msg.p[-1], msg.n & 0xff);
    rk_grpc_send(c, msg);
}

static void chat_half_close(struct rk_grpc_call *c, void *arg)
{
    struct fixture *f = arg;

    f->half_closes++;
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static void count_writable(struct rk_grpc_call *c, void *arg)
{
    struct fixture *f = arg;

    (void)c;
    f->writable++;
}

#define MAX_IN (4u * 1024 * 1024)

static const struct rk_grpc_method methods[] = {
    { "/t.T/Echo", MAX_IN, false, count_start, echo, NULL, NULL, count_gone },
    { "/t.T/Small", 64, false, count_start, echo, NULL, NULL, count_gone },
    { "/t.T/Refuse", 64, false, count_start, refuse, NULL, NULL, count_gone },
    { "/t.T/Hold", 64, false, count_start, hold, NULL, NULL, count_gone },
    { "/t.T/Feed", 64, true, feed_start, NULL, NULL, count_writable, count_gone },
    { "/t.T/Chat", MAX_IN, true, count_start, chat_message, chat_half_close, NULL, count_gone },
};

/* --- fixture --- */

static void fixture_server_closed(void *arg)
{
    struct fixture *f = arg;

    f->server_closed = true;
}

/* The methods are those above, whatever `cfg` says. */
static RK_UNUSED void fixture_serve(struct fixture *f, struct rk_grpc_server_config cfg)
{
    struct rk_addr any;
    struct rk_err err = { 0 };

    cfg.methods = methods;
    cfg.count = RK_COUNT(methods);
    cfg.arg = f;
    assert_int_equal(rk_addr_parse(RK_STR("127.0.0.1:0"), &any, &err), 0);
    if (rk_grpc_server_new(f->loop, &any, &cfg, &f->server, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(rk_addr_parse(rk_str(rk_grpc_server_address(f->server)), &f->addr, &err), 0);
}

static RK_UNUSED void
fixture_init(struct fixture *f, struct rk_tls *tls, const struct rk_cidrs *trusted)
{
    fixture_serve(f, (struct rk_grpc_server_config){ .tls = tls, .trusted_proxies = trusted });
}

static RK_UNUSED int fixture_setup(void **state)
{
    struct fixture *f = rk_new(struct fixture);

    f->loop = rk_loop_new();
    fixture_init(f, NULL, NULL);
    *state = f;
    return 0;
}

static RK_UNUSED int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    rk_grpc_server_close(f->server, fixture_server_closed, f);
    UNTIL(f, f->server_closed);
    rk_loop_free(f->loop);
    free(f);
    return 0;
}

/* --- clients --- */

struct client {
    struct rk_grpc_client *c;
    bool closed;
    char why[256];
};

static RK_UNUSED void client_closed(struct rk_grpc_client *c, const char *why, void *arg)
{
    struct client *cl = arg;

    (void)c;
    cl->closed = true;
    snprintf(cl->why, sizeof(cl->why), "%s", why);
}

static RK_UNUSED void client_open(struct fixture *f, struct client *cl, struct rk_tls *tls)
{
    struct rk_err err = { 0 };

    *cl = (struct client){ 0 };
    if (rk_grpc_client_new(f->loop, &f->addr, tls, "localhost:1", client_closed, cl, &cl->c, &err) <
        0)
        fail_msg("%s", err.msg);
}

static RK_UNUSED void client_close(struct fixture *f, struct client *cl)
{
    if (!cl->closed)
        rk_grpc_client_close(cl->c);
    UNTIL(f, cl->closed);
}

static RK_UNUSED char *pattern(size_t n, char fill)
{
    char *p = rk_alloc(n + 1);

    memset(p, fill, n);
    return p;
}
