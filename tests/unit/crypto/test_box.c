/* The agents' envelope between two fresh keys, and what must not open it. */

#include <string.h>

#include <sodium.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/box.h"
#include "tests/support/test.h"

static void two_peers_read_each_other_and_nobody_else_does(void **state)
{
    struct rk_keypair a, b, c;
    struct rk_box ab, ba, cb;
    uint8_t plain[300], sealed[300 + RK_BOX_OVERHEAD], back[300];

    (void)state;
    rk_keypair_new(&a);
    rk_keypair_new(&b);
    rk_keypair_new(&c);
    assert_true(rk_box_init(&ab, &a, b.public_key));
    assert_true(rk_box_init(&ba, &b, a.public_key));
    assert_true(rk_box_init(&cb, &c, b.public_key));
    for (size_t n = 0; n <= sizeof(plain); n += 50) {
        rk_random(plain, n);
        rk_box_seal(&ab, plain, n, sealed);
        assert_int_equal(rk_box_open(&ba, sealed, n + RK_BOX_OVERHEAD, back), 0);
        assert_memory_equal(plain, back, n);
        assert_int_equal(rk_box_open(&cb, sealed, n + RK_BOX_OVERHEAD, back), RK_INVALID);
    }
}

/* Lengths around the cipher's block, and around the steps in which a long message is sealed. */
static void libsodium_opens_what_we_seal_at_every_length(void **state)
{
    enum {
        LONGEST = 70001
    };
    static const size_t lengths[] = {
        8159, 8160, 8191, 8192, 8193, 8223, 8224, 8225, 16416, 70001
    };
    static uint8_t plain[LONGEST], back[LONGEST], sealed[LONGEST + RK_BOX_OVERHEAD];
    struct rk_keypair a, b;
    struct rk_box box;

    (void)state;
    rk_keypair_new(&a);
    rk_keypair_new(&b);
    assert_true(rk_box_init(&box, &a, b.public_key));
    rk_random(plain, LONGEST);
    for (size_t i = 0; i < 300 + RK_COUNT(lengths); i++) {
        size_t n = i < 300 ? i : lengths[i - 300];

        rk_box_seal(&box, plain, n, sealed);
        assert_int_equal(crypto_box_open_easy_afternm(back, sealed + crypto_box_NONCEBYTES,
                                                      n + crypto_box_MACBYTES, sealed, box.k),
                         0);
        assert_memory_equal(plain, back, n);
    }
}

static void weak_peer_keys_are_refused(void **state)
{
    static const uint8_t weak[][RK_KEY_LEN] = {
        { 0 },
        { 1 },
        /* of order eight */
        { 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
          0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
          0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
    };
    struct rk_keypair own;
    struct rk_box box;

    (void)state;
    rk_keypair_new(&own);
    for (size_t i = 0; i < RK_COUNT(weak); i++)
        assert_false(rk_box_init(&box, &own, weak[i]));
}

static void a_private_key_is_clamped(void **state)
{
    uint8_t raw[RK_KEY_LEN];
    struct rk_keypair k, again;

    (void)state;
    memset(raw, 0xff, sizeof(raw));
    rk_keypair_from_private(raw, &k);
    assert_int_equal(k.private_key[0], 0xf8);
    assert_int_equal(k.private_key[31], 0x7f);
    rk_keypair_from_private(k.private_key, &again);
    assert_memory_equal(k.public_key, again.public_key, RK_KEY_LEN);
}

static void a_key_is_forty_four_characters(void **state)
{
    struct rk_keypair k;
    char text[RK_KEY_B64_LEN + 1];
    uint8_t back[RK_KEY_LEN];

    (void)state;
    rk_keypair_new(&k);
    rk_key_format(k.public_key, text);
    assert_true(rk_key_parse(rk_str(text), back));
    assert_memory_equal(back, k.public_key, RK_KEY_LEN);
    for (size_t n = 0; n < RK_KEY_B64_LEN; n++)
        assert_false(rk_key_parse(rk_strn(text, n), back));
    assert_false(
        rk_key_parse(RK_STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), back)); /* 33 bytes */
    assert_false(
        rk_key_parse(RK_STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="), back)); /* 31 bytes */
    text[3] = '!';
    assert_false(rk_key_parse(rk_str(text), back));
}

static void comparison_and_wiping_cover_every_byte(void **state)
{
    uint8_t a[33], b[33];

    (void)state;
    rk_random(a, sizeof(a));
    memcpy(b, a, sizeof(a));
    assert_true(rk_const_eq(a, b, sizeof(a)));
    assert_true(rk_const_eq(a, b, 0));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] ^= 0x80;
        assert_false(rk_const_eq(a, b, sizeof(a)));
        assert_true(rk_const_eq(a, b, i));
        b[i] ^= 0x80;
    }
    rk_wipe(a, sizeof(a));
    for (size_t i = 0; i < sizeof(a); i++)
        assert_int_equal(a[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_peers_read_each_other_and_nobody_else_does),
        cmocka_unit_test(libsodium_opens_what_we_seal_at_every_length),
        cmocka_unit_test(weak_peer_keys_are_refused),
        cmocka_unit_test(a_private_key_is_clamped),
        cmocka_unit_test(a_key_is_forty_four_characters),
        cmocka_unit_test(comparison_and_wiping_cover_every_byte),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
