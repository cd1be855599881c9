/* Digests against published vectors, and checksums. */

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "tests/support/test.h"

static void equals_hex(const uint8_t digest[32], const char *hex)
{
    char text[65];

    rk_hex_encode(digest, 32, text);
    assert_string_equal(text, hex);
}

static void sha256_matches_fips_180(void **state)
{
    static char million[1000000];
    uint8_t digest[32];
    char b64[45];

    (void)state;
    rk_sha256("abc", 3, digest);
    equals_hex(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    rk_sha256("", 0, digest);
    equals_hex(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    rk_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, digest);
    equals_hex(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', sizeof(million));
    rk_sha256(million, sizeof(million), digest);
    equals_hex(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    rk_sha256_b64(RK_STR("abc"), b64);
    assert_string_equal(b64, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

static void hmac_matches_rfc_4231(void **state)
{
    uint8_t key[131], data[50], mac[32];
    static const char longer[] = "Test Using Larger Than Block-Size Key - Hash Key First";

    (void)state;
    memset(key, 0x0b, sizeof(key));
    rk_hmac_sha256(key, 20, "Hi There", 8, mac);
    equals_hex(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    rk_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    equals_hex(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    rk_hmac_sha256(key, 20, data, sizeof(data), mac);
    equals_hex(mac, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    rk_hmac_sha256(key, sizeof(key), longer, sizeof(longer) - 1, mac);
    equals_hex(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void crc32_is_that_of_ieee(void **state)
{
    (void)state;
    assert_int_equal(rk_crc32("123456789", 9), 0xcbf43926u);
    assert_int_equal(rk_crc32("", 0), 0);
    assert_int_equal(rk_crc32("\0", 1), 0xd202ef8du);
}

static void blake2b_of_sixteen_bytes_matches_known_digests(void **state)
{
    uint8_t digest[16];
    char hex[33];

    (void)state;
    rk_blake2b_16("", 0, digest);
    rk_hex_encode(digest, sizeof(digest), hex);
    assert_string_equal(hex, "cae66941d9efbd404e4d88758ea67670");
    rk_blake2b_16("a", 1, digest);
    rk_hex_encode(digest, sizeof(digest), hex);
    assert_string_equal(hex, "27c35e6e9373877f29e562464e46497e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blake2b_of_sixteen_bytes_matches_known_digests),
        cmocka_unit_test(sha256_matches_fips_180),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(crc32_is_that_of_ieee),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
