#include "services/relay/transport/ws/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/loop/loop.h"
#include "libcommon/net/tls_io.h"
#include "libcommon/net/ws_frame.h"
#include "libcommon/net/ws_upgrade.h"
#include "libcommon/obs/log.h"

enum phase {
    PHASE_UPGRADE,
    PHASE_OPEN,
    PHASE_FLUSH,  /* closes once the queue is empty */
    PHASE_LINGER, /* our side is shut; reads and forgets until the peer closes, so that our last
                     words arrive */
    PHASE_DEAD,
};

struct ws_conn {
    struct session session;
    struct watch watch;
    struct wheel_timer timer;
    struct rk_list of_core;
    struct rk_list of_turn; /* on core->dirty or core->dead */
    enum phase phase;
    int fd;
    SSL *ssl;
    struct rk_tls_io io;
    struct outq sealed;   /* TLS: what `out` becomes, a few records at a time */
    bool held;            /* the queue waits for session_published */
    bool blocked;         /* the kernel's buffer is full: EPOLLOUT is on */
    uint64_t limit_ms;    /* end of the phase, when it has one */
    uint64_t progress_ms; /* the kernel last took bytes; meaningful while blocked */
    struct outq out;
    uint8_t *rest; /* start of a message that has not come whole */
    size_t rest_n;
    struct sockaddr_in6 peer; /* the agent's, also when a trusted proxy told it; for the log */
};

#define FLUSH_AT (128 * 1024)
/* As much is encrypted, or a record more, and goes out with one call. */
#define SEAL_AT (64 * 1024)
#define MAX_DIRTY 64
#define PONG_LIMIT_BYTES 4096
#define MAX_BURIALS 16

/* Longer is more than an agent can read. */
static const struct rk_ws_rules rules = { .max_bytes = RELAY_MAX_MESSAGE,
                                          .only_whole_binary = true };

static const struct transport_ops ws_ops;

static struct ws_conn *of_session(struct session *s)
{
    return rk_container_of(s, struct ws_conn, session);
}

static const char *remote(const struct ws_conn *c, char out[RK_ADDR_LEN])
{
    rk_addr_format((const struct sockaddr *)&c->peer, out);
    return out;
}

/* -- ends -- */

static void die(struct ws_conn *c, const char *why)
{
    char text[RK_ADDR_LEN];

    if (c->phase == PHASE_DEAD)
        return;
    rk_debug((&(struct rk_logctx){ .remote = remote(c, text) }), "connection closed: %s", why);
    c->phase = PHASE_DEAD;
    wheel_unset(&c->timer);
    rk_list_remove(&c->of_turn);
    rk_list_append(&c->session.core->dead, &c->of_turn);
}

/* -- writing -- */

static void commit(struct ws_conn *c, size_t n)
{
    outq_commit(&c->out, n);
    count_add(&c->session.core->counts, COUNT_QUEUED_BYTES, (int64_t)n);
}

static void consume(struct ws_conn *c, struct outq *q, size_t n)
{
    struct core *core = c->session.core;

    outq_consume(q, &core->chunks, n);
    count_add(&core->counts, COUNT_QUEUED_BYTES, -(int64_t)n);
}

static size_t waiting(const struct ws_conn *c)
{
    return c->out.bytes + c->sealed.bytes;
}

static void mark_dirty(struct ws_conn *c)
{
    struct core *core = c->session.core;

    if (!rk_list_empty(&c->of_turn))
        return;
    rk_list_append(&core->dirty, &c->of_turn);
    core->dirty_count++;
}

static void watch_output(struct ws_conn *c, bool on)
{
    struct epoll_event ev = { .events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = &c->watch };

    c->blocked = on;
    epoll_ctl(c->session.core->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void put_sealed(struct rk_tls_io *io, const void *p, size_t n)
{
    struct ws_conn *c = rk_container_of(io, struct ws_conn, io);
    struct core *core = c->session.core;

    outq_put(&c->sealed, &core->chunks, p, n);
    count_add(&core->counts, COUNT_QUEUED_BYTES, (int64_t)n);
}

/* Nothing more while some of it waits for the kernel. */
static bool seal(struct ws_conn *c)
{
    struct iovec iov;
    int n;

    if (c->sealed.bytes > 0)
        return true;
    while (c->out.bytes > 0 && c->sealed.bytes < SEAL_AT) {
        (void)outq_iov(&c->out, &iov, 1);
        ERR_clear_error();
        n = SSL_write(c->ssl, iov.iov_base, (int)iov.iov_len);
        if (n <= 0)
            return false;
        consume(c, &c->out, (size_t)n);
    }
    return true;
}

/* Bytes written, 0 when the kernel takes no more, -1 on a dead connection. */
static ssize_t send_some(struct ws_conn *c, const struct outq *q)
{
    struct iovec iov[16];
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = outq_iov(q, iov, RK_COUNT(iov)) };
    ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* What TLS says at its end, as far as the kernel takes it now. */
static void last_words(struct ws_conn *c)
{
    if (c->ssl)
        SSL_shutdown(c->ssl);
    ERR_clear_error();
    if (c->sealed.bytes > 0)
        (void)send_some(c, &c->sealed);
    consume(c, &c->sealed, c->sealed.bytes);
}

static void after_flush(struct ws_conn *c)
{
    if (c->phase != PHASE_FLUSH)
        return;
    last_words(c);
    shutdown(c->fd, SHUT_WR);
    c->phase = PHASE_LINGER;
}

static void flush(struct ws_conn *c)
{
    struct outq *q = c->ssl ? &c->sealed : &c->out;
    struct core *core = c->session.core;

    for (;;) {
        ssize_t n;

        if (c->ssl && !seal(c)) {
            die(c, "TLS write failed");
            return;
        }
        if (q->bytes == 0)
            break;
        n = send_some(c, q);
        if (n < 0) {
            die(c, "write failed");
            return;
        }
        if (n == 0) {
            if (!c->blocked) {
                c->progress_ms = core->now_ms;
                watch_output(c, true);
                wheel_set(&core->wheel, &c->timer, core->now_ms + 1);
            }
            return;
        }
        c->progress_ms = core->now_ms;
        consume(c, q, (size_t)n);
    }
    if (c->blocked)
        watch_output(c, false);
    after_flush(c);
}

static void bury(struct ws_conn *c)
{
    struct core *core = c->session.core;

    session_gone(&c->session);
    last_words(c);
    SSL_free(c->ssl);
    close(c->fd); /* leaves the epoll set with it */
    consume(c, &c->out, c->out.bytes);
    rk_list_remove(&c->of_core);
    rk_list_remove(&c->of_turn);
    core_dismiss(core);
    free(c->rest);
    free(c);
}

static void flush_dirty(struct core *core)
{
    while (!rk_list_empty(&core->dirty)) {
        struct ws_conn *c = rk_list_entry(core->dirty.next, struct ws_conn, of_turn);

        rk_list_remove(&c->of_turn);
        if (c->phase != PHASE_DEAD && !c->held && !c->blocked)
            flush(c);
    }
    core->dirty_count = 0;
}

static void queued(struct ws_conn *c)
{
    mark_dirty(c);
    if (c->out.bytes >= FLUSH_AT && !c->blocked && !c->held)
        flush(c);
}

/* Of what all of the core's receivers may have waiting. Past it who is behind gets nothing more;
 * who reads loses nothing, as what waits for it can go now. */
static bool room_in_all(struct ws_conn *c, size_t n)
{
    struct core *core = c->session.core;
    size_t all = (size_t)count_get(&core->counts, COUNT_QUEUED_BYTES);

    if (all + n <= core_config(core)->share_bytes)
        return true;
    if (c->blocked || c->held)
        return false;
    flush(c);
    return c->phase == PHASE_OPEN && waiting(c) == 0;
}

static void ws_forward(struct session *s, const struct relay_id *from, const struct incoming *m)
{
    struct ws_conn *c = of_session(s);
    struct core *core = s->core;
    uint8_t *to;
    size_t h;

    if (c->phase != PHASE_OPEN || waiting(c) + m->n > core_config(core)->queue_bytes) {
        count_add(&core->counts, COUNT_DROP_QUEUE, 1);
        return;
    }
    if (!room_in_all(c, m->n)) {
        count_add(&core->counts, COUNT_DROP_TOTAL, 1);
        return;
    }
    to = outq_reserve(&c->out, &core->chunks, RK_WS_MAX_SERVER_HEADER + m->n);
    h = rk_ws_header(RK_WS_OP_BINARY, m->n, to);
    to[h] = RELAY_VERSION;
    to[h + 1] = RELAY_TRANSPORT;
    memcpy(to + h + 2, from->b, RELAY_ID_LEN);
    incoming_copy(m, RELAY_HEAD_LEN, m->n - RELAY_HEAD_LEN, to + h + RELAY_HEAD_LEN);
    commit(c, h + m->n);
    count_add(&core->counts, COUNT_SENT_BYTES, (int64_t)m->n);
    count_add(&core->counts, COUNT_SENT_MESSAGES, 1);
    queued(c);
}

static void send_frame(struct ws_conn *c, enum rk_ws_opcode op, const uint8_t *p, size_t n)
{
    struct core *core = c->session.core;
    uint8_t *to;
    size_t h;

    if (c->phase != PHASE_OPEN)
        return;
    if (waiting(c) + n > core_config(core)->queue_bytes + CONTROL_RESERVE_BYTES) {
        count_add(&core->counts, COUNT_CLOSED_SLOW, 1);
        die(c, "no room for a control message");
        return;
    }
    to = outq_reserve(&c->out, &core->chunks, RK_WS_MAX_SERVER_HEADER + n);
    h = rk_ws_header(op, n, to);
    memcpy(to + h, p, n);
    commit(c, h + n);
    queued(c);
}

static void ws_control(struct session *s, const uint8_t *p, size_t n)
{
    struct ws_conn *c = of_session(s);

    if (s->state == SESSION_PUBLISHING && p[1] == RELAY_AUTH_RESPONSE)
        c->held = true;
    send_frame(c, RK_WS_OP_BINARY, p, n);
}

static void ws_release(struct session *s)
{
    struct ws_conn *c = of_session(s);

    c->held = false;
    mark_dirty(c);
}

static void finish(struct ws_conn *c, const char *why)
{
    char text[RK_ADDR_LEN];

    if (c->phase == PHASE_DEAD || c->phase == PHASE_FLUSH || c->phase == PHASE_LINGER)
        return;
    rk_debug((&(struct rk_logctx){ .remote = remote(c, text) }), "closing: %s", why);
    c->phase = PHASE_FLUSH;
    c->held = false;
    c->limit_ms = c->session.core->now_ms + CLOSE_LIMIT_MS;
    wheel_set(&c->session.core->wheel, &c->timer, c->limit_ms);
    mark_dirty(c);
}

static void ws_close(struct session *s, bool after, const char *why)
{
    if (after)
        finish(of_session(s), why);
    else
        die(of_session(s), why);
}

static const struct transport_ops ws_ops = {
    .name = "ws",
    .forward = ws_forward,
    .control = ws_control,
    .release = ws_release,
    .close = ws_close,
};

/* -- reading -- */

static void set_timer(struct ws_conn *c)
{
    uint64_t due = c->limit_ms ? c->limit_ms : UINT64_MAX;

    if (c->phase == PHASE_OPEN && c->session.state != SESSION_NEW) {
        due = c->session.next_send_ms < c->session.next_check_ms ? c->session.next_send_ms
                                                                 : c->session.next_check_ms;
    }
    if (c->blocked && c->progress_ms + WRITE_LIMIT_MS < due)
        due = c->progress_ms + WRITE_LIMIT_MS;
    wheel_set(&c->session.core->wheel, &c->timer, due);
}

/* HTTP text, before there are frames. */
static void put_text(struct ws_conn *c, const char *p, size_t n)
{
    memcpy(outq_reserve(&c->out, &c->session.core->chunks, n), p, n);
    commit(c, n);
    mark_dirty(c);
}

static void keep_real(struct ws_conn *c, const struct rk_ws_upgrade *u)
{
    const struct rk_cidrs *trusted = core_config(c->session.core)->trusted_proxies;

    if (trusted && rk_cidrs_contains(trusted, (const struct sockaddr *)&c->peer))
        rk_ws_upgrade_real_addr(u, &c->peer);
}

/* Bytes used of p[0..n). */
static size_t on_upgrade(struct ws_conn *c, const uint8_t *p, size_t n)
{
    struct rk_ws_upgrade u = { 0 };
    char reply[RK_WS_REPLY_MAX];
    int status = rk_ws_upgrade_parse(p, n, RK_STR("/relay"), &u);

    if (status == 0)
        return 0;
    put_text(c, reply, rk_ws_upgrade_reply(status, &u, reply));
    if (status != 101) {
        finish(c, "not a relay upgrade");
        return n;
    }
    keep_real(c, &u);
    c->phase = PHASE_OPEN;
    c->limit_ms = c->session.core->now_ms + AUTH_LIMIT_MS;
    set_timer(c);
    return u.whole;
}

/* A bad AUTH has been counted as such. */
static void broke_a_rule(struct ws_conn *c, const struct rk_err *err)
{
    if (c->session.state != SESSION_NEW)
        count_add(&c->session.core->counts, COUNT_CLOSED_PROTOCOL, 1);
    die(c, err->msg);
}

static void on_message(struct ws_conn *c, const struct rk_ws_frame *f)
{
    struct rk_err err = { 0 };
    struct incoming m;
    int r;

    incoming_init(&m, f->payload, f->n, f->mask);
    r = session_message(&c->session, &m, &err);
    if (r == RK_UNAVAILABLE) {
        die(c, err.msg); /* said CLOSE */
        return;
    }
    if (r < 0) {
        broke_a_rule(c, &err);
        return;
    }
    if (c->limit_ms && c->session.state != SESSION_NEW) {
        c->limit_ms = 0;
        set_timer(c);
    }
}

/* Bytes used of p[0..n): whole frames. */
static size_t on_frames(struct ws_conn *c, const uint8_t *p, size_t n)
{
    uint8_t clear[RK_WS_MAX_CONTROL];
    struct rk_err err = { 0 };
    struct rk_ws_frame f;
    size_t at = 0;

    while (c->phase == PHASE_OPEN) {
        switch (rk_ws_frame_parse(p + at, n - at, &rules, &f, &err)) {
        case RK_WS_MORE:
            return at;
        case RK_WS_BAD:
            broke_a_rule(c, &err);
            return n;
        case RK_WS_BINARY:
            on_message(c, &f);
            break;
        case RK_WS_PING:
            /* Only the latest ping needs an answer: who sends many and reads nothing gets none. */
            if (waiting(c) > PONG_LIMIT_BYTES)
                break;
            rk_ws_mask(clear, f.payload, f.n, f.mask, 0);
            send_frame(c, RK_WS_OP_PONG, clear, f.n);
            break;
        case RK_WS_TEXT:
        case RK_WS_CONTINUATION: /* both excluded by the rules */
        case RK_WS_PONG:
            break;
        case RK_WS_CLOSE:
            rk_ws_mask(clear, f.payload, f.n, f.mask, 0);
            send_frame(c, RK_WS_OP_CLOSE, clear, f.n >= 2 ? 2 : 0);
            finish(c, "peer closed the websocket");
            break;
        }
        at += f.whole;
    }
    return n;
}

static void keep_rest(struct ws_conn *c, const uint8_t *p, size_t n)
{
    if (n > c->rest_n || n == 0) {
        free(c->rest);
        c->rest = n > 0 ? rk_alloc(n) : NULL;
    }
    if (n > 0)
        memcpy(c->rest, p, n);
    c->rest_n = n;
}

/* p[0..n) is the rest of last time and what has come since. */
static void on_bytes(struct ws_conn *c, const uint8_t *p, size_t n)
{
    size_t at = 0;

    if (c->phase == PHASE_UPGRADE)
        at = on_upgrade(c, p, n);
    if (c->phase == PHASE_OPEN)
        at += on_frames(c, p + at, n - at);
    if (c->phase == PHASE_UPGRADE || c->phase == PHASE_OPEN)
        keep_rest(c, p + at, n - at);
    else
        keep_rest(c, NULL, 0);
}

/* Bytes read, 0 when there are none now, -1 at the end. */
static ssize_t read_some(const struct ws_conn *c, uint8_t *to)
{
    ssize_t n = recv(c->fd, to, SCRATCH_BYTES, MSG_DONTWAIT);

    return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* What the socket has for OpenSSL; false at the end. */
static bool read_sealed(struct ws_conn *c)
{
    ssize_t n = read_some(c, c->session.core->sealed);

    c->io.in = c->session.core->sealed;
    c->io.in_n = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

/* All of what read_sealed brought and the record that was begun before; otherwise as read_some. */
static ssize_t unseal(struct ws_conn *c, uint8_t *to)
{
    size_t got = 0;
    int n;

    for (;;) {
        ERR_clear_error();
        n = SSL_read(c->ssl, to + got, (int)(SCRATCH_BYTES + TLS_RECORD - got));
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (c->sealed.bytes > 0)
        mark_dirty(c); /* OpenSSL answers something */
    if (got == 0 && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
        return -1;
    return (ssize_t)got;
}

/* `n` bytes have come behind the place for the rest of last time. */
static void arrived(struct ws_conn *c, ssize_t n)
{
    struct core *core = c->session.core;

    if (n < 0) {
        die(c, "peer hung up");
        return;
    }
    if (n == 0)
        return;
    core_mail(core);
    if (c->phase != PHASE_DEAD && c->phase != PHASE_FLUSH && c->phase != PHASE_LINGER) {
        if (c->rest_n > 0)
            memcpy(core->scratch, c->rest, c->rest_n);
        on_bytes(c, core->scratch, c->rest_n + (size_t)n);
    }
    core_poke(core);
    if (core->dirty_count >= MAX_DIRTY)
        flush_dirty(core);
}

/* One scratch full of the socket in a turn: a fast sender must not starve the others. */
static void on_readable(struct ws_conn *c)
{
    uint8_t *to = c->session.core->scratch + c->rest_n;

    if (!c->ssl)
        arrived(c, read_some(c, to));
    else
        arrived(c, read_sealed(c) ? unseal(c, to) : -1);
}

static void on_ready(struct watch *w, uint32_t events)
{
    struct ws_conn *c = rk_container_of(w, struct ws_conn, watch);

    if (c->phase == PHASE_DEAD)
        return;
    if (events & EPOLLOUT)
        flush(c);
    if (c->phase != PHASE_DEAD && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(c);
}

/* -- from the core -- */

/* NULL: the relay is full, and `fd` closed. */
static struct ws_conn *admit(struct core *core, int fd, const struct sockaddr *peer)
{
    struct epoll_event ev = { .events = EPOLLIN };
    struct ws_conn *c;
    int one = 1;

    if (!core_admit(core)) {
        close(fd);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c = rk_new(struct ws_conn);
    c->fd = fd;
    memcpy(&c->peer, peer,
           peer->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    session_init(&c->session, core, &ws_ops);
    wheel_timer_init(&c->timer);
    rk_list_init(&c->of_turn);
    rk_list_append(&core->connections, &c->of_core);
    c->watch.on_ready = on_ready;
    c->phase = PHASE_UPGRADE;
    c->limit_ms = core->now_ms + UPGRADE_LIMIT_MS;
    set_timer(c);
    ev.data.ptr = &c->watch;
    if (epoll_ctl(core->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        die(c, "epoll is full");
    return c;
}

void ws_conn_accept(struct core *core, int fd, const struct sockaddr *peer)
{
    (void)admit(core, fd, peer);
}

void ws_conn_guest(struct core *core, const struct rk_guest *g)
{
    struct ws_conn *c = admit(core, g->fd, (const struct sockaddr *)&g->peer);

    if (!c) {
        SSL_free(g->ssl);
        return;
    }
    c->ssl = g->ssl;
    c->io.put = put_sealed;
    rk_tls_io_attach(&c->io, c->ssl);
    if (c->phase == PHASE_DEAD)
        return;
    keep_rest(c, g->first, sizeof(g->first));
    arrived(c, unseal(c, core->scratch + c->rest_n)); /* the rest of the same record */
}

void ws_conn_on_timer(struct wheel_timer *t)
{
    struct ws_conn *c = rk_container_of(t, struct ws_conn, timer);
    struct core *core = c->session.core;

    if (c->limit_ms && core->now_ms >= c->limit_ms) {
        if (c->phase != PHASE_FLUSH && c->phase != PHASE_LINGER)
            count_add(&core->counts, COUNT_CLOSED_SILENT, 1);
        die(c, c->phase == PHASE_OPEN ? "no valid AUTH within 10 s" : "out of time");
        return;
    }
    if (c->blocked && core->now_ms >= c->progress_ms + WRITE_LIMIT_MS) {
        count_add(&core->counts, COUNT_CLOSED_SLOW, 1);
        die(c, "no write progress for 10 s");
        return;
    }
    if (c->phase == PHASE_OPEN && !session_tick(&c->session, core->now_ms))
        return;
    if (c->phase != PHASE_DEAD)
        set_timer(c);
}

void ws_conn_end_turn(struct core *core)
{
    unsigned burials = 0;

    do {
        flush_dirty(core);
        /* An end may tell others "offline", which queues, and may even end one of them: until
         * nothing is left. A crowd that ends at once takes several turns. */
        while (!rk_list_empty(&core->dead) && (burials++ < MAX_BURIALS || core->done))
            bury(rk_list_entry(core->dead.next, struct ws_conn, of_turn));
    } while (!rk_list_empty(&core->dirty));
}

/* Whoever is told goes to the end of the list: nobody new is accepted any more, so each is looked
 * at once. */
bool ws_conn_drain_one(struct core *core)
{
    static const uint8_t bye[2] = { RELAY_VERSION, RELAY_CLOSE };

    for (size_t left = core->connection_count; left > 0; left--) {
        struct ws_conn *c = rk_list_entry(core->connections.next, struct ws_conn, of_core);

        rk_list_remove(&c->of_core);
        rk_list_append(&core->connections, &c->of_core);
        if (c->phase == PHASE_FLUSH || c->phase == PHASE_LINGER || c->phase == PHASE_DEAD)
            continue;
        if (c->phase == PHASE_OPEN && c->session.state != SESSION_NEW) {
            send_frame(c, RK_WS_OP_BINARY, bye, sizeof(bye));
            finish(c, "shutting down");
        } else {
            die(c, "shutting down");
        }
        return true;
    }
    return false;
}

void ws_conn_close_all(struct core *core, const char *why)
{
    struct rk_list *n, *tmp;

    rk_list_each(&core->connections, n, tmp) die(rk_list_entry(n, struct ws_conn, of_core), why);
}
