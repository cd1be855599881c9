// links: dashboard-api
/* The body of POST /api/setup, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/dashboard-api/api/setup_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    for (int enabled = 0; enabled < 2; enabled++) {
        rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)64 << 20);
        rk_auto(body_done) struct body body = { 0 };
        struct setup_body out;
        struct rk_err err = { 0 };
        int r = setup_body_decode(rk_strn(p, n), arena, enabled, &body, &out, &err);

        if (r < 0) {
            assert(r == RK_BAD_REQUEST || r == RK_INVALID);
            assert(err.msg[0] != '\0');
            continue;
        }
        assert(strlen(out.password) >= 8 && strlen(out.password) <= 72);
        assert(out.name[0] != '\0' && strchr(out.email, '@'));
        assert(!out.create_pat || (enabled && out.pat_days >= 1 && out.pat_days <= 365));
    }
    return 0;
}
