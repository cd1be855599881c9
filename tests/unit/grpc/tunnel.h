#pragma once

/* A browser's side of HTTP/2 inside a WebSocket: what it says, and the server's frames taken apart.
 */

#include "libcommon/grpc/tunnel.h"
#include "libcommon/net/ws_frame.h"
#include "tests/unit/grpc/raw.h"

#define PATH "/ws-proxy/test"
#define ASK(path, more)                                                                            \
    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"            \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define PREFACE_BYTES 33

enum {
    FIN = 0x80,
    CONT = 0,
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10
};

/* A client's frame. */
static RK_UNUSED void say(struct rk_buf *b, unsigned first, const void *p, size_t n)
{
    static const uint8_t mask[4] = { 0x5a, 0x00, 0xff, 0x13 };

    rk_buf_put_u8(b, (uint8_t)first);
    if (n < 126) {
        rk_buf_put_u8(b, (uint8_t)(0x80 | n));
    } else if (n < 65536) {
        rk_buf_put_u8(b, 0xfe);
        rk_buf_put_be16(b, (uint16_t)n);
    } else {
        rk_buf_put_u8(b, 0xff);
        rk_buf_put_be32(b, 0);
        rk_buf_put_be32(b, (uint32_t)n);
    }
    rk_buf_put(b, mask, 4);
    rk_ws_mask(rk_buf_reserve(b, n), p, n, mask, 0);
    rk_buf_commit(b, n);
}

/* The server's frames p[0..n), taken apart: payloads of the binary ones into `out`. Returns their
 * number; *out_last is the opcode of the last frame and *out_control the payload of the last
 * control frame. */
static RK_UNUSED unsigned
heard(const uint8_t *p, size_t n, struct rk_buf *out, uint8_t *out_last, struct rk_str *out_control)
{
    unsigned binary = 0;

    for (size_t at = 0; at + 2 <= n;) {
        size_t len = p[at + 1], head = 2;

        assert_true(len < 127); /* not masked, not longer than 64 KiB */
        if (len == 126) {
            if (at + 4 > n)
                break;
            len = (size_t)p[at + 2] << 8 | p[at + 3];
            head = 4;
        }
        assert_true(len <= RK_TUNNEL_MAX_MESSAGE);
        if (at + head + len > n)
            break;
        assert_int_equal(p[at] & 0xf0, FIN);
        if (out_last)
            *out_last = p[at] & 0x0f;
        if ((p[at] & 0x0f) == BINARY) {
            binary++;
            rk_buf_put(out, p + at + head, len);
        } else if (out_control) {
            *out_control = rk_strn(p + at + head, len);
        }
        at += head + len;
    }
    return binary;
}
