/* What the server does by the clock, with a clock that is short: dead and idle connections, silence
 * before the preface, deadlines, and the time an orderly end may take. */

#include <sched.h>
#include <unistd.h>

#include "libcommon/grpc/timeout.h"
#include "libcommon/net/conn_int.h"
#include "tests/unit/grpc/raw.h"

#define LONG 1000000u /* never in this test */

static int setup(void **state)
{
    struct fixture *f = rk_new(struct fixture);

    f->loop = rk_loop_new();
    *state = f;
    return 0;
}

/* All the waits are long but those a test makes short. */
static struct rk_grpc_server_config patient(void)
{
    return (struct rk_grpc_server_config){ .preface_ms = LONG,
                                           .nudge_ms = LONG,
                                           .keepalive_ms = LONG,
                                           .answer_ms = LONG,
                                           .idle_ms = LONG,
                                           .flush_ms = LONG };
}

static void silence_before_the_preface_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    struct raw silent, half;

    cfg.preface_ms = 20;
    fixture_serve(f, cfg);
    raw_start(f, &silent, false);
    raw_start(f, &half, false);
    rk_conn_write(half.c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", 23);
    UNTIL(f, silent.closed && half.closed);
    assert_int_equal(silent.in.n + half.in.n, 0);
    assert_int_equal(rk_grpc_server_connections(f->server), 0);
    raw_end(f, &silent);
    raw_end(f, &half);
}

static void the_preface_in_time_ends_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    struct raw r, silent;

    cfg.preface_ms = 200;
    fixture_serve(f, cfg);
    raw_start(f, &r, true);
    UNTIL(f, frames_of(&r, 4, NULL) > 0);
    raw_start(f, &silent, false); /* a later deadline than that of the first would have been */
    UNTIL(f, silent.closed);
    assert_false(r.closed);
    raw_end(f, &r);
    raw_end(f, &silent);
}

/* PINGs of the server that stand in what was read. */
static unsigned pings_of(const struct raw *r)
{
    unsigned count = 0;

    for (size_t at = 0; at + 17 <= r->in.n;) {
        const uint8_t *p = r->in.p + at;

        count += p[3] == 6 && !(p[4] & 1);
        at += 9 + ((size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2]);
    }
    return count;
}

static void a_peer_that_answers_no_ping_is_dead(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw r;

    rk_buf_init(&b, 4096);
    cfg.keepalive_ms = 10;
    cfg.answer_ms = 20;
    fixture_serve(f, cfg);
    raw_start(f, &r, true);
    request(&b, 1, "POST", "/t.T/Hold", "application/grpc");
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, r.closed);
    assert_int_equal(pings_of(&r), 1);
    assert_int_equal(f->started, 1);
    assert_int_equal(f->gone, 1); /* its calls are told */
    assert_int_equal(rk_grpc_server_connections(f->server), 0);
    raw_end(f, &r);
}

static void who_asks_for_nothing_is_nudged(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw mute, busy;

    rk_buf_init(&b, 4096);
    cfg.nudge_ms = 5;
    fixture_serve(f, cfg);
    raw_start(f, &busy, true);
    request(&b, 1, "POST", "/t.T/Hold", "application/grpc");
    rk_conn_write(busy.c, b.p, b.n);
    UNTIL(f, f->started == 1);
    raw_start(f, &mute, true);
    UNTIL(f, pings_of(&mute) == 4); /* 5, 15, 35 and 75 ms after its preface */
    assert_int_equal(pings_of(&busy), 0);
    raw_end(f, &mute);
    raw_end(f, &busy);
}

static void answer_ping(struct raw *r)
{
    static const uint8_t ack[17] = { 0, 0, 8, 6, 1 };

    rk_conn_write(r->c, ack, sizeof(ack));
}

static void a_peer_that_answers_lives_on(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    rk_auto(rk_buf_done) struct rk_buf b;
    struct raw dead, alive;
    unsigned answered = 0;

    rk_buf_init(&b, 4096);
    cfg.keepalive_ms = 5;
    cfg.answer_ms = 20;
    fixture_serve(f, cfg);
    raw_start(f, &alive, true);
    raw_start(f, &dead, true);
    while (!dead.closed || answered < 4) {
        UNTIL(f, pings_of(&alive) > answered || alive.closed);
        assert_false(alive.closed);
        answer_ping(&alive);
        answered++;
    }
    /* Any frame is an answer. */
    UNTIL(f, pings_of(&alive) > answered);
    frame(&b, 8, 0, 0, "\0\0\0\1", 4);
    rk_conn_write(alive.c, b.p, b.n);
    UNTIL(f, pings_of(&alive) > answered + 1);
    assert_false(alive.closed);
    raw_end(f, &alive);
    raw_end(f, &dead);
}

static void a_server_that_stood_still_reads_before_it_judges(void **state)
{
    static const uint8_t ack[17] = { 0, 0, 8, 6, 1 };
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    uint64_t until;
    struct raw r;
    int fd;

    cfg.keepalive_ms = 1;
    cfg.answer_ms = 20;
    fixture_serve(f, cfg);
    raw_start(f, &r, true);
    assert_int_equal(uv_fileno((uv_handle_t *)rk_conn_tcp(r.c), &fd), 0);
    for (unsigned i = 0; i < 5; i++) {
        while (pings_of(&r) <= i && !r.closed)
            uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
        assert_false(r.closed);
        /* The answer lies in the server's socket, and its time is over before the loop goes on. */
        assert_int_equal(write(fd, ack, sizeof(ack)), sizeof(ack));
        until = rk_mono_ms() + cfg.answer_ms + 5;
        while (rk_mono_ms() < until)
            sched_yield();
    }
    raw_end(f, &r);
}

static void a_connection_without_streams_is_told_to_go(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    rk_auto(rk_buf_done) struct rk_buf b;
    const uint8_t *last = NULL;
    struct raw idle, busy;
    struct client cl;
    struct seen s;

    rk_buf_init(&b, 4096);
    cfg.keepalive_ms = 5;
    cfg.answer_ms = 20;
    cfg.idle_ms = 50;
    fixture_serve(f, cfg);
    raw_start(f, &busy, true);
    request(&b, 1, "POST", "/t.T/Hold", "application/grpc");
    rk_conn_write(busy.c, b.p, b.n);
    raw_start(f, &idle, true);
    frame(&b, 6, 0, 0, "12345678", 8); /* PINGs are no streams */
    rk_conn_write(idle.c, b.p + b.n - 17, 17);
    /* Also after a call that is over; the client answers PINGs. */
    client_open(f, &cl, NULL);
    seen_init(&s);
    rk_grpc_call_send(rk_grpc_call(cl.c, "/t.T/Echo", NULL, NULL, 0, &seen_ops, &s), RK_STR("x"),
                      true);
    for (unsigned quiet = 0, held = 0; !idle.closed || !cl.closed;) {
        UNTIL(f, pings_of(&idle) > quiet || pings_of(&busy) > held || (idle.closed && cl.closed));
        for (; quiet < pings_of(&idle) && !idle.closed; quiet++)
            answer_ping(&idle);
        for (; held < pings_of(&busy) && !busy.closed; held++)
            answer_ping(&busy);
        assert_false(busy.closed);
    }
    assert_true(s.done);
    assert_int_equal(s.status, 0);
    assert_int_equal(frames_of(&idle, 7, &last), 1);
    assert_int_equal(last[7], NGHTTP2_NO_ERROR);
    assert_false(busy.closed);
    rk_buf_done(&s.last);
    raw_end(f, &idle);
    raw_end(f, &busy);
}

static void a_deadline_ends_the_call_with_its_status(void **state)
{
    struct fixture *f = *state;
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_buf_done) struct rk_buf h;
    struct raw r;

    rk_buf_init(&b, 4096);
    rk_buf_init(&h, 4096);
    fixture_serve(f, patient());
    raw_start(f, &r, true);
    header(&h, ":method", "POST");
    header(&h, ":scheme", "http");
    header(&h, ":authority", "x");
    header(&h, ":path", "/t.T/Hold");
    header(&h, "content-type", "application/grpc");
    header(&h, "grpc-timeout", "10m");
    frame(&b, 1, 4, 1, h.p, h.n);
    frame(&b, 0, 1, 1, "\0\0\0\0\0", 5);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, f->gone == 1 && frames_of(&r, 1, NULL) == 1);
    assert_int_equal(f->messages, 1); /* it had come that far */
    assert_int_equal(f->gone_finished, 0);
    assert_null(f->held);
    assert_true(says(&r, "grpc-status=4\ngrpc-message=deadline exceeded\n"));
    assert_false(r.closed);
    raw_end(f, &r);
}

static void an_answer_in_time_disarms_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_client_call *c;
    struct client cl;
    struct seen first, second;

    fixture_serve(f, patient());
    client_open(f, &cl, NULL);
    seen_init(&first);
    seen_init(&second);
    c = rk_grpc_call(cl.c, "/t.T/Echo", NULL, NULL, 5000, &seen_ops, &first);
    rk_grpc_call_send(c, RK_STR("a"), true);
    UNTIL(f, first.done);
    assert_int_equal(first.status, 0);
    c = rk_grpc_call(cl.c, "/t.T/Hold", NULL, NULL, 20, &seen_ops, &second);
    rk_grpc_call_send(c, RK_STR("a"), true);
    UNTIL(f, second.done && f->gone == 2);
    assert_int_equal(second.status, RK_GRPC_DEADLINE_EXCEEDED);
    rk_buf_done(&first.last);
    rk_buf_done(&second.last);
    client_close(f, &cl);
}

static void an_orderly_end_waits_only_so_long_for_who_does_not_read(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_buf_done) struct rk_buf h;
    char *big = pattern(1 << 20, 'b');
    struct raw r;

    rk_buf_init(&b, 65536);
    rk_buf_init(&h, 4096);
    cfg.flush_ms = 30;
    fixture_serve(f, cfg);
    raw_start(f, &r, true);
    frame(&b, 4, 0, 0, "\0\4\x7f\xff\xff\xff", 6);
    frame(&b, 8, 0, 0, "\x7f\0\0\0", 4);
    header(&h, ":method", "POST");
    header(&h, ":scheme", "http");
    header(&h, ":authority", "x");
    header(&h, ":path", "/t.T/Feed");
    header(&h, "content-type", "application/grpc");
    header(&h, "x-peer-id", "k");
    frame(&b, 1, 4, 1, h.p, h.n);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, f->feed != NULL);
    rk_conn_pause(r.c, true);
    /* More than both sockets take. */
    for (int i = 0; i < 32; i++)
        rk_grpc_send(f->feed, rk_strn(big, 1 << 20));
    uint64_t before = rk_grpc_queued(f->feed);
    UNTIL(f, rk_grpc_queued(f->feed) < before);
    /* A GOAWAY for bad frames cannot leave either. */
    rk_buf_clear(&b);
    frame(&b, 0, 0, 0, "data of no stream", 17);
    rk_conn_write(r.c, b.p, b.n);
    UNTIL(f, rk_grpc_server_connections(f->server) == 0);
    assert_int_equal(f->gone, 1);
    raw_end(f, &r);
    free(big);
}

static void connections_beyond_the_bound_are_closed_at_once(void **state)
{
    struct fixture *f = *state;
    struct rk_grpc_server_config cfg = patient();
    struct raw first, second, third;

    cfg.max_connections = 2;
    fixture_serve(f, cfg);
    raw_start(f, &first, true);
    raw_start(f, &second, true);
    UNTIL(f, rk_grpc_server_connections(f->server) == 2);
    raw_start(f, &third, false);
    UNTIL(f, third.closed);
    assert_false(first.closed || second.closed);
    raw_end(f, &third);
    raw_end(f, &first);
    UNTIL(f, rk_grpc_server_connections(f->server) == 1);
    raw_start(f, &third, true);
    UNTIL(f, frames_of(&third, 4, NULL) > 0);
    raw_end(f, &second);
    raw_end(f, &third);
}

/* --- the text of a deadline --- */

static void timeouts_are_read_as_grpc_writes_them(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t ms;
    } table[] = {
        { "1H", true, 3600000 }, { "2M", true, 120000 },     { "3S", true, 3000 },
        { "4m", true, 4 },       { "4999876u", true, 5000 }, { "1n", true, 1 },
        { "", false, 0 },        { "S", false, 0 },          { "1", false, 0 },
        { "1x", false, 0 },      { "-1S", false, 0 },        { "100000000S", false, 0 },
        { "1 S", false, 0 },     { "1.5S", false, 0 },       { "+1S", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(table); i++) {
        uint64_t ms = 0;
        bool good = rk_grpc_timeout_parse(rk_str(table[i].text), &ms);

        if (good != table[i].good || (good && ms != table[i].ms))
            fail_msg("%s: %d, %llu", table[i].text, good, (unsigned long long)ms);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(silence_before_the_preface_closes_the_connection),
        T(the_preface_in_time_ends_its_deadline),
        T(who_asks_for_nothing_is_nudged),
        T(a_peer_that_answers_no_ping_is_dead),
        T(a_peer_that_answers_lives_on),
        T(a_server_that_stood_still_reads_before_it_judges),
        T(a_connection_without_streams_is_told_to_go),
        T(a_deadline_ends_the_call_with_its_status),
        T(an_answer_in_time_disarms_the_deadline),
        T(an_orderly_end_waits_only_so_long_for_who_does_not_read),
        T(connections_beyond_the_bound_are_closed_at_once),
        cmocka_unit_test(timeouts_are_read_as_grpc_writes_them),
    };

    return RUN_TESTS(tests);
}
