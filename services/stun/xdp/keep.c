#include "services/stun/xdp/keep.h"

#include "libcommon/base/buf.h"
#include "libcommon/obs/log.h"

#define AGAIN_S 5

static int attach(struct xdp_keep *k, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf text;
    unsigned before = xdp_attached(k->xdp);
    int r = xdp_attach(k->xdp, err);

    rk_buf_init(&text, XDP_MAX_DEVICES * 64);
    if (xdp_attached(k->xdp) != before) {
        xdp_describe(k->xdp, &text);
        rk_info(NULL, "the kernel itself answers at %.*s", (int)text.n, (const char *)text.p);
    }
    return r;
}

/* Once for as long as it lasts. */
static void say(struct xdp_keep *k, int r, const struct rk_err *err)
{
    if (r < 0 && r != k->last)
        rk_warn(NULL, "%s; threads answer there, tried again every %d s", err->msg, AGAIN_S);
    k->last = r;
}

static void on_timer(struct rk_timer *t)
{
    struct xdp_keep *k = rk_container_of(t, struct xdp_keep, timer);
    struct rk_err err = { 0 };

    say(k, attach(k, &err), &err);
}

int xdp_keep_start(struct xdp_keep *k, struct rk_loop *l, struct xdp *x, struct rk_err *err)
{
    int r;

    k->xdp = x;
    r = attach(k, err);
    if (r < 0 && r != RK_EXISTS)
        return r;
    say(k, r, err);
    rk_timer_init(l, &k->timer, on_timer);
    rk_timer_start(&k->timer, AGAIN_S * 1000, AGAIN_S * 1000);
    return 0;
}

void xdp_keep_close(struct xdp_keep *k)
{
    if (k->timer.on_timer)
        rk_timer_close(&k->timer, NULL);
}
