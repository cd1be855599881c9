/* The same stream as libsodium's, for every length, from any block on, in place too. */

#include "tests/support/test.h"

#include <sodium.h>
#include <string.h>

#include "libcommon/base/attr.h"
#include "libcommon/crypto/salsa.h"

#define MAX 5000

static uint8_t key[RK_SALSA_KEY], nonce[RK_SALSA_NONCE], in[MAX], want[MAX], got[MAX + 1];

static int setup(void **state)
{
    (void)state;
    if (sodium_init() < 0)
        return -1;
    randombytes_buf(key, sizeof(key));
    randombytes_buf(nonce, sizeof(nonce));
    randombytes_buf(in, sizeof(in));
    return 0;
}

static void compare(size_t n, uint64_t block)
{
    (void)crypto_stream_salsa20_xor_ic(want, in, n, nonce, block, key);
    got[n] = 0xa5;
    rk_salsa_xor(got, in, n, nonce, block, key);
    assert_memory_equal(got, want, n);
    assert_int_equal(got[n], 0xa5);
    memcpy(got, in, n);
    rk_salsa_xor(got, got, n, nonce, block, key);
    assert_memory_equal(got, want, n);
}

static void every_length_is_as_libsodium_has_it(void **state)
{
    (void)state;
    for (size_t n = 0; n <= MAX; n++)
        compare(n, n);
}

static void blocks_are_counted_in_64_bits(void **state)
{
    static const uint64_t from[] = { 0,
                                     1,
                                     UINT32_MAX - 70,
                                     UINT32_MAX - 7,
                                     UINT32_MAX,
                                     (uint64_t)UINT32_MAX + 1,
                                     UINT64_MAX - 100 };

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(from); i++)
        compare(MAX, from[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_as_libsodium_has_it),
        cmocka_unit_test(blocks_are_counted_in_64_bits),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
