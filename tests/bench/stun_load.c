/*
 * STUN binding requests against one server:
 *   stun_load ADDRESS:PORT FIRST many|one MILLISECONDS PID...
 *
 * many: 16 sockets with up to 128 requests under way each, so the server always has work; one: the
 * next request leaves when the answer to the last is there. Each socket has an address of its own,
 * as each agent has: FIRST and those after it. Every answer is held against its
 * request: length, type, transaction id and the address it must name. Prints what the watched
 * processes spent on one answer.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/clock.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/watch.h"

#define MAX_SOCKETS 16
#define WINDOW 128
#define BATCH 64
#define REQUEST 20
#define ANSWER_MAX 128
#define WARM_UP_MS 200
#define LOST_AFTER_MS 200

static const uint8_t magic[4] = { 0x21, 0x12, 0xa4, 0x42 };

struct load {
    struct pollfd fd[MAX_SOCKETS];
    struct sockaddr_in self[MAX_SOCKETS];
    int under_way[MAX_SOCKETS];
    unsigned sockets;
    int window;
    uint64_t answers, lost;
    uint64_t moved_ms; /* the last answer came */
    struct bench_times times;
    uint8_t request[BATCH][REQUEST], answer[BATCH][ANSWER_MAX];
    struct mmsghdr out[BATCH], in[BATCH];
    struct iovec out_iov[BATCH], in_iov[BATCH];
};

static void load_init(struct load *l)
{
    bench_times_init(&l->times);
    for (unsigned i = 0; i < BATCH; i++) {
        l->request[i][1] = 1; /* Binding request, no attributes */
        memcpy(l->request[i] + 4, magic, sizeof(magic));
        l->out_iov[i] = (struct iovec){ l->request[i], REQUEST };
        l->in_iov[i] = (struct iovec){ l->answer[i], ANSWER_MAX };
        l->out[i].msg_hdr = (struct msghdr){ .msg_iov = &l->out_iov[i], .msg_iovlen = 1 };
        l->in[i].msg_hdr = (struct msghdr){ .msg_iov = &l->in_iov[i], .msg_iovlen = 1 };
    }
}

static void
open_socket(struct load *l, unsigned i, struct in_addr first, const struct sockaddr_in *server)
{
    struct sockaddr_in self = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(ntohl(first.s_addr) + i) };
    socklen_t n = sizeof(self);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 1 << 20;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0 ||
        connect(fd, (const struct sockaddr *)server, sizeof(*server)) < 0 ||
        getsockname(fd, (struct sockaddr *)&self, &n) < 0)
        bench_die("UDP socket: %s", strerror(errno));
    l->fd[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
    l->self[i] = self;
}

/* The transaction id: when it was sent and by which socket. */
static void ask(struct load *l, unsigned i)
{
    while (l->under_way[i] < l->window) {
        int n = l->window - l->under_way[i] < BATCH ? l->window - l->under_way[i] : BATCH;
        uint64_t now = rk_mono_ns();
        uint32_t from = i;

        for (int k = 0; k < n; k++) {
            memcpy(l->request[k] + 8, &now, sizeof(now));
            memcpy(l->request[k] + 16, &from, sizeof(from));
        }
        n = sendmmsg(l->fd[i].fd, l->out, (unsigned)n, 0);
        if (n < 0)
            bench_die("sending requests: %s", strerror(errno));
        l->under_way[i] += n;
    }
}

/* XOR-MAPPED-ADDRESS anywhere among the attributes names the socket's own address. */
static bool names(const uint8_t *p, size_t n, const struct sockaddr_in *self)
{
    for (size_t at = REQUEST; at + 4 <= n;) {
        size_t len = (size_t)p[at + 2] << 8 | p[at + 3];
        uint16_t port;
        uint32_t ip;

        if (p[at] == 0 && p[at + 1] == 0x20 && len == 8 && at + 12 <= n) {
            memcpy(&port, p + at + 6, sizeof(port));
            memcpy(&ip, p + at + 8, sizeof(ip));
            return (port ^ htons(0x2112)) == self->sin_port &&
                   (ip ^ htonl(0x2112a442)) == self->sin_addr.s_addr;
        }
        at += 4 + (len + 3) / 4 * 4;
    }
    return false;
}

static void take(struct load *l, unsigned i, const uint8_t *p, size_t n, uint64_t now)
{
    uint64_t sent;
    uint32_t from;

    memcpy(&sent, p + 8, sizeof(sent));
    memcpy(&from, p + 16, sizeof(from));
    if (n < REQUEST || p[0] != 1 || p[1] != 1 || memcmp(p + 4, magic, sizeof(magic)) != 0 ||
        from != i || !names(p, n, &l->self[i]))
        bench_die("a wrong answer of %zu bytes", n);
    bench_times_add(&l->times, now - sent);
    l->answers++;
    l->under_way[i]--;
}

static void take_all(struct load *l, unsigned i)
{
    int n = recvmmsg(l->fd[i].fd, l->in, BATCH, MSG_DONTWAIT, NULL);
    uint64_t now = rk_mono_ns();

    if (n < 0 && errno != EAGAIN)
        bench_die("receiving answers: %s", strerror(errno));
    for (int k = 0; k < n; k++)
        take(l, i, l->answer[k], l->in[k].msg_len, now);
    if (n > 0)
        l->moved_ms = now / 1000000;
}

static void give_up(struct load *l)
{
    for (unsigned i = 0; i < l->sockets; i++) {
        l->lost += (uint64_t)l->under_way[i];
        l->under_way[i] = 0;
    }
    l->moved_ms = rk_mono_ms();
}

static void run(struct load *l, uint64_t ms)
{
    uint64_t end = rk_mono_ms() + ms;

    l->moved_ms = rk_mono_ms();
    while (rk_mono_ms() < end) {
        for (unsigned i = 0; i < l->sockets; i++)
            ask(l, i);
        if (poll(l->fd, l->sockets, LOST_AFTER_MS) < 0)
            bench_die("poll: %s", strerror(errno));
        for (unsigned i = 0; i < l->sockets; i++)
            if (l->fd[i].revents)
                take_all(l, i);
        if (rk_mono_ms() - l->moved_ms >= LOST_AFTER_MS)
            give_up(l);
    }
}

int main(int argc, char **argv)
{
    static struct load l;
    struct sockaddr_in server;
    struct in_addr first;
    struct watch w;
    uint64_t ms, from;
    double cpu, seconds;

    if (argc < 6 || inet_pton(AF_INET, argv[2], &first) != 1)
        bench_die("usage: stun_load ADDRESS:PORT FIRST many|one MILLISECONDS PID...");
    server = bench_address(argv[1]);
    ms = bench_number(argv[4], 1, 60000);
    l.sockets = strcmp(argv[3], "one") == 0 ? 1 : MAX_SOCKETS;
    l.window = l.sockets == 1 ? 1 : WINDOW;
    watch_init(&w, argv + 5, argc - 5);
    load_init(&l);
    for (unsigned i = 0; i < l.sockets; i++)
        open_socket(&l, i, first, &server);
    run(&l, WARM_UP_MS);
    l.answers = l.lost = 0;
    bench_times_done(&l.times);
    bench_times_init(&l.times);
    cpu = watch_cpu_us(&w);
    from = rk_mono_ns();
    run(&l, ms);
    cpu = watch_cpu_us(&w) - cpu;
    seconds = (double)(rk_mono_ns() - from) / 1e9;
    if (l.answers == 0 || l.lost * 1000 > l.answers)
        bench_die("%llu answers, %llu lost", (unsigned long long)l.answers,
                  (unsigned long long)l.lost);
    bench_value("cpu_us", cpu / (double)l.answers);
    bench_value("per_s", (double)l.answers / seconds);
    bench_value("busy", cpu / 1e6 / seconds);
    bench_value("p50_us", bench_times_us(&l.times, 0.5));
    bench_value("p99_us", bench_times_us(&l.times, 0.99));
    return 0;
}
