/* A discovery document from any bytes: what is believed is https and of the issuer. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/oidc/discovery.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const struct rk_fetch_rules strict = { 0 };
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)16 << 20);
    struct rk_discovery d;
    struct rk_err err = { 0 };
    int r = rk_discovery_parse(&strict, rk_strn(p, n), "https://i.org", arena, &d, &err);
    const char *const *url[] = {
        &d.authorization_endpoint,        &d.token_endpoint,      &d.jwks_uri, &d.userinfo_endpoint,
        &d.device_authorization_endpoint, &d.end_session_endpoint
    };

    if (r < 0) {
        assert(r == RK_INVALID && err.msg[0] != '\0');
        return 0;
    }
    assert(strcmp(d.issuer, "https://i.org") == 0 && d.jwks_uri[0] != '\0');
    for (size_t i = 0; i < RK_COUNT(url); i++)
        assert((*url[i])[0] == '\0' || strncasecmp(*url[i], "https://", 8) == 0);
    return 0;
}
