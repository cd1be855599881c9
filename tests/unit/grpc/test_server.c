/* The server and the client against each other over loopback sockets. */

#include "tests/unit/grpc/fixture.h"

static void unary_call(struct fixture *f,
                       struct client *cl,
                       const char *path,
                       struct rk_str msg,
                       uint64_t deadline_ms,
                       struct seen *s)
{
    struct rk_grpc_client_call *c;

    seen_init(s);
    c = rk_grpc_call(cl->c, path, NULL, NULL, deadline_ms, &seen_ops, s);
    rk_grpc_call_send(c, msg, true);
    UNTIL(f, s->done);
    rk_buf_done(&s->last);
}

static void a_unary_call_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    unary_call(f, &cl, "/t.T/Echo", RK_STR("aaaa"), 0, &s);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.messages, 1);
    assert_int_equal(s.bytes, 4);
    unary_call(f, &cl, "/t.T/Echo", RK_STR(""), 0, &s);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.messages, 1);
    assert_int_equal(s.bytes, 0);
    UNTIL(f, f->gone == 2);
    assert_int_equal(f->gone_finished, 2);
    client_close(f, &cl);
}

static void an_error_carries_status_and_message(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    unary_call(f, &cl, "/t.T/Refuse", RK_STR("x"), 0, &s);
    assert_int_equal(s.status, RK_GRPC_PERMISSION_DENIED);
    assert_string_equal(s.message, "no: 100% \xc3\xa4");
    assert_false(s.headers);
    unary_call(f, &cl, "/t.T/Nothing", RK_STR("x"), 0, &s);
    assert_int_equal(s.status, RK_GRPC_UNIMPLEMENTED);
    client_close(f, &cl);
}

static void a_stream_gets_headers_before_any_message(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_client_call *c;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    seen_init(&s);
    c = rk_grpc_call(cl.c, "/t.T/Feed", "x-peer-id", "key", 0, &seen_ops, &s);
    UNTIL(f, s.headers);
    assert_string_equal(s.registered, "key");
    assert_int_equal(s.messages, 0);
    for (int i = 0; i < 3; i++)
        rk_grpc_send(f->feed, RK_STR("mmm"));
    UNTIL(f, s.messages == 3);
    assert_int_equal(rk_grpc_queued(f->feed), 0);
    assert_int_equal(rk_grpc_stalled_since(f->feed), 0);
    /* The client's half-close ends nothing. */
    rk_grpc_call_send(c, RK_STR("ignored"), true);
    rk_grpc_send(f->feed, RK_STR("mmm"));
    UNTIL(f, s.messages == 4);
    rk_grpc_finish(f->feed, RK_GRPC_UNKNOWN, "peer registered again");
    UNTIL(f, s.done);
    assert_int_equal(s.status, RK_GRPC_UNKNOWN);
    assert_string_equal(s.message, "peer registered again");
    rk_buf_done(&s.last);
    client_close(f, &cl);
}

static void a_stream_without_its_header_gets_trailers_only(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    seen_init(&s);
    rk_grpc_call(cl.c, "/t.T/Feed", NULL, NULL, 0, &seen_ops, &s);
    UNTIL(f, s.done);
    assert_int_equal(s.status, RK_GRPC_FAILED_PRECONDITION);
    assert_string_equal(s.message, "missing connection header: x-peer-id");
    UNTIL(f, f->gone == 1);
    client_close(f, &cl);
}

static void messages_flow_both_ways(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_client_call *c;
    struct client cl;
    struct seen s;
    char *big = pattern(300000, 'q');

    client_open(f, &cl, NULL);
    seen_init(&s);
    c = rk_grpc_call(cl.c, "/t.T/Chat", NULL, NULL, 0, &seen_ops, &s);
    for (int i = 0; i < 100; i++)
        rk_grpc_call_send(c, RK_STR("zzzzzzzz"), false);
    rk_grpc_call_send(c, rk_strn(big, 300000), false);
    rk_grpc_call_send(c, RK_STR("y"), true);
    UNTIL(f, s.done);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.messages, 102);
    assert_int_equal(s.bytes, 300801);
    assert_false(s.wrong);
    assert_int_equal(f->half_closes, 1);
    free(big);
    rk_buf_done(&s.last);
    client_close(f, &cl);
}

static void big_messages_pass_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s;
    char *big = pattern(MAX_IN + 1, 'b');

    client_open(f, &cl, NULL);
    unary_call(f, &cl, "/t.T/Echo", rk_strn(big, 525000), 0, &s);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.bytes, 525000);
    assert_false(s.wrong);
    unary_call(f, &cl, "/t.T/Echo", rk_strn(big, MAX_IN), 0, &s);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.bytes, MAX_IN);
    unary_call(f, &cl, "/t.T/Echo", rk_strn(big, MAX_IN + 1), 0, &s);
    assert_int_equal(s.status, RK_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(s.messages, 0);
    assert_int_equal(f->messages, 2);
    unary_call(f, &cl, "/t.T/Small", rk_strn(big, 65), 0, &s);
    assert_int_equal(s.status, RK_GRPC_RESOURCE_EXHAUSTED);
    free(big);
    client_close(f, &cl);
}

static void a_deadline_ends_a_call_on_both_sides(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    unary_call(f, &cl, "/t.T/Hold", RK_STR("x"), 50, &s);
    assert_int_equal(s.status, RK_GRPC_DEADLINE_EXCEEDED);
    UNTIL(f, f->gone == 1);
    assert_int_equal(f->gone_finished, 0);
    client_close(f, &cl);
}

static void a_cancel_reaches_the_server(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_client_call *c;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    seen_init(&s);
    c = rk_grpc_call(cl.c, "/t.T/Feed", "x-peer-id", "key", 0, &seen_ops, &s);
    UNTIL(f, s.headers);
    rk_grpc_call_cancel(c);
    UNTIL(f, s.done && f->gone == 1);
    assert_int_equal(s.status, RK_GRPC_CANCELLED);
    assert_int_equal(f->gone_finished, 0);
    assert_null(f->feed);
    client_close(f, &cl);
}

static void a_lost_connection_ends_its_calls(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s;

    client_open(f, &cl, NULL);
    seen_init(&s);
    rk_grpc_call(cl.c, "/t.T/Feed", "x-peer-id", "key", 0, &seen_ops, &s);
    UNTIL(f, s.headers);
    client_close(f, &cl);
    assert_int_equal(s.status, RK_GRPC_UNAVAILABLE);
    UNTIL(f, f->gone == 1 && rk_grpc_server_connections(f->server) == 0);
}

static void a_drain_lets_open_calls_finish(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen s, late;

    client_open(f, &cl, NULL);
    seen_init(&s);
    rk_grpc_call(cl.c, "/t.T/Feed", "x-peer-id", "key", 0, &seen_ops, &s);
    UNTIL(f, s.headers);
    rk_grpc_server_drain(f->server);
    rk_grpc_send(f->feed, RK_STR("still here"));
    UNTIL(f, s.messages == 1);
    unary_call(f, &cl, "/t.T/Echo", RK_STR("x"), 0, &late);
    assert_int_equal(late.status, RK_GRPC_UNAVAILABLE);
    rk_grpc_finish(f->feed, RK_GRPC_UNAVAILABLE, "going away");
    UNTIL(f, s.done && cl.closed);
    assert_string_equal(s.message, "going away");
    UNTIL(f, rk_grpc_server_connections(f->server) == 0);
    rk_buf_done(&s.last);
}

static void a_thousand_calls_at_once_are_answered(void **state)
{
    struct fixture *f = *state;
    struct client cl;
    struct seen *s = rk_new_array(struct seen, 1500);
    unsigned done = 0;

    client_open(f, &cl, NULL);
    for (int i = 0; i < 1500; i++) {
        struct rk_grpc_client_call *c;

        seen_init(&s[i]);
        c = rk_grpc_call(cl.c, "/t.T/Echo", NULL, NULL, 0, &seen_ops, &s[i]);
        rk_grpc_call_send(c, RK_STR("kkkkkkkk"), true);
    }
    for (int i = 0; i < 1500; i++) {
        UNTIL(f, s[i].done);
        done += s[i].status == 0 && s[i].messages == 1;
        rk_buf_done(&s[i].last);
    }
    assert_int_equal(done, 1500);
    free(s);
    client_close(f, &cl);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_unary_call_gets_its_answer),
        T(an_error_carries_status_and_message),
        T(a_stream_gets_headers_before_any_message),
        T(a_stream_without_its_header_gets_trailers_only),
        T(messages_flow_both_ways),
        T(big_messages_pass_up_to_the_limit),
        T(a_deadline_ends_a_call_on_both_sides),
        T(a_cancel_reaches_the_server),
        T(a_lost_connection_ends_its_calls),
        T(a_drain_lets_open_calls_finish),
        T(a_thousand_calls_at_once_are_answered),
    };

    return RUN_TESTS(tests);
}
