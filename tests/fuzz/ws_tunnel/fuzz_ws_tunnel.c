/*
 * A byte stream in WebSocket messages, from any bytes.
 *
 * The first byte chooses: whether the upgrade request comes first, and how much waits below. Cut
 * into single bytes the rest means what it means whole, and what leaves are frames of the server's
 * kind.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/grpc/tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum {
    MODE_ASKED = 1,
    MODE_QUEUED = 2,
    MODE_ANSWER = 4, /* each piece is answered with its own bytes */
};

#define PATH "/ws"
static const char ask[] =
    "GET " PATH " HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct ends {
    struct rk_buf below, above;
    struct rk_tunnel *tunnel;
    unsigned mode;
    unsigned opened;
    int result;
};

static void below_write(void *arg, const void *p, size_t n)
{
    struct ends *e = arg;

    assert(n > 0);
    rk_buf_put(&e->below, p, n);
}

static size_t below_queued(void *arg)
{
    const struct ends *e = arg;

    return e->mode & MODE_QUEUED ? RK_TUNNEL_PONG_LIMIT + 1 : 0;
}

static void above_open(void *arg, const struct rk_ws_upgrade *u)
{
    struct ends *e = arg;

    assert(strlen(u->accept) == 28);
    assert(e->opened == 0);
    e->opened++;
}

static bool above_bytes(void *arg, const uint8_t *p, size_t n)
{
    struct ends *e = arg;

    assert(n > 0 && e->opened == 1 && rk_tunnel_is_open(e->tunnel));
    rk_buf_put(&e->above, p, n);
    if (e->mode & MODE_ANSWER)
        rk_tunnel_write(e->tunnel, p, n);
    return true;
}

static const struct rk_tunnel_ops ops = { below_write, below_queued, above_open, above_bytes };

static void run(struct ends *e, unsigned mode, const uint8_t *p, size_t n, size_t piece)
{
    struct rk_err err = { 0 };

    *e = (struct ends){ .mode = mode };
    rk_buf_init(&e->below, SIZE_MAX);
    rk_buf_init(&e->above, SIZE_MAX);
    e->tunnel = rk_tunnel_new(RK_STR(PATH), &ops, e);
    if (mode & MODE_ASKED)
        assert(rk_tunnel_feed(e->tunnel, (const uint8_t *)ask, sizeof(ask) - 1, &err) == 0);
    for (size_t at = 0; at < n && e->result == 0; at += piece)
        e->result = rk_tunnel_feed(e->tunnel, p + at, n - at < piece ? n - at : piece, &err);
    if (e->result < 0)
        assert(!rk_tunnel_is_open(e->tunnel) && err.msg[0] != 0);
    rk_tunnel_close(e->tunnel, RK_TUNNEL_DONE);
    assert(rk_tunnel_gathered(e->tunnel) == 0 && !rk_tunnel_is_open(e->tunnel));
    rk_tunnel_free(e->tunnel);
}

/* Frames as they must be, a Close last. */
static void check_output(const struct ends *e)
{
    const uint8_t *p, *end;
    bool closed = false;

    if (e->opened == 0)
        return;
    p = memmem(e->below.p, e->below.n, "\r\n\r\n", 4);
    assert(p);
    end = e->below.p + e->below.n;
    for (p += 4; p < end;) {
        size_t n, head = 2;

        assert(!closed && end - p >= 2);
        assert(p[0] == 0x82 || p[0] == 0x88 || p[0] == 0x8a);
        n = p[1];
        assert(n <= (p[0] == 0x82 ? 126 : 125));
        if (n == 126) {
            assert(end - p >= 4);
            n = (size_t)p[2] << 8 | p[3];
            head = 4;
        }
        assert(n <= RK_TUNNEL_MAX_MESSAGE && (size_t)(end - p) >= head + n);
        closed = p[0] == 0x88;
        p += head + n;
    }
    assert(closed);
}

static void done(struct ends *e)
{
    rk_buf_done(&e->below);
    rk_buf_done(&e->above);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct ends whole, bytes;

    if (n < 1)
        return 0;
    run(&whole, p[0], p + 1, n - 1, n);
    run(&bytes, p[0], p + 1, n - 1, 1);
    check_output(&whole);
    check_output(&bytes);
    assert(whole.result == bytes.result && whole.opened == bytes.opened);
    assert(whole.above.n == bytes.above.n && whole.below.n == bytes.below.n);
    assert(whole.above.n == 0 || memcmp(whole.above.p, bytes.above.p, whole.above.n) == 0);
    done(&whole);
    done(&bytes);
    return 0;
}
