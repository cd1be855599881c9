#include "libcommon/grpc/frame.h"

#include <string.h>

void rk_grpc_frame_init(struct rk_grpc_frame *f, size_t max_message)
{
    f->max = max_message;
    f->need = 0;
    rk_buf_init(&f->buf, max_message + RK_GRPC_FRAME_HEAD);
}

void rk_grpc_frame_done(struct rk_grpc_frame *f)
{
    rk_buf_done(&f->buf);
}

void rk_grpc_frame_clear(struct rk_grpc_frame *f)
{
    rk_buf_done(&f->buf);
    rk_grpc_frame_init(f, f->max);
}

bool rk_grpc_frame_partial(const struct rk_grpc_frame *f)
{
    return f->buf.n > 0 && (f->need == 0 || f->buf.n < f->need);
}

static enum rk_grpc_frame_result
read_head(const struct rk_grpc_frame *f, const uint8_t *h, size_t *out_need)
{
    size_t len = (size_t)h[1] << 24 | (size_t)h[2] << 16 | (size_t)h[3] << 8 | h[4];

    if (h[0] == 1)
        return RK_GRPC_FRAME_COMPRESSED;
    if (h[0] > 1)
        return RK_GRPC_FRAME_INVALID;
    if (len > f->max)
        return RK_GRPC_FRAME_TOO_BIG;
    *out_need = len + RK_GRPC_FRAME_HEAD;
    return RK_GRPC_FRAME_MORE;
}

static void take(struct rk_grpc_frame *f, const uint8_t **p, size_t *n, size_t want)
{
    if (want > *n)
        want = *n;
    rk_buf_put(&f->buf, *p, want);
    *p += want;
    *n -= want;
}

enum rk_grpc_frame_result rk_grpc_frame_feed(
    struct rk_grpc_frame *f, const uint8_t **p, size_t *n, bool keep, struct rk_str *out_msg)
{
    enum rk_grpc_frame_result r;
    size_t need;

    if (f->need > 0 && f->buf.n == f->need)
        rk_grpc_frame_clear(f); /* the previous message */
    if (*n == 0)
        return RK_GRPC_FRAME_MORE;
    if (!keep && f->buf.n == 0 && *n >= RK_GRPC_FRAME_HEAD) {
        r = read_head(f, *p, &need);
        if (r != RK_GRPC_FRAME_MORE)
            return r;
        if (*n >= need) {
            *out_msg = rk_strn(*p + RK_GRPC_FRAME_HEAD, need - RK_GRPC_FRAME_HEAD);
            *p += need;
            *n -= need;
            return RK_GRPC_FRAME_MESSAGE;
        }
    }
    if (f->need == 0) {
        take(f, p, n, RK_GRPC_FRAME_HEAD - f->buf.n);
        if (f->buf.n < RK_GRPC_FRAME_HEAD)
            return RK_GRPC_FRAME_MORE;
        r = read_head(f, f->buf.p, &f->need);
        if (r != RK_GRPC_FRAME_MORE)
            return r;
    }
    take(f, p, n, f->need - f->buf.n);
    if (f->buf.n < f->need)
        return RK_GRPC_FRAME_MORE;
    *out_msg = rk_strn(f->buf.p + RK_GRPC_FRAME_HEAD, f->need - RK_GRPC_FRAME_HEAD);
    return RK_GRPC_FRAME_MESSAGE;
}

struct rk_bytes *rk_grpc_frame_make(struct rk_str msg)
{
    struct rk_bytes *b = rk_bytes_new(msg.n + RK_GRPC_FRAME_HEAD);

    b->p[0] = 0;
    b->p[1] = (uint8_t)(msg.n >> 24);
    b->p[2] = (uint8_t)(msg.n >> 16);
    b->p[3] = (uint8_t)(msg.n >> 8);
    b->p[4] = (uint8_t)msg.n;
    if (msg.n > 0)
        memcpy(b->p + RK_GRPC_FRAME_HEAD, msg.p, msg.n);
    return b;
}
