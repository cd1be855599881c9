/* Secrets at rest: they open under their own key and name, and under nothing else. */

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/seal.h"
#include "tests/support/test.h"

RK_DEFINE_AUTO_DONE(struct rk_seal, rk_seal_done)

static void fresh_key(struct rk_seal *s)
{
    uint8_t key[32];
    char text[45];

    rk_random(key, sizeof(key));
    rk_b64_encode(key, sizeof(key), text);
    assert_int_equal(rk_seal_init(s, rk_str(text), NULL), 0);
}

static void a_secret_comes_back_under_its_key_and_name(void **state)
{
    rk_auto(rk_seal_done) struct rk_seal s;
    rk_auto(rk_buf_done) struct rk_buf sealed, again, plain;

    (void)state;
    fresh_key(&s);
    rk_buf_init(&sealed, 1000);
    rk_buf_init(&again, 1000);
    rk_buf_init(&plain, 100);
    rk_seal_put(&s, "server_key", RK_STR("the secret"), &sealed);
    rk_seal_put(&s, "server_key", RK_STR("the secret"), &again);
    assert_int_equal(rk_seal_get(&s, "server_key", rk_buf_str(&sealed), &plain, NULL), 0);
    assert_true(rk_str_eq(rk_buf_str(&plain), RK_STR("the secret")));
    assert_null(memmem(sealed.p, sealed.n, "secret", 6));
    assert_int_equal(sealed.n, again.n);
    assert_memory_not_equal(sealed.p, again.p, sealed.n); /* a nonce of its own each time */
    rk_buf_clear(&plain);
    rk_buf_clear(&sealed);
    rk_seal_put(&s, "empty", RK_STR(""), &sealed);
    assert_int_equal(rk_seal_get(&s, "empty", rk_buf_str(&sealed), &plain, NULL), 0);
    assert_int_equal(plain.n, 0);
}

static void another_key_or_name_does_not_open_it(void **state)
{
    rk_auto(rk_seal_done) struct rk_seal s, other;
    rk_auto(rk_buf_done) struct rk_buf sealed, plain;
    struct rk_err err;

    (void)state;
    fresh_key(&s);
    fresh_key(&other);
    rk_buf_init(&sealed, 1000);
    rk_buf_init(&plain, 100);
    rk_seal_put(&s, "server_key", RK_STR("the secret"), &sealed);
    assert_int_equal(rk_seal_get(&other, "server_key", rk_buf_str(&sealed), &plain, &err),
                     RK_DENIED);
    assert_non_null(strstr(err.msg, "another secret key"));
    assert_int_equal(rk_seal_get(&s, "server_key2", rk_buf_str(&sealed), &plain, &err), RK_DENIED);
    assert_int_equal(rk_seal_get(&s, "", rk_buf_str(&sealed), &plain, &err), RK_DENIED);
    assert_int_equal(plain.n, 0);
}

static void no_byte_may_be_touched_or_missing(void **state)
{
    rk_auto(rk_seal_done) struct rk_seal s;
    rk_auto(rk_buf_done) struct rk_buf sealed, plain;

    (void)state;
    fresh_key(&s);
    rk_buf_init(&sealed, 1000);
    rk_buf_init(&plain, 100);
    rk_seal_put(&s, "n", RK_STR("the secret"), &sealed);
    for (size_t i = 0; i < sealed.n; i++) {
        sealed.p[i] ^= 0x40;
        assert_true(rk_seal_get(&s, "n", rk_buf_str(&sealed), &plain, NULL) < 0);
        sealed.p[i] ^= 0x40;
        assert_true(rk_seal_get(&s, "n", rk_strn(sealed.p, i), &plain, NULL) < 0);
        assert_int_equal(plain.n, 0);
    }
    assert_true(rk_buf_put_u8(&sealed, 0)); /* nor one too many */
    assert_true(rk_seal_get(&s, "n", rk_buf_str(&sealed), &plain, NULL) < 0);
    assert_true(rk_seal_get(&s, "n", rk_strn(NULL, 0), &plain, NULL) < 0);
}

static void buffers_that_are_too_small_are_said_so(void **state)
{
    rk_auto(rk_seal_done) struct rk_seal s;
    rk_auto(rk_buf_done) struct rk_buf sealed, tiny;

    (void)state;
    fresh_key(&s);
    rk_buf_init(&sealed, 1000);
    rk_buf_init(&tiny, 5);
    rk_seal_put(&s, "n", RK_STR("the secret"), &sealed);
    assert_int_equal(rk_seal_get(&s, "n", rk_buf_str(&sealed), &tiny, NULL), RK_EXHAUSTED);
    rk_buf_clear(&tiny);
    rk_seal_put(&s, "n", RK_STR("the secret"), &tiny);
    assert_true(tiny.overflow);
    assert_int_equal(tiny.n, 0);
}

static void a_key_is_the_base64_of_thirty_two_bytes(void **state)
{
    static const char *const bad[] = {
        "",
        "short",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",     /* 31 */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",     /* 33 */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 36 */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*=",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    };
    rk_auto(rk_seal_done) struct rk_seal s = { 0 };
    struct rk_err err;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        assert_int_equal(rk_seal_init(&s, rk_str(bad[i]), &err), RK_INVALID);
        assert_non_null(strstr(err.msg, "openssl rand -base64 32"));
        assert_true(!*bad[i] ||
                    !strstr(err.msg, bad[i])); /* a wrong key may be nearly the right one */
    }
    assert_int_equal(
        rk_seal_init(&s, RK_STR(" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), NULL), 0);
    assert_int_equal(s.key[0][31], 31);
    rk_seal_done(&s);
    assert_int_equal(s.key[0][31], 0);
}

static void while_the_key_changes_both_open_and_the_first_seals(void **state)
{
    static const char first[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                      second[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh4=";
    rk_auto(rk_seal_done) struct rk_seal old, new, both;
    rk_auto(rk_buf_done) struct rk_buf of_old = { .max = 100 }, of_both = { .max = 100 },
                                       plain = { .max = 100 };
    uint8_t mac[RK_SEAL_MAC], other[RK_SEAL_MAC];
    char text[100];

    (void)state;
    snprintf(text, sizeof(text), "%s\n%s\n", first, second);
    assert_int_equal(rk_seal_init(&both, rk_str(text), NULL), 0);
    assert_int_equal(rk_seal_init(&new, rk_str(first), NULL), 0);
    assert_int_equal(rk_seal_init(&old, rk_str(second), NULL), 0);
    rk_seal_put(&old, "n", RK_STR("of old"), &of_old);
    rk_seal_put(&both, "n", RK_STR("of both"), &of_both);
    assert_int_equal(rk_seal_get(&both, "n", rk_buf_str(&of_old), &plain, NULL), 0);
    assert_true(rk_str_eq(rk_buf_str(&plain), RK_STR("of old")));
    rk_buf_clear(&plain);
    assert_int_equal(rk_seal_get(&new, "n", rk_buf_str(&of_both), &plain, NULL), 0);
    assert_true(rk_str_eq(rk_buf_str(&plain), RK_STR("of both")));
    assert_true(rk_seal_get(&old, "n", rk_buf_str(&of_both), &plain, NULL) < 0);
    assert_true(rk_seal_is_current(&both, "n", rk_buf_str(&of_both)));
    assert_false(rk_seal_is_current(&both, "m", rk_buf_str(&of_both)));
    assert_false(rk_seal_is_current(&both, "n", rk_buf_str(&of_old)));
    assert_false(rk_seal_is_current(&both, "n", RK_STR("")));
    assert_true(rk_seal_mac(&old, 0, RK_STR("text"), other));
    assert_false(rk_seal_mac(&old, 1, RK_STR("text"), mac));
    assert_true(rk_seal_mac(&both, 0, RK_STR("text"), mac));
    assert_memory_not_equal(mac, other, sizeof(mac));
    assert_true(rk_seal_mac(&both, 1, RK_STR("text"), mac));
    assert_memory_equal(mac, other, sizeof(mac));
    assert_false(rk_seal_mac(&both, 2, RK_STR("text"), mac));
}

/* What is stored today must open after every change of this code. Made with another implementation.
 */
static void a_secret_of_an_earlier_day_opens(void **state)
{
    static const char stored[] = "01" /* version */
                                 "404142434445464748494a4b4c4d4e4f5051525354555657"
                                 "9a6903807b839d34987757a79ecbbd335b35011a2520fd95"
                                 "0ea6ccd55c4fa9734a706e15fa6d0395";
    rk_auto(rk_seal_done) struct rk_seal s;
    rk_auto(rk_buf_done) struct rk_buf plain;
    uint8_t raw[128];
    size_t n;

    (void)state;
    assert_int_equal(rk_seal_init(&s, RK_STR("gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8="), NULL),
                     0);
    rk_buf_init(&plain, 100);
    assert_true(rk_hex_decode(rk_str(stored), raw, sizeof(raw), &n));
    assert_int_equal(rk_seal_get(&s, "relay_secret", rk_strn(raw, n), &plain, NULL), 0);
    assert_true(rk_str_eq(rk_buf_str(&plain), RK_STR("kept since the first day")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_comes_back_under_its_key_and_name),
        cmocka_unit_test(another_key_or_name_does_not_open_it),
        cmocka_unit_test(no_byte_may_be_touched_or_missing),
        cmocka_unit_test(buffers_that_are_too_small_are_said_so),
        cmocka_unit_test(a_key_is_the_base64_of_thirty_two_bytes),
        cmocka_unit_test(while_the_key_changes_both_open_and_the_first_seals),
        cmocka_unit_test(a_secret_of_an_earlier_day_opens),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
