// links: relay
/* Upgrade request and WebSocket frames from any bytes; and what is found whole is found at no
 * shorter length. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "services/relay/transport/ws/frame.h"
#include "services/relay/transport/ws/upgrade.h"
#include "services/relay/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char reply[UPGRADE_REPLY_MAX];
    struct upgrade u = { 0 };
    struct rk_err err = { 0 };
    struct ws_frame f;
    size_t at = 0;
    int status = upgrade_parse(p, n, &u);

    if (status == 101)
        assert(u.whole <= n);
    if (status != 0)
        assert(upgrade_reply(status, &u, reply) < sizeof(reply));
    for (;;) {
        enum ws_kind kind = ws_frame_parse(p + at, n - at, &f, &err);

        if (kind == WS_MORE || kind == WS_BAD)
            return 0;
        assert(f.whole <= n - at && f.n <= RELAY_MAX_MESSAGE &&
               f.payload + f.n == p + at + f.whole);
        assert(ws_frame_parse(p + at, f.whole - 1, &f, &err) == WS_MORE);
        ws_frame_parse(p + at, n - at, &f, &err);
        at += f.whole;
    }
}
