/* Who asked about whom: bounds, arming, and that a crowd of subscribers is found by hash. */

#include "tests/support/test.h"

#include "services/relay/peers/interest.h"
#include "tests/support/relay_fake.h"

#define CROWD 2000

static struct cores *cores;

static int set_up(void **state)
{
    (void)state;
    cores = fake_cores(1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cores_free(cores);
    return 0;
}

/* As after AUTH_RESPONSE. */
static struct fake *open_one(void)
{
    struct fake *f = fake_open(cores_at(cores, 0));

    f->controls = 1;
    return f;
}

static void each_subscriber_of_a_crowd_is_told_once_and_leaves_alone(void **state)
{
    rk_auto(interests_free) struct interests *in = interests_new(CROWD + 10);
    struct relay_id id = fake_id(1), other = fake_id(2);
    struct fake *crowd[CROWD];

    (void)state;
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = open_one();
        assert_true(interest_add(in, &crowd[i]->session, &id));
        assert_true(interest_add(in, &crowd[i]->session, &id)); /* again: no second one */
    }
    assert_int_equal(interest_count(in), CROWD);
    interest_notify(in, RELAY_PEERS_ONLINE, &other);
    interest_notify(in, RELAY_PEERS_ONLINE, &id);
    interest_notify(in, RELAY_PEERS_ONLINE, &id);
    for (unsigned i = 0; i < CROWD; i += 2)
        interest_remove(in, &crowd[i]->session, &id);
    interest_remove(in, &crowd[0]->session, &id); /* was not there */
    assert_int_equal(interest_count(in), CROWD / 2);
    interest_notify(in, RELAY_PEERS_WENT_OFFLINE, &id);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i]->controls, i % 2 ? 3 : 2);
        assert_int_equal(crowd[i]->session.subscription_count, i % 2);
        interest_remove_all(in, &crowd[i]->session);
        fake_end(crowd[i]);
    }
    assert_int_equal(interest_count(in), 0);
}

static void the_bound_of_all_refuses_what_is_new_and_keeps_what_is_there(void **state)
{
    rk_auto(interests_free) struct interests *in = interests_new(3);
    struct fake *a = open_one(), *b = open_one();
    struct relay_id id[3] = { fake_id(1), fake_id(2), fake_id(3) };

    (void)state;
    assert_true(interest_add(in, &a->session, &id[0]));
    assert_true(interest_add(in, &a->session, &id[1]));
    assert_true(interest_add(in, &b->session, &id[0]));
    assert_false(interest_add(in, &b->session, &id[2]));
    assert_true(interest_add(in, &b->session, &id[0])); /* no more than arming again */
    interest_remove_all(in, &a->session);
    assert_true(interest_add(in, &b->session, &id[2]));
    interest_remove_all(in, &b->session);
    fake_end(a), fake_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_subscriber_of_a_crowd_is_told_once_and_leaves_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            the_bound_of_all_refuses_what_is_new_and_keeps_what_is_there, set_up, tear_down),
    };

    return RUN_TESTS(tests);
}
