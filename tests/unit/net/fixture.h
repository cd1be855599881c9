#pragma once

/* Listener and connections on one loop, loopback sockets, and certificates made on the spot. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/net/conn.h"
#include "tests/support/certificate.h"
#include "tests/support/test.h"

struct guard {
    uv_timer_t timer;
    bool fired;
};

static RK_UNUSED void guard_fired(uv_timer_t *t)
{
    struct guard *g = t->data;

    g->fired = true;
}

static RK_UNUSED void guard_free(uv_handle_t *h)
{
    free(h->data);
}

/* Turns the loop until `cond`; fails after 20 s. */
#define UNTIL(loop, cond)                                                                          \
    do {                                                                                           \
        struct guard *guard_ = rk_new(struct guard);                                               \
        uv_timer_init(rk_loop_uv(loop), &guard_->timer);                                           \
        guard_->timer.data = guard_;                                                               \
        uv_timer_start(&guard_->timer, guard_fired, 20000, 0);                                     \
        while (!(cond) && !guard_->fired)                                                          \
            uv_run(rk_loop_uv(loop), UV_RUN_ONCE);                                                 \
        bool late_ = guard_->fired;                                                                \
        uv_close((uv_handle_t *)&guard_->timer, guard_free);                                       \
        uv_run(rk_loop_uv(loop), UV_RUN_NOWAIT);                                                   \
        if (late_)                                                                                 \
            fail_msg("never: %s", #cond);                                                          \
    } while (0)

/* One end of a connection. */
struct end {
    struct rk_conn *c;
    struct rk_buf in;
    unsigned opened, drained, closed;
    char why[256];
    const char *greeting; /* written as soon as it is open */
    bool close_on_read;
};

static RK_UNUSED void end_open(struct rk_conn *c, void *arg)
{
    struct end *e = arg;

    assert_int_equal(e->closed, 0);
    e->opened++;
    if (e->greeting)
        rk_conn_write(c, e->greeting, strlen(e->greeting));
}

static RK_UNUSED void end_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct end *e = arg;

    assert_int_equal(e->opened, 1);
    assert_int_equal(e->closed, 0);
    rk_buf_put(&e->in, p, n);
    if (e->close_on_read)
        rk_conn_close(c, "closed inside on_read");
}

static RK_UNUSED void end_drain(struct rk_conn *c, void *arg)
{
    struct end *e = arg;

    assert_int_equal(rk_conn_queued(c), 0);
    e->drained++;
}

static RK_UNUSED void end_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct end *e = arg;

    (void)c;
    e->c = NULL;
    assert_int_equal(++e->closed, 1);
    snprintf(e->why, sizeof(e->why), "%s", why);
}

static RK_UNUSED const struct rk_conn_ops end_ops = { end_open, end_read, end_drain, end_closed };

static RK_UNUSED void end_init(struct end *e)
{
    *e = (struct end){ 0 };
    rk_buf_init(&e->in, 64u * 1024 * 1024);
}

struct fixture {
    struct rk_loop *loop;
    struct rk_listener *listener;
    struct rk_addr addr;
    struct end server; /* of the latest connection accepted */
    unsigned accepted;
    char dir[64]; /* certificates */
    struct rk_tls *tls;
};

static RK_UNUSED void fixture_accept(struct rk_conn *c, void *arg)
{
    struct fixture *f = arg;

    f->accepted++;
    f->server.c = c;
    rk_conn_start(c, &end_ops, &f->server);
}

static RK_UNUSED void fixture_listen(struct fixture *f, struct rk_tls *tls)
{
    struct rk_addr any;
    struct rk_err err = { 0 };

    assert_int_equal(rk_addr_parse(RK_STR("127.0.0.1:0"), &any, &err), 0);
    if (rk_listener_new(f->loop, &any, tls, fixture_accept, f, &f->listener, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(rk_addr_parse(rk_str(rk_listener_address(f->listener)), &f->addr, &err), 0);
}

static RK_UNUSED struct fixture *fixture_new(void)
{
    struct fixture *f = rk_new(struct fixture);

    f->loop = rk_loop_new();
    end_init(&f->server);
    return f;
}

/* A connection is done with: the server's end is ready for the next. */
static RK_UNUSED void fixture_hang_up(struct fixture *f, struct end *client)
{
    if (client->c)
        rk_conn_close(client->c, "test over");
    if (f->server.c)
        rk_conn_close(f->server.c, "test over");
    UNTIL(f->loop, !client->c && !f->server.c);
    rk_buf_done(&client->in);
    rk_buf_done(&f->server.in);
    end_init(&f->server);
}

static RK_UNUSED void fixture_free(struct fixture *f)
{
    rk_listener_close(f->listener);
    rk_tls_free(f->tls);
    rk_buf_done(&f->server.in);
    rk_loop_free(f->loop);
    free(f);
}

static RK_UNUSED void
connect_to(struct fixture *f, struct end *e, struct rk_tls *tls, const char *name)
{
    struct rk_err err = { 0 };

    if (rk_conn_connect(f->loop, &f->addr, tls, name, &end_ops, e, &e->c, &err) < 0)
        fail_msg("%s", err.msg);
}

/* --- files --- */

static RK_UNUSED const char *path_in(const struct fixture *f, const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *out = path[next++ % 4];

    snprintf(out, 128, "%s/%s", f->dir, name);
    return out;
}

/* In place: the same inode. */
static RK_UNUSED void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static RK_UNUSED void replace_file(const struct fixture *f, const char *path, const char *text)
{
    const char *other = path_in(f, "new");

    write_file(other, text);
    assert_int_equal(rename(other, path), 0);
}

static RK_UNUSED void dir_make(struct fixture *f)
{
    const char *base = getenv("TMPDIR");

    snprintf(f->dir, sizeof(f->dir), "%.40s/tlsXXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(f->dir));
}

static RK_UNUSED void dir_remove(struct fixture *f)
{
    static const char *const names[] = { "cert", "key", "new", "ca", "log" };

    for (size_t i = 0; i < RK_COUNT(names); i++)
        (void)unlink(path_in(f, names[i]));
    assert_int_equal(rmdir(f->dir), 0);
}
