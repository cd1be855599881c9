/* Answers that are kept: as of one version, so long, and so many bytes of them. */

#include <stdio.h>
#include <stdlib.h>

#include <microhttpd.h>

#include "libcommon/base/alloc.h"
#include "services/dashboard-api/kept/kept.h"
#include "tests/support/test.h"

static struct kept_answer *answer(size_t n)
{
    uint8_t *body = rk_zalloc(n);

    return kept_answer_new(body, n, "\"tag\"", "");
}

static void put(struct kept *k, const char *key, const char *version, uint64_t now_ms, size_t n)
{
    rk_auto(kept_answer_unref) struct kept_answer *a = answer(n);

    kept_put(k, rk_str(key), version, now_ms, a);
}

static bool finds(struct kept *k, const char *key, const char *version, uint64_t now_ms)
{
    rk_auto(kept_answer_unref) struct kept_answer *a = kept_find(k, rk_str(key), version, now_ms);

    return a != NULL;
}

static void is_found_by_its_key_at_its_version_alone(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(100000);

    (void)state;
    put(k, "a", "1 1", 0, 10);
    assert_true(finds(k, "a", "1 1", 1));
    assert_false(finds(k, "b", "1 1", 1));
    assert_false(finds(k, "a", "1 2", 1));
    assert_false(finds(k, "a", "1 1", 1)); /* the version is past: the answer went */
    assert_int_equal(kept_bytes(k), 0);
}

static void is_not_found_when_it_is_too_old(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(100000);

    (void)state;
    put(k, "a", "1", 1000, 10);
    assert_true(finds(k, "a", "1", 1000 + KEPT_AGE_MAX_MS - 1));
    assert_false(finds(k, "a", "1", 1000 + KEPT_AGE_MAX_MS));
    assert_int_equal(kept_bytes(k), 0);
}

static void a_newer_answer_takes_the_place_of_an_older_one(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(100000);
    rk_auto(kept_answer_unref) struct kept_answer *a = NULL;
    size_t bytes;

    (void)state;
    put(k, "a", "1", 0, 10);
    bytes = kept_bytes(k);
    put(k, "a", "2", 0, 20);
    assert_int_equal(kept_bytes(k), bytes + 10);
    a = kept_find(k, RK_STR("a"), "2", 0);
    assert_non_null(a);
    assert_int_equal(a->body_n, 20);
}

static void what_was_asked_for_longest_ago_goes_first(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(10000);

    (void)state;
    put(k, "a", "1", 0, 2000);
    put(k, "b", "1", 0, 2000);
    put(k, "c", "1", 0, 2000);
    put(k, "d", "1", 0, 2000);
    assert_true(finds(k, "a", "1", 0));
    put(k, "e", "1", 0, 2000);
    assert_true(kept_bytes(k) <= 10000);
    assert_true(finds(k, "a", "1", 0));
    assert_false(finds(k, "b", "1", 0));
    assert_true(finds(k, "e", "1", 0));
}

static void an_answer_that_is_large_is_not_kept_and_takes_the_old_one_away(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(10000);

    (void)state;
    put(k, "a", "1", 0, 10);
    put(k, "a", "2", 0, 2500);
    assert_false(finds(k, "a", "1", 0));
    assert_false(finds(k, "a", "2", 0));
    assert_int_equal(kept_bytes(k), 0);
}

static void who_holds_an_answer_may_read_it_after_it_went(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(10000);
    rk_auto(kept_answer_unref) struct kept_answer *a = NULL;

    (void)state;
    put(k, "a", "1", 0, 10);
    a = kept_find(k, RK_STR("a"), "1", 0);
    kept_clear(k);
    assert_int_equal(kept_bytes(k), 0);
    assert_non_null(a);
    assert_int_equal(a->body_n, 10);
    assert_int_equal(a->body[9], 0);
    assert_string_equal(a->etag, "\"tag\"");
}

static struct MHD_Response *response_of(struct kept_answer *a)
{
    return MHD_create_response_from_buffer(a->body_n, a->body, MHD_RESPMEM_PERSISTENT);
}

static void a_response_is_lent_to_one_at_a_time(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(100000);
    rk_auto(kept_answer_unref) struct kept_answer *a = NULL;
    struct MHD_Response *r, *other;

    (void)state;
    put(k, "a", "1", 0, 10);
    a = kept_find(k, RK_STR("a"), "1", 0);
    assert_null(kept_lend(k, a));
    r = response_of(a);
    other = response_of(a);
    kept_take_back(k, a, r);
    assert_ptr_equal(kept_lend(k, a), r);
    assert_null(kept_lend(k, a));
    kept_take_back(k, a, r);
    kept_take_back(k, a, other);
    assert_ptr_equal(kept_lend(k, a), other);
    assert_ptr_equal(kept_lend(k, a), r);
    kept_take_back(k, a, r);
    kept_take_back(k, a, other);
    kept_clear(k); /* what is idle goes with it */
    assert_int_equal(kept_bytes(k), 0);
}

static void a_response_that_comes_back_after_its_answer_went_is_not_kept(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(100000);
    rk_auto(kept_answer_unref) struct kept_answer *a = NULL;

    (void)state;
    put(k, "a", "1", 0, 10);
    a = kept_find(k, RK_STR("a"), "1", 0);
    kept_clear(k);
    kept_take_back(k, a, response_of(a));
    assert_null(kept_lend(k, a));
    assert_int_equal(kept_bytes(k), 0);
}

static void idle_responses_are_bounded(void **state)
{
    rk_auto(kept_free) struct kept *k = kept_new(1000000);
    char key[16];
    unsigned all = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        rk_auto(kept_answer_unref) struct kept_answer *a = NULL;

        (void)snprintf(key, sizeof(key), "%u", i);
        put(k, key, "1", 0, 10);
        a = kept_find(k, rk_str(key), "1", 0);
        for (unsigned j = 0; j < 100; j++)
            kept_take_back(k, a, response_of(a));
    }
    for (unsigned i = 0; i < 100; i++) {
        rk_auto(kept_answer_unref) struct kept_answer *a = NULL;
        struct MHD_Response *r;
        unsigned n = 0;

        (void)snprintf(key, sizeof(key), "%u", i);
        a = kept_find(k, rk_str(key), "1", 0);
        while ((r = kept_lend(k, a)) != NULL) {
            MHD_destroy_response(r);
            n++;
        }
        assert_true(n <= 64);
        all += n;
    }
    assert_int_equal(all, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found_by_its_key_at_its_version_alone),
        cmocka_unit_test(is_not_found_when_it_is_too_old),
        cmocka_unit_test(a_newer_answer_takes_the_place_of_an_older_one),
        cmocka_unit_test(what_was_asked_for_longest_ago_goes_first),
        cmocka_unit_test(an_answer_that_is_large_is_not_kept_and_takes_the_old_one_away),
        cmocka_unit_test(who_holds_an_answer_may_read_it_after_it_went),
        cmocka_unit_test(a_response_is_lent_to_one_at_a_time),
        cmocka_unit_test(a_response_that_comes_back_after_its_answer_went_is_not_kept),
        cmocka_unit_test(idle_responses_are_bounded),
    };

    return RUN_TESTS(tests);
}
