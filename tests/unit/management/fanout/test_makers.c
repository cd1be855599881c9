/*
 * A change that concerns many: its maps made by threads, and what happens meanwhile. Streams are
 * without sockets (tests/support/streams.h); what an agent has got is opened with its key.
 */

#include "tests/support/test.h"

#include "libcommon/account/compile/compile.h"
#include "libcommon/base/clock.h"
#include "proto/management.pb-c.h"
#include "services/management/fanout/round.h"
#include "tests/support/account_rows.h"
#include "tests/support/random_objects.h"
#include "tests/support/streams.h"

enum {
    PEERS = 200, /* more than makers take at once */
    THREADS = 3,
    CHANGES = 40,
    GOT_MAX = 64
};

/* Everybody talks to everybody, on that port. */
static struct rk_snapshot *account(uint64_t serial, const char *port)
{
    struct rk_delta *d = rows_full(serial);
    struct rk_group_row *all = rows_group("all", "All");
    struct rk_policy_row *policy = rows_policy("pol");
    struct rk_rule *rule = rows_rule(policy, RK_PROTO_TCP, true);

    rows_port(rule, port);
    rows_source(rule, "all");
    rows_destination(rule, "all");
    rows_add_account(d, rows_account());
    for (unsigned i = 1; i <= PEERS; i++) {
        char id[RK_XID_LEN + 1];

        (void)snprintf(id, sizeof(id), "peer%04u", i);
        rows_add_peer(d, rows_peer(id, i));
        rows_member(all, id);
    }
    rows_add_group(d, all);
    rows_add_policy(d, policy);
    return rows_apply(NULL, d);
}

/* The account is at that serial and port now, and everybody owes a map. */
static void changes(struct streams *t, uint64_t serial, const char *port)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *next = account(serial, port);
    rk_auto(rk_bitmap_done) struct rk_bitmap everybody;

    rk_bitmap_init(&everybody);
    for (size_t i = 0; i < PEERS; i++)
        rk_bitmap_set(&everybody, i);
    streams_change(t, next, &everybody, rk_wall_us());
}

static void begin(struct streams *t, size_t batch_bytes)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = account(1, "1");

    streams_open(t, s, THREADS, batch_bytes);
    t->keep = true;
}

/* The round begins: makers have as much as they take, and nothing of it has come back. */
static void begin_round(struct streams *t)
{
    rk_timer_stop(&t->hub->fan);
    round_on_timer(&t->hub->fan);
    assert_int_equal(makers_under_way(t->app.makers), THREADS * MAKERS_BATCHES);
    assert_false(rk_list_empty(&t->hub->pending));
}

/* --- what an agent got --- */

/* The DATA of its one stream. */
static void put_data(const struct rk_buf *out, struct rk_buf *data)
{
    for (size_t at = 0; at + 9 <= out->n;) {
        const uint8_t *f = out->p + at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];

        assert_true(at + 9 + n <= out->n);
        if (f[3] == 0)
            rk_buf_put(data, f + 9, n);
        at += 9 + n;
    }
}

static struct rk_str open_map(const struct streams *t, const struct stream *st, struct rk_str msg)
{
    Management__EncryptedMessage *m =
        management__encrypted_message__unpack(NULL, msg.n, (const uint8_t *)msg.p);
    struct rk_box box;
    uint8_t *plain;
    size_t n;

    assert_non_null(m);
    assert_string_equal(m->wgpubkey, t->app.key_b64);
    assert_true(rk_box_init(&box, &t->app.key, st->key));
    n = m->body.len - RK_BOX_OVERHEAD;
    plain = rk_alloc(n);
    assert_int_equal(rk_box_open(&box, m->body.data, m->body.len, plain), 0);
    management__encrypted_message__free_unpacked(m, NULL);
    return rk_strn(plain, n);
}

/* The serials of all maps it got, in order; the last one is what a compilation gives now. */
static size_t got(const struct streams *t, const struct stream *st, uint64_t serials[GOT_MAX])
{
    rk_auto(rk_buf_done) struct rk_buf data;
    size_t n = 0;

    rk_buf_init(&data, 64 << 20);
    put_data(&st->out, &data);
    for (size_t at = 0; at < data.n;) {
        const uint8_t *f = data.p + at;
        size_t len = (size_t)f[1] << 24 | (size_t)f[2] << 16 | (size_t)f[3] << 8 | f[4];
        struct rk_str plain = open_map(t, st, rk_strn(f + 5, len));
        Management__SyncResponse *m =
            management__sync_response__unpack(NULL, plain.n, (const uint8_t *)plain.p);

        assert_non_null(m);
        assert_int_equal(m->networkmap->n_remotepeers, PEERS - 1);
        assert_true(n < GOT_MAX);
        serials[n++] = m->networkmap->serial;
        management__sync_response__free_unpacked(m, NULL);
        free((char *)(uintptr_t)plain.p);
        at += 5 + len;
    }
    return n;
}

static void assert_got(const struct streams *t, size_t from, const uint64_t *want, size_t n)
{
    for (size_t i = from; i < t->n; i++) {
        uint64_t serials[GOT_MAX];

        assert_int_equal(got(t, &t->v[i], serials), n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(serials[k], want[k]);
    }
}

#define ASSERT_GOT(t, from, ...)                                                                   \
    assert_got((t), (from), (const uint64_t[]){ __VA_ARGS__ },                                     \
               RK_COUNT(((const uint64_t[]){ __VA_ARGS__ })))

/* --- tests --- */

static void everybody_gets_the_newest_map_once(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    changes(&t, 3, "3");
    changes(&t, 4, "4");
    streams_run(&t);
    ASSERT_GOT(&t, 0, 4);
    changes(&t, 5, "5");
    streams_run(&t);
    ASSERT_GOT(&t, 0, 4, 5);
    streams_close(&t);
}

static void a_map_that_says_nothing_new_is_not_sent(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    streams_run(&t);
    changes(&t, 3, "2"); /* but for its serial it is the same */
    streams_run(&t);
    changes(&t, 4, "4");
    streams_run(&t);
    ASSERT_GOT(&t, 0, 2, 4);
    streams_close(&t);
}

static void a_change_while_maps_are_made_is_told_too(void **state)
{
    struct streams t;
    size_t both = 0;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    begin_round(&t);
    changes(&t, 3, "3");
    streams_run(&t);
    /* Who was with a maker then gets both, in order; the others the newest alone. */
    for (size_t i = 0; i < t.n; i++) {
        uint64_t serials[GOT_MAX];
        size_t n = got(&t, &t.v[i], serials);

        assert_in_range(n, 1, 2);
        assert_int_equal(serials[n - 1], 3);
        assert_true(n == 1 || serials[0] == 2);
        both += n == 2;
    }
    assert_in_range(both, 1, PEERS - 1);
    streams_close(&t);
}

static void a_stream_that_takes_nothing_holds_back_only_itself(void **state)
{
    struct streams t;
    uint64_t serials[GOT_MAX];

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    stream_shut(&t.v[0], true);
    changes(&t, 2, "2");
    streams_run(&t);
    changes(&t, 3, "3");
    streams_run(&t);
    changes(&t, 4, "4");
    streams_run(&t);
    ASSERT_GOT(&t, 1, 2, 3, 4);
    assert_int_equal(got(&t, &t.v[0], serials), 0);
    stream_shut(&t.v[0], false);
    do /* what it had is read; then it gets the newest */
        streams_run(&t);
    while (got(&t, &t.v[0], serials) < 2);
    assert_int_equal(serials[0], 2);
    assert_int_equal(serials[1], 4);
    streams_close(&t);
}

static void batches_that_are_full_give_back_what_they_did_not_make(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, 1); /* a batch ends with its first map */
    changes(&t, 2, "2");
    while (t.hub->fan_armed) {
        uv_run(rk_loop_uv(t.app.loop), UV_RUN_ONCE);
        assert_in_range(makers_under_way(t.app.makers), 0, THREADS * MAKERS_BATCHES);
    }
    ASSERT_GOT(&t, 0, 2);
    streams_close(&t);
}

static void an_agent_that_goes_while_its_map_is_made_is_nobodys_business(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    begin_round(&t);
    for (size_t i = 0; i < t.n; i += 2)
        stream_close(&t.v[i]);
    stream_open(&t, 0, 0); /* one is back already */
    streams_run(&t);
    for (size_t i = 0; i < t.n; i++) {
        uint64_t serials[GOT_MAX];

        assert_int_equal(got(&t, &t.v[i], serials), i % 2);
    }
    changes(&t, 3, "3");
    streams_run(&t);
    for (size_t i = 1; i < t.n; i += 2) {
        uint64_t serials[GOT_MAX];

        assert_int_equal(got(&t, &t.v[i], serials), 2);
        assert_int_equal(serials[1], 3);
    }
    streams_close(&t);
}

static void a_resend_that_is_asked_for_meanwhile_is_not_forgotten(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    streams_run(&t);
    changes(&t, 3, "2");
    begin_round(&t);
    for (size_t i = 0; i < t.n; i++)
        hub_resend(t.hub, t.v[i].key);
    streams_run(&t);
    ASSERT_GOT(&t, 0, 2, 3); /* whatever it says */
    streams_close(&t);
}

static void an_account_that_goes_while_its_maps_are_made_takes_its_streams_along(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    begin_round(&t);
    for (size_t i = 0; i < t.n; i++)
        stream_close(&t.v[i]);
    hub_close_all(&t.app);
    while (makers_under_way(t.app.makers) > 0)
        uv_run(rk_loop_uv(t.app.loop), UV_RUN_ONCE);
    streams_close(&t);
}

static void the_end_comes_while_maps_are_made(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    begin_round(&t);
    streams_close(&t);
}

static void configuration_that_is_owed_goes_along(void **state)
{
    struct streams t;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    changes(&t, 2, "2");
    streams_run(&t);
    for (size_t i = 0; i < t.n; i++)
        t.hub->by_index[i]->owes_config = true;
    changes(&t, 3, "2"); /* the map alone says nothing new */
    streams_run(&t);
    ASSERT_GOT(&t, 0, 2, 3);
    for (size_t i = 0; i < t.n; i++)
        assert_false(t.hub->by_index[i]->owes_config);
    streams_close(&t);
}

static uint64_t rounds_observed(void)
{
    uint64_t n = 0;

    for (size_t i = 0; i <= RK_METRIC_MAX_BUCKETS; i++)
        n += atomic_load(&metrics[METRIC_PROPAGATION].count[i]);
    return n;
}

static void the_time_to_the_last_stream_is_observed_once_a_round(void **state)
{
    struct streams t;
    uint64_t before, sum;

    (void)state;
    begin(&t, MAKERS_BATCH_BYTES);
    before = rounds_observed();
    sum = atomic_load(&metrics[METRIC_PROPAGATION].sum_micro);
    changes(&t, 2, "2");
    for (size_t i = 0; i < t.n; i++)
        t.hub->by_index[i]->owes_since_us -= 5000000; /* it was committed a while ago */
    streams_run(&t);
    assert_int_equal(rounds_observed(), before + 1);
    assert_in_range(atomic_load(&metrics[METRIC_PROPAGATION].sum_micro) - sum, 5000000, 60000000);
    streams_close(&t);
}

/* What each stream has to have at last. */
struct owed {
    uint64_t serial[PEERS];
};

/* Agents stop reading, go on, go and come back, and are to be told again. */
static void something_happens(struct streams *t, struct owed *owed, uint64_t serial)
{
    size_t i = below(PEERS);

    switch (below(5)) {
    case 0:
    case 1:
        for (size_t k = i; k < i + PEERS / 4; k++)
            stream_shut(&t->v[k % PEERS], !t->v[k % PEERS].shut);
        break;
    case 2:
        stream_close(&t->v[i]);
        stream_open(t, i, i);
        owed->serial[i] = 0;
        break;
    case 3:
        hub_resend(t->hub, t->v[i].key);
        owed->serial[i] = serial;
        break;
    default:
        uv_run(rk_loop_uv(t->app.loop), UV_RUN_NOWAIT);
        break;
    }
}

/* Of few, of half or of all of the peers the map is another one. */
static void something_changes(struct streams *t, struct owed *owed, uint64_t serial)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *next = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit = { NULL, 0 };
    unsigned share = (const unsigned[]){ 2, 50, 100 }[below(3)];
    char port[16];

    (void)snprintf(port, sizeof(port), "%u", (unsigned)serial);
    next = account(serial, port);
    for (size_t i = 0; i < PEERS; i++) {
        if (below(100) >= share)
            continue;
        rk_bitmap_set(&hit, i);
        owed->serial[i] = serial;
    }
    streams_change(t, next, &hit, rk_wall_us());
}

static void whatever_happens_nobody_who_owes_a_map_is_forgotten(void **state)
{
    struct owed owed = { { 0 } };
    struct streams t;

    (void)state;
    begin(&t, (size_t)64 << 10); /* some batches are not made to their end */
    for (uint64_t serial = 2; serial < 2 + CHANGES; serial++) {
        something_changes(&t, &owed, serial);
        for (unsigned k = below(12); k > 0; k--)
            something_happens(&t, &owed, serial);
    }
    for (size_t i = 0; i < t.n; i++)
        stream_shut(&t.v[i], false);
    for (unsigned turns = 0; !rk_list_empty(&t.hub->pending) || t.hub->fan_armed; turns++) {
        assert_in_range(turns, 0, 1000);
        streams_run(&t);
    }
    for (size_t i = 0; i < t.n; i++) {
        uint64_t serials[GOT_MAX] = { 0 };
        size_t n = got(&t, &t.v[i], serials);

        assert_true(owed.serial[i] == 0 || n > 0);
        assert_true(n == 0 || serials[n - 1] >= owed.serial[i]);
    }
    streams_close(&t);
}

static int start(void **state)
{
    (void)state;
    rk_crypto_init();
    rk_metrics_register(metrics, METRIC_COUNT);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_the_newest_map_once),
        cmocka_unit_test(a_map_that_says_nothing_new_is_not_sent),
        cmocka_unit_test(a_change_while_maps_are_made_is_told_too),
        cmocka_unit_test(a_stream_that_takes_nothing_holds_back_only_itself),
        cmocka_unit_test(batches_that_are_full_give_back_what_they_did_not_make),
        cmocka_unit_test(an_agent_that_goes_while_its_map_is_made_is_nobodys_business),
        cmocka_unit_test(a_resend_that_is_asked_for_meanwhile_is_not_forgotten),
        cmocka_unit_test(an_account_that_goes_while_its_maps_are_made_takes_its_streams_along),
        cmocka_unit_test(the_end_comes_while_maps_are_made),
        cmocka_unit_test(configuration_that_is_owed_goes_along),
        cmocka_unit_test(the_time_to_the_last_stream_is_observed_once_a_round),
        cmocka_unit_test(whatever_happens_nobody_who_owes_a_map_is_forgotten),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
