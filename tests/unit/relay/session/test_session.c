/* The protocol of one connection: what each message does, on one loop and across two. */

#include "tests/support/test.h"

#include "tests/support/relay_fake.h"

static struct cores *cores;

static int set_up(void **state)
{
    (void)state;
    cores = fake_cores(2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cores_free(cores);
    return 0;
}

static struct core *core(uint32_t i)
{
    return cores_at(cores, i);
}

static int64_t counted(uint32_t i, enum relay_count what)
{
    return core(i)->counts.v[what];
}

static struct fake *login(uint32_t on, unsigned k)
{
    struct fake *f = fake_open(core(on));
    struct relay_id id = fake_id(k);
    uint8_t m[RELAY_MAX_AUTH];

    assert_int_equal(fake_say(f, m, fake_auth(&id, m), NULL), 0);
    fake_settle(cores, 2);
    assert_int_equal(f->session.state, SESSION_ONLINE);
    return f;
}

static int say(struct fake *f, const char *bytes, size_t n)
{
    return fake_say(f, (const uint8_t *)bytes, n, NULL);
}
#define SAY(f, text) say((f), (text), sizeof(text) - 1)

static void ask(struct fake *f, enum relay_type type, unsigned first, unsigned count)
{
    uint8_t m[RELAY_MAX_MESSAGE];

    assert_int_equal(fake_say(f, m, fake_ids(type, first, count, m), NULL), 0);
}

static void was_told(const struct fake *f, enum relay_type type, unsigned k)
{
    struct relay_id id = fake_id(k);

    assert_int_equal(f->last_n, RELAY_HEAD_LEN);
    assert_int_equal(f->last[1], type);
    assert_memory_equal(f->last + 2, id.b, RELAY_ID_LEN);
}

static void send_to(struct fake *from, unsigned k, size_t payload)
{
    uint8_t m[RELAY_MAX_MESSAGE] = { RELAY_VERSION, RELAY_TRANSPORT };
    struct relay_id id = fake_id(k);

    memcpy(m + 2, id.b, RELAY_ID_LEN);
    for (size_t i = 0; i < payload; i++)
        m[RELAY_HEAD_LEN + i] = (uint8_t)(i * 31);
    assert_int_equal(fake_say(from, m, RELAY_HEAD_LEN + payload, NULL), 0);
}

static void the_answer_to_auth_is_the_instance_url_and_leaves_when_addressable(void **state)
{
    struct fake *f = fake_open(core(0));
    struct relay_id id = fake_id(1);
    uint8_t m[RELAY_MAX_AUTH];

    (void)state;
    assert_int_equal(fake_say(f, m, fake_auth(&id, m), NULL), 0);
    assert_int_equal(f->last_n, 2 + sizeof(FAKE_URL) - 1);
    assert_memory_equal(f->last, "\x01\x07" FAKE_URL, f->last_n);
    assert_true(f->released || f->session.state == SESSION_PUBLISHING);
    fake_settle(cores, 2);
    assert_true(f->released);
    for (uint32_t i = 0; i < 2; i++)
        assert_non_null(directory_find(core(i)->directory, &id));
    fake_end(f);
    fake_settle(cores, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_null(directory_find(core(i)->directory, &id));
}

static void a_first_message_that_is_no_good_auth_closes_and_is_counted(void **state)
{
    struct relay_id id = fake_id(1);
    uint8_t good[RELAY_MAX_AUTH + 1] = { 0 }, m[RELAY_MAX_AUTH + 1];
    size_t n = fake_auth(&id, good), lengths[] = { n, n, n, n, n, 42, 41, 1, RELAY_MAX_AUTH + 1 };
    unsigned flip[] = { 0, 1, 2, 42, 60, 0, 0, 0, 0 };

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(lengths); i++) {
        struct fake *f = fake_open(core(0));

        memcpy(m, good, sizeof(m));
        if (i < 5)
            m[flip[i]] ^= 1;
        assert_true(fake_say(f, m, lengths[i], NULL) < 0);
        assert_int_equal(f->controls, 0);
        assert_int_equal(counted(0, COUNT_AUTH_FAILED), i + 1);
        fake_end(f);
    }
    assert_int_equal(counted(0, COUNT_PEERS), 0);
}

static void a_payload_arrives_whole_and_names_its_sender_on_any_loop(void **state)
{
    struct fake *a = login(0, 1), *b = login(0, 2), *c = login(1, 3);
    struct relay_id from = fake_id(1);
    static const size_t sizes[] = { 0, 1, 1350, RELAY_MAX_MESSAGE - RELAY_HEAD_LEN };

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(sizes); i++)
        for (unsigned k = 2; k <= 3; k++) {
            struct fake *to = k == 2 ? b : c;

            send_to(a, k, sizes[i]);
            fake_settle(cores, 2);
            assert_int_equal(to->forwards, i + 1);
            assert_int_equal(to->last_n, RELAY_HEAD_LEN + sizes[i]);
            assert_memory_equal(to->last + 2, from.b, RELAY_ID_LEN);
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(to->last[RELAY_HEAD_LEN + j], (uint8_t)(j * 31));
        }
    send_to(a, 1, 5); /* to itself */
    assert_int_equal(a->forwards, 1);
    send_to(a, 9, 5); /* to nobody */
    assert_int_equal(counted(0, COUNT_DROP_ABSENT), 1);
    fake_end(a), fake_end(b), fake_end(c);
    fake_settle(cores, 2);
}

static void what_the_protocol_ignores_keeps_the_connection(void **state)
{
    struct fake *a = login(0, 1);
    uint8_t m[RELAY_MAX_AUTH];
    struct relay_id id = fake_id(2);
    unsigned before = a->controls;

    (void)state;
    assert_int_equal(SAY(a, "\x01\x03short"), 0);
    assert_int_equal(SAY(a, "\x01\x08"), 0);
    assert_int_equal(SAY(a, "\x01\x09"), 0);
    assert_int_equal(SAY(a, "\x01\x08 no multiple of 36"), 0);
    assert_int_equal(SAY(a, "\x01\x05"), 0);
    assert_int_equal(fake_say(a, m, fake_auth(&id, m), NULL), 0); /* AUTH again */
    assert_int_equal(a->controls, before);
    assert_null(directory_find(core(0)->directory, &id));
    fake_end(a);
    fake_settle(cores, 2);
}

static void what_the_protocol_forbids_closes(void **state)
{
    static const uint8_t types[] = { 0, 1, 2, 7, 10, 11, 12, 255 };

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(types); i++) {
        struct fake *f = login(0, 1);
        uint8_t m[2] = { RELAY_VERSION, types[i] };

        assert_int_equal(fake_say(f, m, 2, NULL), RK_INVALID);
        fake_end(f);
        f = login(0, 1);
        assert_int_equal(SAY(f, "\x02\x05"), RK_INVALID);
        fake_end(f);
        f = login(0, 1);
        assert_int_equal(SAY(f, "\x01"), RK_INVALID);
        fake_end(f);
        f = login(0, 1);
        assert_int_equal(SAY(f, "\x01\x04"), RK_UNAVAILABLE); /* CLOSE */
        fake_end(f);
    }
    fake_settle(cores, 2);
}

static void online_is_told_once_and_offline_every_time(void **state)
{
    struct fake *a = login(0, 1), *b;
    unsigned before = a->controls;

    (void)state;
    ask(a, RELAY_SUBSCRIBE, 2, 1);
    assert_int_equal(a->controls, before); /* nobody is there: no answer */
    b = login(1, 2);
    was_told(a, RELAY_PEERS_ONLINE, 2);
    for (unsigned i = 1; i <= 2; i++) {
        fake_end(b);
        fake_settle(cores, 2);
        was_told(a, RELAY_PEERS_WENT_OFFLINE, 2);
        assert_int_equal(a->controls, before + 1 + i);
        b = login(i % 2, 2); /* not told: not armed */
        assert_int_equal(a->controls, before + 1 + i);
    }
    ask(a, RELAY_SUBSCRIBE, 2, 1); /* the answer does not disarm */
    was_told(a, RELAY_PEERS_ONLINE, 2);
    fake_end(b);
    fake_settle(cores, 2);
    b = login(0, 2);
    was_told(a, RELAY_PEERS_ONLINE, 2);
    before = a->controls;
    ask(a, RELAY_UNSUBSCRIBE, 2, 1);
    fake_end(b);
    fake_settle(cores, 2);
    assert_int_equal(a->controls, before);
    fake_end(a);
    assert_int_equal(counted(0, COUNT_SUBSCRIPTIONS), 0);
}

static void a_newer_session_replaces_the_older_without_an_offline(void **state)
{
    struct fake *watcher = login(0, 1), *old = login(1, 2), *fresh;

    (void)state;
    ask(watcher, RELAY_SUBSCRIBE, 2, 1);
    was_told(watcher, RELAY_PEERS_ONLINE, 2);
    fresh = login(0, 2);
    assert_true(old->closing && !fresh->closing);
    was_told(watcher, RELAY_PEERS_ONLINE, 2);
    fake_end(old); /* a late end of the old one */
    fake_settle(cores, 2);
    was_told(watcher, RELAY_PEERS_ONLINE, 2);
    send_to(watcher, 2, 10);
    fake_settle(cores, 2);
    assert_int_equal(fresh->forwards, 1);
    fake_end(fresh);
    fake_settle(cores, 2);
    was_told(watcher, RELAY_PEERS_WENT_OFFLINE, 2);
    fake_end(watcher);
    fake_settle(cores, 2);
}

static void many_ids_are_answered_in_one_message_of_at_most_244(void **state)
{
    struct fake *peers[RELAY_MAX_IDS], *a;

    (void)state;
    for (unsigned i = 0; i < RELAY_MAX_IDS; i++)
        peers[i] = login(i % 2, i);
    a = login(0, 250);
    ask(a, RELAY_SUBSCRIBE, 0, RELAY_MAX_IDS);
    assert_int_equal(a->last_n, 2 + RELAY_MAX_IDS * RELAY_ID_LEN);
    assert_int_equal(a->last[1], RELAY_PEERS_ONLINE);
    for (unsigned i = 0; i < RELAY_MAX_IDS; i++)
        fake_end(peers[i]);
    fake_settle(cores, 2);
    assert_int_equal(a->controls, 2 + RELAY_MAX_IDS);
    fake_end(a);
    fake_settle(cores, 2);
}

static void too_many_subscriptions_close_and_leave_nothing(void **state)
{
    struct fake *a = login(0, 1);
    uint8_t m[2 + RELAY_ID_LEN] = { RELAY_VERSION, RELAY_SUBSCRIBE };
    uint32_t i;
    int r = 0;

    (void)state;
    for (i = 0; r == 0; i++) {
        memcpy(m + 2, &i, sizeof(i));
        r = fake_say(a, m, sizeof(m), NULL);
    }
    assert_int_equal(r, RK_EXHAUSTED);
    assert_int_equal(i, MAX_SUBSCRIPTIONS + 1);
    assert_int_equal(counted(0, COUNT_SUBSCRIPTIONS), MAX_SUBSCRIPTIONS);
    fake_end(a);
    assert_int_equal(counted(0, COUNT_SUBSCRIPTIONS), 0);
    fake_settle(cores, 2);
}

/* Moves time in steps, as the timer wheel would; the time of the end, or 0 while it lives. */
static uint64_t live(struct fake *f, uint64_t ms, bool answers, unsigned *out_checks)
{
    struct core *c = f->session.core;
    uint64_t start = c->now_ms;

    for (; c->now_ms < start + ms; c->now_ms += 250) {
        unsigned before = f->controls;

        if (!session_tick(&f->session, c->now_ms))
            return c->now_ms - start;
        if (f->controls > before) {
            assert_int_equal(f->last_n, 2);
            assert_memory_equal(f->last, "\x01\x05", 2);
            (*out_checks)++;
            if (answers)
                assert_int_equal(SAY(f, "\x01\x05"), 0);
        }
    }
    return 0;
}

static void health_checks_come_often_enough_and_only_the_silent_are_closed(void **state)
{
    struct fake *lively = login(0, 1), *mute = login(1, 2);
    unsigned checks = 0;
    uint64_t end;

    (void)state;
    assert_int_equal(live(lively, 3600 * 1000, true, &checks), 0);
    assert_int_equal(checks, 3600 / 25 - 1);
    checks = 0;
    end = live(mute, 200 * 1000, false, &checks);
    assert_in_range(end, 45 * 1000, 90 * 1000);
    assert_true(mute->closing && checks > 0);
    assert_int_equal(counted(1, COUNT_CLOSED_HEALTH), 1);
    fake_end(lively), fake_end(mute);
    fake_settle(cores, 2);
}

static void a_full_ring_drops_payloads_but_no_coming_or_going(void **state)
{
    struct fake *a = login(0, 1), *b = login(1, 2), *c;
    struct relay_id id;
    uint8_t m[RELAY_MAX_AUTH];
    unsigned k = 10;

    (void)state;
    ask(b, RELAY_SUBSCRIBE, 10, 50);
    while (counted(0, COUNT_DROP_RING) == 0)
        send_to(a, 2, 8000);
    for (; k < 60; k++) { /* loop 1 reads nothing meanwhile */
        c = fake_open(core(0));
        id = fake_id(k);
        assert_int_equal(fake_say(c, m, fake_auth(&id, m), NULL), 0);
        fake_end(c);
    }
    fake_settle(cores, 2);
    assert_true(b->forwards > 10);
    for (k = 10; k < 60; k++) {
        id = fake_id(k);
        assert_null(directory_find(core(0)->directory, &id));
        assert_null(directory_find(core(1)->directory, &id));
    }
    send_to(a, 2, 1);
    fake_settle(cores, 2);
    assert_int_equal(b->last_n, RELAY_HEAD_LEN + 1);
    fake_end(a), fake_end(b);
    fake_settle(cores, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(the_answer_to_auth_is_the_instance_url_and_leaves_when_addressable),
        T(a_first_message_that_is_no_good_auth_closes_and_is_counted),
        T(a_payload_arrives_whole_and_names_its_sender_on_any_loop),
        T(what_the_protocol_ignores_keeps_the_connection),
        T(what_the_protocol_forbids_closes),
        T(online_is_told_once_and_offline_every_time),
        T(a_newer_session_replaces_the_older_without_an_offline),
        T(many_ids_are_answered_in_one_message_of_at_most_244),
        T(too_many_subscriptions_close_and_leave_nothing),
        T(health_checks_come_often_enough_and_only_the_silent_are_closed),
        T(a_full_ring_drops_payloads_but_no_coming_or_going),
    };

    return RUN_TESTS(tests);
}
