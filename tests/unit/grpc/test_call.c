/* What is kept of requests that do not become complete, without a socket. */

#include <netinet/in.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/call_int.h"
#include "tests/support/h2.h"
#include "tests/support/test.h"

#define LARGE 3900 /* of a header's value */
#define LINKS 9

struct peer {
    struct rk_grpc_link link;
    struct rk_buf in, out;
    uint32_t next;
};

struct service {
    struct rk_grpc_core core;
    struct peer peers[LINKS];
    unsigned messages, gone;
};

static void on_message(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct service *s = arg;

    (void)msg;
    s->messages++;
    assert_string_equal(rk_grpc_remote(c), "192.0.2.1:1");
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static void on_unary(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    assert_non_null(rk_grpc_header(c, ":path").p);
    on_message(c, msg, arg);
}

static void on_gone(struct rk_grpc_call *c, bool finished, void *arg)
{
    struct service *s = arg;

    (void)c;
    (void)finished;
    s->gone++;
}

static const struct rk_grpc_method methods[] = {
    { "/U", 1 << 20, false, NULL, on_unary, NULL, NULL, on_gone },
    { "/S", 1 << 20, true, NULL, on_message, NULL, NULL, on_gone },
};

static void peer_write(void *arg, const void *p, size_t n)
{
    struct peer *peer = arg;

    rk_buf_put(&peer->out, p, n);
}

static size_t peer_queued(void *arg)
{
    (void)arg;
    return 0;
}

static void peer_want_flush(void *arg)
{
    (void)arg;
}

static void feed(struct peer *p)
{
    struct rk_err err = { 0 };

    assert_int_equal(rk_h2_feed(p->link.h2, p->in.p, p->in.n, &err), 0);
    rk_buf_clear(&p->in);
}

static void flush(struct peer *p)
{
    struct rk_err err = { 0 };

    assert_int_equal(rk_h2_flush(p->link.h2, &err), 0);
}

static void peer_init(struct service *s, struct peer *p)
{
    static const struct sockaddr_in sa = { .sin_family = AF_INET };

    rk_buf_init(&p->in, SIZE_MAX);
    rk_buf_init(&p->out, SIZE_MAX);
    p->link.sa = (const struct sockaddr *)&sa;
    p->link.remote = "192.0.2.1:1";
    p->link.write = peer_write;
    p->link.queued = peer_queued;
    p->link.want_flush = peer_want_flush;
    p->link.io = p;
    rk_grpc_link_init(&p->link, &s->core);
    p->next = 1;
    rk_buf_put_c(&p->in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(&p->in, 4, 0, 0, NULL, 0);
    feed(p);
    flush(p);
}

static int setup(void **state)
{
    struct service *s = rk_new(struct service);

    rk_grpc_core_init(&s->core, NULL, methods, RK_COUNT(methods), s);
    for (unsigned i = 0; i < LINKS; i++)
        peer_init(s, &s->peers[i]);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct service *s = *state;

    for (unsigned i = 0; i < LINKS; i++) {
        rk_grpc_link_done(&s->peers[i].link);
        assert_int_equal(s->peers[i].link.buffered, 0);
        rk_buf_done(&s->peers[i].in);
        rk_buf_done(&s->peers[i].out);
    }
    assert_int_equal(s->core.buffered, 0);
    assert_true(rk_list_empty(&s->core.incomplete));
    rk_grpc_core_done(&s->core);
    free(s);
    return 0;
}

/* A header list of 16 KiB, four bytes of which stand for nearly all of it. */
static void large_request(struct peer *p, const char *path)
{
    rk_auto(rk_buf_done) struct rk_buf h;
    char value[LARGE];

    rk_buf_init(&h, 8192);
    header(&h, ":method", "POST");
    header(&h, ":scheme", "http");
    header(&h, ":path", path);
    header(&h, ":authority", "x");
    header(&h, "content-type", "application/grpc");
    if (p->next == 1) { /* into the table, 127 + 61 + 29 * 128 bytes long */
        memset(value, 'v', sizeof(value));
        rk_buf_put(&h, "\x40\1x\x7f\xbd\x1d", 6);
        rk_buf_put(&h, value, sizeof(value));
        rk_buf_put(&h, "\xbe\xbe\xbe", 3);
    } else {
        rk_buf_put(&h, "\xbe\xbe\xbe\xbe", 4);
    }
    frame(&p->in, 1, 4, p->next, h.p, h.n);
    p->next += 2;
    feed(p);
}

/* Answers that have left. */
static unsigned answers(const struct peer *p)
{
    unsigned count = 0;

    for (size_t at = 0; at + 9 <= p->out.n;) {
        const uint8_t *f = p->out.p + at;

        count += f[3] == NGHTTP2_HEADERS;
        at += 9 + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
    }
    return count;
}

static void headers_that_wait_for_their_message_are_counted(void **state)
{
    struct service *s = *state;
    struct peer *p = &s->peers[0];

    for (unsigned i = 1; i <= 10; i++) {
        large_request(p, "/U");
        assert_in_range(p->link.buffered, i * 4 * LARGE, i * 32768);
        assert_int_equal(s->core.buffered, p->link.buffered);
    }
    frame(&p->in, 0, 0, 1, "\0\0\0\1", 4);
    feed(p);
    frame(&p->in, 0, 1, 1, "\0x", 2);
    feed(p);
    assert_int_equal(s->messages, 0); /* of another length than it says */
    assert_in_range(p->link.buffered, 9 * 4 * LARGE, 9 * 32768);
    frame(&p->in, 0, 1, 3, "\0\0\0\0\1x", 6);
    feed(p);
    assert_int_equal(s->messages, 1);
    assert_in_range(p->link.buffered, 8 * 4 * LARGE, 8 * 32768);
    /* A stream's are not kept. */
    large_request(p, "/S");
    assert_in_range(p->link.buffered, 8 * 4 * LARGE, 8 * 32768);
}

static void of_one_connection_the_oldest_gives_way(void **state)
{
    struct service *s = *state;
    struct peer *p = &s->peers[0];
    static char part[16384];

    large_request(p, "/U");
    large_request(p, "/U");
    for (unsigned i = 0; i < 40; i++) { /* of 1 MiB each, but for its end */
        request(&p->in, p->next, "POST", "/S", "application/grpc");
        frame(&p->in, 0, 0, p->next, "\0\0\x10\0\0", 5);
        for (unsigned j = 0; j < 40; j++) {
            frame(&p->in, 0, 0, p->next, part, sizeof(part));
            feed(p);
            flush(p);
        }
        p->next += 2;
        assert_in_range(p->link.buffered, 1, RK_GRPC_MAX_PEER_BUFFERED);
    }
    assert_in_range(answers(p), 3, 20);        /* refusals: of the two and of streams */
    frame(&p->in, 0, 1, p->next - 2, part, 1); /* the last one is there still */
    feed(p);
    assert_int_equal(s->messages, 0);
    assert_in_range(p->link.buffered, RK_GRPC_MAX_PEER_BUFFERED / 2, RK_GRPC_MAX_PEER_BUFFERED);
}

static void strangers_who_end_nothing_keep_nobody_out(void **state)
{
    struct service *s = *state;
    struct peer *last = &s->peers[LINKS - 1];

    s->core.max_buffered = 1 << 20;
    for (unsigned i = 0; i < LINKS - 1; i++)
        for (unsigned j = 0; j < 20; j++) {
            large_request(&s->peers[i], "/U");
            assert_in_range(s->core.buffered, 1, s->core.max_buffered);
        }
    request(&last->in, 1, "POST", "/U", "application/grpc");
    feed(last);
    frame(&last->in, 0, 0, 1, "\0\0\0\0\2", 5);
    feed(last);
    frame(&last->in, 0, 1, 1, "xy", 2);
    feed(last);
    assert_int_equal(s->messages, 1);
    flush(&s->peers[0]);
    assert_int_equal(answers(&s->peers[0]), 20);
    assert_int_equal(s->peers[0].link.buffered, 0);
    assert_in_range(s->peers[LINKS - 2].link.buffered, 20 * 4 * LARGE, 1 << 20);
}

static void who_does_not_end_a_request_in_time_is_told(void **state)
{
    struct service *s = *state;
    struct peer *p = &s->peers[0];
    uint64_t from = rk_mono_ms();

    large_request(p, "/U");
    large_request(p, "/S");
    frame(&p->in, 0, 0, 3, "\0\0\0\0\2x", 6);
    request(&p->in, 5, "POST", "/S", "application/grpc");
    frame(&p->in, 0, 0, 5, "\0\0\0\0\1x", 6);
    feed(p);
    assert_int_equal(s->messages, 1);
    rk_grpc_core_expire(&s->core, from + RK_GRPC_INCOMPLETE_MS - 1);
    assert_in_range(p->link.buffered, 4 * LARGE, 2 * 32768);
    rk_grpc_core_expire(&s->core, rk_mono_ms() + RK_GRPC_INCOMPLETE_MS);
    assert_int_equal(p->link.buffered, 0);
    flush(p);
    assert_int_equal(answers(p), 3);
    assert_int_equal(s->gone, 3); /* the last one had come to its end by itself */
    /* The other stream between its messages is none of it. */
    request(&p->in, 7, "POST", "/S", "application/grpc");
    feed(p);
    rk_grpc_core_expire(&s->core, UINT64_MAX);
    flush(p);
    assert_int_equal(s->gone, 3);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(headers_that_wait_for_their_message_are_counted),
        T(of_one_connection_the_oldest_gives_way),
        T(strangers_who_end_nothing_keep_nobody_out),
        T(who_does_not_end_a_request_in_time_is_told),
    };

    return RUN_TESTS(tests);
}
