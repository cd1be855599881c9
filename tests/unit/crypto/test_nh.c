/* The sum against its definition, and what it takes notice of. */

#include <string.h>

#include "libcommon/base/id.h"
#include "libcommon/crypto/nh.h"
#include "tests/support/test.h"

static struct rk_nh_key key;

static int random_key(void **state)
{
    (void)state;
    rk_random(&key, sizeof(key));
    return 0;
}

/* (a0 + k0) * (a1 + k1), in four products of halves. */
static void by_hand(const uint64_t a[2], const uint64_t k[2], uint64_t out[2])
{
    uint64_t x = a[0] + k[0], y = a[1] + k[1];
    uint64_t low = (x & UINT32_MAX) * (y & UINT32_MAX), high = (x >> 32) * (y >> 32);
    uint64_t left = (x >> 32) * (y & UINT32_MAX), right = (x & UINT32_MAX) * (y >> 32);
    uint64_t middle = (low >> 32) + (left & UINT32_MAX) + (right & UINT32_MAX);

    out[0] = (low & UINT32_MAX) | middle << 32;
    out[1] = high + (left >> 32) + (right >> 32) + (middle >> 32);
}

static void is_the_sum_of_the_products_of_pairs(void **state)
{
    uint64_t text[4], got[2], one[2], two[2];

    (void)state;
    rk_random(text, sizeof(text));
    by_hand(text, key.k, one);
    by_hand(text + 2, key.k + 2, two);
    one[0] += two[0];
    one[1] += two[1] + (one[0] < two[0]);
    rk_nh(&key, text, sizeof(text), (uint8_t *)got);
    assert_memory_equal(got, one, sizeof(got));
}

static void every_bit_of_whatever_length_counts(void **state)
{
    uint8_t text[67], was[RK_NH_LEN], now[RK_NH_LEN];

    (void)state;
    rk_random(text, sizeof(text));
    for (size_t n = 1; n <= sizeof(text); n++) {
        rk_nh(&key, text, n, was);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            text[bit / 8] ^= (uint8_t)(1 << bit % 8);
            rk_nh(&key, text, n, now);
            text[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_memory_not_equal(was, now, sizeof(was));
        }
    }
}

static void what_lies_behind_the_text_does_not_count(void **state)
{
    uint8_t text[RK_NH_BLOCK] = { 0 }, was[RK_NH_LEN], now[RK_NH_LEN];

    (void)state;
    for (size_t n = 0; n < 64; n++) {
        memset(text + n, 0, 64);
        rk_nh(&key, text, n, was);
        memset(text + n, 1, 64);
        rk_nh(&key, text, n, now);
        assert_memory_equal(was, now, sizeof(was));
    }
    rk_nh(&key, text, sizeof(text), was);
    text[sizeof(text) - 1] = 2;
    rk_nh(&key, text, sizeof(text), now);
    assert_memory_not_equal(was, now, sizeof(was));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_sum_of_the_products_of_pairs),
        cmocka_unit_test(every_bit_of_whatever_length_counts),
        cmocka_unit_test(what_lies_behind_the_text_does_not_count),
    };

    return cmocka_run_group_tests(tests, random_key, NULL);
}
