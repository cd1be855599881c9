#include "libcommon/net/ws_frame.h"

#include <assert.h>
#include <string.h>

static enum rk_ws_kind bad(struct rk_err *err, const char *why)
{
    rk_fail(err, RK_INVALID, "websocket: %s", why);
    return RK_WS_BAD;
}

static enum rk_ws_kind too_long(struct rk_err *err, const struct rk_ws_rules *rules)
{
    rk_fail(err, RK_EXHAUSTED, "websocket: frame is longer than %zu bytes", rules->max_bytes);
    return RK_WS_BAD;
}

/* What the first byte promises: no extension bits, an opcode we know, FIN where it must be. */
static enum rk_ws_kind first_byte(uint8_t b, const struct rk_ws_rules *rules, struct rk_err *err)
{
    bool fin = (b & 0x80) != 0;

    if (b & 0x70)
        return bad(err, "reserved bits are set");
    if (!fin && (rules->only_whole_binary || b & 0x08))
        return bad(err, "fragmented message");
    switch (b & 0x0f) {
    case RK_WS_OP_BINARY:
        return RK_WS_BINARY;
    case RK_WS_OP_CLOSE:
        return RK_WS_CLOSE;
    case RK_WS_OP_PING:
        return RK_WS_PING;
    case RK_WS_OP_PONG:
        return RK_WS_PONG;
    case RK_WS_OP_CONTINUATION:
        return rules->only_whole_binary ? bad(err, "continuation frame") : RK_WS_CONTINUATION;
    case RK_WS_OP_TEXT:
        return rules->only_whole_binary ? bad(err, "text frame") : RK_WS_TEXT;
    default:
        return bad(err, "unknown opcode");
    }
}

static bool is_control(enum rk_ws_kind kind)
{
    return kind == RK_WS_PING || kind == RK_WS_PONG || kind == RK_WS_CLOSE;
}

/* Of eight bytes. */
static uint64_t long_length(const uint8_t *p)
{
    uint64_t len = 0;

    for (size_t i = 0; i < 8; i++)
        len = len << 8 | p[i];
    return len;
}

enum rk_ws_kind rk_ws_head_parse(const uint8_t *p,
                                 size_t n,
                                 const struct rk_ws_rules *rules,
                                 struct rk_ws_head *out,
                                 struct rk_err *err)
{
    enum rk_ws_kind kind;
    size_t width = 0;
    uint64_t len;

    if (n < 1)
        return RK_WS_MORE;
    kind = first_byte(p[0], rules, err);
    if (kind == RK_WS_BAD || n < 2)
        return kind == RK_WS_BAD ? RK_WS_BAD : RK_WS_MORE;
    if (!(p[1] & 0x80))
        return bad(err, "frame is not masked");
    len = p[1] & 0x7f;
    if (is_control(kind) && len > RK_WS_MAX_CONTROL)
        return bad(err, "control frame is longer than 125 bytes");
    if (len == 127 && rules->max_bytes <= UINT16_MAX)
        return too_long(err, rules);
    if (len >= 126) {
        width = len == 126 ? 2 : 8;
        if (n < 2 + width)
            return RK_WS_MORE;
        len = width == 2 ? (uint64_t)p[2] << 8 | p[3] : long_length(p + 2);
        if (len < 126 || (width == 8 && len <= UINT16_MAX))
            return bad(err, "length is not in its shortest form");
    }
    if (!is_control(kind) && len > rules->max_bytes)
        return too_long(err, rules);
    if (kind == RK_WS_BINARY && len == 0 && rules->only_whole_binary)
        return bad(err, "empty message");
    if (n < 2 + width + 4)
        return RK_WS_MORE;
    memcpy(out->mask, p + 2 + width, 4);
    out->n = (size_t)len;
    out->used = 2 + width + 4;
    out->fin = (p[0] & 0x80) != 0;
    return kind;
}

enum rk_ws_kind rk_ws_frame_parse(const uint8_t *p,
                                  size_t n,
                                  const struct rk_ws_rules *rules,
                                  struct rk_ws_frame *out,
                                  struct rk_err *err)
{
    struct rk_ws_head head;
    enum rk_ws_kind kind = rk_ws_head_parse(p, n, rules, &head, err);

    if (kind == RK_WS_MORE || kind == RK_WS_BAD)
        return kind;
    if (n - head.used < head.n)
        return RK_WS_MORE;
    memcpy(out->mask, head.mask, sizeof(out->mask));
    out->payload = p + head.used;
    out->n = head.n;
    out->whole = head.used + head.n;
    return kind;
}

typedef uint32_t lane __attribute__((vector_size(32)));

/* Of whole lanes; how many bytes that were. */
static inline __attribute__((always_inline)) size_t
mask_lanes(uint8_t *out, const uint8_t *in, size_t n, uint32_t word)
{
    lane k = { word, word, word, word, word, word, word, word }, v;
    size_t i = 0;

    for (; i + sizeof(lane) <= n; i += sizeof(lane)) {
        memcpy(&v, in + i, sizeof(v));
        v ^= k;
        memcpy(out + i, &v, sizeof(v));
    }
    return i;
}

#if defined(__x86_64__)
/* A lane is one register there, and two where every processor is to be able to do it. */
__attribute__((target("avx2"))) static size_t
mask_wide(uint8_t *out, const uint8_t *in, size_t n, uint32_t word)
{
    return mask_lanes(out, in, n, word);
}
#endif

void rk_ws_mask(uint8_t *out, const uint8_t *in, size_t n, const uint8_t mask[4], size_t phase)
{
    const uint8_t key[4] = { mask[phase % 4], mask[(phase + 1) % 4], mask[(phase + 2) % 4],
                             mask[(phase + 3) % 4] };
    uint32_t word;
    size_t i = 0;

    memcpy(&word, key, sizeof(word));
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        i = mask_wide(out, in, n, word);
#endif
    if (i == 0)
        i = mask_lanes(out, in, n, word);
    for (; i < n; i++)
        out[i] = (uint8_t)(in[i] ^ key[i % 4]);
}

size_t rk_ws_header(enum rk_ws_opcode op, size_t n, uint8_t out[RK_WS_MAX_SERVER_HEADER])
{
    assert(n <= UINT16_MAX);
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
