/* The arena: aligned, cleared where promised, bounded, and never one allocation inside another. */

#include <string.h>

#include "libcommon/base/arena.h"
#include "tests/support/test.h"

static void allocations_are_aligned_and_apart(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new((size_t)8 * 1024 * 1024);
    uint8_t *p[400];
    size_t n[400];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(p); i++) {
        n[i] = i % 7 == 6 ? i * 300 : i; /* some larger than a chunk */
        p[i] = rk_arena_try_alloc(a, n[i]);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)(i & 0xff), n[i]);
    }
    for (size_t i = 0; i < RK_COUNT(p); i++)
        for (size_t k = 0; k < n[i]; k++)
            assert_int_equal(p[i][k], i & 0xff);
}

static void what_the_arena_clears_is_cleared(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4096);
    uint8_t *p = rk_arena_alloc(a, 300);

    (void)state;
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(p[i], 0);
}

static void the_bound_is_the_sum_of_all_allocations(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1000);
    ProtobufCAllocator *alloc = rk_arena_protobuf(a);

    (void)state;
    assert_null(rk_arena_try_alloc(a, 1001));
    assert_non_null(rk_arena_try_alloc(a, 496));
    assert_non_null(alloc->alloc(alloc->allocator_data, 496));
    assert_null(rk_arena_try_alloc(a, 16));
    assert_null(alloc->alloc(alloc->allocator_data, 1));
    alloc->free(alloc->allocator_data, NULL); /* gives nothing back: the arena is freed whole */
    assert_null(rk_arena_try_alloc(a, 1));
}

static void absurd_sizes_are_refused_even_without_a_bound(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(SIZE_MAX);

    (void)state;
    assert_null(rk_arena_try_alloc(a, SIZE_MAX));
    assert_null(rk_arena_try_alloc(a, SIZE_MAX - 8));
    assert_non_null(rk_arena_try_alloc(a, 1));
}

static void empty_allocations_have_addresses_of_their_own(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4096);
    void *p = rk_arena_try_alloc(a, 0), *q = rk_arena_try_alloc(a, 0);

    (void)state;
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
}

static void strings_are_copied_and_terminated(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4096);
    char text[] = "abcdef";
    char *copy = rk_arena_strn(a, rk_strn(text, 3)), *whole = rk_arena_strdup(a, text);

    (void)state;
    text[0] = 'x';
    assert_string_equal(copy, "abc");
    assert_string_equal(whole, "abcdef");
    assert_string_equal(rk_arena_strn(a, rk_strn(NULL, 0)), "");
    assert_string_equal(rk_arena_printf(a, "%s-%d", copy, 7), "abc-7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(what_the_arena_clears_is_cleared),
        cmocka_unit_test(the_bound_is_the_sum_of_all_allocations),
        cmocka_unit_test(absurd_sizes_are_refused_even_without_a_bound),
        cmocka_unit_test(empty_allocations_have_addresses_of_their_own),
        cmocka_unit_test(strings_are_copied_and_terminated),
    };

    return RUN_TESTS(tests);
}
