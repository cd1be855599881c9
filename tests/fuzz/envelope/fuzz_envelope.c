// links: management
/* A sealed call from any bytes, and keys in base64. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/management/rpc/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void try_key(struct rk_str text)
{
    uint8_t key[RK_KEY_LEN], again[RK_KEY_LEN];
    char b64[RK_KEY_B64_LEN + 1];

    if (!rk_key_parse(text, key))
        return;
    assert(text.n == RK_KEY_B64_LEN);
    rk_key_format(key, b64);
    assert(rk_key_parse(rk_str(b64), again) && memcmp(key, again, sizeof(key)) == 0);
}

static const struct rk_box *nobody_is_known(void *arg, const uint8_t key[RK_KEY_LEN])
{
    (void)arg;
    (void)key;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)1 << 20);
    struct rk_keypair server;
    struct envelope e;
    struct rk_err err = { 0 };
    uint8_t private[RK_KEY_LEN];
    int r;

    rk_crypto_init();
    try_key(rk_strn(p, n));
    if (!rk_key_parse(RK_STR("AAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH2A="), private))
        abort();
    rk_keypair_from_private(private, &server);
    r = envelope_open(&server, nobody_is_known, NULL, rk_strn(p, n), arena, &e, &err);
    if (r < 0) {
        assert(r == RK_INVALID && err.msg[0] != '\0');
        return 0;
    }
    assert(strlen(e.key_b64) == RK_KEY_B64_LEN && e.plain.n + RK_BOX_OVERHEAD < n);
    try_key(rk_str(e.key_b64));
    return 0;
}
