/* Bytes come out as they went in, whatever the sizes, and chunks return to the pool. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "services/relay/core/outq.h"

static void bytes_leave_in_order_in_any_portions(void **state)
{
    struct chunk_pool pool = { .free = NULL };
    struct outq q = { .first = NULL };
    uint8_t in = 0, out = 0;
    size_t put = 0, taken = 0;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        size_t n = 1 + i * 7919 % 9000, take = i * 104729 % 12000;
        uint8_t *p = outq_reserve(&q, &pool, n);
        struct iovec iov[4];
        unsigned k;

        for (size_t j = 0; j < n; j++)
            p[j] = in++;
        outq_commit(&q, n);
        put += n;
        k = outq_iov(&q, iov, 4);
        for (unsigned j = 0, left = (unsigned)take; j < k && left > 0; j++) {
            size_t part = iov[j].iov_len < left ? iov[j].iov_len : left;

            for (size_t b = 0; b < part; b++)
                assert_int_equal(((uint8_t *)iov[j].iov_base)[b], out++);
            outq_consume(&q, &pool, part);
            left -= (unsigned)part;
            taken += part;
            k = outq_iov(&q, iov, 4);
            j = (unsigned)-1;
        }
        assert_int_equal(q.bytes, put - taken);
    }
    outq_clear(&q, &pool);
    assert_int_equal(q.bytes, 0);
    assert_null(q.first);
    assert_in_range(pool.count, 1, CHUNK_POOL_MAX);
    chunk_pool_done(&pool);
}

static void bytes_are_put_over_as_many_chunks_as_it_takes(void **state)
{
    static uint8_t in[3 * OUTQ_CHUNK + 5], out[sizeof(in)];
    struct chunk_pool pool = { .free = NULL };
    struct outq q = { .first = NULL };
    struct iovec iov[5];
    size_t at = 0;
    unsigned k;

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7 + i / 251);
    outq_put(&q, &pool, in, 0);
    assert_null(q.first);
    outq_put(&q, &pool, in, 3);
    outq_put(&q, &pool, in + 3, sizeof(in) - 3);
    assert_int_equal(q.bytes, sizeof(in));
    k = outq_iov(&q, iov, RK_COUNT(iov));
    assert_int_equal(k, 4); /* each is filled before the next is begun */
    for (unsigned i = 0; i < k; i++) {
        memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, sizeof(in));
    assert_memory_equal(out, in, sizeof(in));
    outq_clear(&q, &pool);
    chunk_pool_done(&pool);
}

static void an_empty_queue_holds_no_chunk(void **state)
{
    struct chunk_pool pool = { .free = NULL };
    struct outq q = { .first = NULL };
    struct iovec iov[1];

    (void)state;
    memset(outq_reserve(&q, &pool, OUTQ_CHUNK), 7, OUTQ_CHUNK);
    outq_commit(&q, OUTQ_CHUNK);
    outq_consume(&q, &pool, OUTQ_CHUNK);
    assert_null(q.first);
    assert_int_equal(outq_iov(&q, iov, 1), 0);
    assert_int_equal(pool.count, 1);
    chunk_pool_done(&pool);
    assert_int_equal(pool.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_order_in_any_portions),
        cmocka_unit_test(bytes_are_put_over_as_many_chunks_as_it_takes),
        cmocka_unit_test(an_empty_queue_holds_no_chunk),
    };

    return RUN_TESTS(tests);
}
