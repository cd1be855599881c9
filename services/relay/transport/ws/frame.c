#include "services/relay/transport/ws/frame.h"

#include <string.h>

#include "services/relay/wire/message.h"

static enum ws_kind bad(struct rk_err *err, const char *why)
{
    rk_fail(err, RK_INVALID, "websocket: %s", why);
    return WS_BAD;
}

/* What the first byte promises: FIN, no extension bits, an opcode we know. */
static enum ws_kind first_byte(uint8_t b, struct rk_err *err)
{
    if (b & 0x70)
        return bad(err, "reserved bits are set");
    if (!(b & 0x80))
        return bad(err, "fragmented message");
    switch (b & 0x0f) {
    case WS_OP_BINARY:
        return WS_MESSAGE;
    case WS_OP_CLOSE:
        return WS_CLOSE;
    case WS_OP_PING:
        return WS_PING;
    case WS_OP_PONG:
        return WS_PONG;
    case 0:
        return bad(err, "continuation frame");
    case 1:
        return bad(err, "text frame");
    default:
        return bad(err, "unknown opcode");
    }
}

enum ws_kind ws_frame_parse(const uint8_t *p, size_t n, struct ws_frame *out, struct rk_err *err)
{
    enum ws_kind kind;
    size_t header = 6, len;

    if (n < 1)
        return WS_MORE;
    kind = first_byte(p[0], err);
    if (kind == WS_BAD || n < 2)
        return kind == WS_BAD ? WS_BAD : WS_MORE;
    if (!(p[1] & 0x80))
        return bad(err, "frame is not masked");
    len = p[1] & 0x7f;
    if (len == 127)
        return bad(err, "frame is longer than 8820 bytes");
    if (kind != WS_MESSAGE && len > WS_MAX_CONTROL)
        return bad(err, "control frame is longer than 125 bytes");
    if (len == 126) {
        header = 8;
        if (n < 4)
            return WS_MORE;
        len = (size_t)p[2] << 8 | p[3];
        if (len < 126)
            return bad(err, "length is not in its shortest form");
        if (len > RELAY_MAX_MESSAGE)
            return bad(err, "frame is longer than 8820 bytes");
    }
    if (kind == WS_MESSAGE && len == 0)
        return bad(err, "empty message");
    if (n < header + len)
        return WS_MORE;
    memcpy(out->mask, p + header - 4, 4);
    out->payload = p + header;
    out->n = len;
    out->whole = header + len;
    return kind;
}

size_t ws_header(enum ws_opcode op, size_t n, uint8_t out[WS_MAX_SERVER_HEADER])
{
    out[0] = (uint8_t)(0x80 | op);
    if (n < 126) {
        out[1] = (uint8_t)n;
        return 2;
    }
    out[1] = 126;
    out[2] = (uint8_t)(n >> 8);
    out[3] = (uint8_t)n;
    return 4;
}
