#include "tests/bench/fleet/prober.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/cursor.h"

#define HEADER 20
#define COOKIE 0x2112a442u
#define BINDING_SUCCESS 0x0101
#define XOR_MAPPED_ADDRESS 0x0020

struct prober {
    struct fleet *fleet;
    uv_udp_t udp;
    uint8_t address[20]; /* family, port and address as the first answer had them, still masked */
    size_t address_n;
    uint8_t in[2048];
};

/* The transaction: when, and a sum of it that answers cannot guess. */
struct transaction {
    uint64_t sent_ns;
    uint32_t sum;
};

static uint32_t sum_of(const struct prober *p, uint64_t sent_ns)
{
    return (uint32_t)identity_sum(&p->fleet->plan->id, &sent_ns, sizeof(sent_ns));
}

static bool read_answer(struct prober *p, const uint8_t *in, size_t n, uint64_t *out_sent_ns)
{
    struct rk_cursor c = rk_cursor(in, n);
    uint32_t sum;

    if (n < HEADER || rk_cursor_be16(&c) != BINDING_SUCCESS || rk_cursor_be16(&c) != n - HEADER ||
        rk_cursor_be32(&c) != COOKIE)
        return false;
    memcpy(out_sent_ns, in + 8, sizeof(*out_sent_ns));
    memcpy(&sum, in + 16, sizeof(sum));
    if (sum != sum_of(p, *out_sent_ns))
        return false;
    (void)rk_cursor_take(&c, 12);
    while (c.n > 0 && !c.bad) {
        uint16_t type = rk_cursor_be16(&c), len = rk_cursor_be16(&c);
        struct rk_str value = rk_cursor_take(&c, ((size_t)len + 3) & ~(size_t)3);

        /* An IPv6 address is masked with the transaction too, and so differs every time. */
        if (type != XOR_MAPPED_ADDRESS || c.bad || value.n > sizeof(p->address))
            continue;
        if (value.n > 8)
            value.n = 4;
        if (p->address_n == 0) {
            memcpy(p->address, value.p, value.n);
            p->address_n = value.n;
        }
        return value.n == p->address_n && memcmp(value.p, p->address, value.n) == 0;
    }
    return false;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
    struct prober *p = h->data;

    (void)hint;
    *buf = uv_buf_init((char *)p->in, sizeof(p->in));
}

static void on_answer(
    uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
    struct prober *p = udp->data;
    struct tally *t = p->fleet->tally;
    uint64_t sent_ns;

    (void)flags;
    if (n <= 0 || !from)
        return;
    if (!read_answer(p, (const uint8_t *)buf->base, (size_t)n, &sent_ns)) {
        tally_fault(t, FAULT_ADDRESS, "STUN: %zd bytes that are no answer, or of another address",
                    n);
        return;
    }
    t->count[COUNT_STUN_ANSWERED]++;
    tally_time(t, METRIC_STUN, rk_mono_ns() - sent_ns);
}

struct prober *prober_new(struct fleet *f)
{
    struct prober *p = rk_new(struct prober);

    p->fleet = f;
    p->udp.data = p;
    if (uv_udp_init(rk_loop_uv(f->loop), &p->udp) < 0 ||
        uv_udp_connect(&p->udp, (const struct sockaddr *)&f->stun->addr.ss) < 0 ||
        uv_udp_recv_start(&p->udp, on_alloc, on_answer) < 0)
        fleet_fatal(f, "%s: no UDP socket", f->stun->authority);
    return p;
}

void prober_ask(struct prober *p)
{
    static const uint8_t head[8] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
    struct transaction t = { .sent_ns = rk_mono_ns() };
    uint8_t request[HEADER];
    uv_buf_t buf = uv_buf_init((char *)request, sizeof(request));

    t.sum = sum_of(p, t.sent_ns);
    memcpy(request, head, sizeof(head));
    memcpy(request + 8, &t.sent_ns, sizeof(t.sent_ns));
    memcpy(request + 16, &t.sum, sizeof(t.sum));
    p->fleet->tally->count[COUNT_STUN]++;
    (void)uv_udp_try_send(&p->udp, &buf, 1, NULL); /* lost is lost, as for agents */
}
