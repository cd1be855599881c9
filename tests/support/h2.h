#pragma once

/* HTTP/2 frames written by hand, for what no library would send. */

#include <string.h>

#include "libcommon/base/buf.h"

static RK_UNUSED void
frame(struct rk_buf *b, uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
    rk_buf_put_u8(b, (uint8_t)(n >> 16));
    rk_buf_put_be16(b, (uint16_t)n);
    rk_buf_put_u8(b, type);
    rk_buf_put_u8(b, flags);
    rk_buf_put_be32(b, id);
    rk_buf_put(b, p, n);
}

/* HPACK literal without indexing; lengths below 127 only. */
static RK_UNUSED void header(struct rk_buf *b, const char *name, const char *value)
{
    rk_buf_put_u8(b, 0);
    rk_buf_put_u8(b, (uint8_t)strlen(name));
    rk_buf_put_c(b, name);
    rk_buf_put_u8(b, (uint8_t)strlen(value));
    rk_buf_put_c(b, value);
}

static RK_UNUSED void
request(struct rk_buf *out, uint32_t id, const char *method, const char *path, const char *type)
{
    rk_auto(rk_buf_done) struct rk_buf h;

    rk_buf_init(&h, 4096);
    header(&h, ":method", method);
    header(&h, ":scheme", "http");
    header(&h, ":path", path);
    header(&h, ":authority", "anything.example");
    header(&h, "content-type", type);
    frame(out, 1, 4, id, h.p, h.n);
}
