/* The session without a socket: what it bounds, and what it does when the connection below is full.
 */

#include "libcommon/http2/session.h"

#include "libcommon/base/alloc.h"
#include "tests/support/h2.h"
#include "tests/support/test.h"

#define BODY 300000u

/* One stream as its owner sees it. */
struct flow {
    int32_t id;
    bool ended, closed;
    uint32_t error;
    size_t to_send, got;
    bool end_after; /* trailers when to_send is used up */
};

struct side {
    struct rk_h2 *h;
    struct rk_buf out;
    size_t held; /* says that so much is queued below */
    bool want_flush;
    struct flow flows[5000];
    unsigned begun, closed;
    bool full_respected; /* take was never called while held */
};

static void side_write(void *arg, const void *p, size_t n)
{
    struct side *s = arg;

    rk_buf_put(&s->out, p, n);
}

static size_t side_queued(void *arg)
{
    struct side *s = arg;

    return s->held + s->out.n;
}

static void side_want_flush(void *arg)
{
    struct side *s = arg;

    s->want_flush = true;
}

static void *side_begin(struct rk_h2 *h, int32_t id, void *arg)
{
    struct side *s = arg;
    struct flow *f = &s->flows[s->begun++];

    (void)h;
    assert_in_range(s->begun, 1, RK_COUNT(s->flows));
    f->id = id;
    return f;
}

static void side_header(void *stream, struct rk_str name, struct rk_str value)
{
    (void)stream;
    (void)name;
    (void)value;
}

static void side_headers_end(void *stream, bool end)
{
    (void)stream;
    (void)end;
}

static void side_data(void *stream, const uint8_t *p, size_t n)
{
    struct flow *f = stream;

    (void)p;
    assert_false(f->ended || f->closed);
    f->got += n;
}

static void side_end(void *stream)
{
    struct flow *f = stream;

    assert_false(f->ended || f->closed);
    f->ended = true;
}

static void side_close(void *stream, uint32_t h2_error)
{
    struct flow *f = stream;

    assert_false(f->closed);
    f->closed = true;
    f->error = h2_error;
}

static size_t side_ready(void *stream, size_t max, bool *out_end)
{
    struct flow *f = stream;
    size_t n = f->to_send < max ? f->to_send : max;

    *out_end = f->end_after && n == f->to_send;
    return n;
}

static struct side *taking; /* whose flow it is: `take` is told the stream alone */

static void side_take(void *stream, size_t n)
{
    static const uint8_t zeros[16384];
    struct flow *f = stream;

    assert_in_range(n, 1, sizeof(zeros));
    f->to_send -= n;
    if (side_queued(taking) - 9 >= RK_H2_OUT_HIGH)
        taking->full_respected = false;
    side_write(taking, zeros, n);
}

static size_t side_trailers(void *stream, nghttp2_nv *nv, size_t max)
{
    (void)stream;
    (void)max;
    nv[0] = (nghttp2_nv){ (uint8_t *)(uintptr_t) "t", (uint8_t *)(uintptr_t) "0", 1, 1, 0 };
    return 1;
}

static const struct rk_h2_ops ops = {
    .write = side_write,
    .queued = side_queued,
    .want_flush = side_want_flush,
    .on_begin = side_begin,
    .on_header = side_header,
    .on_headers_end = side_headers_end,
    .on_data = side_data,
    .on_end = side_end,
    .on_close = side_close,
    .ready = side_ready,
    .take = side_take,
    .trailers = side_trailers,
};

static struct side *side_new(bool trusted)
{
    struct side *s = rk_new(struct side);

    rk_buf_init(&s->out, SIZE_MAX);
    s->full_respected = true;
    s->h = rk_h2_new(true, trusted, &ops, s);
    taking = s;
    return s;
}

static void side_free(struct side *s)
{
    if (!s)
        return;
    rk_h2_free(s->h);
    rk_buf_done(&s->out);
    free(s);
}
RK_DEFINE_AUTO(struct side, side_free)

static int feed(struct side *s, struct rk_buf *b)
{
    struct rk_err err = { 0 };
    int r = rk_h2_feed(s->h, b->p, b->n, &err);

    rk_buf_clear(b);
    return r;
}

/* Preface and the client's settings. */
static void greet(struct side *s, struct rk_buf *b)
{
    rk_buf_put_c(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(b, 4, 0, 0, NULL, 0);
    assert_int_equal(feed(s, b), 0);
}

static void flush(struct side *s)
{
    struct rk_err err = { 0 };

    assert_int_equal(rk_h2_flush(s->h, &err), 0);
}

/* Frames of one type in what left; the last one's payload. */
static unsigned sent(const struct side *s, uint8_t type, const uint8_t **out_last)
{
    unsigned count = 0;

    for (size_t at = 0; at + 9 <= s->out.n;) {
        const uint8_t *p = s->out.p + at;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        assert_true(at + 9 + n <= s->out.n);
        if (p[3] == type) {
            count++;
            if (out_last)
                *out_last = p + 9;
        }
        at += 9 + n;
    }
    return count;
}

static void expect_calm(struct side *s)
{
    const uint8_t *last = NULL;

    flush(s);
    assert_int_equal(sent(s, NGHTTP2_GOAWAY, &last), 1);
    assert_int_equal(last[7], NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(rk_h2_done(s->h));
}

/* --- hostile frames --- */

enum who {
    STRANGER,
    KNOWN,
    PROXY,
};

static struct side *side_of(enum who who)
{
    struct side *s = side_new(who == PROXY);

    if (who == KNOWN)
        rk_h2_known(s->h);
    return s;
}

static void flood(enum who who, uint8_t type, const char *payload, size_t n, unsigned fine)
{
    rk_auto(side_free) struct side *s = side_of(who);
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    for (unsigned i = 1; i < fine; i++) { /* the settings were one */
        frame(&b, type, 0, type == NGHTTP2_PRIORITY ? 1 : 0, payload, n);
        assert_int_equal(feed(s, &b), 0);
        flush(s); /* acknowledged at once, and read */
        rk_buf_clear(&s->out);
    }
    frame(&b, type, 0, type == NGHTTP2_PRIORITY ? 1 : 0, payload, n);
    assert_int_equal(feed(s, &b), RK_EXHAUSTED);
    expect_calm(s);
}

static void control_frames_are_bounded_by_who_sends_them(void **state)
{
    (void)state;
    flood(KNOWN, NGHTTP2_PING, "12345678", 8, 2000);
    flood(KNOWN, NGHTTP2_SETTINGS, "", 0, 2000);
    flood(KNOWN, NGHTTP2_PRIORITY, "\0\0\0\0\20", 5, 2000);
    flood(STRANGER, NGHTTP2_PING, "12345678", 8, 100);
    flood(PROXY, NGHTTP2_PING, "12345678", 8, 40000);
}

static void empty_data_is_a_control_frame(void **state)
{
    rk_auto(side_free) struct side *s = side_of(KNOWN);
    rk_auto(rk_buf_done) struct rk_buf b;
    unsigned i;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    request(&b, 1, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    for (i = 0; i < 3000; i++) {
        frame(&b, NGHTTP2_DATA, 0, 1, NULL, 0);
        if (feed(s, &b) < 0)
            break;
    }
    assert_int_equal(i, 1999);
    expect_calm(s);
}

/* What comes behind the last frame that was one too many is not read, whatever it is: not what
 * makes nghttp2 end a session that has ended. */
static void what_follows_a_flood_is_not_read(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 16; type++) {
        rk_auto(side_free) struct side *s = side_of(STRANGER);
        rk_auto(rk_buf_done) struct rk_buf b;

        rk_buf_init(&b, SIZE_MAX);
        greet(s, &b);
        request(&b, 1, "POST", "/x", "application/grpc");
        for (unsigned i = 0; i < 100; i++)
            frame(&b, NGHTTP2_DATA, 0, 1, NULL, 0);
        frame(&b, (uint8_t)type, 0, type % 2, "123456789", 9); /* of a wrong size for most */
        frame(&b, NGHTTP2_PRIORITY, 0, 1, NULL, 0);
        assert_int_equal(feed(s, &b), RK_EXHAUSTED);
        assert_int_equal(rk_h2_frames_in(s->h), 102);
        expect_calm(s);
    }
}

/* So many that the connection ends, in one read. */
static struct side *pinged(enum who who, unsigned n)
{
    struct side *s = side_of(who);
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    for (unsigned i = 0; i < n; i++)
        frame(&b, NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_int_equal(feed(s, &b), RK_EXHAUSTED);
    expect_calm(s);
    return s;
}

static void pings_in_one_read_are_calmed_before_their_answers_pile_up(void **state)
{
    rk_auto(side_free) struct side *s = pinged(KNOWN, 1000);

    (void)state;
    assert_in_range(sent(s, NGHTTP2_PING, NULL), 0, 500);
}

enum how {
    CANCELLED,
    OVERFLOWN, /* its window, so that we are made to reset it */
    OURS,      /* reset as its owner wants it */
    ANSWERED,  /* and then cancelled */
};

static unsigned resets_taken(enum who who, enum how how, unsigned most)
{
    rk_auto(side_free) struct side *s = side_of(who);
    rk_auto(rk_buf_done) struct rk_buf b;
    unsigned i;

    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    for (i = 0; i < most; i++) {
        request(&b, 2 * i + 1, "POST", "/x", "application/grpc");
        assert_int_equal(feed(s, &b), 0);
        if (how == ANSWERED)
            rk_h2_answered(s->h, (int32_t)(2 * i + 1));
        if (how == OURS)
            rk_h2_reset(s->h, (int32_t)(2 * i + 1), NGHTTP2_CANCEL);
        else if (how == OVERFLOWN)
            frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, "\x7f\xff\xff\xff", 4);
        else
            frame(&b, NGHTTP2_RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
        if (feed(s, &b) < 0)
            break;
        flush(s);
        if (rk_h2_done(s->h))
            break;
    }
    if (i < most)
        expect_calm(s);
    return i;
}

static void streams_thrown_away_before_their_answer_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(resets_taken(STRANGER, CANCELLED, 1000), 10);
    assert_int_equal(resets_taken(KNOWN, CANCELLED, 1000), 200);
    assert_int_equal(resets_taken(PROXY, CANCELLED, 4800), 4000);
    assert_int_equal(resets_taken(STRANGER, ANSWERED, 1000), 1000);
}

static void streams_we_are_made_to_reset_are_bounded_as_well(void **state)
{
    (void)state;
    assert_int_equal(resets_taken(STRANGER, OVERFLOWN, 1000), 10);
    assert_int_equal(resets_taken(KNOWN, OVERFLOWN, 1000), 200);
    assert_int_equal(resets_taken(STRANGER, OURS, 1000), 1000);
}

/* The bound is passed at the beginning of what was read; in all of it there were 3,000. */
static void the_rest_of_a_read_is_not_looked_at_once_it_is_too_much(void **state)
{
    rk_auto(side_free) struct side *s = pinged(STRANGER, 3000);

    (void)state;
    assert_in_range(rk_h2_frames_in(s->h), 100, 500);
}

static void streams_beyond_the_bound_are_refused_one_by_one(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    const uint8_t *last = NULL;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    for (uint32_t i = 0; i < RK_H2_MAX_STREAMS + 10; i++)
        request(&b, 2 * i + 1, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    flush(s);
    assert_int_equal(s->begun, RK_H2_MAX_STREAMS);
    assert_int_equal(rk_h2_streams(s->h), RK_H2_MAX_STREAMS);
    assert_int_equal(sent(s, NGHTTP2_RST_STREAM, &last), 10);
    assert_int_equal(last[3], NGHTTP2_REFUSED_STREAM);
    assert_int_equal(sent(s, NGHTTP2_GOAWAY, NULL), 0);
}

static void who_reads_nothing_cannot_make_us_keep_answers_without_end(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    unsigned i;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    flush(s);
    s->held = RK_H2_OUT_HIGH; /* the socket below takes no more */
    for (i = 0; i < 100000; i++) {
        request(&b, 2 * i + 1, "POST", "/x", "application/grpc");
        if (feed(s, &b) < 0)
            break;
        flush(s);
    }
    /* 1000 streams open, and a refusal waits for each of the others. */
    assert_in_range(i, RK_H2_MAX_STREAMS + 4000, RK_H2_MAX_STREAMS + 6000);
    s->held = 0;
    expect_calm(s);
}

static void
a_header_block_over_the_bound_resets_its_stream_and_leaves_the_next_readable(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_buf_done) struct rk_buf h;
    char value[121];

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    rk_buf_init(&h, SIZE_MAX);
    memset(value, 'v', 120);
    value[120] = '\0';
    greet(s, &b);
    header(&h, ":method", "POST");
    header(&h, ":scheme", "http");
    header(&h, ":path", "/x");
    for (int i = 0; i < 110; i++)
        header(&h, "x-y", value);
    frame(&b, NGHTTP2_HEADERS, 0, 1, h.p, 100);
    frame(&b, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, h.p + 100, h.n - 100);
    request(&b, 3, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    flush(s);
    assert_int_equal(sent(s, NGHTTP2_RST_STREAM, NULL), 1);
    assert_int_equal(s->begun, 2);
    assert_true(s->flows[0].closed);
    assert_false(s->flows[1].closed);
}

/* --- output --- */

static void respond(struct side *s, int32_t id)
{
    nghttp2_nv nv = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3, 0 };

    assert_int_equal(rk_h2_respond(s->h, id, &nv, 1, false), 0);
}

static void data_waits_in_its_stream_while_the_connection_below_is_full(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    struct flow *f = &s->flows[0];
    size_t most = 0, total = 0;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    frame(&b, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\x7f\xff\xff", 6); /* windows are no hindrance */
    frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\x7f\xff\xff", 4);
    request(&b, 1, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    f->to_send = BODY;
    f->end_after = true;
    respond(s, 1);
    for (int turn = 0; turn < 100 && (f->to_send > 0 || s->out.n > 0); turn++) {
        flush(s);
        most = s->out.n > most ? s->out.n : most;
        total += s->out.n;
        rk_buf_clear(&s->out); /* the kernel takes it */
    }
    assert_int_equal(f->to_send, 0);
    assert_true(s->full_respected);
    assert_in_range(most, RK_H2_OUT_HIGH, RK_H2_OUT_HIGH + 16384 + 9);
    assert_in_range(total, BODY, BODY + 2000);
}

static void data_waits_for_the_windows_of_stream_and_connection(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    struct flow *slow = &s->flows[0], *other = &s->flows[1];

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\4\1", 4); /* the connection: 65535 + 1025 */
    request(&b, 1, "POST", "/x", "application/grpc");
    request(&b, 3, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    slow->to_send = BODY;
    respond(s, 1);
    for (int turn = 0; turn < 10; turn++) {
        flush(s);
        rk_buf_clear(&s->out);
    }
    assert_int_equal(slow->to_send, BODY - 65535);
    /* What its window leaves of the connection's is for the others. */
    other->to_send = 2000;
    respond(s, 3);
    flush(s);
    assert_int_equal(other->to_send, 2000 - 1025);
    rk_buf_clear(&s->out);
    frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\4\0", 4);
    assert_int_equal(feed(s, &b), 0);
    flush(s);
    assert_int_equal(other->to_send, 0);
    assert_int_equal(slow->to_send, BODY - 65535);
    /* A smaller initial window counts for open streams: theirs goes below zero, and waits. */
    frame(&b, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\0\0\12", 6);
    frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\x10\0\0", 4);
    frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\xff\xf5", 4); /* 65525: back at zero */
    assert_int_equal(feed(s, &b), 0);
    flush(s);
    assert_int_equal(slow->to_send, BODY - 65535);
    frame(&b, NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\5", 4);
    assert_int_equal(feed(s, &b), 0);
    flush(s);
    assert_int_equal(slow->to_send, BODY - 65540);
}

/* --- the orderly end --- */

static void after_goaway_open_streams_go_on_and_new_ones_are_not_begun(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    const uint8_t *last = NULL;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    request(&b, 1, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    rk_h2_goaway(s->h);
    rk_h2_goaway(s->h);
    flush(s);
    assert_int_equal(sent(s, NGHTTP2_GOAWAY, &last), 1);
    assert_int_equal(last[3], 1); /* the last stream that is served */
    assert_int_equal(last[7], NGHTTP2_NO_ERROR);
    request(&b, 3, "POST", "/x", "application/grpc");
    frame(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "late", 4);
    assert_int_equal(feed(s, &b), 0);
    assert_int_equal(s->begun, 1);
    assert_int_equal(s->flows[0].got, 4);
    assert_true(s->flows[0].ended);
    assert_false(rk_h2_done(s->h));
    s->flows[0].to_send = 10;
    s->flows[0].end_after = true;
    respond(s, 1);
    flush(s);
    assert_true(s->flows[0].closed);
    assert_int_equal(s->flows[0].error, NGHTTP2_NO_ERROR);
}

static void an_answer_that_is_complete_tells_the_client_to_stop_sending(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;
    const uint8_t *last = NULL;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    request(&b, 1, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    s->flows[0].end_after = true;
    respond(s, 1);
    flush(s);
    assert_int_equal(sent(s, NGHTTP2_RST_STREAM, &last), 1);
    assert_int_equal(last[3], NGHTTP2_NO_ERROR);
    assert_true(s->flows[0].closed);
    assert_int_equal(rk_h2_streams(s->h), 0);
    /* What was on its way is of no consequence. */
    frame(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "late", 4);
    request(&b, 3, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    assert_int_equal(s->begun, 2);
}

static void a_forgotten_stream_reaches_nobody(void **state)
{
    rk_auto(side_free) struct side *s = side_new(false);
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    greet(s, &b);
    request(&b, 1, "POST", "/x", "application/grpc");
    assert_int_equal(feed(s, &b), 0);
    rk_h2_forget(s->h, 1);
    assert_int_equal(rk_h2_streams(s->h), 0);
    frame(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "late", 4);
    frame(&b, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4);
    assert_int_equal(feed(s, &b), 0);
    assert_int_equal(s->flows[0].got, 0);
    assert_false(s->flows[0].closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_frames_are_bounded_by_who_sends_them),
        cmocka_unit_test(empty_data_is_a_control_frame),
        cmocka_unit_test(the_rest_of_a_read_is_not_looked_at_once_it_is_too_much),
        cmocka_unit_test(pings_in_one_read_are_calmed_before_their_answers_pile_up),
        cmocka_unit_test(streams_thrown_away_before_their_answer_are_bounded),
        cmocka_unit_test(streams_we_are_made_to_reset_are_bounded_as_well),
        cmocka_unit_test(what_follows_a_flood_is_not_read),
        cmocka_unit_test(streams_beyond_the_bound_are_refused_one_by_one),
        cmocka_unit_test(who_reads_nothing_cannot_make_us_keep_answers_without_end),
        cmocka_unit_test(
            a_header_block_over_the_bound_resets_its_stream_and_leaves_the_next_readable),
        cmocka_unit_test(data_waits_in_its_stream_while_the_connection_below_is_full),
        cmocka_unit_test(data_waits_for_the_windows_of_stream_and_connection),
        cmocka_unit_test(after_goaway_open_streams_go_on_and_new_ones_are_not_begun),
        cmocka_unit_test(an_answer_that_is_complete_tells_the_client_to_stop_sending),
        cmocka_unit_test(a_forgotten_stream_reaches_nobody),
    };

    return RUN_TESTS(tests);
}
