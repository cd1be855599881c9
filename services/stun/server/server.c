#include "services/stun/server/server.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/loop/slice.h"
#include "services/stun/limit/rate.h"
#include "services/stun/message/stun.h"

#define BATCH 64
/* Under a flood there is always a batch: after each of so many others have a turn (slice.h). */
#define CROWD 8
#define CONTROL CMSG_SPACE(sizeof(struct in6_pktinfo))

struct batch {
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_iov[BATCH], out_iov[BATCH];
    struct sockaddr_in6 source[BATCH];
    _Alignas(8) uint8_t control[BATCH][CONTROL];
    uint8_t request[BATCH][STUN_MAX_REQUEST];
    uint8_t reply[BATCH][STUN_MAX_REPLY];
};

struct stun_server {
    pthread_t thread;
    struct udp_socket socket;
    _Atomic bool stopping;
    struct rate *rate;
    struct batch *batch;
    _Atomic int64_t counts[STUN_COUNT_END];
};

/* Only our thread writes. */
static void count(struct stun_server *s, enum stun_count what, int64_t n)
{
    atomic_store_explicit(&s->counts[what],
                          atomic_load_explicit(&s->counts[what], memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The control message that came, made into the one that goes: the source of the reply is where the
 * request went. */
static void reply_from(struct msghdr *to, struct msghdr *from)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(from);

    to->msg_control = NULL;
    to->msg_controllen = 0;
    if (!c)
        return;
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;

        memcpy(&info, CMSG_DATA(c), sizeof(info));
        info.ipi_spec_dst = info.ipi_addr;
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;

        memcpy(&info, CMSG_DATA(c), sizeof(info));
        if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
            info.ipi6_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else {
        return;
    }
    to->msg_control = from->msg_control;
    to->msg_controllen = from->msg_controllen;
}

static void prepare(struct batch *b, bool pktinfo)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *h = &b->in[i].msg_hdr;

        h->msg_namelen = sizeof(b->source[i]);
        h->msg_control = pktinfo ? b->control[i] : NULL;
        h->msg_controllen = pktinfo ? CONTROL : 0;
    }
}

static struct batch *batch_new(void)
{
    struct batch *b = rk_new(struct batch);

    for (unsigned i = 0; i < BATCH; i++) {
        b->in_iov[i] = (struct iovec){ b->request[i], STUN_MAX_REQUEST };
        b->in[i].msg_hdr =
            (struct msghdr){ .msg_name = &b->source[i], .msg_iov = &b->in_iov[i], .msg_iovlen = 1 };
        b->out_iov[i].iov_base = b->reply[i];
        b->out[i].msg_hdr = (struct msghdr){ .msg_iov = &b->out_iov[i], .msg_iovlen = 1 };
    }
    return b;
}

/* A datagram cut at STUN_MAX_REQUEST is judged by what is left: bytes after the message mean
 * nothing. */
static bool wanted(struct stun_server *s, const struct mmsghdr *m, uint32_t now_s)
{
    switch (stun_check(m->msg_hdr.msg_iov->iov_base, m->msg_len)) {
    case STUN_MALFORMED:
        count(s, STUN_COUNT_DROP_MALFORMED, 1);
        return false;
    case STUN_OTHER:
        count(s, STUN_COUNT_DROP_OTHER, 1);
        return false;
    case STUN_ANSWER:
        break;
    }
    if (rate_allow(s->rate, m->msg_hdr.msg_name, now_s))
        return true;
    count(s, STUN_COUNT_DROP_RATE, 1);
    return false;
}

static void send_all(struct stun_server *s, unsigned n)
{
    unsigned at = 0;

    while (at < n) {
        int r = sendmmsg(s->socket.fd, s->batch->out + at, n - at, MSG_DONTWAIT);

        if (r > 0) {
            at += (unsigned)r;
            count(s, STUN_COUNT_ANSWERS, r);
        } else {
            if (r < 0 && errno == EINTR)
                continue;
            count(s, STUN_COUNT_DROP_SEND,
                  1); /* this one cannot go (no route, full): the others may */
            at++;
        }
    }
}

/* Answers what has come, and waits for the first of it unless told MSG_DONTWAIT. How much it was.
 */
static unsigned serve(struct stun_server *s, int flags)
{
    struct batch *b = s->batch;
    unsigned replies = 0;
    uint32_t now_s;
    int n;

    prepare(b, s->socket.pktinfo);
    n = recvmmsg(s->socket.fd, b->in, BATCH, flags, NULL);
    if (n <= 0 || (flags != MSG_DONTWAIT && atomic_load(&s->stopping) && b->in[0].msg_len == 0))
        return 0; /* a reader that shutdown() wakes is given an empty message */
    count(s, STUN_COUNT_REQUESTS, n);
    now_s = (uint32_t)(rk_mono_ms() / 1000);
    for (int i = 0; i < n; i++) {
        struct msghdr *to = &b->out[replies].msg_hdr, *from = &b->in[i].msg_hdr;

        if (!wanted(s, &b->in[i], now_s))
            continue;
        b->out_iov[replies].iov_len = stun_answer(b->request[i], from->msg_name, b->reply[replies]);
        to->msg_name = from->msg_name;
        to->msg_namelen = from->msg_namelen;
        reply_from(to, from);
        replies++;
    }
    send_all(s, replies);
    return (unsigned)n;
}

static void *run(void *arg)
{
    struct stun_server *s = arg;

    while (!atomic_load(&s->stopping))
        if (serve(s, MSG_WAITFORONE) >= CROWD)
            rk_slice_yield();
    for (unsigned k = 0; k < 1024 && serve(s, MSG_DONTWAIT) > 0; k++)
        ; /* what had arrived before the stop, bounded under a flood */
    return NULL;
}

struct stun_server *stun_server_start(const struct udp_socket *socket, uint32_t prefix_rate)
{
    struct stun_server *s = rk_new(struct stun_server);
    int r;

    s->socket = *socket;
    s->rate = rate_new(prefix_rate);
    s->batch = batch_new();
    r = pthread_create(&s->thread, NULL, run, s);
    assert(r == 0);
    (void)r;
    return s;
}

void stun_server_stop_free(struct stun_server *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    (void)shutdown(s->socket.fd, SHUT_RD); /* wakes the reader; says ENOTCONN all the same */
    pthread_join(s->thread, NULL);
    close(s->socket.fd);
    rate_free(s->rate);
    free(s->batch);
    free(s);
}

void stun_server_counts(const struct stun_server *s, int64_t sums[STUN_COUNT_END])
{
    for (unsigned k = 0; k < STUN_COUNT_END; k++)
        sums[k] += atomic_load_explicit(&s->counts[k], memory_order_relaxed);
}
