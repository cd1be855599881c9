#pragma once

/*
 * Sync streams of management without sockets or databases: an account's hub, its peers' streams on
 * HTTP/2 connections of their own, and what came out of them. A stream's socket takes everything
 * until it is shut; then bytes stay in the stream, as with an agent that does not read.
 */

#include <arpa/inet.h>

#include "libcommon/base/alloc.h"
#include "libcommon/grpc/call_int.h"
#include "services/management/app.h"
#include "services/management/edges/edges.h"
#include "services/management/fanout/makers.h"
#include "services/management/fanout/session.h"
#include "services/management/hub/hub.h"
#include "services/management/metrics.h"
#include "services/management/rpc/known.h"
#include "services/management/rpc/methods.h"
#include "tests/support/h2.h"

struct streams;

struct stream {
    struct streams *all;
    struct rk_grpc_link link;
    struct rk_grpc_call *call; /* NULL: gone */
    struct rk_task flush;
    bool flushing;
    bool shut;
    size_t index;
    uint8_t key[RK_KEY_LEN]; /* its peer's */
    struct rk_buf out;       /* what its socket took, when streams.keep */
};

struct streams {
    struct config cfg;
    struct app app;
    struct rk_grpc_core core;
    struct rk_buf opening;
    struct sockaddr_in sa;
    struct hub *hub;
    struct stream *v;
    size_t n;
    size_t opened; /* the one whose stream begins */
    bool keep;
};

static void stream_write(void *arg, const void *p, size_t n)
{
    struct stream *st = arg;

    if (st->all->keep)
        rk_buf_put(&st->out, p, n);
}

static size_t stream_queued(void *arg)
{
    struct stream *st = arg;

    return st->shut ? RK_H2_OUT_HIGH : 0;
}

static void stream_flush(struct rk_task *t)
{
    struct stream *st = rk_container_of(t, struct stream, flush);
    struct rk_err err;

    st->flushing = false;
    if (st->link.h2 && rk_h2_flush(st->link.h2, &err) < 0)
        abort();
}

static void stream_want_flush(void *arg)
{
    struct stream *st = arg;

    if (st->flushing)
        return;
    st->flushing = true;
    st->flush.run = stream_flush;
    rk_loop_defer(st->all->app.loop, &st->flush);
}

static void stream_begins(struct rk_grpc_call *c, void *arg)
{
    struct streams *t = rk_container_of(arg, struct streams, app);
    struct stream *st = &t->v[t->opened];
    struct rk_box box;
    struct session *s;

    if (!rk_box_init(&box, &t->app.key, st->key))
        abort();
    s = session_new(&t->app, c, st->key, &box);
    rk_grpc_set_data(c, s);
    st->call = c;
    hub_attach(t->hub, s, st->index);
}

static void stream_gone(struct rk_grpc_call *c, bool finished, void *arg)
{
    struct streams *t = rk_container_of(arg, struct streams, app);

    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].call == c)
            t->v[i].call = NULL;
    rpc_gone(c, finished, arg);
}

static const struct rk_grpc_method stream_methods[] = {
    { "/Sync", 4096, true, stream_begins, NULL, NULL, rpc_sync_writable, stream_gone },
};

/* Preface, windows that never end, one request. */
static void streams_opening(struct rk_buf *b)
{
    static const uint8_t settings[] = { 0, 4, 0x7f, 0xff, 0xff, 0xff };
    static const uint8_t window[] = { 0x7f, 0xff, 0, 0 };

    rk_buf_init(b, 4096);
    rk_buf_put_c(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(b, 4, 0, 0, settings, sizeof(settings));
    frame(b, 8, 0, 0, window, sizeof(window));
    request(b, 1, "POST", "/Sync", "application/grpc");
}

static RK_UNUSED void stream_open(struct streams *t, size_t i, size_t index)
{
    struct stream *st = &t->v[i];
    struct rk_err err;

    st->all = t;
    st->index = index;
    rk_buf_done(&st->out);
    rk_buf_init(&st->out, 64 << 20);
    memcpy(st->key, rk_snapshot_peer(t->hub->snap, index)->key, RK_KEY_LEN);
    st->link.sa = (const struct sockaddr *)&t->sa;
    st->link.remote = "127.0.0.1:1";
    st->link.write = stream_write;
    st->link.queued = stream_queued;
    st->link.want_flush = stream_want_flush;
    st->link.io = st;
    rk_grpc_link_init(&st->link, &t->core);
    t->opened = i;
    if (rk_h2_feed(st->link.h2, t->opening.p, t->opening.n, &err) < 0 || !st->call)
        abort();
}

/* The agent is gone. */
static RK_UNUSED void stream_close(struct stream *st)
{
    if (st->link.h2)
        rk_grpc_link_done(&st->link);
}

/* A stream for each peer of the account, whose maps that many makers make. */
static RK_UNUSED void
streams_open(struct streams *t, struct rk_snapshot *snap, unsigned threads, size_t batch_bytes)
{
    struct app *a = &t->app;

    *t = (struct streams){ .sa = { .sin_family = AF_INET } };
    t->cfg.signal_url = (char *)(uintptr_t) "http://signal.test:80";
    a->cfg = &t->cfg;
    a->loop = rk_loop_new();
    a->hubs = rk_map_new();
    a->known = rk_map_new();
    rk_list_init(&a->relay_refresh);
    rk_buf_init(&a->scratch, ORDER_BYTES_MAX);
    digest_key_new(&a->digest_key);
    rk_keypair_new(&a->key);
    rk_key_format(a->key.public_key, a->key_b64);
    a->edges = edges_new(a);
    a->makers = makers_new(a, threads, batch_bytes);
    rk_grpc_core_init(&t->core, a->loop, stream_methods, RK_COUNT(stream_methods), a);
    streams_opening(&t->opening);

    t->hub = hub_get(a, rk_snapshot_account_id(snap));
    t->hub->snap = rk_snapshot_ref(snap);
    t->hub->by_index_n = rk_snapshot_peer_bound(snap);
    t->hub->by_index = rk_new_array(struct session *, t->hub->by_index_n);
    t->n = rk_snapshot_peers(snap);
    t->v = rk_new_array(struct stream, t->n);
    for (size_t i = 0, index = 0; i < t->n; index++)
        if (rk_snapshot_peer(snap, index))
            stream_open(t, i++, index);
}

static RK_UNUSED void streams_close(struct streams *t)
{
    struct app *a = &t->app;

    for (size_t i = 0; i < t->n; i++)
        stream_close(&t->v[i]);
    makers_stop(a->makers);
    uv_run(rk_loop_uv(a->loop), UV_RUN_NOWAIT);
    hub_close_all(a);
    edges_close(a->edges);
    uv_run(rk_loop_uv(a->loop), UV_RUN_NOWAIT);
    makers_close(a->makers);
    for (size_t i = 0; i < t->n; i++)
        rk_buf_done(&t->v[i].out);
    free(t->v);
    rk_buf_done(&t->opening);
    rk_grpc_core_done(&t->core);
    rk_buf_done(&a->scratch);
    rk_map_free(a->hubs);
    known_drop_all(a);
    rk_loop_free(a->loop);
}

/* The account is this from now on, and has been quiet; these peers owe a map, of a COMMIT at that
 * time. */
static RK_UNUSED void
streams_change(struct streams *t, struct rk_snapshot *next, const struct rk_bitmap *hit, int64_t us)
{
    rk_snapshot_unref(t->hub->snap);
    t->hub->snap = rk_snapshot_ref(next);
    t->hub->pace = (struct pace){ 0 };
    hub_mark_all(t->hub, hit, us);
}

/* Turns of the loop until the round is over, and everything written that may be. */
static RK_UNUSED void streams_run(struct streams *t)
{
    while (t->hub->fan_armed || makers_under_way(t->app.makers) > 0)
        uv_run(rk_loop_uv(t->app.loop), UV_RUN_ONCE);
    uv_run(rk_loop_uv(t->app.loop), UV_RUN_NOWAIT);
}

/* Its socket takes bytes again, or no longer. */
static RK_UNUSED void stream_shut(struct stream *st, bool shut)
{
    st->shut = shut;
    if (!shut && st->link.h2)
        stream_want_flush(st);
}
