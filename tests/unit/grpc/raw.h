#pragma once

/* A client whose every byte the test writes, and what came back, taken apart. */

#include <nghttp2/nghttp2.h>

#include "libcommon/net/conn.h"
#include "tests/support/h2.h"
#include "tests/unit/grpc/fixture.h"

/* A bare connection. */
struct raw {
    struct rk_conn *c;
    struct rk_buf in;
    bool open, closed;
};

static RK_UNUSED void raw_open(struct rk_conn *c, void *arg)
{
    struct raw *r = arg;

    (void)c;
    r->open = true;
}

static RK_UNUSED void raw_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct raw *r = arg;

    (void)c;
    rk_buf_put(&r->in, p, n);
}

static RK_UNUSED void raw_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct raw *r = arg;

    (void)c;
    (void)why;
    r->closed = true;
}

static RK_UNUSED const struct rk_conn_ops raw_ops = { raw_open, raw_read, NULL, raw_closed };

static RK_UNUSED void raw_start(struct fixture *f, struct raw *r, bool preface)
{
    static const uint8_t settings[9] = { 0, 0, 0, 4 };
    struct rk_err err = { 0 };

    *r = (struct raw){ 0 };
    rk_buf_init(&r->in, 16u * 1024 * 1024);
    assert_int_equal(rk_conn_connect(f->loop, &f->addr, NULL, NULL, &raw_ops, r, &r->c, &err), 0);
    UNTIL(f, r->open);
    if (!preface)
        return;
    rk_conn_write(r->c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    rk_conn_write(r->c, settings, 9);
}

static RK_UNUSED void raw_end(struct fixture *f, struct raw *r)
{
    if (!r->closed)
        rk_conn_close(r->c, "test over");
    UNTIL(f, r->closed);
    rk_buf_done(&r->in);
}

/* One request of HTTP/1.1: how the answer begins, after which the connection is closed. */
static RK_UNUSED void asked_and_closed(struct fixture *f, const char *ask, const char *answer)
{
    struct raw r;

    raw_start(f, &r, false);
    rk_conn_write(r.c, ask, strlen(ask));
    UNTIL(f, r.closed);
    assert_true(rk_str_starts(rk_buf_str(&r.in), rk_str(answer)));
    raw_end(f, &r);
}

/* Counts frames of one type in what was read; *out_last is the payload of the last. */
static RK_UNUSED unsigned frames_of(const struct raw *r, uint8_t type, const uint8_t **out_last)
{
    unsigned count = 0;

    for (size_t at = 0; at + 9 <= r->in.n;) {
        const uint8_t *p = r->in.p + at;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        if (at + 9 + n > r->in.n)
            break;
        if (p[3] == type && !(type == 6 && !(p[4] & 1))) {
            count++;
            if (out_last)
                *out_last = p + 9;
        }
        at += 9 + n;
    }
    return count;
}

static RK_UNUSED bool holds(const struct raw *r, const char *text)
{
    return r->in.n > 0 && memmem(r->in.p, r->in.n, text, strlen(text)) != NULL;
}

/* Every response header and trailer read so far, a "name=value" line each. */
static RK_UNUSED void headers_of(const struct raw *r, struct rk_buf *out)
{
    nghttp2_hd_inflater *inf;

    assert_int_equal(nghttp2_hd_inflate_new(&inf), 0);
    for (size_t at = 0; at + 9 <= r->in.n;) {
        const uint8_t *p = r->in.p + at;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        const uint8_t *q = p + 9, *end = q + n;

        at += 9 + n;
        if (at > r->in.n)
            break;
        for (int flags = 0; p[3] == 1 && !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
            nghttp2_nv nv;
            ssize_t used = nghttp2_hd_inflate_hd2(inf, &nv, &flags, q, (size_t)(end - q), 1);

            assert_true(used >= 0);
            q += used;
            if (flags & NGHTTP2_HD_INFLATE_EMIT)
                rk_buf_printf(out, "%.*s=%.*s\n", (int)nv.namelen, nv.name, (int)nv.valuelen,
                              nv.value);
        }
        if (p[3] == 1)
            nghttp2_hd_inflate_end_headers(inf);
    }
    nghttp2_hd_inflate_del(inf);
    rk_buf_put_u8(out, 0);
}

static RK_UNUSED bool says(const struct raw *r, const char *line)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, 1 << 20);
    headers_of(r, &b);
    return strstr((const char *)b.p, line) != NULL;
}
