/* Upgrade request and WebSocket frames from any bytes; and what is found whole is found at no
 * shorter length. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/net/ws_frame.h"
#include "libcommon/net/ws_upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void frames(const uint8_t *p, size_t n, const struct rk_ws_rules *rules)
{
    struct rk_err err = { 0 };
    struct rk_ws_frame f;
    size_t at = 0;

    for (;;) {
        enum rk_ws_kind kind = rk_ws_frame_parse(p + at, n - at, rules, &f, &err);

        if (kind == RK_WS_MORE || kind == RK_WS_BAD)
            return;
        assert(f.whole <= n - at && f.n <= rules->max_bytes && f.payload + f.n == p + at + f.whole);
        assert(rk_ws_frame_parse(p + at, f.whole - 1, rules, &f, &err) == RK_WS_MORE);
        rk_ws_frame_parse(p + at, n - at, rules, &f, &err);
        at += f.whole;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char reply[RK_WS_REPLY_MAX];
    struct rk_ws_upgrade u = { 0 };
    int status = rk_ws_upgrade_parse(p, n, RK_STR("/relay"), &u);

    if (status == 101)
        assert(u.whole <= n);
    if (status != 0)
        assert(rk_ws_upgrade_reply(status, &u, reply) < sizeof(reply));
    frames(p, n, &(struct rk_ws_rules){ .max_bytes = 8820, .only_whole_binary = true });
    frames(p, n, &(struct rk_ws_rules){ .max_bytes = 1u << 20 });
    return 0;
}
