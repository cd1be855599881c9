/*
 * gRPC server alone, without a service: what the transport itself costs.
 *   bench-grpc_echo serve HOST:PORT [CERT KEY]   answers /t.T/Echo Refuse Hold Feed Chat until
 * SIGTERM bench-grpc_echo unary SECONDS PARALLEL       calls a second and server's CPU time a call,
 * in process bench-grpc_echo idle COUNT                   resident bytes of an idle connection with
 * one open stream
 */

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/client.h"
#include "libcommon/grpc/server.h"
#include "libcommon/obs/log.h"

static void echo(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    (void)arg;
    rk_grpc_send(c, msg);
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static void refuse(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    (void)msg;
    (void)arg;
    rk_grpc_finish(c, RK_GRPC_PERMISSION_DENIED, "refused: 100%");
}

static void hold(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    (void)c;
    (void)msg;
    (void)arg;
}

static void feed_start(struct rk_grpc_call *c, void *arg)
{
    (void)arg;
    rk_grpc_send_headers(c, "x-registered", "1");
}

static void chat(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    (void)arg;
    rk_grpc_send(c, msg);
}

static void chat_end(struct rk_grpc_call *c, void *arg)
{
    (void)arg;
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

#define MAX_IN (4u * 1024 * 1024)
static const struct rk_grpc_method methods[] = {
    { .path = "/t.T/Echo", .max_in = MAX_IN, .on_message = echo },
    { .path = "/t.T/Refuse", .max_in = MAX_IN, .on_message = refuse },
    { .path = "/t.T/Hold", .max_in = MAX_IN, .on_message = hold },
    { .path = "/t.T/Feed", .max_in = MAX_IN, .streams = true, .on_start = feed_start },
    { .path = "/t.T/Chat",
      .max_in = MAX_IN,
      .streams = true,
      .on_message = chat,
      .on_half_close = chat_end },
};

struct app {
    struct rk_loop *loop;
    struct rk_grpc_server *server;
};

static void die(const struct rk_err *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static void server_closed(void *arg)
{
    struct app *a = arg;

    rk_loop_stop(a->loop);
}

static void on_stop(void *arg)
{
    struct app *a = arg;

    rk_grpc_server_close(a->server, server_closed, a);
}

static void app_init(struct app *a, const char *address, struct rk_tls *tls)
{
    struct rk_grpc_server_config cfg = {
        .methods = methods, .count = RK_COUNT(methods), .arg = a, .tls = tls
    };
    struct rk_addr addr;
    struct rk_err err = { 0 };

    if (rk_addr_parse(rk_str(address), &addr, &err) < 0 ||
        rk_grpc_server_new(a->loop, &addr, &cfg, &a->server, &err) < 0)
        die(&err);
}

static int serve(int argc, char **argv)
{
    struct app a = { .loop = rk_loop_new() };
    struct rk_tls *tls = NULL;
    struct rk_err err = { 0 };

    if (argc > 4 && rk_tls_server_new(a.loop, argv[3], argv[4], "\x02h2", false, &tls, &err) < 0)
        die(&err);
    app_init(&a, argv[2], tls);
    rk_loop_on_stop(a.loop, on_stop, &a);
    rk_log_ready(rk_grpc_server_address(a.server), "");
    rk_loop_run(a.loop);
    rk_tls_free(tls);
    rk_loop_free(a.loop);
    return 0;
}

/* --- the other side, in a child process --- */

struct load {
    struct rk_loop *loop;
    struct rk_grpc_client *client;
    struct rk_grpc_client **idle;
    struct rk_addr addr;
    unsigned open, count;
    uint64_t calls, end_ms;
    int report;
};

static void next_call(struct load *l);

static void on_message(struct rk_grpc_client_call *c, struct rk_str msg, void *arg)
{
    (void)c;
    (void)msg;
    (void)arg;
}

static void on_done(struct rk_grpc_client_call *c, int status, const char *message, void *arg)
{
    struct load *l = arg;

    (void)c;
    if (status != 0) {
        fprintf(stderr, "call failed: %d %s\n", status, message);
        exit(1);
    }
    l->calls++;
    next_call(l);
}

static const struct rk_grpc_client_ops call_ops = { NULL, on_message, on_done };

static void next_call(struct load *l)
{
    static const char body[300];
    struct rk_grpc_client_call *c;

    if (rk_mono_ms() >= l->end_ms) {
        if (--l->open == 0) {
            if (write(l->report, &l->calls, sizeof(l->calls)) < 0)
                exit(1);
            exit(0);
        }
        return;
    }
    c = rk_grpc_call(l->client, "/t.T/Echo", NULL, NULL, 10000, &call_ops, l);
    rk_grpc_call_send(c, rk_strn(body, sizeof(body)), true);
}

static void client_closed(struct rk_grpc_client *c, const char *why, void *arg)
{
    (void)c;
    (void)arg;
    fprintf(stderr, "connection lost: %s\n", why);
}

static void connect_one(struct load *l, struct rk_grpc_client **out)
{
    struct rk_err err = { 0 };

    if (rk_grpc_client_new(l->loop, &l->addr, NULL, "localhost:1", client_closed, l, out, &err) < 0)
        die(&err);
}

static void on_feed(struct rk_grpc_client_call *c, void *arg);
static void idle_done(struct rk_grpc_client_call *c, int status, const char *message, void *arg)
{
    (void)c;
    (void)status;
    (void)message;
    (void)arg;
}
static const struct rk_grpc_client_ops feed_ops = { on_feed, on_message, idle_done };

static void next_idle(struct load *l)
{
    if (l->open == l->count) {
        if (write(l->report, &l->calls, sizeof(l->calls)) < 0)
            exit(1);
        return;
    }
    connect_one(l, &l->idle[l->open]);
    rk_grpc_call(l->idle[l->open++], "/t.T/Feed", "x-peer-id", "AAAABBBBCCCCDDDD", 0, &feed_ops, l);
}

static void on_feed(struct rk_grpc_client_call *c, void *arg)
{
    (void)c;
    next_idle(arg);
}

static pid_t child(const char *address, bool idle, unsigned count, double seconds, int report)
{
    struct load l = { .report = report, .count = count };
    struct rk_err err = { 0 };
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    l.loop = rk_loop_new();
    if (rk_addr_parse(rk_str(address), &l.addr, &err) < 0)
        die(&err);
    if (idle) {
        l.idle = rk_new_array(struct rk_grpc_client *, count);
        next_idle(&l);
    } else {
        connect_one(&l, &l.client);
        l.end_ms = rk_mono_ms() + (uint64_t)(seconds * 1000);
        l.open = count;
        for (unsigned i = 0; i < count; i++)
            next_call(&l);
    }
    rk_loop_run(l.loop);
    exit(0);
}

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long private_bytes(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    long sum = 0, v;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Private_Clean: %ld", &v) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &v) == 1)
            sum += v;
    if (f)
        fclose(f);
    return sum * 1024;
}

struct watch {
    uv_poll_t poll;
    struct rk_loop *loop;
    int fd;
    uint64_t calls;
};

static void reported(uv_poll_t *p, int status, int events)
{
    struct watch *w = p->data;

    (void)status;
    (void)events;
    if (read(w->fd, &w->calls, sizeof(w->calls)) < 0)
        exit(1);
    uv_poll_stop(p);
    uv_close((uv_handle_t *)p, NULL);
    rk_loop_stop(w->loop);
}

int main(int argc, char **argv)
{
    struct app a = { 0 };
    struct watch w = { 0 };
    struct rk_err err = { 0 };
    int fds[2];
    bool idle = argc > 2 && strcmp(argv[1], "idle") == 0;
    double seconds, cpu, t;
    unsigned count;
    long before;
    pid_t pid;

    rk_log_init("bench", "bench", "warn", &err);
    if (argc > 2 && strcmp(argv[1], "serve") == 0)
        return serve(argc, argv);
    if (argc < 3 || pipe(fds) < 0) {
        fprintf(stderr, "see the head of the source\n");
        return 2;
    }
    seconds = idle ? 0 : strtod(argv[2], NULL);
    count = (unsigned)strtoul(idle ? argv[2] : (argc > 3 ? argv[3] : "100"), NULL, 10);
    a.loop = rk_loop_new();
    app_init(&a, "127.0.0.1:0", NULL);
    before = private_bytes();
    cpu = cpu_s();
    t = (double)rk_mono_ms();
    pid = child(rk_grpc_server_address(a.server), idle, count, seconds, fds[1]);
    w.loop = a.loop;
    w.fd = fds[0];
    w.poll.data = &w;
    uv_poll_init(rk_loop_uv(a.loop), &w.poll, fds[0]);
    uv_poll_start(&w.poll, UV_READABLE, reported);
    rk_loop_run(a.loop);
    if (idle)
        printf("idle_bytes_per_connection %.0f\n", (double)(private_bytes() - before) / count);
    else
        printf("calls %llu\ncalls_per_s %.0f\nserver_us_cpu_per_call %.2f\n",
               (unsigned long long)w.calls, (double)w.calls * 1000 / ((double)rk_mono_ms() - t),
               (cpu_s() - cpu) * 1e6 / (double)w.calls);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}
