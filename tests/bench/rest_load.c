/*
 * The same request again and again: `rest_load ADDRESS:PORT PATH CONNECTIONS MILLISECONDS PID...`
 *
 * Each connection is kept and sends the next request when the answer to the last is whole. An
 * answer that is not 200, or is as long as nothing, ends the program; how long it is is printed, so
 * that two servers' answers can be held beside each other. ROOKERY_BENCH_TOKEN is the API token,
 * or, with ROOKERY_BENCH_SCHEME=Bearer, one of an identity provider; ROOKERY_BENCH_HEADER one more
 * header. It is a GET, or, with ROOKERY_BENCH_PUT, a PUT of that text, in which 10000 is another
 * number each time. HTTP/1.1, one thread.
 */

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/watch.h"

#define WARM_UP_MS 300
#define STALLED_MS 10000
#define ANSWER_MAX ((size_t)64 << 20)
#define READ_BYTES ((size_t)256 << 10)
#define NUMBER "10000"

struct connection {
    int fd;
    struct rk_buf in;
    uint64_t sent_ns;
    size_t body_at; /* 0: the headers have not come whole */
    bool chunked;
    size_t length; /* not chunked */
    size_t chunk_at;
    size_t body_n;
};

struct load {
    struct sockaddr_in server;
    char *request, *number; /* where a PUT has another one each time; NULL: nowhere */
    unsigned turn;
    struct connection *conn;
    unsigned connections;
    int epfd;
    uint64_t answers, bytes;
    struct bench_times times;
};

static void ask(struct load *l, struct connection *c)
{
    size_t n = strlen(l->request);
    char digits[sizeof(NUMBER)];

    if (l->number) {
        (void)snprintf(digits, sizeof(digits), "%05u", 10000 + ++l->turn % 50000);
        memcpy(l->number, digits, sizeof(NUMBER) - 1);
    }
    rk_buf_clear(&c->in);
    c->body_at = c->chunk_at = c->body_n = c->length = 0;
    c->sent_ns = rk_mono_ns();
    if (send(c->fd, l->request, n, MSG_NOSIGNAL) != (ssize_t)n)
        bench_die("sending: %s", strerror(errno));
}

static void open_connection(struct load *l, unsigned i)
{
    struct connection *c = &l->conn[i];
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->server, sizeof(l->server)) < 0 ||
        epoll_ctl(l->epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        bench_die("connecting: %s", strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    rk_buf_init(&c->in, ANSWER_MAX);
    ask(l, c);
}

/* The headers are whole: p[0..n) ends with their empty line. */
static void read_headers(struct connection *c, const char *p, size_t n)
{
    char head[4096];
    const char *length;

    if (n >= sizeof(head))
        bench_die("headers of %zu bytes", n);
    memcpy(head, p, n);
    head[n] = '\0';
    if (n < 12 || memcmp(head + 8, " 200", 4) != 0)
        bench_die("an answer that is not 200: %s", head);
    c->body_at = n;
    c->chunk_at = n;
    c->chunked = strcasestr(head, "\r\ntransfer-encoding: chunked") != NULL;
    length = strcasestr(head, "\r\ncontent-length: ");
    if (!c->chunked && !length)
        bench_die("an answer without an end: %s", head);
    c->length = c->chunked ? 0 : strtoul(length + 18, NULL, 10);
}

/* Whole chunks are passed; true at the last. */
static bool pass_chunks(struct connection *c)
{
    for (;;) {
        const char *from = (const char *)c->in.p + c->chunk_at;
        size_t have = c->in.n - c->chunk_at, n;
        const char *line = memmem(from, have, "\r\n", 2);

        if (!line)
            return false;
        n = strtoul(from, NULL, 16);
        if (have < (size_t)(line - from) + 2 + n + 2)
            return false;
        c->chunk_at += (size_t)(line - from) + 2 + n + 2;
        c->body_n += n;
        if (n == 0)
            return true;
    }
}

static bool whole(struct connection *c)
{
    if (c->body_at == 0) {
        const char *p = (const char *)c->in.p, *end = memmem(p, c->in.n, "\r\n\r\n", 4);

        if (!end)
            return false;
        read_headers(c, p, (size_t)(end - p) + 4);
    }
    if (c->chunked)
        return pass_chunks(c);
    c->body_n = c->length;
    return c->in.n >= c->body_at + c->length;
}

static void take(struct load *l, struct connection *c)
{
    uint8_t *to = rk_buf_reserve(&c->in, READ_BYTES);
    ssize_t n = to ? recv(c->fd, to, READ_BYTES, MSG_DONTWAIT) : -1;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        bench_die("receiving: %s", n == 0 ? "connection closed" : strerror(errno));
    rk_buf_commit(&c->in, (size_t)n);
    if (!whole(c))
        return;
    if (c->body_n == 0)
        bench_die("an empty answer");
    bench_times_add(&l->times, rk_mono_ns() - c->sent_ns);
    l->answers++;
    l->bytes += c->body_n;
    ask(l, c);
}

static void run(struct load *l, uint64_t ms)
{
    struct epoll_event ev[64];
    uint64_t end = rk_mono_ms() + ms;

    while (rk_mono_ms() < end) {
        int n = epoll_wait(l->epfd, ev, RK_COUNT(ev), STALLED_MS);

        if (n <= 0)
            bench_die("nothing has come for %d ms", STALLED_MS);
        for (int i = 0; i < n; i++)
            take(l, &l->conn[ev[i].data.u32]);
    }
}

/* The rest of the headers, and the body of a PUT. */
static void end_request(struct load *l, const char *put)
{
    char *head = l->request;

    if (!put) {
        l->request = rk_asprintf("%s\r\n", head);
    } else {
        l->request =
            rk_asprintf("%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", head,
                        strlen(put), put);
        l->number = strstr(strstr(l->request, "\r\n\r\n"), NUMBER);
    }
    free(head);
}

int main(int argc, char **argv)
{
    static struct load l;
    const char *token = getenv("ROOKERY_BENCH_TOKEN"), *scheme = getenv("ROOKERY_BENCH_SCHEME"),
               *more = getenv("ROOKERY_BENCH_HEADER"), *put = getenv("ROOKERY_BENCH_PUT");
    struct watch w;
    uint64_t ms, from;
    double cpu, seconds;

    if (argc < 6 || !token)
        bench_die("usage: ROOKERY_BENCH_TOKEN=... rest_load ADDRESS:PORT PATH CONNECTIONS "
                  "MILLISECONDS PID...");
    l.server = bench_address(argv[1]);
    l.request = rk_asprintf("%s %s HTTP/1.1\r\nHost: api\r\nAuthorization: %s %s\r\n%s%s",
                            put ? "PUT" : "GET", argv[2], scheme ? scheme : "Token", token,
                            more ? more : "", more ? "\r\n" : "");
    end_request(&l, put);
    l.connections = (unsigned)bench_number(argv[3], 1, 1000);
    ms = bench_number(argv[4], 1, 60000);
    watch_init(&w, argv + 5, argc - 5);
    l.epfd = epoll_create1(EPOLL_CLOEXEC);
    l.conn = rk_new_array(struct connection, l.connections);
    bench_times_init(&l.times);
    for (unsigned i = 0; i < l.connections; i++)
        open_connection(&l, i);
    run(&l, WARM_UP_MS);
    l.answers = l.bytes = 0;
    bench_times_done(&l.times);
    bench_times_init(&l.times);
    cpu = watch_cpu_us(&w);
    from = rk_mono_ns();
    run(&l, ms);
    cpu = watch_cpu_us(&w) - cpu;
    seconds = (double)(rk_mono_ns() - from) / 1e9;
    if (l.answers == 0)
        bench_die("no answer");
    bench_value("cpu_us", cpu / (double)l.answers);
    bench_value("core_per_s", (double)l.answers * 1e6 / cpu);
    bench_value("per_s", (double)l.answers / seconds);
    bench_value("bytes", (double)l.bytes / (double)l.answers);
    bench_value("p50_us", bench_times_us(&l.times, 0.5));
    return 0;
}
