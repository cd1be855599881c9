/* What alloc adds to malloc. */

#include "tests/support/test.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "tests/support/resident.h"

#define BLOCKS 100000
#define BLOCK 1000

/* A long-lived block behind freed ones keeps the heap from shrinking by itself. */
static void a_freed_heap_goes_back(void **state)
{
    char **v = rk_new_array(char *, BLOCKS);
    size_t full;
    bool trimmed;

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++)
        v[i] = memset(rk_alloc(BLOCK), 1, BLOCK);
    full = resident();
    for (size_t i = 0; i + 1 < BLOCKS; i++)
        free(v[i]);
    trimmed = rk_heap_trim(1 << 20);
    assert_int_equal(trimmed, GLIBC_HEAP);
    if (GLIBC_HEAP) {
        assert_true(resident() + (size_t)BLOCKS * BLOCK / 2 < full);
        assert_false(rk_heap_trim(SIZE_MAX));
    }
    free(v[BLOCKS - 1]);
    free(v);
}

/* Also where what lies ready was used before: the sizes around the largest that does. */
static void what_is_to_be_cleared_is_cleared(void **state)
{
    (void)state;
    for (size_t n = 0; n < 1200; n++) {
        uint8_t *p = rk_alloc(n);

        memset(p, 0xa5, n);
        free(p);
        p = rk_zalloc(n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_freed_heap_goes_back),
        cmocka_unit_test(what_is_to_be_cleared_is_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
