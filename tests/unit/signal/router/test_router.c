/* Two replicas' routers on one loop, over a real Redis. */

#include "tests/support/test.h"

#include "libcommon/rds/rds.h"
#include "services/signal/registry/registry.h"
#include "services/signal/router/router.h"
#include "tests/support/pg_fixture.h"

#define FRAME                                                                                      \
    "\0\0\0\0\x03"                                                                                 \
    "abc"

static const struct rk_rds_config redis_at = { .redis = fx.redis };
static struct rk_loop *loop;

/* What app.c is to a router. */
struct replica {
    struct router *router;
    struct registry registry;
    struct fifo_budget budget;
    unsigned registered, superseded, frames, ups, downs, closed;
    struct source superseded_by;
    char last[64]; /* key of the last frame */
};

static struct replica a, b;

static void on_registered(struct stream *s, uint64_t epoch, void *arg)
{
    struct replica *r = arg;
    struct stream *old;

    s->epoch = epoch;
    r->registered++;
    if (registry_add(&r->registry, s, &old) == REGISTRY_REPLACED)
        old->ending = true;
}

static void on_reply_done(struct stream *s, void *arg)
{
    (void)arg;
    s->replies--;
}

static void on_superseded(struct rk_str key, uint64_t epoch, const struct source *source, void *arg)
{
    struct replica *r = arg;
    struct stream *s = registry_get(&r->registry, key);

    if (!s || s->epoch >= epoch)
        return;
    r->superseded++;
    r->superseded_by = *source;
    s->ending = true;
    registry_remove(&r->registry, s);
}

static bool on_frame(struct rk_str key, struct rk_bytes *frame, void *arg)
{
    struct replica *r = arg;

    if (!registry_get(&r->registry, key))
        return false;
    assert_int_equal(frame->n, sizeof(FRAME) - 1);
    assert_memory_equal(frame->p, FRAME, frame->n);
    rk_str_copy(key, r->last, sizeof(r->last));
    r->frames++;
    return true;
}

static void on_up(bool up, void *arg)
{
    struct replica *r = arg;

    if (up)
        r->ups++;
    else
        r->downs++;
}

static void on_closed(void *arg)
{
    ((struct replica *)arg)->closed++;
}

static const struct router_ops ops = { on_registered, on_reply_done, on_superseded, on_frame,
                                       on_up };

/* Runs the loop until *what is at least n; fails after 15 s. */
static void until(const unsigned *what, unsigned n)
{
    uint64_t end = rk_mono_ms() + 15000;

    while (*what < n) {
        if (rk_mono_ms() > end)
            fail_msg("nothing happened in 15 s");
        uv_run(rk_loop_uv(loop), UV_RUN_ONCE);
    }
}

static void open_one(struct replica *r)
{
    *r = (struct replica){ .budget.max_bytes = 1 << 20 };
    registry_init(&r->registry);
    assert_int_equal(router_new(loop, &redis_at, &r->budget, &ops, r, &r->router, NULL), 0);
}

static void close_one(struct replica *r)
{
    router_close(r->router, on_closed, r);
    until(&r->closed, 1);
    assert_int_equal(r->budget.bytes, 0);
    registry_done(&r->registry);
}

static int set_up(void **state)
{
    (void)state;
    if (!fixture_start_redis(&fx))
        return -1;
    loop = rk_loop_new();
    open_one(&a);
    open_one(&b);
    until(&a.ups, 1);
    until(&b.ups, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_one(&a);
    close_one(&b);
    rk_loop_free(loop);
    fixture_stop_redis(&fx);
    return 0;
}

static void stream_init(struct stream *s, const char *key, uint8_t host)
{
    *s = (struct stream){ .call = (struct rk_grpc_call *)s, .key_n = (uint8_t)strlen(key) };
    memcpy(s->key, key, s->key_n);
    s->source = (struct source){ { 4, 192, 0, 2, host } };
    rk_list_init(&s->pending);
}

static void enter(struct replica *r, struct stream *s, const char *key, uint8_t host)
{
    unsigned before = r->registered;

    stream_init(s, key, host);
    router_register(r->router, s);
    until(&r->registered, before + 1);
}

static void forward(struct replica *r, const char *key)
{
    rk_auto(rk_bytes_unref) struct rk_bytes *f = rk_bytes_copy(RK_STR(FRAME));

    router_forward(r->router, rk_str(key), f);
}

static void a_message_reaches_the_replica_that_has_the_key(void **state)
{
    struct stream s;

    (void)state;
    enter(&b, &s, "k", 1);
    for (unsigned i = 1; i <= 5; i++) { /* found, then remembered */
        forward(&a, "k");
        until(&b.frames, i);
    }
    assert_string_equal(b.last, "k");
    forward(&b, "k"); /* it came back to the owner, as an agent's probe of itself does */
    until(&b.frames, 6);
}

/* Else a message that enters elsewhere right afterwards would find nobody. */
static void whoever_comes_before_the_first_connection_to_redis_waits_for_it(void **state)
{
    struct replica c;
    struct stream s;

    (void)state;
    open_one(&c);
    stream_init(&s, "k", 1);
    router_register(c.router, &s);
    assert_int_equal(c.registered, 0);
    until(&c.registered, 1);
    forward(&a, "k");
    until(&c.frames, 1);
    close_one(&c);
}

static void an_absent_key_is_dropped_and_costs_nothing(void **state)
{
    struct stream s;

    (void)state;
    forward(&a, "nobody");
    forward(&a, "");
    forward(&a, "a key of more than sixty-four bytes, which no agent has, nor ever will have");
    enter(&b, &s, "k", 1);
    forward(&a, "k");
    until(&b.frames, 1); /* those before had their answers before this one */
    assert_int_equal(a.frames, 0);
    assert_int_equal(a.budget.bytes, 0);
}

static void the_newest_registration_wins_on_whichever_replica(void **state)
{
    struct stream first, second, third;

    (void)state;
    enter(&a, &first, "k", 1);
    enter(&b, &second, "k", 2);
    until(&a.superseded, 1);
    assert_true(first.ending && !second.ending);
    assert_true(second.epoch > first.epoch);
    assert_memory_equal(&a.superseded_by, &second.source, sizeof(second.source));
    forward(&a, "k");
    until(&b.frames, 1);
    enter(&a, &third, "k", 1);
    until(&b.superseded, 1);
    assert_true(second.ending && third.epoch > second.epoch);
    /* The late end of the one before takes nothing away. */
    router_unregister(b.router, RK_STR("k"), second.epoch);
    forward(&b, "k");
    until(&a.frames, 1);
    assert_int_equal(b.frames, 1);
}

static void a_key_that_moved_is_found_again_although_it_was_remembered(void **state)
{
    struct stream old, fresh, other;
    struct replica c;

    (void)state;
    enter(&b, &old, "k", 1);
    forward(&a, "k");
    until(&b.frames, 1); /* a remembers b */
    open_one(&c);
    until(&c.ups, 1);
    enter(&c, &fresh, "k", 1);
    until(&b.superseded, 1);
    forward(&a, "k"); /* to b, which returns it, and so to c */
    until(&c.frames, 1);
    assert_int_equal(b.frames, 1);

    enter(&b, &other, "m", 1);
    forward(&a, "m");
    until(&b.frames, 2); /* a remembers b for m, and c for k */
    close_one(&c);       /* gone without a word, as after a crash */
    registry_remove(&b.registry, &old);
    old.ending = false;
    enter(&b, &fresh, "k", 1);
    forward(&a, "k"); /* nobody listens at c: looked up once more */
    until(&b.frames, 3);
    assert_string_equal(b.last, "k");
}

static void what_waits_for_redis_is_bounded(void **state)
{
    struct stream s;
    unsigned sent = 0;
    unsigned long over;

    (void)state;
    a.budget.max_bytes = 10 * (sizeof(FRAME) - 1);
    enter(&b, &s, "k", 1);
    for (; sent < 100; sent++)
        forward(&a, "k");
    over = (unsigned long)a.budget.bytes;
    assert_int_equal(over, a.budget.max_bytes);
    until(&b.frames, 10);
    enter(&a, &(struct stream){ .replies = 0 }, "x", 1); /* one more answer from Redis */
    assert_int_equal(b.frames, 10);
    forward(&a, "k");
    until(&b.frames, 11);
}

static void without_redis_agents_are_served_here_and_after_it_everywhere(void **state)
{
    struct stream here, there, newer;
    struct stream *all[1];

    (void)state;
    enter(&a, &here, "k", 1);
    fixture_stop_redis(&fx);
    until(&a.downs, 1);
    until(&b.downs, 1);
    enter(&a, &there, "m", 1); /* at once, with a local epoch */
    assert_true(there.epoch > here.epoch);
    enter(&b, &newer, "k", 2); /* a does not hear of it */
    assert_true(newer.epoch > here.epoch);
    forward(&b, "m"); /* dropped: nothing blocks */
    assert_int_equal(a.superseded, 0);

    assert_true(fixture_start_redis(&fx));
    until(&a.ups, 2);
    until(&b.ups, 2);
    all[0] = &newer;
    router_refresh(b.router, all, 1);
    enter(&b, &(struct stream){ .replies = 0 }, "y", 1); /* that batch was answered */
    all[0] = &here;
    router_refresh(a.router, all, 1); /* learns that it was superseded */
    until(&a.superseded, 1);
    all[0] = &there;
    router_refresh(a.router, all, 1); /* announced again: Redis came back empty */
    enter(&a, &(struct stream){ .replies = 0 }, "z", 1);
    forward(&b, "m");
    until(&a.frames, 1);
    forward(&a, "k");
    until(&b.frames, 1);
}

/* Registered while Redis was away, by a clock that is ten minutes ahead. */
static void the_newest_registration_wins_over_a_clock_that_is_ahead(void **state)
{
    struct stream ahead, newer;
    struct stream *all[] = { &ahead };

    (void)state;
    enter(&a, &ahead, "k", 1);
    ahead.epoch += (uint64_t)600 * 1000000;
    router_refresh(a.router, all, 1);
    enter(&a, &(struct stream){ .replies = 0 }, "y", 1); /* that was answered */
    enter(&b, &newer, "k", 2);
    until(&a.superseded, 1);
    assert_true(ahead.ending && newer.epoch > ahead.epoch);
    all[0] = &newer;
    router_refresh(b.router, all, 1);
    enter(&b, &(struct stream){ .replies = 0 }, "z", 1);
    assert_int_equal(b.superseded, 0);
    forward(&a, "k");
    until(&b.frames, 1);
}

static void on_channels(const struct rk_rds_reply *reply, void *arg)
{
    char(*names)[64] = arg;

    assert_int_equal(reply->n, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(rk_str_copy(reply->element[i].str, names[i], sizeof(names[i])));
}

static void tell_all(struct rk_rds *rds, char names[2][64], struct rk_str mail)
{
    for (size_t i = 0; i < 2; i++)
        rk_rds_publish(rds, names[i], mail);
}

static void bus_up(struct rk_rds *rds, void *arg)
{
    (void)rds;
    (*(unsigned *)arg)++;
}

static void bus_down(struct rk_rds *rds, void *arg)
{
    (void)rds;
    (void)arg;
}

static void bus_message(struct rk_rds *rds, struct rk_str channel, struct rk_str text, void *arg)
{
    (void)rds;
    (void)channel;
    (void)text;
    (void)arg;
}

static void bus_closed(void *arg)
{
    (*(unsigned *)arg)++;
}

/* A third replica, of which only the mail is seen: junk, and news that overtakes an answer. */
static void mail_of_any_kind_is_borne(void **state)
{
    static const struct rk_rds_ops bus_ops = { bus_up, bus_down, bus_message };
    static const char node[] = "01234567890123456789", late[] = "99999999999999999";
    struct stream probe, s;
    struct rk_rds *rds;
    unsigned up = 0, closed = 0;
    char names[2][64] = { "", "" }, mail[128];
    size_t n;

    (void)state;
    assert_int_equal(rk_rds_new(loop, &redis_at, &bus_ops, &up, &rds, NULL), 0);
    until(&up, 1);
    enter(&a, &probe, "probe", 1);
    rk_rds_run(rds, on_channels, names, RK_STR("PUBSUB"), RK_STR("CHANNELS"),
               RK_STR("rk:sig:node:*"));
    while (!names[1][0])
        uv_run(rk_loop_uv(loop), UV_RUN_ONCE);
    for (n = 0; n < 40; n++) { /* cut anywhere, of any kind */
        memset(mail, "MREx\xff"[n % 5], sizeof(mail));
        mail[2] = (char)(sizeof(node) - 1);
        mail[23] = 1;
        tell_all(rds, names, rk_strn(mail, n));
    }
    /* 'E' for "k" with an epoch yet to come, from a replica that registered after us but was
     * quicker; then a frame that shows it has been read. */
    n = (size_t)snprintf(mail, sizeof(mail), "E%c%c%s%ck%s|", 0, (int)sizeof(node) - 1, node, 1,
                         late);
    tell_all(rds, names, rk_strn(mail, n));
    forward(&b, "probe");
    until(&a.frames, 1);
    assert_int_equal(a.superseded, 0);
    enter(&a, &s, "k", 1);
    assert_int_equal(a.superseded, 1);
    assert_true(s.ending);
    rk_rds_close(rds, bus_closed, &closed);
    until(&closed, 1);
}

static void a_frozen_redis_holds_up_a_registration_for_a_second_only(void **state)
{
    struct stream s;
    uint64_t start = rk_mono_ms();

    (void)state;
    assert_int_equal(kill(fx.redis_pid, SIGSTOP), 0);
    enter(&a, &s, "k", 1);
    assert_in_range(rk_mono_ms() - start, 900, 10000);
    assert_true(s.epoch > 0);
    assert_int_equal(s.replies, 1);
    assert_int_equal(kill(fx.redis_pid, SIGCONT), 0);
    while (s.replies > 0) /* the late answer brings the epoch that Redis knows */
        uv_run(rk_loop_uv(loop), UV_RUN_ONCE);
    forward(&b, "k");
    until(&a.frames, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(a_message_reaches_the_replica_that_has_the_key),
        T(whoever_comes_before_the_first_connection_to_redis_waits_for_it),
        T(an_absent_key_is_dropped_and_costs_nothing),
        T(the_newest_registration_wins_on_whichever_replica),
        T(a_key_that_moved_is_found_again_although_it_was_remembered),
        T(what_waits_for_redis_is_bounded),
        T(the_newest_registration_wins_over_a_clock_that_is_ahead),
        T(without_redis_agents_are_served_here_and_after_it_everywhere),
        T(mail_of_any_kind_is_borne),
        T(a_frozen_redis_holds_up_a_registration_for_a_second_only),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, fixture_stop);
}
