/*
 * TCP or TLS connection.
 *
 * Nothing is held for an idle connection: reads go through one buffer a thread, OpenSSL reads from
 * that buffer and writes into the output queue (tls_io.h), and the output queue's memory, where it
 * leaves at once, is one buffer a thread too, and goes when it has left. Output: over TLS `plain`
 * gathers a record of what the owner writes and `out` what is encrypted, in the clear `out` all of
 * it; a deferred task moves it to the kernel once a turn, or rk_conn_push does; what the kernel
 * does not take at once waits in one uv_write while `out` gathers on.
 */

#include "libcommon/net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/net/conn_int.h"
#include "libcommon/net/tls_int.h"
#include "libcommon/net/tls_io.h"

#define READ_BUFFER (64 * 1024)
#define RECORD (16 * 1024) /* of TLS, at most */
/* What a session says before it looks at its queue again, and what TLS adds. */
#define OUT_BUFFER (96 * 1024)
#define OPEN_LIMIT_MS 10000       /* TCP connect, and TLS handshake of a client */
#define TCP_USER_TIMEOUT_MS 20000 /* unacknowledged data: the path is dead */

enum conn_state {
    CONN_NEW,
    CONN_CONNECTING,
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_FLUSHING, /* close_flush: output leaves, input is thrown away */
    CONN_CLOSED,
};

struct rk_conn {
    uv_tcp_t tcp;
    struct rk_timer timer; /* opening, or flushing */
    struct rk_task flush;
    struct rk_loop *loop;
    const struct rk_conn_ops *ops;
    void *arg;
    SSL *ssl;            /* NULL: cleartext */
    struct rk_buf out;   /* what goes to the kernel next (TLS: ciphertext) */
    struct rk_buf plain; /* TLS only: not yet encrypted; a record at most once it is open */
    struct write *writing;
    struct rk_tls_io io; /* what was just read; nothing outside on_read */
    uint64_t progress_ms;
    char *why;
    enum conn_state state;
    unsigned handles;
    bool flush_pending;
    bool pushed; /* since the owner was last told that all has left */
    bool paused;
    uint8_t *first; /* RK_DOOR_FIRST bytes that the door has read; NULL once the owner has them */
    bool shaken;    /* nothing to shake hands about: clear text, or a guest of the door's */
    bool shut;      /* uv_shutdown sent */
    struct sockaddr_in6 peer;
    char remote[RK_ADDR_LEN];
};

/* Bytes the kernel did not take at once. */
struct write {
    uv_write_t req;
    struct rk_conn *c;
    size_t n;
    uint8_t p[];
};

static _Thread_local uint8_t *read_buffer;  /* from the socket */
static _Thread_local uint8_t *clear_buffer; /* decrypted */

/* Memory of one connection's output at a time: fresh memory for each costs more than the copy. */
struct lent {
    size_t size;
    uint8_t *p; /* NULL: not made yet */
    bool taken;
};

static _Thread_local struct lent lent_plain = { .size = RECORD }, lent_out = { .size = OUT_BUFFER };

static void conn_flush(struct rk_conn *c);
static void schedule_flush(struct rk_conn *c);
static void opened(struct rk_conn *c);
static void feed_tls(struct rk_conn *c, const uint8_t *p, size_t n);
static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);

/* --- memory --- */

static void ensure_buffers(void)
{
    if (read_buffer)
        return;
    read_buffer = rk_alloc(READ_BUFFER);
    clear_buffer = rk_alloc(READ_BUFFER);
}

static void gather(struct rk_buf *b, struct lent *l, const void *p, size_t n)
{
    if (!b->p && !l->taken) {
        if (!l->p)
            l->p = rk_alloc(l->size);
        l->taken = true;
        b->p = l->p;
        b->cap = l->size;
    }
    if (b->p == l->p && n > b->cap - b->n) { /* it is more than usual */
        b->cap = 2 * (b->n + n);
        b->p = memcpy(rk_alloc(b->cap), b->p, b->n);
        l->taken = false;
    }
    rk_buf_put(b, p, n);
}

static void let_go(struct rk_buf *b, struct lent *l)
{
    if (b->p && b->p == l->p) {
        l->taken = false;
        b->p = NULL;
    }
    rk_buf_done(b);
}

/* --- TLS --- */

static void put_out(struct rk_tls_io *io, const void *p, size_t n)
{
    gather(&rk_container_of(io, struct rk_conn, io)->out, &lent_out, p, n);
}

static void attach_tls(struct rk_conn *c, SSL *ssl)
{
    c->ssl = ssl;
    c->io.put = put_out;
    rk_tls_io_attach(&c->io, c->ssl);
}

/* --- closing --- */

static void on_handle_closed(struct rk_conn *c)
{
    if (--c->handles > 0)
        return;
    if (c->ops)
        c->ops->on_closed(c, c->why, c->arg);
    SSL_free(c->ssl);
    free(c->first);
    free(c->why);
    free(c);
}

static void on_tcp_closed(uv_handle_t *h)
{
    on_handle_closed(h->data);
}

static void on_timer_closed(struct rk_timer *t)
{
    on_handle_closed(rk_container_of(t, struct rk_conn, timer));
}

/* The handles close on a later turn, after the deferred flush (if any) has run and found nothing to
 * do. */
static void run_flush(struct rk_task *t)
{
    struct rk_conn *c = rk_container_of(t, struct rk_conn, flush);

    c->flush_pending = false;
    if (c->state == CONN_CLOSED)
        on_handle_closed(c);
    else
        conn_flush(c);
}

void rk_conn_close(struct rk_conn *c, const char *why)
{
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    if (!c->why)
        c->why = rk_strdup(why);
    let_go(&c->out, &lent_out);
    let_go(&c->plain, &lent_plain);
    c->handles = c->flush_pending ? 3 : 2;
    uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
    rk_timer_close(&c->timer, on_timer_closed);
}

void rk_conn_discard(struct rk_conn *c)
{
    c->ops = NULL;
    rk_conn_close(c, "discarded");
}

static void on_timer(struct rk_timer *t)
{
    struct rk_conn *c = rk_container_of(t, struct rk_conn, timer);

    rk_conn_close(c,
                  c->state == CONN_FLUSHING ? "output did not leave in time" : "not open in time");
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    (void)status;
    free(req);
}

/* Output has left; now the peer is told, and given its time to hang up (closing with unread input
 * would reset the connection and could destroy what was just sent). */
static void finish_flushing(struct rk_conn *c)
{
    uv_shutdown_t *req;

    if (c->shut)
        return;
    c->shut = true;
    req = rk_new(uv_shutdown_t);
    if (uv_shutdown(req, (uv_stream_t *)&c->tcp, on_shutdown) < 0) {
        free(req);
        rk_conn_close(c, c->why);
    }
}

void rk_conn_close_flush(struct rk_conn *c, const char *why, uint64_t limit_ms)
{
    if (c->state == CONN_CLOSED || c->state == CONN_FLUSHING)
        return;
    if (c->state != CONN_OPEN) {
        rk_conn_close(c, why);
        return;
    }
    c->why = rk_strdup(why);
    c->state = CONN_FLUSHING;
    rk_timer_start(&c->timer, limit_ms, 0);
    rk_conn_pause(c, false);
    schedule_flush(c);
}

/* --- output --- */

static void schedule_flush(struct rk_conn *c)
{
    if (c->flush_pending || c->state == CONN_CLOSED)
        return;
    c->flush_pending = true;
    rk_loop_defer(c->loop, &c->flush);
}

static void drained(struct rk_conn *c)
{
    c->progress_ms = rk_mono_ms();
    if (c->state == CONN_FLUSHING)
        finish_flushing(c);
    else if (c->state == CONN_OPEN && c->ops->on_drain)
        c->ops->on_drain(c, c->arg);
}

static void on_written(uv_write_t *req, int status)
{
    struct write *w = rk_container_of(req, struct write, req);
    struct rk_conn *c = w->c;

    free(w);
    c->writing = NULL;
    if (c->state == CONN_CLOSED)
        return;
    if (status < 0) {
        rk_conn_close(c, uv_strerror(status));
        return;
    }
    c->pushed = true;
    conn_flush(c);
}

static void encrypt(struct rk_conn *c)
{
    size_t done = 0, n = 0;

    while (done < c->plain.n) {
        if (SSL_write_ex(c->ssl, c->plain.p + done, c->plain.n - done, &n) != 1) {
            ERR_clear_error(); /* fatal, as put_out takes everything */
            rk_conn_close(c, "TLS write failed");
            return;
        }
        done += n;
    }
    let_go(&c->plain, &lent_plain);
}

/* Of `out` the kernel has taken so much. */
static void wait_for_the_rest(struct rk_conn *c, size_t sent)
{
    size_t n = c->out.n - sent;
    struct write *w = rk_alloc(sizeof(*w) + n);
    uv_buf_t b = uv_buf_init((char *)w->p, (unsigned)n);
    int r;

    w->c = c;
    w->n = n;
    memcpy(w->p, c->out.p + sent, n);
    r = uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, on_written);
    if (r == 0) {
        c->writing = w;
        return;
    }
    free(w);
    rk_conn_close(c, uv_strerror(r));
}

void rk_conn_push(struct rk_conn *c)
{
    uv_buf_t b;
    int r;

    if (c->writing || c->state == CONN_CLOSED || c->state < CONN_HANDSHAKE)
        return;
    if (c->plain.n > 0 && c->state >= CONN_OPEN)
        encrypt(c);
    if (c->out.n == 0)
        return; /* or closed */
    b = uv_buf_init((char *)c->out.p, (unsigned)c->out.n);
    r = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
    if (r < 0 && r != UV_EAGAIN) {
        rk_conn_close(c, uv_strerror(r));
        return;
    }
    if (r > 0)
        c->progress_ms = rk_mono_ms();
    c->pushed = true;
    if ((size_t)(r > 0 ? r : 0) < c->out.n)
        wait_for_the_rest(c, r > 0 ? (size_t)r : 0);
    let_go(&c->out, &lent_out);
}

static void conn_flush(struct rk_conn *c)
{
    if (c->state == CONN_HANDSHAKE && c->shaken && !c->writing) {
        opened(c);
        return;
    }
    rk_conn_push(c);
    if (c->writing || c->state == CONN_CLOSED || c->state < CONN_HANDSHAKE)
        return;
    if (c->pushed) {
        c->pushed = false;
        drained(c);
    } else if (c->state == CONN_FLUSHING) {
        finish_flushing(c);
    }
}

/* From where the owner's bytes come to records, each of which is encrypted as soon as it is whole,
 * while it is in the caches. */
static void write_tls(struct rk_conn *c, const uint8_t *p, size_t n)
{
    while (n > 0 && c->state == CONN_OPEN) {
        size_t part;

        if (c->plain.n >= RECORD) {
            encrypt(c);
            continue;
        }
        part = RECORD - c->plain.n < n ? RECORD - c->plain.n : n;
        gather(&c->plain, &lent_plain, p, part);
        p += part;
        n -= part;
    }
}

void rk_conn_write(struct rk_conn *c, const void *p, size_t n)
{
    if (c->state == CONN_CLOSED || c->state == CONN_FLUSHING || n == 0)
        return;
    if (!c->ssl)
        gather(&c->out, &lent_out, p, n);
    else if (c->state == CONN_OPEN)
        write_tls(c, p, n);
    else
        gather(&c->plain, &lent_plain, p, n); /* until the handshake is done */
    schedule_flush(c);
}

size_t rk_conn_queued(const struct rk_conn *c)
{
    return c->out.n + c->plain.n + (c->writing ? c->writing->n : 0);
}

bool rk_conn_blocked(const struct rk_conn *c)
{
    return c->writing != NULL;
}

/* --- input --- */

/* What the door has read, and what else has come in the same record. */
static void first_words(struct rk_conn *c)
{
    uint8_t *first = c->first;

    c->first = NULL;
    ensure_buffers();
    if (c->state == CONN_OPEN)
        c->ops->on_read(c, first, RK_DOOR_FIRST, c->arg);
    free(first);
    if (c->state == CONN_OPEN)
        feed_tls(c, NULL, 0);
}

static void opened(struct rk_conn *c)
{
    rk_timer_stop(&c->timer);
    c->state = CONN_OPEN;
    if (c->shaken)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    c->ops->on_open(c, c->arg);
    if (c->first)
        first_words(c);
}

static void handshake(struct rk_conn *c)
{
    struct rk_err err = { 0 };
    int r = SSL_do_handshake(c->ssl);

    schedule_flush(c); /* also an alert */
    if (r == 1) {
        if (rk_tls_alpn_ok(c->ssl))
            opened(c);
        else
            rk_conn_close(c, "no common protocol (ALPN)");
        return;
    }
    if (SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ)
        return;
    rk_tls_fail(&err, RK_INVALID, "TLS handshake");
    conn_flush(c); /* the alert, as far as the kernel takes it now */
    rk_conn_close(c, err.msg);
}

static void feed_tls(struct rk_conn *c, const uint8_t *p, size_t n)
{
    struct rk_err err = { 0 };
    size_t got;
    int r;

    c->io.in = p;
    c->io.in_n = n;
    if (c->state == CONN_HANDSHAKE)
        handshake(c);
    /* Not asked for more than there is: that would cost a buffer, given back at once. */
    while (c->state == CONN_OPEN && (c->io.in_n > 0 || SSL_has_pending(c->ssl))) {
        r = SSL_read_ex(c->ssl, clear_buffer, READ_BUFFER, &got);
        if (r == 1) {
            c->ops->on_read(c, clear_buffer, got, c->arg);
            continue;
        }
        r = SSL_get_error(c->ssl, r);
        if (r == SSL_ERROR_WANT_READ)
            break;
        if (r == SSL_ERROR_ZERO_RETURN) {
            rk_conn_close(c, "peer hung up");
        } else {
            rk_tls_fail(&err, RK_INVALID, "TLS read");
            rk_conn_close(c, err.msg);
        }
    }
    c->io.in = NULL;
    c->io.in_n = 0;
    if (c->state != CONN_CLOSED && c->out.n > 0)
        schedule_flush(c); /* key updates and the like */
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
    (void)h;
    (void)hint;
    ensure_buffers();
    *buf = uv_buf_init((char *)read_buffer, READ_BUFFER);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct rk_conn *c = stream->data;

    if (nread == 0 || c->state == CONN_CLOSED)
        return;
    if (nread < 0) {
        rk_conn_close(c, nread == UV_EOF ? "peer hung up" : uv_strerror((int)nread));
        return;
    }
    if (c->state == CONN_FLUSHING)
        return; /* thrown away */
    if (c->ssl)
        feed_tls(c, (const uint8_t *)buf->base, (size_t)nread);
    else
        c->ops->on_read(c, (const uint8_t *)buf->base, (size_t)nread, c->arg);
    rk_loop_heard(c->loop);
}

void rk_conn_pause(struct rk_conn *c, bool paused)
{
    if (c->paused == paused || c->state < CONN_HANDSHAKE || c->state == CONN_CLOSED)
        return;
    c->paused = paused;
    if (paused)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* --- opening --- */

struct rk_conn *rk_conn_new(struct rk_loop *l)
{
    struct rk_conn *c = rk_new(struct rk_conn);

    c->loop = l;
    c->flush.run = run_flush;
    rk_list_init(&c->flush.node);
    rk_buf_init(&c->out, SIZE_MAX);
    rk_buf_init(&c->plain, SIZE_MAX);
    uv_tcp_init(rk_loop_uv(l), &c->tcp);
    c->tcp.data = c;
    rk_timer_init(l, &c->timer, on_timer);
    return c;
}

uv_tcp_t *rk_conn_tcp(struct rk_conn *c)
{
    return &c->tcp;
}

static void set_peer(struct rk_conn *c, const struct sockaddr *sa)
{
    memcpy(&c->peer, sa,
           sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    rk_addr_format(sa, c->remote);
}

bool rk_conn_accepted(struct rk_conn *c)
{
    struct sockaddr_storage ss;
    int len = sizeof(ss);

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &len) < 0)
        return false;
    set_peer(c, (const struct sockaddr *)&ss);
    c->shaken = true;
    return true;
}

struct rk_conn *rk_conn_guest(struct rk_loop *l, const struct rk_guest *g)
{
    struct rk_conn *c = rk_conn_new(l);

    if (uv_tcp_open(&c->tcp, g->fd) < 0) {
        SSL_free(g->ssl);
        (void)close(g->fd);
        rk_conn_discard(c);
        return NULL;
    }
    attach_tls(c, g->ssl);
    set_peer(c, (const struct sockaddr *)&g->peer);
    c->shaken = true;
    c->first = memcpy(rk_alloc(RK_DOOR_FIRST), g->first, RK_DOOR_FIRST);
    return c;
}

/* The socket is connected: options, reading, and the handshake. Never calls back before it returns.
 */
static void begin(struct rk_conn *c)
{
    unsigned timeout = TCP_USER_TIMEOUT_MS;
    uv_os_fd_t fd;

    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    c->progress_ms = rk_mono_ms();
    c->state = CONN_HANDSHAKE;
    if (c->shaken) {
        schedule_flush(c); /* opens on the next turn */
        return;
    }
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    rk_timer_start(&c->timer, OPEN_LIMIT_MS, 0);
    handshake(c);
}

void rk_conn_start(struct rk_conn *c, const struct rk_conn_ops *ops, void *arg)
{
    c->ops = ops;
    c->arg = arg;
    begin(c);
}

static void on_connect(uv_connect_t *req, int status)
{
    struct rk_conn *c = req->data;

    free(req);
    if (c->state == CONN_CLOSED)
        return;
    if (status < 0)
        rk_conn_close(c, uv_strerror(status));
    else
        begin(c);
}

/* At once or not at all. libuv's handle for TCP carries any stream. */
static int connect_unix(struct rk_conn *c, const struct rk_addr *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    r = connect(fd, (const struct sockaddr *)&addr->ss, addr->len) < 0 ? -errno
                                                                       : uv_tcp_open(&c->tcp, fd);
    if (r < 0)
        (void)close(fd);
    return r;
}

static int connect_tcp(struct rk_conn *c, const struct rk_addr *addr)
{
    uv_connect_t *req = rk_new(uv_connect_t);
    int r;

    req->data = c;
    r = uv_tcp_connect(req, &c->tcp, (const struct sockaddr *)&addr->ss, on_connect);
    if (r < 0)
        free(req);
    return r;
}

int rk_conn_connect(struct rk_loop *l,
                    const struct rk_addr *addr,
                    struct rk_tls *tls,
                    const char *server_name,
                    const struct rk_conn_ops *ops,
                    void *arg,
                    struct rk_conn **out,
                    struct rk_err *err)
{
    struct rk_conn *c = rk_conn_new(l);
    bool local = addr->ss.ss_family == AF_UNIX;
    int r;

    c->shaken = !tls;
    if (tls)
        attach_tls(c, rk_tls_end(tls));
    if (tls && server_name) {
        /* The macro SSL_set_tlsext_host_name casts const away. */
        SSL_ctrl(c->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (void *)(uintptr_t)server_name);
        SSL_set1_host(c->ssl, server_name);
    }
    set_peer(c, (const struct sockaddr *)&addr->ss);
    r = local ? connect_unix(c, addr) : connect_tcp(c, addr);
    if (r < 0) {
        rk_conn_discard(c);
        return rk_fail(err, RK_UNAVAILABLE, "connect to %s: %s", c->remote, uv_strerror(r));
    }
    c->ops = ops;
    c->arg = arg;
    *out = c;
    if (local) {
        begin(c);
        return 0;
    }
    c->state = CONN_CONNECTING;
    rk_timer_start(&c->timer, OPEN_LIMIT_MS, 0);
    return 0;
}

const struct sockaddr *rk_conn_peer(const struct rk_conn *c)
{
    return (const struct sockaddr *)&c->peer;
}

const char *rk_conn_remote(const struct rk_conn *c)
{
    return c->remote;
}
