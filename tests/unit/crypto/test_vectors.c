/* Published vectors: the agents' envelope, relay credentials, access tokens, stored hashes. */

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/crypto/token.h"
#include "tests/support/test.h"

static void the_envelope_of_the_vector_opens(void **state)
{
    static const char body[] =
        "000102030405060708090a0b0c0d0e0f10111213141516174636461d564bb9664933"
        "8b6f1eb5a6120052601426";
    uint8_t priv[32], peer[32], raw[64], plain[64];
    struct rk_keypair own;
    struct rk_box box;
    char text[45];
    size_t n;

    (void)state;
    assert_true(rk_key_parse(RK_STR("AAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH2A="), priv));
    assert_true(rk_key_parse(RK_STR("VxR2nRFr92Q2rnS8eT0sMK0ZA8WaxSc4BcfiaYtBDDY="), peer));
    rk_keypair_from_private(priv, &own);
    rk_key_format(own.public_key, text);
    assert_string_equal(text, "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=");
    assert_true(rk_box_init(&box, &own, peer));
    assert_true(rk_hex_decode(rk_str(body), raw, sizeof(raw), &n));
    assert_int_equal(n, 45);
    assert_int_equal(rk_box_open(&box, raw, n, plain), 0);
    assert_memory_equal(plain,
                        "\x0a\x03"
                        "abc",
                        5);
    for (size_t i = 0; i < n; i++) { /* no byte may be touched, none may be missing */
        raw[i] ^= 1;
        assert_int_equal(rk_box_open(&box, raw, n, plain), RK_INVALID);
        raw[i] ^= 1;
        assert_int_equal(rk_box_open(&box, raw, i, plain), RK_INVALID);
    }
}

static void relay_credentials_match_and_expire(void **state)
{
    struct rk_relay_key k;
    char payload[24], sig[45];
    uint8_t token[64] = { 1 };
    size_t n;

    (void)state;
    rk_relay_key_init(&k, RK_STR("testsecret"));
    rk_relay_token_issue(&k, 1893456000, payload, sig);
    assert_string_equal(sig, "xtjWQJTxQvbbisgQECPzavltV/tmu1Ioz4Fxh0P3T5w=");
    assert_true(rk_b64_decode(rk_str(sig), token + 1, 32, &n));
    memcpy(token + 33, payload, 10);
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, 43), 1893456000, NULL), 0);
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, 43), 1893456001, NULL), RK_DENIED);
    for (size_t i = 0; i < 43; i++)
        assert_int_equal(rk_relay_token_check(&k, rk_strn(token, i), 0, NULL), RK_DENIED);
    token[5] ^= 1;
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, 43), 0, NULL), RK_DENIED);
    rk_relay_key_init(&k, RK_STR("secret"));
    rk_relay_token_issue(&k, 1735689600, payload, sig);
    assert_string_equal(sig, "ZFxC1udNvX6wZuKEEZotDKFPjbMmfqPlqu+iRKwZJtA=");
}

static void access_tokens_carry_their_checksum(void **state)
{
    char fresh[RK_PAT_LEN + 1], hash[45];

    (void)state;
    assert_true(rk_pat_valid("nbp_", RK_STR("nbp_abcdefghijklmnopqrstuvwxyz01232LolCm")));
    assert_true(rk_pat_valid("nbp_", RK_STR("nbp_NetbirdPersonalAccessToken00000jbtG2")));
    assert_false(rk_pat_valid("nbp_", RK_STR("nbp_NetbirdPersonalAccessToken00000jbtG3")));
    assert_false(rk_pat_valid("nbi_", RK_STR("nbp_NetbirdPersonalAccessToken00000jbtG2")));
    rk_sha256_b64(RK_STR("nbp_abcdefghijklmnopqrstuvwxyz01232LolCm"), hash);
    assert_string_equal(hash, "89uDSKaqxfZQMJlbQrA2J63a3pfp8TlAzFbobDygwZY=");
    rk_pat_new("nbp_", fresh);
    assert_true(rk_pat_valid("nbp_", rk_str(fresh)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_envelope_of_the_vector_opens),
        cmocka_unit_test(relay_credentials_match_and_expire),
        cmocka_unit_test(access_tokens_carry_their_checksum),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
