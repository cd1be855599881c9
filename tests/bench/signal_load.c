/*
 * Agents at a signal server:
 *   signal_load ADDRESS:PORT flow|one|idle CLIENTS MILLISECONDS PID...
 *
 * Each client has one connection with its ConnectStream, as an agent has, and a partner. flow: each
 * sends its partner a message (357 bytes, an offer's size) and the next one when the partner's has
 * come, so CLIENTS messages are under way; one: the first two do so in turn, one message under way;
 * idle: memory and connecting (MILLISECONDS is how long it settles). An operation is one message:
 * the Send call, its answer, and the delivery on the other stream. Over TLS when ROOKERY_BENCH_CA
 * names the certificates to believe. One thread.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/box.h"
#include "libcommon/grpc/client.h"
#include "libcommon/obs/log.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/tls.h"
#include "tests/bench/lib/watch.h"

#define CONNECT_AT_ONCE 50
#define WARM_UP_MS 300
#define TICK_MS 20
#define STALLED_MS 5000
#define BODY 260
#define HEAD (2 * (2 + RK_KEY_B64_LEN)) /* the two keys, fields 2 and 3 */
#define SENT_AT (HEAD + 3)              /* the body; it begins with the moment of its sending */
#define MESSAGE (SENT_AT + BODY)
#define CALL_MS 10000

enum mode {
    MODE_FLOW,
    MODE_ONE,
    MODE_IDLE,
};

enum phase {
    PHASE_CONNECT,
    PHASE_WARM_UP,
    PHASE_MEASURE,
};

struct client {
    struct load *load;
    struct rk_grpc_client *grpc;
    char key[RK_KEY_B64_LEN + 1];
    uint8_t message[MESSAGE]; /* to the partner */
};

struct load {
    struct rk_loop *loop;
    struct rk_addr addr;
    struct rk_tls *tls; /* NULL: in the clear */
    enum mode mode;
    enum phase phase;
    struct client *client;
    unsigned clients, started, registered;
    struct rk_timer tick;
    uint64_t ms, until_ms, moved_ms, from_ns;
    uint64_t messages;
    struct bench_times times;
    struct watch watch;
    double cpu_us, bytes;
};

static struct client *partner(const struct client *c)
{
    return &c->load->client[(size_t)(c - c->load->client) ^ 1];
}

static void compose(struct client *c)
{
    uint8_t *p = c->message;

    *p++ = 2 << 3 | 2;
    *p++ = RK_KEY_B64_LEN;
    memcpy(p, c->key, RK_KEY_B64_LEN);
    p += RK_KEY_B64_LEN;
    *p++ = 3 << 3 | 2;
    *p++ = RK_KEY_B64_LEN;
    memcpy(p, partner(c)->key, RK_KEY_B64_LEN);
    p += RK_KEY_B64_LEN;
    *p++ = 4 << 3 | 2;
    *p++ = (BODY & 127) | 128;
    *p++ = BODY >> 7;
    memset(p, 0xa5, BODY);
}

static void nothing(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    (void)call;
    (void)message;
    (void)arg;
}

static void send_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    (void)call;
    (void)arg;
    if (status != 0)
        bench_die("Send: %d %s", status, message);
}

static const struct rk_grpc_client_ops send_ops = { .on_message = nothing, .on_done = send_done };

static void send_message(struct client *c)
{
    struct rk_grpc_client_call *call;
    uint64_t now = rk_mono_ns();

    /* Not in the client, which may send the next one before this one has arrived. */
    memcpy(c->message + SENT_AT, &now, sizeof(now));
    call = rk_grpc_call(c->grpc, "/signalexchange.SignalExchange/Send", NULL, NULL, CALL_MS,
                        &send_ops, c);
    rk_grpc_call_send(call, rk_strn(c->message, MESSAGE), true);
}

static void arrived(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct client *c = arg, *from = partner(c);
    struct load *l = c->load;
    uint64_t now = rk_mono_ns(), sent;

    (void)call;
    if (message.n != MESSAGE || memcmp(message.p, from->message, HEAD) != 0)
        bench_die("a message of %zu bytes arrived that was not sent", message.n);
    memcpy(&sent, message.p + SENT_AT, sizeof(sent));
    bench_times_add(&l->times, now - sent);
    l->messages++;
    l->moved_ms = now / 1000000;
    send_message(c);
}

static void connect_next(struct load *l);

static void begin(struct load *l)
{
    l->phase = PHASE_WARM_UP;
    l->until_ms = rk_mono_ms() + WARM_UP_MS;
    l->moved_ms = rk_mono_ms();
    if (l->mode == MODE_ONE)
        send_message(&l->client[0]);
    for (unsigned i = 0; l->mode == MODE_FLOW && i < l->clients; i++)
        send_message(&l->client[i]);
}

static void registered(struct rk_grpc_client_call *call, void *arg)
{
    struct client *c = arg;
    struct load *l = c->load;

    if (rk_grpc_call_header(call, "x-wiretrustee-peer-registered").n == 0)
        bench_die("a stream that is not registered");
    l->moved_ms = rk_mono_ms();
    if (++l->registered == l->clients)
        begin(l);
    else
        connect_next(l);
}

static void
stream_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    (void)call;
    (void)arg;
    bench_die("ConnectStream ended: %d %s", status, message);
}

static const struct rk_grpc_client_ops stream_ops = { registered, arrived, stream_done };

static void lost(struct rk_grpc_client *grpc, const char *why, void *arg)
{
    (void)grpc;
    (void)arg;
    bench_die("connection lost: %s", why);
}

static void connect_next(struct load *l)
{
    struct rk_err err = { 0 };
    struct client *c;

    if (l->started == l->clients)
        return;
    c = &l->client[l->started++];
    if (rk_grpc_client_new(l->loop, &l->addr, l->tls, "signal", lost, c, &c->grpc, &err) < 0)
        bench_die("%s", err.msg);
    rk_grpc_call(c->grpc, "/signalexchange.SignalExchange/ConnectStream", "x-wiretrustee-peer-id",
                 c->key, 0, &stream_ops, c);
}

static void measure(struct load *l)
{
    l->phase = PHASE_MEASURE;
    l->until_ms = rk_mono_ms() + l->ms;
    bench_times_done(&l->times);
    bench_times_init(&l->times);
    l->messages = 0;
    if (l->mode != MODE_IDLE)
        l->cpu_us = watch_cpu_us(&l->watch);
    l->from_ns = rk_mono_ns();
}

static void report(struct load *l)
{
    double cpu = watch_cpu_us(&l->watch) - l->cpu_us,
           seconds = (double)(rk_mono_ns() - l->from_ns) / 1e9;

    if (l->mode == MODE_IDLE) {
        bench_value("connect_cpu_us", cpu / l->clients);
        bench_value("bytes", (watch_private_bytes(&l->watch) - l->bytes) / l->clients);
        return;
    }
    bench_value("cpu_us", cpu / (double)l->messages);
    bench_value("per_s", (double)l->messages / seconds);
    bench_value("busy", cpu / 1e6 / seconds);
    bench_value("p50_us", bench_times_us(&l->times, 0.5));
    bench_value("p99_us", bench_times_us(&l->times, 0.99));
}

static void on_tick(struct rk_timer *t)
{
    struct load *l = rk_container_of(t, struct load, tick);
    uint64_t now = rk_mono_ms();
    bool moves = l->mode != MODE_IDLE || l->phase == PHASE_CONNECT;

    if (moves && now - l->moved_ms > STALLED_MS)
        bench_die("nothing has come for %d ms: %u of %u registered, %llu messages", STALLED_MS,
                  l->registered, l->clients, (unsigned long long)l->messages);
    if (l->phase == PHASE_CONNECT || now < l->until_ms)
        return;
    if (l->phase == PHASE_WARM_UP) {
        measure(l);
        return;
    }
    report(l);
    (void)fflush(stdout);
    exit(0); /* the connections end with us */
}

static enum mode mode_of(const char *name)
{
    static const char *const names[] = { "flow", "one", "idle" };

    for (unsigned i = 0; i < RK_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum mode)i;
    bench_die("%s: not flow, one or idle", name);
}

int main(int argc, char **argv)
{
    static struct load l;
    struct rk_err err = { 0 };

    if (argc < 6)
        bench_die("usage: signal_load ADDRESS:PORT flow|one|idle CLIENTS MILLISECONDS PID...");
    rk_log_init("bench", "bench", "warn", &err);
    rk_crypto_init();
    if (rk_addr_parse(rk_str(argv[1]), &l.addr, &err) < 0)
        bench_die("%s", err.msg);
    l.mode = mode_of(argv[2]);
    l.clients = (unsigned)bench_number(argv[3], 2, 20000) & ~1u;
    l.ms = bench_number(argv[4], 1, 60000);
    watch_init(&l.watch, argv + 5, argc - 5);
    l.loop = rk_loop_new();
    l.tls = bench_tls_grpc(l.loop);
    l.client = rk_new_array(struct client, l.clients);
    for (unsigned i = 0; i < l.clients; i++) {
        struct rk_keypair pair;

        rk_keypair_new(&pair);
        rk_key_format(pair.public_key, l.client[i].key);
        l.client[i].load = &l;
    }
    for (unsigned i = 0; i < l.clients; i++)
        compose(&l.client[i]);
    bench_times_init(&l.times);
    l.bytes = watch_private_bytes(&l.watch);
    l.cpu_us = watch_cpu_us(&l.watch);
    l.moved_ms = rk_mono_ms();
    rk_timer_init(l.loop, &l.tick, on_tick);
    rk_timer_start(&l.tick, TICK_MS, TICK_MS);
    for (unsigned i = 0; i < CONNECT_AT_ONCE; i++)
        connect_next(&l);
    rk_loop_run(l.loop);
    return 1;
}
