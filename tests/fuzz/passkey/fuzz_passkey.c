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

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const struct passkey_ask ask = { .challenge = "YQ",
                                     .origin = "https://d.test",
                                     .rp = "d.test" };
    uint8_t data[PASSKEY_DATA_MAX];
    size_t data_n = 32 + (n < sizeof(data) - 32 ? n : sizeof(data) - 32);
    static struct passkey k, key;
    struct rk_err err = { 0 };
    uint32_t count;
    int r;

    rk_sha256(ask.rp, strlen(ask.rp), data);
    memcpy(data + 32, p, data_n - 32);
    r = passkey_made(&ask, rk_str(CLIENT("create")), rk_strn(data, data_n), &k, &err);
    assert(r == 0 || r == RK_DENIED);
    if (r == 0) {
        assert(k.id_n > 0 && k.id_n <= sizeof(k.id) && k.key_n > 0 && k.key_n <= sizeof(k.key));
        key = k;
    }
    /* Nobody has signed it. */
    r = passkey_signed(&ask, &key, rk_str(CLIENT("get")), rk_strn(data, data_n), rk_strn(p, n),
                       &count, &err);
    assert(r == RK_DENIED);
    r = passkey_made(&ask, rk_strn(p, n), rk_strn(data, data_n), &k, &err);
    assert(r == 0 || r == RK_DENIED);
    return 0;
}
