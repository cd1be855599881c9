/* A server whose clients may come by WebSocket. */

#include "tests/unit/grpc/tunnel.h"

static struct rk_grpc_tunnels tunnels = { .path = PATH, .metrics = RK_GRPC_TUNNEL_ROWS("test_") };

static int64_t counted(enum rk_grpc_tunnel_metric m, unsigned value)
{
    return tunnels.metrics[m].v[value];
}

static int64_t errors(void)
{
    return counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_REFUSED) +
           counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_READ) +
           counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_WRITE) +
           counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_INNER);
}

static int setup(void **state)
{
    struct fixture *f = rk_new(struct fixture);

    f->loop = rk_loop_new();
    *state = f;
    for (size_t m = 0; m < RK_GRPC_TUNNEL_METRICS; m++)
        for (size_t i = 0; i < RK_METRIC_MAX_VALUES; i++)
            tunnels.metrics[m].v[i] = 0;
    return 0;
}

static void serve(struct fixture *f, struct rk_grpc_server_config cfg)
{
    cfg.tunnels = &tunnels;
    fixture_serve(f, cfg);
}

/* A browser's connection: what is inside the messages it got is in `inner.in`. */
struct browser {
    struct raw r, inner;
    unsigned messages;
    uint8_t last;
    struct rk_str control;
};

static void look(struct browser *b)
{
    const uint8_t *head = b->r.in.n > 0 ? memmem(b->r.in.p, b->r.in.n, "\r\n\r\n", 4) : NULL;

    rk_buf_clear(&b->inner.in);
    if (head)
        b->messages = heard(head + 4, b->r.in.n - (size_t)(head + 4 - b->r.in.p), &b->inner.in,
                            &b->last, &b->control);
}

static unsigned inner_frames(struct browser *b, uint8_t type)
{
    look(b);
    return frames_of(&b->inner, type, NULL);
}

static void send_inner(struct browser *b, const void *p, size_t n)
{
    rk_auto(rk_buf_done) struct rk_buf f;

    rk_buf_init(&f, 1u << 20);
    say(&f, FIN | BINARY, p, n);
    rk_conn_write(b->r.c, f.p, f.n);
}

static void browse(struct fixture *f, struct browser *b, const char *ask)
{
    *b = (struct browser){ 0 };
    rk_buf_init(&b->inner.in, 16u << 20);
    raw_start(f, &b->r, false);
    rk_conn_write(b->r.c, ask, strlen(ask));
    UNTIL(f, b->r.closed || holds(&b->r, "\r\n\r\n"));
}

static void leave(struct fixture *f, struct browser *b)
{
    raw_end(f, &b->r);
    rk_buf_done(&b->inner.in);
}

static void say_goodbye(struct fixture *f, struct browser *b)
{
    rk_auto(rk_buf_done) struct rk_buf w;

    rk_buf_init(&w, 64);
    say(&w, FIN | CLOSE, "\x03\xe8", 2);
    rk_conn_write(b->r.c, w.p, w.n);
    UNTIL(f, b->r.closed);
    look(b);
    assert_int_equal(b->last, CLOSE);
    leave(f, b);
}

static void calls_work_inside_a_websocket_and_beside_it(void **state)
{
    struct fixture *f = *state;
    char *big = pattern(60000, 'm');
    rk_auto(rk_buf_done) struct rk_buf b;
    struct browser w;
    struct client plain;
    struct seen seen;

    serve(f, (struct rk_grpc_server_config){ 0 });
    browse(f, &w, ASK(PATH, ""));
    assert_true(rk_str_starts(rk_buf_str(&w.r.in), RK_STR("HTTP/1.1 101 ")));
    assert_int_equal(counted(RK_GRPC_TUNNEL_ACTIVE, 0), 1);
    rk_buf_init(&b, 1u << 20);
    rk_buf_put(&b, PREFACE, PREFACE_BYTES);
    request(&b, 1, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 0, 1, "\0\0\0\xea\x60", 5);
    for (size_t at = 0; at < 60000; at += 15000)
        frame(&b, 0, at == 45000, 1, big + at, 15000);
    send_inner(&w, b.p, b.n);
    UNTIL(f, inner_frames(&w, 1) == 2); /* headers and trailers */
    assert_true(says(&w.inner, "grpc-status=0\n"));
    assert_int_equal(f->last_size, 60000);
    assert_true(w.messages <= 6);
    assert_int_equal(counted(RK_GRPC_TUNNEL_BYTES, RK_GRPC_TUNNEL_IN), b.n);
    assert_int_equal(counted(RK_GRPC_TUNNEL_BYTES, RK_GRPC_TUNNEL_OUT), w.inner.in.n);
    seen_init(&seen);
    client_open(f, &plain, NULL);
    rk_grpc_call_send(rk_grpc_call(plain.c, "/t.T/Echo", NULL, NULL, 0, &seen_ops, &seen),
                      RK_STR("beside"), true);
    UNTIL(f, seen.done);
    assert_true(rk_str_eq(rk_buf_str(&seen.last), RK_STR("beside")));
    client_close(f, &plain);
    rk_buf_done(&seen.last);
    say_goodbye(f, &w);
    UNTIL(f, rk_grpc_server_connections(f->server) == 0);
    assert_int_equal(counted(RK_GRPC_TUNNEL_ACTIVE, 0), 0);
    assert_int_equal(errors(), 0);
    free(big);
}

static void bytes_in_messages_of_one_are_the_same_call(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b, wire;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    browse(f, &w, ASK(PATH, ""));
    rk_buf_init(&b, 65536);
    rk_buf_init(&wire, 65536);
    rk_buf_put(&b, PREFACE, PREFACE_BYTES);
    request(&b, 1, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 1, 1, "\0\0\0\0\1x", 6);
    for (size_t i = 0; i < b.n; i++)
        say(&wire, (i == 0 ? BINARY : CONT) | (i == b.n - 1 ? FIN : 0), b.p + i, 1);
    rk_conn_write(w.r.c, wire.p, wire.n);
    UNTIL(f, inner_frames(&w, 1) == 2);
    assert_true(says(&w.inner, "grpc-status=0\n"));
    say_goodbye(f, &w);
}

static void other_requests_are_answered_as_without_it(void **state)
{
    struct fixture *f = *state;
    static const char no_tokens[] = "GET " PATH " HTTP/1.1\r\nHost: x\r\n\r\n";

    serve(f, (struct rk_grpc_server_config){ 0 });
    asked_and_closed(f, ASK("/", ""), "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n");
    asked_and_closed(f, "POST " PATH " HTTP/1.1\r\n\r\n", "HTTP/1.1 505 ");
    assert_int_equal(errors(), 0);
    asked_and_closed(f, no_tokens, "HTTP/1.1 426 ");
    assert_int_equal(counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_REFUSED), 1);
    assert_int_equal(errors(), 1);
}

static void without_a_path_there_is_no_websocket(void **state)
{
    struct fixture *f = *state;

    fixture_init(f, NULL, NULL);
    asked_and_closed(f, ASK(PATH, ""), "HTTP/1.1 405 ");
}

static void what_is_not_http2_inside_closes_it(void **state)
{
    struct fixture *f = *state;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    for (unsigned i = 0; i < 2; i++) { /* instead of the preface, and after it */
        browse(f, &w, ASK(PATH, ""));
        if (i == 1)
            send_inner(&w, PREFACE, PREFACE_BYTES);
        send_inner(&w, "GET / HTTP/1.1\r\n\r\n", 18);
        UNTIL(f, w.r.closed);
        look(&w);
        assert_int_equal(w.last, CLOSE);
        assert_false(holds(&w.inner, "HTTP/1.1"));
        assert_int_equal(frames_of(&w.inner, 7, NULL), i); /* later, HTTP/2 says it itself */
        leave(f, &w);
    }
    assert_int_equal(counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_INNER), 1);
    assert_int_equal(errors(), 1);
    assert_int_equal(f->started, 0);
}

/* A connection with a call that is not answered until the test says so. */
static void browse_and_hold(struct fixture *f, struct browser *w)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    browse(f, w, ASK(PATH, ""));
    rk_buf_init(&b, 65536);
    rk_buf_put(&b, PREFACE, PREFACE_BYTES);
    request(&b, 1, "POST", "/t.T/Hold", "application/grpc");
    frame(&b, 0, 1, 1, "\0\0\0\0\1x", 6);
    send_inner(w, b.p, b.n);
}

static void a_bad_frame_closes_it_and_ends_its_calls(void **state)
{
    struct fixture *f = *state;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    browse_and_hold(f, &w);
    UNTIL(f, f->held);
    rk_conn_write(w.r.c, "\x82\x01x", 3); /* not masked */
    UNTIL(f, w.r.closed && f->gone == 1);
    look(&w);
    assert_int_equal(w.last, CLOSE);
    assert_memory_equal(w.control.p, "\x03\xea", 2);
    leave(f, &w);
    assert_int_equal(counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_READ), 1);
    assert_int_equal(errors(), 1);
}

static void who_vanishes_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    browse_and_hold(f, &w);
    UNTIL(f, f->held && inner_frames(&w, 4) > 0); /* what it was sent has left */
    leave(f, &w);
    UNTIL(f, f->gone == 1 && rk_grpc_server_connections(f->server) == 0);
    assert_int_equal(counted(RK_GRPC_TUNNEL_ACTIVE, 0), 0);
    assert_int_equal(counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_READ), 1);
    assert_int_equal(errors(), 1);
}

static void the_client_is_whom_the_proxy_names_and_no_header_inside(void **state)
{
    static const struct {
        bool trusted;
        const char *ask, *want;
    } cases[] = {
        { true, ASK(PATH, "X-Forwarded-For: 198.51.100.7, 192.0.2.9, 127.0.0.9\r\n"), "192.0.2.9" },
        { true, ASK(PATH, ""), "127.0.0.1:" },
        { false, ASK(PATH, "X-Forwarded-For: 192.0.2.9\r\n"), "127.0.0.1:" },
    };
    struct fixture *f = *state;
    struct rk_err err = { 0 };
    struct rk_cidrs *ours = rk_cidrs_parse(RK_STR("127.0.0.0/8"), &err);

    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(rk_buf_done) struct rk_buf b, h;
        struct browser w;

        serve(f,
              (struct rk_grpc_server_config){ .trusted_proxies = cases[i].trusted ? ours : NULL });
        browse(f, &w, cases[i].ask);
        rk_buf_init(&b, 65536);
        rk_buf_init(&h, 4096);
        rk_buf_put(&b, PREFACE, PREFACE_BYTES);
        header(&h, ":method", "POST");
        header(&h, ":scheme", "http");
        header(&h, ":path", "/t.T/Echo");
        header(&h, ":authority", "x");
        header(&h, "content-type", "application/grpc");
        header(&h, "x-forwarded-for", "203.0.113.66");
        frame(&b, 1, 4, 1, h.p, h.n);
        frame(&b, 0, 1, 1, "\0\0\0\0\1x", 6);
        send_inner(&w, b.p, b.n);
        UNTIL(f, inner_frames(&w, 1) == 2);
        assert_true(rk_str_starts(rk_str(f->remote), rk_str(cases[i].want)));
        say_goodbye(f, &w);
        f->server_closed = false;
        rk_grpc_server_close(f->server, fixture_server_closed, f);
        UNTIL(f, f->server_closed);
    }
    f->server_closed = false;
    serve(f, (struct rk_grpc_server_config){ 0 });
    rk_cidrs_free(ours);
}

enum {
    FLOOD_MESSAGES = 48,
    FLOOD_SIZE = 1 << 20
};

/* A stream with all the window there is, whose client reads nothing of what it is sent. */
static void flood(struct fixture *f, struct browser *w)
{
    static const uint8_t settings[6] = { 0, 4, 0x7f, 0xff, 0xff, 0xff };
    static const uint8_t window[4] = { 0x7f, 0, 0, 0 };
    rk_auto(rk_buf_done) struct rk_buf b, h;
    char *p = pattern(FLOOD_SIZE, 's');

    browse(f, w, ASK(PATH, ""));
    rk_buf_init(&b, 65536);
    rk_buf_put(&b, PREFACE, 24);
    frame(&b, 4, 0, 0, settings, 6);
    frame(&b, 8, 0, 0, window, 4);
    rk_buf_init(&h, 4096);
    header(&h, ":method", "POST");
    header(&h, ":scheme", "http");
    header(&h, ":path", "/t.T/Feed");
    header(&h, ":authority", "x");
    header(&h, "content-type", "application/grpc");
    header(&h, "x-peer-id", "k");
    frame(&b, 1, 4, 1, h.p, h.n);
    send_inner(w, b.p, b.n);
    UNTIL(f, f->feed && inner_frames(w, 1) == 1);
    rk_conn_pause(w->r.c, true);
    for (unsigned i = 0; i < FLOOD_MESSAGES; i++)
        rk_grpc_send(f->feed, rk_strn(p, FLOOD_SIZE));
    free(p);
    /* The kernel takes what it takes; the rest waits in the call. */
    for (size_t before = 0; before != rk_grpc_queued(f->feed);) {
        before = rk_grpc_queued(f->feed);
        for (unsigned i = 0; i < 100; i++)
            uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    }
}

static void a_reader_that_stops_costs_itself(void **state)
{
    struct fixture *f = *state;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    flood(f, &w);
    assert_true(rk_grpc_queued(f->feed) > FLOOD_MESSAGES / 2 * FLOOD_SIZE);
    assert_true(counted(RK_GRPC_TUNNEL_BYTES, RK_GRPC_TUNNEL_OUT) <
                FLOOD_MESSAGES / 2 * FLOOD_SIZE);
    assert_int_equal(f->writable, 0);
    rk_conn_pause(w.r.c, false);
    UNTIL(f, f->writable > 0);
    assert_int_equal(rk_grpc_queued(f->feed), 0);
    leave(f, &w);
    UNTIL(f, f->gone == 1);
}

static void who_vanishes_with_output_waiting_is_counted_as_that(void **state)
{
    struct fixture *f = *state;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    flood(f, &w);
    leave(f, &w);
    UNTIL(f, f->gone == 1 && rk_grpc_server_connections(f->server) == 0);
    assert_int_equal(counted(RK_GRPC_TUNNEL_ERRORS, RK_GRPC_TUNNEL_WRITE), 1);
    assert_int_equal(errors(), 1);
}

static void draining_says_goaway_and_goodbye(void **state)
{
    struct fixture *f = *state;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    browse_and_hold(f, &w);
    UNTIL(f, f->held);
    rk_grpc_server_drain(f->server);
    UNTIL(f, inner_frames(&w, 7) == 1);
    assert_false(w.r.closed);
    rk_grpc_finish(f->held, RK_GRPC_OK, NULL);
    UNTIL(f, w.r.closed);
    look(&w);
    assert_true(says(&w.inner, "grpc-status=0\n"));
    assert_int_equal(w.last, CLOSE);
    assert_memory_equal(w.control.p, "\x03\xe8", 2);
    leave(f, &w);
    assert_int_equal(errors(), 0);
}

static void who_upgrades_while_it_drains_is_told_to_go(void **state)
{
    static const char head[] = "GET " PATH " HTTP/1.1\r\n";
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct browser w;

    serve(f, (struct rk_grpc_server_config){ 0 });
    w = (struct browser){ 0 };
    rk_buf_init(&w.inner.in, 1u << 20);
    raw_start(f, &w.r, false);
    UNTIL(f, rk_grpc_server_connections(f->server) == 1);
    rk_conn_write(w.r.c, head, sizeof(head) - 1);
    rk_grpc_server_drain(f->server);
    rk_conn_write(w.r.c, &ASK(PATH, "")[sizeof(head) - 1],
                  strlen(ASK(PATH, "")) - sizeof(head) + 1);
    rk_buf_init(&b, 65536);
    rk_buf_put(&b, PREFACE, PREFACE_BYTES);
    send_inner(&w, b.p, b.n);
    UNTIL(f, w.r.closed);
    assert_int_equal(inner_frames(&w, 7), 1);
    assert_int_equal(w.last, CLOSE);
    leave(f, &w);
    assert_int_equal(errors(), 0);
}

static void the_deadline_of_the_preface_counts_the_upgrade_in(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = { .preface_ms = 20 };
    struct browser silent;
    struct raw half;

    serve(f, cfg);
    raw_start(f, &half, false);
    rk_conn_write(half.c, "GET " PATH " HTTP/1.1\r\n", 29);
    browse(f, &silent, ASK(PATH, ""));
    UNTIL(f, half.closed && silent.r.closed);
    assert_int_equal(rk_grpc_server_connections(f->server), 0);
    raw_end(f, &half);
    leave(f, &silent);
}

static void the_dead_are_found_by_our_ping(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = { .keepalive_ms = 20, .answer_ms = 20 };
    struct browser w;

    serve(f, cfg);
    browse(f, &w, ASK(PATH, ""));
    send_inner(&w, PREFACE, PREFACE_BYTES);
    UNTIL(f, w.r.closed);
    look(&w);
    bool pinged = false;
    for (size_t at = 0; at + 9 <= w.inner.in.n;) {
        const uint8_t *p = w.inner.in.p + at;

        pinged |= p[3] == 6;
        at += 9 + ((size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2]);
    }
    assert_true(pinged);
    leave(f, &w);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        WITH(calls_work_inside_a_websocket_and_beside_it),
        WITH(bytes_in_messages_of_one_are_the_same_call),
        WITH(other_requests_are_answered_as_without_it),
        WITH(without_a_path_there_is_no_websocket),
        WITH(what_is_not_http2_inside_closes_it),
        WITH(a_bad_frame_closes_it_and_ends_its_calls),
        WITH(who_vanishes_leaves_nothing),
        WITH(the_client_is_whom_the_proxy_names_and_no_header_inside),
        WITH(a_reader_that_stops_costs_itself),
        WITH(who_vanishes_with_output_waiting_is_counted_as_that),
        WITH(draining_says_goaway_and_goodbye),
        WITH(who_upgrades_while_it_drains_is_told_to_go),
        WITH(the_deadline_of_the_preface_counts_the_upgrade_in),
        WITH(the_dead_are_found_by_our_ping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
