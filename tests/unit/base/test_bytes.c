/* Counted bytes and the intrusive list, errors and allocation: the small parts that everything
 * stands on. */

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/bytes.h"
#include "libcommon/base/err.h"
#include "libcommon/base/list.h"
#include "tests/support/test.h"

static void *ref_and_unref(void *arg)
{
    struct rk_bytes *b = arg;

    for (int i = 0; i < 20000; i++) {
        struct rk_bytes *mine = rk_bytes_ref(b);

        assert(mine->n == 5 && memcmp(mine->p, "bytes", 5) == 0);
        rk_bytes_unref(mine);
    }
    rk_bytes_unref(b);
    return NULL;
}

static void the_last_of_several_threads_frees(void **state)
{
    struct rk_bytes *b = rk_bytes_copy(RK_STR("bytes"));
    pthread_t t[3];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, ref_and_unref, rk_bytes_ref(b)), 0);
    rk_bytes_unref(b); /* the creator may be the first to go */
    for (size_t i = 0; i < RK_COUNT(t); i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    rk_bytes_unref(NULL);
    rk_bytes_unref(rk_bytes_new(0));
}

struct item {
    int v;
    struct rk_list node;
};

static void a_list_keeps_its_order_while_items_leave(void **state)
{
    struct item items[5] = { { .v = 0 }, { .v = 1 }, { .v = 2 }, { .v = 3 }, { .v = 4 } };
    struct rk_list head, *n, *tmp;
    int sum = 0, last = -1;

    (void)state;
    rk_list_init(&head);
    assert_true(rk_list_empty(&head));
    for (size_t i = 0; i < RK_COUNT(items); i++)
        rk_list_append(&head, &items[i].node);
    rk_list_each(&head, n, tmp)
    {
        struct item *it = rk_list_entry(n, struct item, node);

        assert_int_equal(it->v, last + 1);
        last = it->v;
        if (it->v % 2 == 0)
            rk_list_remove(n);
    }
    rk_list_remove(&items[0].node); /* off every list already: harmless */
    rk_list_each(&head, n, tmp) sum = sum * 10 + rk_list_entry(n, struct item, node)->v;
    assert_int_equal(sum, 13);
}

static void an_error_is_cut_to_its_size_and_may_be_unwanted(void **state)
{
    struct rk_err err = { 0 };
    char *longer = rk_alloc(2000);

    (void)state;
    memset(longer, 'x', 1999);
    longer[1999] = 0;
    assert_int_equal(rk_fail(&err, RK_DENIED, "no: %s", longer), RK_DENIED);
    assert_int_equal(err.code, RK_DENIED);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_int_equal(rk_fail(NULL, RK_INVALID, "nobody looks"), RK_INVALID);
    free(longer);
}

static void allocation_of_nothing_gives_something_to_free(void **state)
{
    rk_auto(rk_free) char *text = rk_asprintf("%s/%d", "a", 1);
    rk_auto(rk_free) int *array = rk_new_array(int, 3);
    rk_auto(rk_free) void *none = rk_alloc(0);

    (void)state;
    none = rk_realloc(none, 0);
    assert_non_null(none);
    assert_string_equal(text, "a/1");
    assert_int_equal(array[0] | array[1] | array[2], 0);
    free(rk_memdup(NULL, 0));
    free(rk_zalloc_array(0, 8));
    free(text);
    text = rk_strndup("abcdef", 3);
    assert_string_equal(text, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_of_several_threads_frees),
        cmocka_unit_test(a_list_keeps_its_order_while_items_leave),
        cmocka_unit_test(an_error_is_cut_to_its_size_and_may_be_unwanted),
        cmocka_unit_test(allocation_of_nothing_gives_something_to_free),
    };

    return RUN_TESTS(tests);
}
