/*
 * Messages of 1,400 bytes through a relay:
 *   relay_load ADDRESS:PORT ws|raw flow PAIRS AT_ONCE MILLISECONDS PID...
 *   relay_load ADDRESS:PORT ws|raw fan PAIRS AT_ONCE MILLISECONDS PID...
 *   relay_load ADDRESS:PORT ws|raw echo MILLISECONDS PID...
 *   relay_load ADDRESS:PORT ws idle CONNECTIONS PID...
 *
 * flow: in each pair A sends to B, so many messages with one write, and has a bounded number under
 * way, as the relay drops what a receiver cannot take; every message that arrives is held against
 * what was sent. fan: the same, but of what is written at once each message goes to another pair's
 * B than the one before. echo: one message there, one back. idle: memory and connecting. raw speaks
 * to the reference loop (relay_ref.c). ROOKERY_BENCH_SECRET is the relay's secret; over TLS when
 * ROOKERY_BENCH_CA names the certificates to believe. One thread.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/watch.h"
#include "tests/bench/lib/wsclient.h"

#define WARM_UP_MS 200
#define STALLED_MS 3000
#define AT_ONCE_MAX 45 /* 64 KiB, the most an agent's packet queue gives */
#define SETTLE_MS 2000

struct pair {
    struct wire a, b;
    struct relay_id from, to;
    uint8_t *out;  /* AT_ONCE_MAX frames to B, or to all pairs' */
    uint8_t *rest; /* a frame that has not come whole */
    size_t rest_n;
    unsigned under_way;
};

struct load {
    struct sockaddr_in server;
    const char *secret;
    bool raw, fan;
    size_t frame_in, frame_out;
    struct pair *pair;
    unsigned pairs, at_once, window;
    int epfd;
    uint64_t messages;
    uint8_t in[WIRE_READ + WS_FRAME_IN]; /* and what was left of the last time */
};

static struct wire open_one(struct load *l, struct relay_id *id, uint32_t number)
{
    struct wire w;

    wire_open(&w, &l->server, "relay");
    ws_id(id, number);
    if (!l->raw)
        ws_login(&w, id, l->secret);
    return w;
}

/* The reference numbers connections in the order in which it accepts them. Where a relay names who
 * sent it, the frame says so itself. */
static void raw_frame(uint16_t from, uint16_t to, uint8_t *out)
{
    uint16_t header[2] = { to, RELAY_HEAD_LEN + WS_PAYLOAD };

    memcpy(out, header, sizeof(header));
    memset(out + sizeof(header), 7, RELAY_HEAD_LEN + WS_PAYLOAD);
    memcpy(out + sizeof(header), &from, sizeof(from));
}

static void open_pair(struct load *l, unsigned i)
{
    struct pair *p = &l->pair[i];
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };

    p->a = open_one(l, &p->from, 2 * i);
    p->b = open_one(l, &p->to, 2 * i + 1);
    p->rest = rk_alloc(l->frame_in);
    if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, p->b.fd, &ev) < 0)
        bench_die("epoll: %s", strerror(errno));
}

static void compose(struct load *l, unsigned i)
{
    struct pair *p = &l->pair[i];

    p->out = rk_alloc(AT_ONCE_MAX * l->frame_out);
    for (unsigned k = 0; k < AT_ONCE_MAX; k++) {
        unsigned to = l->fan ? (i + k) % l->pairs : i;

        if (l->raw)
            raw_frame((uint16_t)(2 * i), (uint16_t)(2 * to + 1), p->out + k * l->frame_out);
        else
            ws_transport_frame(&l->pair[to].to, p->out + k * l->frame_out);
    }
}

/* Whose message it is that B got; raw ones carry the sender's number, which is as good as an ID. */
static struct pair *sender(struct load *l, struct pair *p, const uint8_t *frame)
{
    unsigned self = (unsigned)(p - l->pair);
    uint8_t wanted[RAW_FRAME];
    uint16_t from;

    if (l->raw) {
        memcpy(&from, frame + RAW_HEADER, sizeof(from));
        raw_frame(from, (uint16_t)(2 * self + 1), wanted);
        if (from / 2 < l->pairs && memcmp(frame, wanted, RAW_FRAME) == 0)
            return &l->pair[from / 2];
    }
    for (unsigned i = 0; !l->raw && i < (l->fan ? l->pairs : 1); i++) {
        struct pair *q = &l->pair[(self + i) % l->pairs];

        if (ws_transport_arrived(frame, &q->from))
            return q;
    }
    bench_die("a message arrived that was not sent");
}

static void fill(struct load *l, struct pair *p)
{
    while (p->under_way + l->at_once <= l->window) {
        wire_write(&p->a, p->out, l->at_once * l->frame_out);
        p->under_way += l->at_once;
    }
}

static void take(struct load *l, struct pair *p)
{
    size_t have, at = 0;

    memcpy(l->in, p->rest, p->rest_n);
    have = p->rest_n + wire_read_some(&p->b, l->in + p->rest_n, WIRE_READ);
    for (; have - at >= l->frame_in; at += l->frame_in) {
        struct pair *from = sender(l, p, l->in + at);

        from->under_way--;
        if (from != p)
            fill(l, from);
        l->messages++;
    }
    p->rest_n = have - at;
    memcpy(p->rest, l->in + at, p->rest_n);
}

static void flow(struct load *l, uint64_t ms)
{
    struct epoll_event ev[64];
    uint64_t end = rk_mono_ms() + ms;

    for (unsigned i = 0; i < l->pairs; i++)
        fill(l, &l->pair[i]);
    while (rk_mono_ms() < end) {
        int n = epoll_wait(l->epfd, ev, RK_COUNT(ev), STALLED_MS);

        if (n <= 0)
            bench_die("nothing has arrived for %d ms", STALLED_MS);
        for (int i = 0; i < n; i++) {
            take(l, &l->pair[ev[i].data.u32]);
            fill(l, &l->pair[ev[i].data.u32]);
        }
    }
}

struct span {
    double cpu_us;
    uint64_t from_ns;
};

static struct span begin(const struct watch *w)
{
    return (struct span){ watch_cpu_us(w), rk_mono_ns() };
}

static void report(const struct span *s, const struct watch *w, uint64_t messages)
{
    double cpu = watch_cpu_us(w) - s->cpu_us, seconds = (double)(rk_mono_ns() - s->from_ns) / 1e9;

    if (messages == 0)
        bench_die("no message arrived");
    bench_value("cpu_us", cpu / (double)messages);
    bench_value("per_s", (double)messages / seconds);
    bench_value("gbit_s", (double)messages * WS_PAYLOAD * 8 / seconds / 1e9);
    bench_value("busy", cpu / 1e6 / seconds);
}

static int run_flow(struct load *l, char **argv, int argc)
{
    struct watch w;
    struct span s;
    uint64_t ms;

    if (argc < 4)
        bench_die("flow|fan PAIRS AT_ONCE MILLISECONDS PID...");
    l->pairs = (unsigned)bench_number(argv[0], 1, 1000);
    l->at_once = (unsigned)bench_number(argv[1], 1, AT_ONCE_MAX);
    ms = bench_number(argv[2], 1, 60000);
    watch_init(&w, argv + 3, argc - 3);
    l->window = 1024 / l->pairs;
    l->window = l->window > 2 * AT_ONCE_MAX ? 2 * AT_ONCE_MAX : l->window < 8 ? 8 : l->window;
    if (l->window < l->at_once)
        l->window = l->at_once;
    l->pair = rk_new_array(struct pair, l->pairs);
    for (unsigned i = 0; i < l->pairs; i++)
        open_pair(l, i);
    for (unsigned i = 0; i < l->pairs; i++)
        compose(l, i);
    flow(l, WARM_UP_MS);
    l->messages = 0;
    s = begin(&w);
    flow(l, ms);
    report(&s, &w, l->messages);
    return 0;
}

static void one_way(struct load *l, struct wire *from, struct wire *to, const uint8_t *frame)
{
    wire_write(from, frame, l->frame_out);
    wire_read(to, l->in, l->frame_in);
}

static int run_echo(struct load *l, char **argv, int argc)
{
    uint8_t there[WS_FRAME_OUT], back[WS_FRAME_OUT];
    struct bench_times times;
    struct relay_id id[2];
    struct watch w;
    struct span s;
    uint64_t end, warm, messages = 0;
    struct wire end_of[2];

    if (argc < 2)
        bench_die("echo MILLISECONDS PID...");
    watch_init(&w, argv + 1, argc - 1);
    for (unsigned i = 0; i < 2; i++)
        end_of[i] = open_one(l, &id[i], i);
    if (l->raw) {
        raw_frame(0, 1, there);
        raw_frame(1, 0, back);
    } else {
        ws_transport_frame(&id[1], there);
        ws_transport_frame(&id[0], back);
    }
    bench_times_init(&times);
    warm = rk_mono_ms() + WARM_UP_MS;
    end = warm + bench_number(argv[0], 1, 60000);
    s = begin(&w);
    while (rk_mono_ms() < end) {
        uint64_t t = rk_mono_ns();

        one_way(l, &end_of[0], &end_of[1], there);
        if (l->raw ? memcmp(l->in, there, RAW_FRAME) != 0 : !ws_transport_arrived(l->in, &id[0]))
            bench_die("a message arrived that was not sent");
        one_way(l, &end_of[1], &end_of[0], back);
        if (warm && rk_mono_ms() >= warm) {
            warm = messages = 0;
            s = begin(&w);
            continue;
        }
        bench_times_add(&times, rk_mono_ns() - t);
        messages += 2;
    }
    report(&s, &w, messages);
    bench_value("p50_us", bench_times_us(&times, 0.5));
    bench_value("p99_us", bench_times_us(&times, 0.99));
    bench_times_done(&times);
    return 0;
}

static int run_idle(struct load *l, char **argv, int argc)
{
    struct relay_id id;
    struct watch w;
    double before, cpu;
    uint64_t n;

    if (argc < 2)
        bench_die("idle CONNECTIONS PID...");
    n = bench_number(argv[0], 1, 50000);
    watch_init(&w, argv + 1, argc - 1);
    before = watch_private_bytes(&w);
    cpu = watch_cpu_us(&w);
    for (uint32_t i = 0; i < n; i++)
        (void)open_one(l, &id, i); /* stays open until the end */
    cpu = watch_cpu_us(&w) - cpu;
    (void)usleep(SETTLE_MS * 1000);
    bench_value("bytes", (watch_private_bytes(&w) - before) / (double)n);
    bench_value("connect_cpu_us", cpu / (double)n);
    return 0;
}

int main(int argc, char **argv)
{
    static struct load l;

    l.secret = getenv("ROOKERY_BENCH_SECRET");
    if (argc < 4)
        bench_die("usage: relay_load ADDRESS:PORT ws|raw flow|fan|echo|idle ...");
    l.server = bench_address(argv[1]);
    l.raw = strcmp(argv[2], "raw") == 0;
    if (!l.raw && !l.secret)
        bench_die("ROOKERY_BENCH_SECRET is not set");
    l.frame_in = WS_FRAME_IN; /* RAW_FRAME is as long, on purpose */
    l.frame_out = l.raw ? RAW_FRAME : WS_FRAME_OUT;
    l.epfd = epoll_create1(EPOLL_CLOEXEC);
    l.fan = strcmp(argv[3], "fan") == 0;
    if (l.fan || strcmp(argv[3], "flow") == 0)
        return run_flow(&l, argv + 4, argc - 4);
    if (strcmp(argv[3], "echo") == 0)
        return run_echo(&l, argv + 4, argc - 4);
    if (strcmp(argv[3], "idle") == 0)
        return run_idle(&l, argv + 4, argc - 4);
    bench_die("%s: not flow, fan, echo or idle", argv[3]);
}
