/* What alloc adds to malloc. */

#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"

#define BLOCKS 100000
#define BLOCK 1000

static size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

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
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_false(trimmed); /* the sanitizer's own allocator */
    (void)full;
#else
    assert_true(trimmed);
    assert_true(resident() + (size_t)BLOCKS * BLOCK / 2 < full);
    assert_false(rk_heap_trim(SIZE_MAX));
#endif
    free(v[BLOCKS - 1]);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_freed_heap_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
