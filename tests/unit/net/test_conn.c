/* Plain connections and the listener: order of callbacks, what closing does to what is queued, and
 * slow peers. */

#include <arpa/inet.h>
#include <netinet/in.h>

#include "libcommon/base/clock.h"
#include "tests/unit/net/fixture.h"

#define BIG (8u << 20) /* more than the sockets of both sides take */

static int setup(void **state)
{
    struct fixture *f = fixture_new();

    fixture_listen(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void open_pair(struct fixture *f, struct end *e)
{
    end_init(e);
    connect_to(f, e, NULL, NULL);
    UNTIL(f->loop, e->opened && f->server.opened);
}

static char *noise(size_t n)
{
    char *p = rk_alloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 7 + (i >> 11));
    return p;
}

static void bytes_arrive_whole_and_in_order_both_ways(void **state)
{
    struct fixture *f = *state;
    char *big = noise(BIG);
    struct end e;

    open_pair(f, &e);
    for (size_t at = 0; at < BIG; at += 100000)
        rk_conn_write(e.c, big + at, BIG - at < 100000 ? BIG - at : 100000);
    assert_int_equal(rk_conn_queued(e.c), BIG);
    rk_conn_write(f->server.c, big, BIG);
    UNTIL(f->loop, e.in.n == BIG && f->server.in.n == BIG);
    assert_memory_equal(e.in.p, big, BIG);
    assert_memory_equal(f->server.in.p, big, BIG);
    UNTIL(f->loop, rk_conn_queued(e.c) == 0 && e.drained > 0 && f->server.drained > 0);
    fixture_hang_up(f, &e);
    free(big);
}

static void nothing_is_called_back_before_the_call_has_returned(void **state)
{
    struct fixture *f = *state;
    struct end e;

    end_init(&e);
    connect_to(f, &e, NULL, NULL);
    assert_int_equal(e.opened, 0);
    UNTIL(f->loop, e.opened && f->server.opened);
    rk_conn_close(e.c, "why not");
    assert_int_equal(e.closed, 0);
    rk_conn_close(e.c, "a second reason does not count");
    rk_conn_write(e.c, "lost", 4);
    assert_int_equal(rk_conn_queued(e.c), 0);
    UNTIL(f->loop, e.closed && f->server.closed);
    assert_string_equal(e.why, "why not");
    assert_string_equal(f->server.why, "peer hung up");
    assert_int_equal(f->server.in.n, 0);
    fixture_hang_up(f, &e);
}

static void a_refused_connect_is_told_with_its_reason(void **state)
{
    struct fixture *f = *state;
    struct end e;

    rk_listener_close(f->listener);
    uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT); /* the port is free now, and nobody listens */
    f->listener = NULL;
    end_init(&e);
    connect_to(f, &e, NULL, NULL);
    UNTIL(f->loop, e.closed);
    assert_int_equal(e.opened, 0);
    assert_string_equal(e.why, "connection refused");
    rk_buf_done(&e.in);
}

static void a_close_while_connecting_is_final(void **state)
{
    struct fixture *f = *state;
    struct end e;

    rk_listener_close(f->listener); /* whatever the answer will be, nobody waits for it */
    f->listener = NULL;
    end_init(&e);
    connect_to(f, &e, NULL, NULL);
    rk_conn_close(e.c, "changed our mind");
    UNTIL(f->loop, e.closed);
    assert_int_equal(e.opened, 0);
    assert_string_equal(e.why, "changed our mind");
    rk_buf_done(&e.in);
    end_init(&e);
    connect_to(f, &e, NULL, NULL);
    rk_conn_close_flush(e.c, "nothing to flush yet", 1000000);
    UNTIL(f->loop, e.closed);
    assert_int_equal(e.opened, 0);
    assert_string_equal(e.why, "nothing to flush yet");
    rk_buf_done(&e.in);
}

static void the_owner_may_close_inside_on_read(void **state)
{
    struct fixture *f = *state;
    struct end e;

    open_pair(f, &e);
    f->server.close_on_read = true;
    rk_conn_write(e.c, "x", 1);
    UNTIL(f->loop, e.closed && f->server.closed);
    assert_string_equal(f->server.why, "closed inside on_read");
    fixture_hang_up(f, &e);
}

static void an_orderly_close_delivers_what_is_queued(void **state)
{
    struct fixture *f = *state;
    char *big = noise(BIG);
    struct end e;

    open_pair(f, &e);
    rk_conn_write(f->server.c, big, BIG);
    rk_conn_close_flush(f->server.c, "done", 1000000);
    rk_conn_close_flush(f->server.c, "done twice", 1);
    rk_conn_write(f->server.c, "too late", 8);
    rk_conn_write(e.c, big, 1000000); /* is thrown away, and does not reset the connection */
    UNTIL(f->loop, e.closed && f->server.closed);
    assert_int_equal(e.in.n, BIG);
    assert_memory_equal(e.in.p, big, BIG);
    assert_int_equal(f->server.in.n, 0);
    assert_string_equal(f->server.why, "done");
    assert_string_equal(e.why, "peer hung up");
    fixture_hang_up(f, &e);
    free(big);
}

static void an_orderly_close_ends_at_its_limit_when_nobody_reads(void **state)
{
    struct fixture *f = *state;
    char *big = noise(BIG);
    struct end e;

    open_pair(f, &e);
    rk_conn_pause(e.c, true);
    for (int i = 0; i < 4; i++)
        rk_conn_write(f->server.c, big, BIG);
    rk_conn_close_flush(f->server.c, "done", 20);
    UNTIL(f->loop, f->server.closed);
    assert_true(e.in.n < 4 * BIG);
    assert_string_equal(f->server.why, "done"); /* the reason given stays */
    fixture_hang_up(f, &e);
    free(big);
}

static void a_paused_reader_lets_the_sender_queue_and_resumes_without_loss(void **state)
{
    struct fixture *f = *state;
    char *big = noise(BIG);
    uint64_t stuck;
    struct end e;

    open_pair(f, &e);
    rk_conn_pause(e.c, true);
    rk_conn_pause(e.c, true);
    for (int i = 0; i < 4; i++)
        rk_conn_write(f->server.c, big, BIG);
    UNTIL(f->loop, rk_conn_queued(f->server.c) < 4 * BIG); /* the kernel took its part */
    do {
        stuck = rk_conn_queued(f->server.c);
        for (int i = 0; i < 3; i++)
            uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    } while (rk_conn_queued(f->server.c) < stuck);
    assert_true(stuck > 0);
    assert_int_equal(e.in.n, 0);
    assert_int_equal(f->server.drained, 0);
    /* The other direction is not concerned. */
    rk_conn_write(e.c, "still", 5);
    UNTIL(f->loop, f->server.in.n == 5);
    rk_conn_pause(e.c, false);
    UNTIL(f->loop, e.in.n == 4 * BIG);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(e.in.p + (size_t)i * BIG, big, BIG);
    UNTIL(f->loop, f->server.drained > 0);
    assert_int_equal(rk_conn_queued(f->server.c), 0);
    fixture_hang_up(f, &e);
    free(big);
}

/* --- addresses --- */

static void both_ends_know_the_peer(void **state)
{
    struct fixture *f = *state;
    char port[16];
    struct end e;

    open_pair(f, &e);
    assert_string_equal(rk_conn_remote(e.c), rk_listener_address(f->listener));
    assert_true(rk_str_starts(rk_str(rk_conn_remote(f->server.c)), RK_STR("127.0.0.1:")));
    assert_int_equal(rk_conn_peer(e.c)->sa_family, AF_INET);
    snprintf(port, sizeof(port), ":%u", ntohs(((struct sockaddr_in *)&f->addr.ss)->sin_port));
    assert_true(rk_str_ends(rk_str(rk_listener_address(f->listener)), rk_str(port)));
    assert_false(rk_str_ends(rk_str(port), RK_STR(":0"))); /* as bound, not as asked for */
    fixture_hang_up(f, &e);
}

static void an_address_in_use_is_an_error_that_names_it(void **state)
{
    struct fixture *f = *state;
    struct rk_listener *second = NULL;
    struct rk_err err = { 0 };

    assert_int_equal(rk_listener_new(f->loop, &f->addr, NULL, fixture_accept, f, &second, &err),
                     RK_UNAVAILABLE);
    assert_null(second);
    assert_non_null(strstr(err.msg, rk_listener_address(f->listener)));
    assert_non_null(strstr(err.msg, "address already in use"));
}

static void a_listener_without_host_takes_both_families(void **state)
{
    struct fixture *f = *state;
    struct rk_addr any;
    struct rk_err err = { 0 };
    char text[64];
    uint16_t port;
    struct end e;

    rk_listener_close(f->listener);
    assert_int_equal(rk_addr_parse(RK_STR(":0"), &any, &err), 0);
    assert_int_equal(rk_listener_new(f->loop, &any, NULL, fixture_accept, f, &f->listener, &err),
                     0);
    port = (uint16_t)strtoul(strrchr(rk_listener_address(f->listener), ':') + 1, NULL, 10);
    assert_true(port > 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    assert_int_equal(rk_addr_parse(rk_str(text), &f->addr, &err), 0);
    open_pair(f, &e);
    /* IPv4 behind an IPv6 socket is still written as IPv4. */
    assert_true(rk_str_starts(rk_str(rk_conn_remote(f->server.c)), RK_STR("127.0.0.1:")));
    fixture_hang_up(f, &e);
    snprintf(text, sizeof(text), "[::1]:%u", port);
    assert_int_equal(rk_addr_parse(rk_str(text), &f->addr, &err), 0);
    open_pair(f, &e);
    assert_true(rk_str_starts(rk_str(rk_conn_remote(f->server.c)), RK_STR("[::1]:")));
    fixture_hang_up(f, &e);
}

static void a_closed_listener_keeps_what_it_has_accepted(void **state)
{
    struct fixture *f = *state;
    struct end e, late;

    open_pair(f, &e);
    rk_listener_close(f->listener);
    rk_listener_close(f->listener); /* on its way already */
    uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    f->listener = NULL;
    end_init(&late);
    connect_to(f, &late, NULL, NULL);
    UNTIL(f->loop, late.closed);
    assert_int_equal(late.opened, 0);
    rk_conn_write(e.c, "on", 2);
    UNTIL(f->loop, f->server.in.n == 2);
    assert_int_equal(f->accepted, 1);
    rk_buf_done(&late.in);
    fixture_hang_up(f, &e);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bytes_arrive_whole_and_in_order_both_ways),
        T(nothing_is_called_back_before_the_call_has_returned),
        T(a_refused_connect_is_told_with_its_reason),
        T(a_close_while_connecting_is_final),
        T(the_owner_may_close_inside_on_read),
        T(an_orderly_close_delivers_what_is_queued),
        T(an_orderly_close_ends_at_its_limit_when_nobody_reads),
        T(a_paused_reader_lets_the_sender_queue_and_resumes_without_loss),
        T(both_ends_know_the_peer),
        T(an_address_in_use_is_an_error_that_names_it),
        T(a_listener_without_host_takes_both_families),
        T(a_closed_listener_keeps_what_it_has_accepted),
    };

    return RUN_TESTS(tests);
}
