// links: relay
/* The first message of a connection, and unmasking, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/crypto/token.h"
#include "services/relay/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t clear[RELAY_MAX_MESSAGE];
    struct rk_err err = { 0 };
    struct rk_relay_key key;
    struct incoming m;
    struct relay_id id;
    struct rk_str token;

    rk_relay_key_init(&key, RK_STR("testsecret"));
    if (relay_auth_parse(p, n, &id, &token, &err) == 0) {
        assert(token.n > 0 && token.p + token.n == (const char *)p + n);
        (void)!rk_relay_token_check(&key, token, 0, &err);
    }
    if (n < 5 || n - 4 > sizeof(clear))
        return 0;
    incoming_init(&m, p + 4, n - 4, p);
    incoming_copy(&m, 0, m.n, clear);
    assert(memcmp(clear, m.head, m.n < sizeof(m.head) ? m.n : sizeof(m.head)) == 0);
    for (size_t i = 0; i < m.n; i++)
        assert(clear[i] == (p[4 + i] ^ p[i % 4]));
    return 0;
}
