/* Answers that are kept: as of one version, so long, and so many bytes of them. */

#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found_by_its_key_at_its_version_alone),
        cmocka_unit_test(is_not_found_when_it_is_too_old),
        cmocka_unit_test(a_newer_answer_takes_the_place_of_an_older_one),
        cmocka_unit_test(what_was_asked_for_longest_ago_goes_first),
        cmocka_unit_test(an_answer_that_is_large_is_not_kept_and_takes_the_old_one_away),
        cmocka_unit_test(who_holds_an_answer_may_read_it_after_it_went),
    };

    return RUN_TESTS(tests);
}
