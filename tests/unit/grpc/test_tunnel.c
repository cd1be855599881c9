/* HTTP/2 inside a WebSocket, without a socket: the stream of bytes alone. */

#include "tests/unit/grpc/tunnel.h"

struct ends {
    struct rk_buf below, above;
    size_t queued;
    unsigned opened;
};

static void below_write(void *arg, const void *p, size_t n)
{
    rk_buf_put(&((struct ends *)arg)->below, p, n);
}

static size_t below_queued(void *arg)
{
    return ((struct ends *)arg)->queued;
}

static void above_open(void *arg, const struct rk_ws_upgrade *u)
{
    struct ends *e = arg;

    e->opened++;
    assert_string_equal(u->accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static bool above_bytes(void *arg, const uint8_t *p, size_t n)
{
    struct ends *e = arg;

    rk_buf_put(&e->above, p, n);
    return true;
}

static const struct rk_tunnel_ops ends_ops = { below_write, below_queued, above_open, above_bytes };

static void ends_init(struct ends *e)
{
    *e = (struct ends){ 0 };
    rk_buf_init(&e->below, 8u << 20);
    rk_buf_init(&e->above, 8u << 20);
}

static void ends_done(struct ends *e)
{
    rk_buf_done(&e->below);
    rk_buf_done(&e->above);
}

static struct rk_tunnel *open_tunnel(struct ends *e)
{
    struct rk_tunnel *t = rk_tunnel_new(RK_STR(PATH), &ends_ops, e);
    struct rk_err err = { 0 };

    assert_int_equal(rk_tunnel_feed(t, (const uint8_t *)ASK(PATH, ""), strlen(ASK(PATH, "")), &err),
                     0);
    assert_true(rk_tunnel_is_open(t));
    rk_buf_clear(&e->below);
    return t;
}

/* A request, fragments with a ping between them, text in fragments, empty frames, a long one. */
static void put_conversation(struct rk_buf *b, const char *big, size_t big_n)
{
    rk_buf_put_c(b, ASK(PATH, "Origin: https://elsewhere.example\r\n"));
    say(b, BINARY, "one ", 4);
    say(b, FIN | PING, "are you there", 13);
    say(b, CONT, "two ", 4);
    say(b, CONT, "", 0);
    say(b, FIN | CONT, "three ", 6);
    say(b, FIN | TEXT, "not this", 8);
    say(b, TEXT, "nor ", 4);
    say(b, FIN | CONT, "this", 4);
    say(b, FIN | BINARY, "", 0);
    say(b, FIN | PONG, "unasked", 7);
    say(b, FIN | BINARY, big, big_n);
    say(b, FIN | BINARY, " end", 4);
}

static void check_conversation(const struct ends *e, const char *big, size_t big_n)
{
    rk_auto(rk_buf_done) struct rk_buf none;
    const uint8_t *frames = memmem(e->below.p, e->below.n, "\r\n\r\n", 4);
    struct rk_str control = { 0 };
    uint8_t last = 0;

    rk_buf_init(&none, 1024);
    assert_int_equal(e->opened, 1);
    assert_int_equal(e->above.n, 14 + big_n + 4);
    assert_memory_equal(e->above.p, "one two three ", 14);
    assert_memory_equal(e->above.p + 14, big, big_n);
    assert_memory_equal(e->above.p + 14 + big_n, " end", 4);
    assert_memory_equal(e->below.p, "HTTP/1.1 101 ", 13);
    assert_non_null(frames);
    frames += 4;
    assert_int_equal(
        heard(frames, e->below.n - (size_t)(frames - e->below.p), &none, &last, &control), 0);
    assert_int_equal(last, PONG);
    assert_true(rk_str_eq(control, RK_STR("are you there")));
}

static void what_comes_means_the_same_however_it_is_cut(void **state)
{
    char *big = pattern(70000, 'b');
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t ends_at = 0;

    (void)state;
    rk_buf_init(&b, 1u << 20);
    put_conversation(&b, big, 70000);
    /* In two parts at every byte that is not inside the long payload, and byte by byte. */
    for (size_t cut = 0; cut <= b.n; cut++) {
        struct ends e;
        struct rk_err err = { 0 };
        struct rk_tunnel *t;

        if (cut > 700 && cut < b.n - 100)
            continue;
        ends_at++;
        ends_init(&e);
        t = rk_tunnel_new(RK_STR(PATH), &ends_ops, &e);
        if (cut > 0)
            assert_int_equal(rk_tunnel_feed(t, b.p, cut, &err), 0);
        if (cut < b.n)
            assert_int_equal(rk_tunnel_feed(t, b.p + cut, b.n - cut, &err), 0);
        check_conversation(&e, big, 70000);
        rk_tunnel_free(t);
        ends_done(&e);
    }
    assert_true(ends_at > 500);
    struct ends e;
    struct rk_err err = { 0 };

    ends_init(&e);
    rk_auto(rk_tunnel_free) struct rk_tunnel *t = rk_tunnel_new(RK_STR(PATH), &ends_ops, &e);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(rk_tunnel_feed(t, b.p + i, 1, &err), 0);
    check_conversation(&e, big, 70000);
    ends_done(&e);
    free(big);
}

static void a_broken_rule_ends_it_with_its_code(void **state)
{
    static const struct {
        const char *what;
        uint8_t b[40];
        size_t n;
        int code; /* of our Close frame */
    } cases[] = {
        { "not masked", { FIN | BINARY, 1, 'x' }, 3, 1002 },
        { "reserved bit", { 0xc2, 0x80, 0, 0, 0, 0 }, 6, 1002 },
        { "unknown opcode", { 0x83, 0x80, 0, 0, 0, 0 }, 6, 1002 },
        { "long ping", { FIN | PING, 0xfe, 0, 126, 0, 0, 0, 0 }, 8, 1002 },
        { "fragmented ping", { PING, 0x80, 0, 0, 0, 0 }, 6, 1002 },
        { "nothing to continue", { FIN | CONT, 0x80, 0, 0, 0, 0 }, 6, 1002 },
        { "a message within a message",
          { BINARY, 0x80, 0, 0, 0, 0, FIN | BINARY, 0x80, 0, 0, 0, 0 },
          12,
          1002 },
        { "too long", { FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0 }, 14, 1009 },
        { "far too long",
          { FIN | BINARY, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
          10,
          1009 },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(rk_buf_done) struct rk_buf bytes;
        struct rk_str reason = { 0 };
        struct rk_err err = { 0 };
        struct ends e;
        uint8_t last = 0;

        rk_buf_init(&bytes, 1024);
        ends_init(&e);
        rk_auto(rk_tunnel_free) struct rk_tunnel *t = open_tunnel(&e);
        rk_tunnel_write(t, "said before", 11);
        assert_true(rk_tunnel_feed(t, cases[i].b, cases[i].n, &err) < 0);
        assert_true(err.msg[0] != 0);
        assert_int_equal(heard(e.below.p, e.below.n, &bytes, &last, &reason), 1);
        assert_true(rk_str_eq(rk_buf_str(&bytes), RK_STR("said before")));
        assert_int_equal(last, CLOSE);
        assert_int_equal(reason.n, 2);
        assert_int_equal((uint8_t)reason.p[0] << 8 | (uint8_t)reason.p[1], cases[i].code);
        assert_false(rk_tunnel_is_open(t));
        /* Deaf and mute from here on. */
        size_t said = e.below.n;
        rk_tunnel_write(t, "more", 4);
        assert_int_equal(rk_tunnel_flush(t), 0);
        rk_tunnel_close(t, RK_TUNNEL_DONE);
        assert_int_equal(rk_tunnel_feed(t, cases[i].b, cases[i].n, &err), 0);
        assert_int_equal(e.below.n, said);
        assert_int_equal(e.above.n, 0);
        ends_done(&e);
    }
}

static void the_agents_close_is_answered_with_its_code(void **state)
{
    static const struct {
        struct rk_str said, answer;
    } cases[] = {
        { { "", 0 }, { "", 0 } },
        { { "\x03\xe8"
            "bye",
            5 },
          { "\x03\xe8", 2 } },
        { { "x", 1 }, { "", 0 } },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(rk_buf_done) struct rk_buf b, none;
        struct rk_str reason = { "unset", 5 };
        struct rk_err err = { 0 };
        struct ends e;
        uint8_t last = 0;

        rk_buf_init(&b, 1024);
        rk_buf_init(&none, 1024);
        ends_init(&e);
        rk_auto(rk_tunnel_free) struct rk_tunnel *t = open_tunnel(&e);
        say(&b, FIN | CLOSE, cases[i].said.p, cases[i].said.n);
        say(&b, FIN | BINARY, "after", 5);
        assert_int_equal(rk_tunnel_feed(t, b.p, b.n, &err), RK_UNAVAILABLE);
        assert_int_equal(heard(e.below.p, e.below.n, &none, &last, &reason), 0);
        assert_int_equal(last, CLOSE);
        assert_true(rk_str_eq(reason, cases[i].answer));
        assert_int_equal(e.above.n, 0);
        ends_done(&e);
    }
}

static void what_leaves_is_few_messages_of_32_kib_at_most(void **state)
{
    char *p = pattern(100000, 'o');
    rk_auto(rk_buf_done) struct rk_buf bytes;
    struct ends e;

    (void)state;
    rk_buf_init(&bytes, 1u << 20);
    ends_init(&e);
    rk_auto(rk_tunnel_free) struct rk_tunnel *t = open_tunnel(&e);
    for (size_t at = 0; at < 100000; at += 10)
        rk_tunnel_write(t, p + at, 10);
    assert_int_equal(e.below.n, 0);
    assert_int_equal(rk_tunnel_gathered(t), 100000);
    assert_int_equal(rk_tunnel_flush(t), 100000);
    assert_int_equal(rk_tunnel_gathered(t), 0);
    assert_int_equal(heard(e.below.p, e.below.n, &bytes, NULL, NULL), 4);
    assert_int_equal(bytes.n, 100000);
    assert_memory_equal(bytes.p, p, 100000);
    ends_done(&e);
    free(p);
}

static void pings_of_one_who_does_not_read_get_no_answer(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_err err = { 0 };
    struct ends e;

    (void)state;
    rk_buf_init(&b, 1024);
    ends_init(&e);
    rk_auto(rk_tunnel_free) struct rk_tunnel *t = open_tunnel(&e);
    say(&b, FIN | PING, "x", 1);
    e.queued = RK_TUNNEL_PONG_LIMIT + 1;
    assert_int_equal(rk_tunnel_feed(t, b.p, b.n, &err), 0);
    assert_int_equal(e.below.n, 0);
    e.queued = RK_TUNNEL_PONG_LIMIT;
    assert_int_equal(rk_tunnel_feed(t, b.p, b.n, &err), 0);
    assert_memory_equal(e.below.p, "\x8a\x01x", 3);
    ends_done(&e);
}

static void what_is_no_upgrade_is_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *answer;
    } cases[] = {
        { ASK("/other", ""), RK_NOT_FOUND, NULL },
        { ASK("/ws-proxy/testing", ""), RK_NOT_FOUND, NULL },
        { "GET " PATH " HTTP/1.1\r\nHost: x\r\n\r\n", RK_DENIED, "HTTP/1.1 426 " },
        { "GET " PATH " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
          RK_DENIED, "HTTP/1.1 400 " },
        { "GET nowhere\r\n\r\n", RK_DENIED, "HTTP/1.1 400 " },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        size_t n = strlen(cases[i].text);
        struct rk_err err = { 0 };
        struct ends e;

        ends_init(&e);
        rk_auto(rk_tunnel_free) struct rk_tunnel *t = rk_tunnel_new(RK_STR(PATH), &ends_ops, &e);
        for (size_t at = 0; at < n - 1; at++)
            assert_int_equal(rk_tunnel_feed(t, (const uint8_t *)cases[i].text + at, 1, &err), 0);
        assert_int_equal(rk_tunnel_feed(t, (const uint8_t *)cases[i].text + n - 1, 1, &err),
                         cases[i].code);
        assert_int_equal(e.opened, 0);
        if (cases[i].answer)
            assert_memory_equal(e.below.p, cases[i].answer, strlen(cases[i].answer));
        else
            assert_int_equal(e.below.n, 0);
        ends_done(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_means_the_same_however_it_is_cut),
        cmocka_unit_test(a_broken_rule_ends_it_with_its_code),
        cmocka_unit_test(the_agents_close_is_answered_with_its_code),
        cmocka_unit_test(what_leaves_is_few_messages_of_32_kib_at_most),
        cmocka_unit_test(pings_of_one_who_does_not_read_get_no_answer),
        cmocka_unit_test(what_is_no_upgrade_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
