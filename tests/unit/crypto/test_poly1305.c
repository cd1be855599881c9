/* The sum against the vector of RFC 8439, 2.5.2. */

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/poly1305.h"
#include "tests/support/test.h"

static const char text[] = "Cryptographic Forum Research Group";

static void key_of_the_vector(uint8_t out[32])
{
    size_t n;

    assert_true(rk_hex_decode(
        RK_STR("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"), out, 32, &n));
}

static void is_that_of_the_rfc(void **state)
{
    uint8_t key[32], out[RK_POLY1305_LEN];
    struct rk_poly1305 *m;
    char hex[2 * RK_POLY1305_LEN + 1];

    (void)state;
    key_of_the_vector(key);
    m = rk_poly1305_begin(key);
    rk_poly1305_add(m, text, sizeof(text) - 1);
    rk_poly1305_end(m, out);
    rk_hex_encode(out, sizeof(out), hex);
    assert_string_equal(hex, "a8061dc1305136c6c22b8baf0c0127a9");
}

static void is_the_same_in_whatever_pieces_the_text_comes(void **state)
{
    uint8_t key[32], whole[RK_POLY1305_LEN], pieces[RK_POLY1305_LEN];

    (void)state;
    key_of_the_vector(key);
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        struct rk_poly1305 *m = rk_poly1305_begin(key);

        rk_poly1305_add(m, text, sizeof(text) - 1);
        rk_poly1305_end(m, whole);
        m = rk_poly1305_begin(key);
        rk_poly1305_add(m, text, cut);
        rk_poly1305_add(m, text + cut, sizeof(text) - 1 - cut);
        rk_poly1305_end(m, pieces);
        assert_memory_equal(whole, pieces, sizeof(whole));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_that_of_the_rfc),
        cmocka_unit_test(is_the_same_in_whatever_pieces_the_text_comes),
    };

    return RUN_TESTS(tests);
}
