#include "tests/bench/fleet/prober.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/net/binding.h"

struct prober {
    struct fleet *fleet;
    uv_udp_t udp;
    struct rk_addr address; /* as the first answer had it */
    uint8_t in[2048];
};

/* The transaction: when, and a sum of it that answers cannot guess. */
struct transaction {
    uint64_t sent_ns;
    uint32_t sum;
} __attribute__((packed));
_Static_assert(sizeof(struct transaction) == RK_BINDING_TRANSACTION, "all of it, and no more");

static uint32_t sum_of(const struct prober *p, uint64_t sent_ns)
{
    return (uint32_t)identity_sum(&p->fleet->plan->id, &sent_ns, sizeof(sent_ns));
}

static bool read_answer(struct prober *p, const uint8_t *in, size_t n, uint64_t *out_sent_ns)
{
    uint8_t bytes[RK_BINDING_TRANSACTION];
    struct transaction t;
    struct rk_addr address;

    if (!rk_binding_answer(in, n, bytes, &address))
        return false;
    memcpy(&t, bytes, sizeof(t));
    if (t.sum != sum_of(p, t.sent_ns))
        return false;
    *out_sent_ns = t.sent_ns;
    if (p->address.len == 0)
        p->address = address;
    return address.len == p->address.len && memcmp(&address.ss, &p->address.ss, address.len) == 0;
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
    struct transaction t = { .sent_ns = rk_mono_ns() };
    uint8_t bytes[RK_BINDING_TRANSACTION], request[RK_BINDING_REQUEST];
    uv_buf_t buf = uv_buf_init((char *)request, sizeof(request));

    t.sum = sum_of(p, t.sent_ns);
    memcpy(bytes, &t, sizeof(t));
    rk_binding_request(bytes, request);
    p->fleet->tally->count[COUNT_STUN]++;
    (void)uv_udp_try_send(&p->udp, &buf, 1, NULL); /* lost is lost, as for agents */
}
