/*
 * What a full map costs at the least when everybody gets one: copy it, seal it with the agent's
 * box, hand it to nghttp2 and over TLS to the kernel, on one thread: no compiler, no database, no
 * queue. `push_ref CONNECTIONS BYTES MILLISECONDS`. A second thread is the agents: it makes their
 * connections and then drops what comes, unread. Over TLS when ROOKERY_TLS_CERT_FILE and
 * ROOKERY_TLS_KEY_FILE are set, else in the clear. Prints "CONNECTIONS/map_own_cpu_us", as
 * bench-fleet names it.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <nghttp2/nghttp2.h>
#include <sodium.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "tests/bench/lib/h2.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/tls.h"

#define MAX_CONNECTIONS 5000
#define OUT_BYTES (17 * 1024)
#define FRAME_BYTES 16375 /* with its header one TLS record */
#define BIG_WINDOW 0x7fffffff
#define WARM_UP_MS 300

struct end {
    int fd;
    SSL *ssl;
    nghttp2_session *ng;
    int32_t stream; /* the server's: the agent's Sync */
    size_t at;      /* of the message that is being handed out */
    bool pending;
    uint8_t out[OUT_BYTES];
    size_t out_at, out_n;
};

static struct end *server, *agent;
static unsigned ends;
static uint8_t *map, *copy, *sealed, shared[crypto_box_BEFORENMBYTES], nonce[crypto_box_NONCEBYTES];
static size_t map_n;
static SSL_CTX *tls, *tls_client;

/* -- HTTP/2 -- */

static ssize_t give(nghttp2_session *ng,
                    int32_t id,
                    uint8_t *to,
                    size_t max,
                    uint32_t *flags,
                    nghttp2_data_source *source,
                    void *arg)
{
    size_t all = map_n + crypto_box_MACBYTES, n;
    struct end *e = arg;

    (void)ng;
    (void)id;
    (void)flags;
    (void)source;
    if (!e->pending)
        return NGHTTP2_ERR_DEFERRED;
    n = all - e->at < max ? all - e->at : max;
    memcpy(to, sealed + e->at, n);
    e->at += n;
    if (e->at == all) {
        e->at = 0;
        e->pending = false;
    }
    return (ssize_t)n;
}

static ssize_t frame_length(nghttp2_session *ng,
                            uint8_t type,
                            int32_t id,
                            int32_t session_window,
                            int32_t stream_window,
                            uint32_t max_frame,
                            void *arg)
{
    int32_t n = FRAME_BYTES;

    (void)ng;
    (void)type;
    (void)id;
    (void)max_frame;
    (void)arg;
    if (session_window < n)
        n = session_window;
    return stream_window < n ? stream_window : n;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    static const nghttp2_nv fields[] = { FIELD(":status", "200"),
                                         FIELD("content-type", "application/grpc") };
    nghttp2_data_provider maps = { .read_callback = give };
    struct end *e = arg;

    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    e->stream = frame->hd.stream_id;
    nghttp2_submit_response(ng, e->stream, fields, RK_COUNT(fields), &maps);
    return 0;
}

static void speak_http2(struct end *e, bool is_server)
{
    static const nghttp2_nv request[] = { FIELD(":method", "POST"), FIELD(":scheme", "https"),
                                          FIELD(":path", "/management.ManagementService/Sync"),
                                          FIELD(":authority", "management"),
                                          FIELD("content-type", "application/grpc") };
    const nghttp2_settings_entry window = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, BIG_WINDOW };
    nghttp2_session_callbacks *with;

    nghttp2_session_callbacks_new(&with);
    nghttp2_session_callbacks_set_data_source_read_length_callback(with, frame_length);
    if (is_server)
        nghttp2_session_callbacks_set_on_frame_recv_callback(with, on_frame);
    if ((is_server ? nghttp2_session_server_new(&e->ng, with, e)
                   : nghttp2_session_client_new(&e->ng, with, e)) != 0)
        bench_die("no session");
    nghttp2_session_callbacks_del(with);
    nghttp2_submit_settings(e->ng, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(e->ng, NGHTTP2_FLAG_NONE, 0, BIG_WINDOW);
    if (!is_server)
        nghttp2_submit_request(e->ng, NULL, request, RK_COUNT(request), NULL, NULL);
}

/* -- sockets -- */

/* Bytes; 0: none now. */
static size_t take(struct end *e, uint8_t *to, size_t max)
{
    ssize_t n = e->ssl ? SSL_read(e->ssl, to, (int)max) : recv(e->fd, to, max, 0);

    if (n > 0)
        return (size_t)n;
    if (e->ssl ? SSL_get_error(e->ssl, (int)n) != SSL_ERROR_WANT_READ : n == 0 || errno != EAGAIN)
        bench_die("connection lost");
    return 0;
}

/* False: the kernel takes no more. */
static bool flush(struct end *e)
{
    const uint8_t *p;
    ssize_t n;

    for (;;) {
        while (e->out_at < e->out_n) {
            n = e->ssl ? SSL_write(e->ssl, e->out + e->out_at, (int)(e->out_n - e->out_at))
                       : send(e->fd, e->out + e->out_at, e->out_n - e->out_at, MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            e->out_at += (size_t)n;
        }
        e->out_at = e->out_n = 0;
        while (e->out_n < OUT_BYTES / 2 && (n = nghttp2_session_mem_send(e->ng, &p)) > 0) {
            if (e->out_n + (size_t)n > OUT_BYTES)
                break; /* cannot be: a frame that begins past the half is a small one */
            memcpy(e->out + e->out_n, p, (size_t)n);
            e->out_n += (size_t)n;
        }
        if (e->out_n == 0)
            return true;
    }
}

static void hear(struct end *e)
{
    uint8_t in[16 * 1024];
    size_t n;

    while ((n = take(e, in, sizeof(in))) > 0)
        if (nghttp2_session_mem_recv(e->ng, in, n) < 0)
            bench_die("no HTTP/2");
}

static void secure(struct end *s, struct end *c)
{
    int done_s = 0, done_c = 0;

    s->ssl = SSL_new(tls);
    c->ssl = SSL_new(tls_client);
    SSL_set_fd(s->ssl, s->fd);
    SSL_set_fd(c->ssl, c->fd);
    for (unsigned turns = 0; done_s != 1 || done_c != 1; turns++) {
        if (turns > 1000000)
            bench_die("TLS handshake");
        if (done_c != 1)
            done_c = SSL_connect(c->ssl);
        if (done_s != 1)
            done_s = SSL_accept(s->ssl);
    }
}

static void connect_one(int listen_fd, const struct sockaddr_in *to, struct end *s, struct end *c)
{
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
        bench_die("connecting: %s", strerror(errno));
    s->fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (s->fd < 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
        bench_die("accepting: %s", strerror(errno));
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (tls)
        secure(s, c);
    speak_http2(s, true);
    speak_http2(c, false);
    for (unsigned turns = 0; s->stream == 0; turns++) {
        if (turns > 1000000 || !flush(c) || !flush(s))
            bench_die("no stream");
        hear(s);
        hear(c);
    }
    (void)flush(s);
}

static void connect_all(void)
{
    struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(self);
    int fd = bench_listen(&self);

    if (getsockname(fd, (struct sockaddr *)&self, &n) < 0)
        bench_die("listening: %s", strerror(errno));
    server = rk_new_array(struct end, ends);
    agent = rk_new_array(struct end, ends);
    for (unsigned i = 0; i < ends; i++)
        connect_one(fd, &self, &server[i], &agent[i]);
}

/* -- the agents, who look at nothing -- */

static void *drop_all(void *arg)
{
    struct epoll_event ev[64] = { { .events = EPOLLIN } };
    int epfd = epoll_create1(EPOLL_CLOEXEC);

    (void)arg;
    for (unsigned i = 0; i < ends; i++) {
        ev[0].data.fd = agent[i].fd;
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, agent[i].fd, &ev[0]) < 0)
            bench_die("epoll: %s", strerror(errno));
    }
    for (;;) {
        int n = epoll_wait(epfd, ev, RK_COUNT(ev), -1);

        for (int i = 0; i < n; i++)
            (void)recv(ev[i].data.fd, NULL, 1 << 20, MSG_TRUNC);
    }
    return NULL;
}

/* -- */

static void wait_for(struct end *e)
{
    struct pollfd p = { .fd = e->fd, .events = POLLOUT };

    (void)poll(&p, 1, 100);
}

/* One map for each. A map that does not go out whole waits for its agent: the box is made anew for
 * each one, and there is one place for it. */
static void push_all(void)
{
    for (unsigned i = 0; i < ends; i++) {
        struct end *e = &server[i];

        memcpy(copy, map, map_n);
        sodium_increment(nonce, sizeof(nonce));
        if (crypto_box_easy_afternm(sealed, copy, map_n, nonce, shared) != 0)
            bench_die("sealing");
        e->pending = true;
        nghttp2_session_resume_data(e->ng, e->stream);
        while (!flush(e))
            wait_for(e);
    }
}

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t push_for(uint64_t ms)
{
    uint64_t end = rk_mono_ms() + ms, rounds = 0;

    while (rk_mono_ms() < end) {
        push_all();
        rounds++;
    }
    return rounds;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    double before;
    uint64_t ms, rounds;
    char name[64];

    if (argc != 4)
        bench_die("usage: push_ref CONNECTIONS BYTES MILLISECONDS");
    ends = (unsigned)bench_number(argv[1], 1, MAX_CONNECTIONS);
    map_n = bench_number(argv[2], 100, 1 << 24);
    ms = bench_number(argv[3], 1, 60000);
    if (sodium_init() < 0)
        bench_die("libsodium");
    map = rk_zalloc(map_n);
    copy = rk_alloc(map_n);
    sealed = rk_alloc(map_n + crypto_box_MACBYTES);
    randombytes_buf(map, map_n);
    randombytes_buf(shared, sizeof(shared));
    tls = bench_tls_server();
    if (tls) {
        tls_client = SSL_CTX_new(TLS_client_method());
        bench_tls_as_agents(tls_client);
    }
    connect_all();
    if (pthread_create(&thread, NULL, drop_all, NULL) != 0)
        bench_die("no thread");
    (void)push_for(WARM_UP_MS);
    before = cpu_us();
    rounds = push_for(ms);
    (void)snprintf(name, sizeof(name), "%u/map_own_cpu_us", ends);
    bench_value(name, (cpu_us() - before) / (double)(rounds * ends));
    return 0;
}
