/* The server against bytes that no well-meaning client sends, written by hand. */

#include "tests/unit/grpc/raw.h"

static void an_http1_get_is_told_405(void **state)
{
    struct fixture *f = *state;

    asked_and_closed(f, "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                     "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n");
    asked_and_closed(f, "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 505 ");
}

static void garbage_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    struct raw r;

    raw_start(f, &r, false);
    rk_conn_write(r.c, "\x16\x03\x01garbage", 10);
    UNTIL(f, r.closed);
    assert_int_equal(r.in.n, 0);
    raw_end(f, &r);
    raw_start(f, &r, true);
    rk_conn_write(r.c, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    UNTIL(f, r.closed);
    raw_end(f, &r);
}

static void other_methods_and_types_get_http_answers(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw r;

    rk_buf_init(&b, 65536);
    raw_start(f, &r, true);
    request(&b, 1, "GET", "/", "text/html");
    request(&b, 3, "POST", "/t.T/Echo", "application/json");
    request(&b, 5, "POST", "/t.T/Echo", "application/grpc-web");
    request(&b, 7, "POST", "/t.T/Feed", "application/grpc+proto");
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, frames_of(&r, 1, NULL) == 4);
    assert_true(says(&r, ":status=405\nallow=POST\n"));
    assert_true(says(&r, ":status=415\n"));
    assert_int_equal(f->started, 1); /* the last one alone */
    raw_end(f, &r);
}

static void a_compressed_message_is_unimplemented(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw r;

    rk_buf_init(&b, 65536);
    raw_start(f, &r, true);
    request(&b, 1, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 1, 1, "\1\0\0\0\1x", 6);
    request(&b, 3, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 1, 3, "\0\0\0\0\5x", 6); /* shorter than it says */
    request(&b, 5, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 1, 5, "", 0); /* no message */
    request(&b, 7, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 1, 7, "\0\0\0\0\1x\0\0\0\0\1y", 12); /* two */
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, frames_of(&r, 1, NULL) == 4);
    assert_true(says(&r, "grpc-status=12\ngrpc-message=compressed messages are not supported\n"));
    assert_true(says(&r, "grpc-status=13\ngrpc-message=incomplete message\n"));
    assert_true(says(&r, "grpc-status=13\ngrpc-message=no request message\n"));
    assert_true(says(&r, "grpc-status=13\ngrpc-message=more than one request message\n"));
    assert_int_equal(f->messages, 0);
    UNTIL(f, f->gone == 4);
    raw_end(f, &r);
}

static void an_oversized_message_fails_at_its_head(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw r;

    rk_buf_init(&b, 65536);
    raw_start(f, &r, true);
    request(&b, 1, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 0, 1, "\0\x7f\xff\xff\xff", 5); /* nothing of it follows */
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, frames_of(&r, 1, NULL) == 1);
    assert_true(says(&r, "grpc-status=8\n"));
    UNTIL(f, f->gone == 1);
    raw_end(f, &r);
}

static void rapid_reset_is_calmed(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    const uint8_t *last = NULL;
    struct raw r;

    rk_buf_init(&b, 4u * 1024 * 1024);
    raw_start(f, &r, true);
    for (uint32_t i = 0; i < 1000; i++) {
        request(&b, 2 * i + 1, "POST", "/t.T/Hold", "application/grpc");
        frame(&b, 3, 0, 2 * i + 1, "\0\0\0\x8", 4);
    }
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, r.closed);
    assert_true(frames_of(&r, 7, &last) >= 1);
    assert_int_equal(last[7], 11);        /* ENHANCE_YOUR_CALM */
    assert_in_range(f->started, 10, 100); /* a stranger's */
    UNTIL(f, f->gone == f->started);
    raw_end(f, &r);
}

static void cancels_of_answered_streams_are_not_counted(void **state)
{
    struct fixture *f = *state;
    struct raw r;

    raw_start(f, &r, true);
    for (uint32_t i = 0; i < 500; i++) {
        rk_auto(rk_buf_done) struct rk_buf b;
        unsigned have = frames_of(&r, 1, NULL);

        rk_buf_init(&b, 4096);
        /* Trailers-only answer: the client's reset crosses it. */
        request(&b, 2 * i + 1, "POST", "/t.T/Feed", "application/grpc");
        rk_conn_write(r.c, b.p, b.n);
        UNTIL(f, frames_of(&r, 1, NULL) > have);
        rk_buf_clear(&b);
        frame(&b, 3, 0, 2 * i + 1, "\0\0\0\x8", 4);
        rk_conn_write(r.c, b.p, b.n);
    }
    UNTIL(f, f->gone == 500);
    assert_false(r.closed);
    assert_int_equal(frames_of(&r, 7, NULL), 0);
    raw_end(f, &r);
}

static void a_header_list_over_16_kib_resets_its_stream_alone(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_buf_done) struct rk_buf h;
    struct raw r;
    char value[101];

    rk_buf_init(&b, 65536);
    rk_buf_init(&h, 65536);
    memset(value, 'v', 100);
    value[100] = '\0';
    raw_start(f, &r, true);
    header(&h, ":method", "POST");
    header(&h, ":scheme", "http");
    header(&h, ":path", "/t.T/Echo");
    for (int i = 0; i < 125; i++) /* 16 KiB with the 32 bytes each */
        header(&h, "x-y", value);
    frame(&b, 1, 4, 1, h.p, h.n);
    request(&b, 3, "POST", "/t.T/Feed", "application/grpc");
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, frames_of(&r, 3, NULL) >= 1 && frames_of(&r, 1, NULL) == 1);
    assert_int_equal(f->started, 1);
    assert_false(r.closed);
    raw_end(f, &r);
}

static void pings_are_answered_and_a_flood_is_not(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    const uint8_t *last = NULL;
    struct raw r;

    rk_buf_init(&b, 4u * 1024 * 1024);
    raw_start(f, &r, true);
    for (int i = 0; i < 90; i++)
        frame(&b, 6, 0, 0, "12345678", 8);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, frames_of(&r, 6, NULL) == 90);
    assert_int_equal(frames_of(&r, 7, NULL), 0);
    for (int i = 0; i < 10000; i++)
        frame(&b, 6, 0, 0, "12345678", 8);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, r.closed);
    assert_int_equal(frames_of(&r, 7, &last), 1);
    assert_int_equal(last[7], NGHTTP2_ENHANCE_YOUR_CALM);
    raw_end(f, &r);
}

/* Written in pieces until the server has had enough; the last GOAWAY's code. */
static unsigned flooded(struct fixture *f, const struct rk_buf *piece)
{
    const uint8_t *last = NULL;
    struct raw r;
    unsigned code;

    raw_start(f, &r, true);
    for (int i = 0; i < 1000 && !r.closed; i++) {
        rk_conn_write(r.c, piece->p, piece->n);
        UNTIL(f, r.closed || rk_conn_queued(r.c) == 0);
    }
    UNTIL(f, r.closed);
    assert_int_equal(frames_of(&r, 7, &last), 1);
    code = last[7];
    raw_end(f, &r);
    return code;
}

static void a_flood_of_settings_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, 65536);
    for (int i = 0; i < 100; i++)
        frame(&b, 4, 0, 0, "", 0);
    assert_int_equal(flooded(f, &b), NGHTTP2_ENHANCE_YOUR_CALM);
}

static void a_flood_of_priorities_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, 65536);
    for (uint32_t i = 0; i < 100; i++)
        frame(&b, 2, 0, 2 * i + 1, "\0\0\0\0\0", 5);
    assert_int_equal(flooded(f, &b), NGHTTP2_ENHANCE_YOUR_CALM);
}

static void headers_without_end_are_not_gathered(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_buf_done) struct rk_buf h;
    struct raw r;

    rk_buf_init(&b, 1 << 20);
    rk_buf_init(&h, 65536);
    header(&h, ":method", "POST");
    frame(&b, 1, 0, 1, h.p, h.n); /* no END_HEADERS */
    rk_buf_clear(&h);
    header(&h, "x-more", "of the same");
    for (int i = 0; i < 100; i++)
        frame(&b, 9, 0, 1, h.p, h.n);
    raw_start(f, &r, true);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, r.closed);
    assert_int_equal(f->started, 0);
    raw_end(f, &r);
}

/* A field of 3,900 bytes that enters the table, and then requests in which each byte stands for it.
 */
static void requests_of_references_to_a_large_field_end_the_connection(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_buf_done) struct rk_buf h;
    const uint8_t *last = NULL;
    char large[3900], bomb[8000];
    struct raw r;

    rk_buf_init(&b, 1 << 20);
    rk_buf_init(&h, 65536);
    memset(large, 'x', sizeof(large));
    memset(bomb, 0x80 | 62, sizeof(bomb));
    rk_buf_put(&h, "\x40\1x\x7f\xbd\x1d", 6); /* 127 + 61 + 29 * 128 = 3,900 */
    rk_buf_put(&h, large, sizeof(large));
    frame(&b, 1, 5, 1, h.p, h.n);
    for (uint32_t i = 1; i <= 40; i++)
        frame(&b, 1, 5, 2 * i + 1, bomb, sizeof(bomb));
    raw_start(f, &r, true);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, r.closed);
    assert_true(frames_of(&r, 7, &last) >= 1);
    assert_int_equal(last[7], NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(f->started, 0);
    raw_end(f, &r);
}

static void every_request_survives_bytes_that_come_one_by_one(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw r;

    rk_buf_init(&b, 65536);
    raw_start(f, &r, true);
    request(&b, 1, "POST", "/t.T/Echo", "application/grpc");
    frame(&b, 0, 0, 1, "\0\0\0", 3);
    frame(&b, 0, 0, 1, "\0\3ab", 4);
    frame(&b, 0, 1, 1, "c", 1);
    for (size_t i = 0; i < b.n; i++) {
        rk_conn_write(r.c, b.p + i, 1);
        UNTIL(f, rk_conn_queued(r.c) == 0);
    }
    UNTIL(f, f->gone == 1);
    assert_int_equal(f->last_size, 3);
    UNTIL(f, holds(&r, "abc"));
    raw_end(f, &r);
}

static void a_stalled_stream_delays_no_other(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct client other;
    struct raw r;
    struct seen s;
    struct rk_grpc_client_call *call;
    char *big = pattern(1 << 20, 'b');
    struct rk_grpc_call *stalled;

    rk_buf_init(&b, 65536);
    raw_start(f, &r, true);
    request(&b, 1, "POST", "/t.T/Chat", "application/grpc"); /* takes the held slot of nobody */
    frame(&b, 8, 0, 0, "\0\x10\0\0", 4); /* connection window wide, streams 64 KiB */
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, f->started == 1);
    rk_buf_clear(&b);
    {
        rk_auto(rk_buf_done) struct rk_buf h;

        rk_buf_init(&h, 4096);
        header(&h, ":method", "POST");
        header(&h, ":scheme", "http");
        header(&h, ":path", "/t.T/Feed");
        header(&h, ":authority", "x");
        header(&h, "content-type", "application/grpc");
        header(&h, "x-peer-id", "k");
        frame(&b, 1, 4, 3, h.p, h.n);
    }
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, f->feed != NULL);
    stalled = f->feed;
    rk_grpc_send(stalled, rk_strn(big, 1 << 20));
    UNTIL(f, r.in.n > 65535); /* the stream's window is used up */
    assert_in_range(rk_grpc_queued(stalled), (1 << 20) - 65536, 1 << 20);
    assert_true(rk_grpc_stalled_since(stalled) > 0);
    /* Another stream of the same connection. */
    rk_buf_clear(&b);
    frame(&b, 0, 0, 1, "\0\0\0\0\7through", 12);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, holds(&r, "through"));
    /* And another connection. */
    client_open(f, &other, NULL);
    seen_init(&s);
    call = rk_grpc_call(other.c, "/t.T/Echo", NULL, NULL, 0, &seen_ops, &s);
    rk_grpc_call_send(call, RK_STR("aaa"), true);
    UNTIL(f, s.done);
    assert_int_equal(s.status, 0);
    assert_true(rk_grpc_queued(stalled) > 0);
    /* Half a message is out, so giving up means a reset. */
    rk_grpc_abort(stalled, RK_GRPC_UNKNOWN, "too slow");
    UNTIL(f, frames_of(&r, 3, NULL) == 1 && f->feed == NULL);
    rk_buf_done(&s.last);
    client_close(f, &other);
    raw_end(f, &r);
    free(big);
}

static void forwarded_addresses_count_only_from_trusted_proxies(void **state)
{
    struct fixture *f = *state, g = { .loop = f->loop };
    struct rk_cidrs *cidrs = rk_cidrs_parse(RK_STR("127.0.0.0/8,10.0.0.0/8"), NULL);
    struct client cl;
    struct seen s;

    seen_init(&s);
    client_open(f, &cl, NULL);
    rk_grpc_call(cl.c, "/t.T/Feed", "x-forwarded-for", "192.0.2.1", 0, &seen_ops, &s);
    UNTIL(f, s.done);
    assert_true(rk_str_starts(rk_str(f->remote), RK_STR("127.0.0.1:")));
    client_close(f, &cl);

    fixture_init(&g, NULL, cidrs);
    client_open(&g, &cl, NULL);
    seen_init(&s);
    rk_grpc_call(cl.c, "/t.T/Feed", "x-forwarded-for", "6.6.6.6, 192.0.2.1 , 10.1.2.3", 0,
                 &seen_ops, &s);
    UNTIL(&g, s.done);
    assert_string_equal(g.remote, "192.0.2.1");
    seen_init(&s);
    rk_grpc_call(cl.c, "/t.T/Feed", "x-forwarded-for", "6.6.6.6, junk, 2001:db8::1", 0, &seen_ops,
                 &s);
    UNTIL(&g, s.done);
    assert_string_equal(g.remote, "2001:db8::1");
    seen_init(&s);
    rk_grpc_call(cl.c, "/t.T/Feed", "x-forwarded-for", "6.6.6.6, junk", 0, &seen_ops, &s);
    UNTIL(&g, s.done);
    assert_true(rk_str_starts(rk_str(g.remote), RK_STR("127.0.0.1:")));
    client_close(&g, &cl);
    rk_grpc_server_close(g.server, fixture_server_closed, &g);
    UNTIL(&g, g.server_closed);
    rk_cidrs_free(cidrs);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(an_http1_get_is_told_405),
        T(garbage_closes_the_connection),
        T(other_methods_and_types_get_http_answers),
        T(a_compressed_message_is_unimplemented),
        T(an_oversized_message_fails_at_its_head),
        T(rapid_reset_is_calmed),
        T(cancels_of_answered_streams_are_not_counted),
        T(a_header_list_over_16_kib_resets_its_stream_alone),
        T(pings_are_answered_and_a_flood_is_not),
        T(a_flood_of_settings_ends_the_connection),
        T(a_flood_of_priorities_ends_the_connection),
        T(headers_without_end_are_not_gathered),
        T(requests_of_references_to_a_large_field_end_the_connection),
        T(every_request_survives_bytes_that_come_one_by_one),
        T(a_stalled_stream_delays_no_other),
        T(forwarded_addresses_count_only_from_trusted_proxies),
    };

    return RUN_TESTS(tests);
}
