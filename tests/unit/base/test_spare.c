/* What is kept comes again, and goes when it is dropped. */

#include "tests/support/test.h"

#include <pthread.h>

#include "libcommon/base/bytes.h"
#include "libcommon/base/spare.h"
#include "tests/support/resident.h"

static void a_block_that_was_given_up_goes_out_to_the_next_of_its_size(void **state)
{
    static const size_t sizes[] = { RK_SPARE_MIN, RK_SPARE_MIN + 1, 69000, 2300000, RK_SPARE_MAX };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(sizes); i++) {
        size_t room, again;
        uint8_t *p = rk_spare_take(sizes[i], &room), *q;

        assert_in_range(room, sizes[i], sizes[i] + sizes[i] / 4);
        p[0] = p[room - 1] = 1;
        rk_spare_give(p, room);
        q = rk_spare_take(room, &again);
        assert_ptr_equal(q, p);
        assert_int_equal(again, room);
        q = rk_spare_take(sizes[i], &again);
        assert_ptr_not_equal(q, p);
        rk_spare_give(p, room);
        rk_spare_give(q, again);
    }
    rk_spare_drop();
}

static void counted_bytes_are_spare_when_they_are_large(void **state)
{
    struct rk_bytes *large = rk_bytes_new_spare(RK_SPARE_MIN), *small = rk_bytes_new_spare(100),
                    *huge = rk_bytes_new_spare(RK_SPARE_MAX), *again;

    (void)state;
    assert_int_equal(large->n, RK_SPARE_MIN);
    assert_int_equal(small->n, 100);
    assert_int_equal(huge->n, RK_SPARE_MAX);
    assert_int_equal(small->room, 0);
    assert_int_equal(huge->room, 0);
    rk_bytes_unref(rk_bytes_ref(large)); /* not the last */
    again = rk_bytes_new_spare(RK_SPARE_MIN);
    assert_ptr_not_equal(again, large);
    rk_bytes_unref(again);
    rk_bytes_unref(large);
    again = rk_bytes_new_spare(RK_SPARE_MIN);
    assert_ptr_equal(again, large);
    rk_bytes_unref(again);
    rk_bytes_unref(small);
    rk_bytes_unref(huge);
    rk_spare_drop();
}

#define RUSH_BLOCKS 1000
#define RUSH_BLOCK ((size_t)100 * 1024)

static void *rush(void *arg)
{
    struct rk_bytes **v = arg;

    for (size_t i = 0; i < RUSH_BLOCKS; i++) {
        v[i] = rk_bytes_new_spare(RUSH_BLOCK);
        memset(v[i]->p, 1, RUSH_BLOCK);
    }
    return NULL;
}

/* As frames are: made by a thread, freed by another. */
static void what_a_rush_left_goes_back_when_it_is_dropped(void **state)
{
    static struct rk_bytes *v[2][RUSH_BLOCKS];
    size_t before = resident(), half = 2 * RUSH_BLOCKS * RUSH_BLOCK / 2;
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, rush, v[0]), 0);
    rush(v[1]);
    assert_int_equal(pthread_join(t, NULL), 0);
    for (size_t i = 0; i < 2 * RUSH_BLOCKS; i++)
        rk_bytes_unref(v[i & 1][i / 2]);
    assert_true(!GLIBC_HEAP || resident() > before + half);
    rk_spare_drop();
    assert_true(!GLIBC_HEAP || resident() < before + half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_was_given_up_goes_out_to_the_next_of_its_size),
        cmocka_unit_test(counted_bytes_are_spare_when_they_are_large),
        cmocka_unit_test(what_a_rush_left_goes_back_when_it_is_dropped),
    };

    return RUN_TESTS(tests);
}
