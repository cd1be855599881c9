/* What a WebSocket server answers, from any bytes: the header that opens one, and frames. What is
 * found whole is found at no shorter length; and our own frames are read as they were meant. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/net/ws_client.h"
#include "libcommon/net/ws_frame.h"

#define MAX_BODY 300

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void frames(const uint8_t *p, size_t n)
{
    size_t head, whole, shorter;

    for (; (whole = rk_ws_server_frame(p, n, MAX_BODY, &head)) != 0; p += whole, n -= whole) {
        if (whole == SIZE_MAX)
            return;
        assert(whole <= n && head >= 2 && head <= whole && whole - head <= MAX_BODY);
        assert(rk_ws_server_frame(p, whole, MAX_BODY, &head) == whole);
        assert(rk_ws_server_frame(p, whole - 1, MAX_BODY, &shorter) == 0);
    }
}

static void ours(const uint8_t *p, size_t n)
{
    static const struct rk_ws_rules rules = { .max_bytes = MAX_BODY, .only_whole_binary = true };
    uint8_t out[MAX_BODY + RK_WS_MASKED_HEAD], plain[MAX_BODY];
    struct rk_ws_frame f;
    struct rk_err err = { 0 };
    size_t whole;

    if (n == 0)
        return; /* no message is empty */
    if (n > MAX_BODY)
        n = MAX_BODY;
    whole = rk_ws_masked(p, n, out);
    assert(whole <= n + RK_WS_MASKED_HEAD);
    assert(rk_ws_frame_parse(out, whole, &rules, &f, &err) == RK_WS_BINARY);
    assert(f.whole == whole && f.n == n);
    rk_ws_mask(plain, f.payload, n, f.mask, 0);
    assert(memcmp(plain, p, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (rk_ws_accepted(rk_strn(p, n)))
        assert(n >= 12 && memcmp(p, "HTTP/1.1 101", 12) == 0);
    frames(p, n);
    ours(p, n);
    return 0;
}
