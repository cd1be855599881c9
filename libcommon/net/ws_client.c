#include "libcommon/net/ws_client.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/net/ws_frame.h"

/* The example of RFC 6455, section 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

size_t rk_ws_request(const char *path, const char *authority, char out[RK_WS_REQUEST_MAX])
{
    int n = snprintf(out, RK_WS_REQUEST_MAX,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                     "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n",
                     path, authority);

    return n > 0 && n < RK_WS_REQUEST_MAX ? (size_t)n : 0;
}

bool rk_ws_accepted(struct rk_str header)
{
    struct rk_str line, name;

    if (!rk_str_next(&header, '\n', &line) || !rk_str_starts(line, RK_STR("HTTP/1.1 101")))
        return false;
    while (rk_str_next(&header, '\n', &line)) {
        if (rk_str_next(&line, ':', &name) && line.p &&
            rk_str_ieq(name, RK_STR("sec-websocket-accept")))
            return rk_str_eq(rk_str_trim(line), RK_STR(ACCEPT));
    }
    return false;
}

size_t rk_ws_masked(const uint8_t *p, size_t n, uint8_t *out)
{
    static const uint8_t mask[4] = { 0x5a, 0x17, 0xc3, 0x99 };
    size_t head = n < 126 ? 6 : 8;

    out[0] = 0x82;
    out[1] = (uint8_t)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
    }
    memcpy(out + head - 4, mask, sizeof(mask));
    rk_ws_mask(out + head, p, n, mask, 0);
    return head + n;
}

size_t rk_ws_server_frame(const uint8_t *p, size_t n, size_t max, size_t *out_head)
{
    size_t body;

    if (n < 2)
        return 0;
    if (p[0] >> 4 != 8 || p[1] > 126)
        return SIZE_MAX;
    *out_head = p[1] == 126 ? 4 : 2;
    if (n < *out_head)
        return 0;
    body = p[1] == 126 ? (size_t)p[2] << 8 | p[3] : p[1];
    if (body > max)
        return SIZE_MAX;
    return *out_head + body <= n ? *out_head + body : 0;
}
