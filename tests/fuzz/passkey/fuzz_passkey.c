// links: dashboard-api
/* What a browser says an authenticator has made or signed, from any bytes behind the right host. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/login/passkey.h"

#define CLIENT(type)                                                                               \
    "{\"type\":\"webauthn." type "\",\"challenge\":\"YQ\",\"origin\":\"https://d.test\"}"

/* Behind the host's hash: flags, no signature yet, no maker, the credential "id", and as its ES256
 * key the curve's base point. */
static const uint8_t good[] = {
    0x41, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    2,    'i',  'd',  0xa5, 1,    2,    3,    0x26,
    0x20, 1,    0x21, 0x58, 32,   0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc,
    0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
    0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x22, 0x58, 32,   0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57,
    0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const struct passkey_ask ask = { .challenge = "YQ",
                                     .origin = "https://d.test",
                                     .rp = "d.test" };
    uint8_t data[PASSKEY_DATA_MAX];
    size_t data_n = 32 + (n < sizeof(data) - 32 ? n : sizeof(data) - 32);
    struct passkey k, made;
    struct rk_err err = { 0 };
    uint32_t count;
    int r;

    rk_sha256(ask.rp, strlen(ask.rp), data);
    memcpy(data + 32, good, sizeof(good));
    r = passkey_made(&ask, rk_str(CLIENT("create")), rk_strn(data, 32 + sizeof(good)), &k, &err);
    assert(r == 0);
    memcpy(data + 32, p, data_n - 32);
    r = passkey_made(&ask, rk_str(CLIENT("create")), rk_strn(data, data_n), &made, &err);
    assert(r == 0 || r == RK_DENIED);
    if (r == 0) {
        assert(made.id_n > 0 && made.id_n <= sizeof(made.id));
        assert(made.key_n > 0 && made.key_n <= sizeof(made.key));
        k = made;
    }
    /* Nobody has signed it. */
    r = passkey_signed(&ask, &k, rk_str(CLIENT("get")), rk_strn(data, data_n), rk_strn(p, n),
                       &count, &err);
    assert(r == RK_DENIED);
    r = passkey_made(&ask, rk_strn(p, n), rk_strn(data, data_n), &made, &err);
    assert(r == 0 || r == RK_DENIED);
    return 0;
}
