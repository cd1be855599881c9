/*
 * gRPC server: a listener, and for each connection the preface check, the HTTP/2 session with its
 * calls, keepalive and the orderly end.
 */

#include "libcommon/grpc/server.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/list.h"
#include "libcommon/grpc/call_int.h"
#include "libcommon/grpc/forwarded.h"
#include "libcommon/grpc/tunnel.h"
#include "libcommon/net/conn.h"

#define PREFACE_MS 10000
#define NUDGE_MS 500
#define KEEPALIVE_MS 30000
#define ANSWER_MS 15000
#define IDLE_MS (5 * 60 * 1000)
#define FLUSH_MS 5000
#define MAX_CONNECTIONS 65536
#define PUSH_BYTES (16 * 1024)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof(preface) - 1)

enum alive {
    ALIVE_PREFACE, /* waiting for the client's preface */
    ALIVE_NEW,     /* has not asked for anything yet; next look after nudge_ms */
    ALIVE_QUIET,   /* next look after keepalive_ms */
    ALIVE_PINGED,  /* any frame counts as the answer */
    ALIVE_DOUBTED, /* none came; the socket is looked at once more */
};

/* A connection inside a WebSocket. */
struct inside {
    struct rk_tunnel *tunnel;
    struct sockaddr_storage ss; /* the client's address, when a proxy told it */
    char remote[RK_ADDR_LEN];
    bool waiting; /* output has not all left */
    bool opened;
    bool over; /* its end has been said or counted */
};

const char *const rk_grpc_tunnel_directions[] = { "ws_to_grpc", "grpc_to_ws", NULL };
const char *const rk_grpc_tunnel_errors[] = { "websocket_accept_failed", "websocket_read_error",
                                              "websocket_write_error", "pipe_write_error", NULL };

struct server_conn {
    struct rk_list node;
    struct rk_grpc_server *server;
    struct rk_conn *conn;
    struct rk_grpc_link link;
    struct inside *inside; /* NULL: the bytes are HTTP/2 as they come */
    struct rk_timer timer;
    struct rk_task flush;
    uint64_t frames_seen;
    uint64_t nudge_ms;
    uint64_t busy_ms; /* rk_mono_ms when a stream was last seen */
    enum alive alive;
    unsigned preface_n;
    unsigned handles; /* conn, timer, flush */
    bool flush_pending;
    bool broken;
};

struct rk_grpc_server {
    struct rk_loop *loop;
    struct rk_listener *listener;
    struct rk_grpc_core core;
    struct rk_list conns;
    size_t count;
    struct rk_grpc_server_config cfg; /* with the defaults filled in */
    bool draining;
    bool closing;
    struct rk_task closed_task;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
    char address[RK_ADDR_LEN];
};

static void server_closed(struct rk_task *t)
{
    struct rk_grpc_server *s = rk_container_of(t, struct rk_grpc_server, closed_task);

    rk_grpc_core_done(&s->core);
    if (s->on_closed)
        s->on_closed(s->on_closed_arg);
    free(s);
}

static void maybe_closed(struct rk_grpc_server *s)
{
    if (s->closing && s->count == 0)
        rk_loop_defer(s->loop, &s->closed_task);
}

/* --- end of a connection --- */

static void release(struct server_conn *sc)
{
    struct rk_grpc_server *s = sc->server;

    if (--sc->handles > 0)
        return;
    rk_list_remove(&sc->node);
    s->count--;
    free(sc);
    maybe_closed(s);
}

static void on_timer_closed(struct rk_timer *t)
{
    release(rk_container_of(t, struct server_conn, timer));
}

static void
tunnel_count(struct server_conn *sc, enum rk_grpc_tunnel_metric m, unsigned i, int64_t n)
{
    rk_metric_add_at(&sc->server->cfg.tunnels->metrics[m], i, n);
}

static void tunnel_error(struct server_conn *sc, enum rk_grpc_tunnel_error e)
{
    sc->inside->over = true;
    tunnel_count(sc, RK_GRPC_TUNNEL_ERRORS, e, 1);
}

static void inside_free(struct server_conn *sc)
{
    struct inside *in = sc->inside;

    if (!in)
        return;
    if (in->opened) {
        tunnel_count(sc, RK_GRPC_TUNNEL_ACTIVE, 0, -1);
        if (!in->over)
            tunnel_error(sc, in->waiting ? RK_GRPC_TUNNEL_WRITE : RK_GRPC_TUNNEL_READ);
    }
    rk_tunnel_free(in->tunnel);
    free(in);
    sc->inside = NULL;
}

static void conn_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct server_conn *sc = arg;

    (void)c;
    (void)why;
    sc->conn = NULL;
    sc->broken = true;
    if (sc->link.h2)
        rk_grpc_link_done(&sc->link);
    inside_free(sc);
    sc->handles = sc->flush_pending ? 3 : 2;
    rk_timer_close(&sc->timer, on_timer_closed);
    release(sc);
}

static int flush_session(struct server_conn *sc, struct rk_err *err)
{
    int r = rk_h2_flush(sc->link.h2, err);
    size_t n = sc->inside ? rk_tunnel_flush(sc->inside->tunnel) : 0;

    if (n > 0) {
        sc->inside->waiting = true;
        tunnel_count(sc, RK_GRPC_TUNNEL_BYTES, RK_GRPC_TUNNEL_OUT, (int64_t)n);
    }
    return r;
}

/* What is queued (a GOAWAY, the last answers) still leaves. */
static void end_conn(struct server_conn *sc, const char *why)
{
    struct rk_err err;

    if (sc->broken)
        return;
    sc->broken = true;
    if (sc->link.h2 && sc->alive != ALIVE_PREFACE)
        (void)flush_session(sc, &err);
    if (sc->inside) {
        rk_tunnel_close(sc->inside->tunnel, RK_TUNNEL_DONE);
        sc->inside->over = true;
    }
    rk_conn_close_flush(sc->conn, why, sc->server->cfg.flush_ms);
}

/* --- output --- */

static size_t io_queued(void *io);

/* Much leaves at once, and what the session has had to hold back follows as long as the kernel
 * takes all. Little waits for the end of the turn, to leave together with what others have: each
 * packet that finds the network idle costs an interrupt. */
static int flush_and_push(struct server_conn *sc, struct rk_err *err)
{
    bool held_back;
    int r;

    do {
        r = flush_session(sc, err);
        held_back = io_queued(sc) >= RK_H2_OUT_HIGH;
        if (rk_conn_queued(sc->conn) >= PUSH_BYTES)
            rk_conn_push(sc->conn);
    } while (r == 0 && held_back && io_queued(sc) == 0);
    return r;
}

static void pump(struct server_conn *sc)
{
    struct rk_err err = { 0 };

    /* Nothing is said before the client has shown that it speaks HTTP/2: it may be answered in
     * HTTP/1.1. */
    if (sc->broken || !sc->link.h2 || sc->alive == ALIVE_PREFACE)
        return;
    if (flush_and_push(sc, &err) < 0)
        end_conn(sc, err.msg);
    else if (rk_h2_done(sc->link.h2) || (sc->server->draining && rk_list_empty(&sc->link.calls)))
        end_conn(sc, "finished");
}

static void run_flush(struct rk_task *t)
{
    struct server_conn *sc = rk_container_of(t, struct server_conn, flush);

    sc->flush_pending = false;
    if (sc->conn)
        pump(sc);
    else
        release(sc);
}

static void io_want_flush(void *io)
{
    struct server_conn *sc = io;

    if (sc->flush_pending || !sc->conn)
        return;
    sc->flush_pending = true;
    rk_loop_defer(sc->server->loop, &sc->flush);
}

static void io_write(void *io, const void *p, size_t n)
{
    struct server_conn *sc = io;

    if (!sc->conn)
        return;
    if (sc->inside)
        rk_tunnel_write(sc->inside->tunnel, p, n);
    else
        rk_conn_write(sc->conn, p, n);
}

/* What the kernel has not been offered yet it may refuse as a whole: there is room left for the
 * frame that is under way then and for the last words. */
static size_t io_queued(void *io)
{
    struct server_conn *sc = io;
    size_t n;

    if (!sc->conn)
        return 0;
    n = rk_conn_queued(sc->conn) + (sc->inside ? rk_tunnel_gathered(sc->inside->tunnel) : 0);
    return n == 0 || rk_conn_blocked(sc->conn) ? n : n + RK_H2_OUT_HIGH / 4;
}

static void conn_drain(struct rk_conn *c, void *arg)
{
    struct server_conn *sc = arg;

    (void)c;
    if (sc->inside)
        sc->inside->waiting = false;
    pump(sc);
}

/* --- time --- */

/* A proxy may have a request for this connection and not send it before it hears something: haproxy
 * 2.6 misses, now and then under load, that it may begin. Hence a PING, and another after twice the
 * time, to who has asked for nothing yet. */
static void look_for_calls(struct server_conn *sc)
{
    bool no_more = sc->nudge_ms >= sc->server->cfg.keepalive_ms || rk_h2_asked(sc->link.h2);

    sc->alive = no_more ? ALIVE_QUIET : ALIVE_NEW;
    rk_timer_start(&sc->timer, no_more ? sc->server->cfg.keepalive_ms : sc->nudge_ms, 0);
}

static void nudge(struct server_conn *sc)
{
    if (!rk_h2_asked(sc->link.h2))
        rk_h2_ping(sc->link.h2);
    sc->nudge_ms *= 2;
    look_for_calls(sc);
}

static void on_timer(struct rk_timer *t)
{
    struct server_conn *sc = rk_container_of(t, struct server_conn, timer);
    const struct rk_grpc_server_config *cfg = &sc->server->cfg;
    uint64_t frames, now = rk_mono_ms();

    rk_grpc_core_expire(&sc->server->core, now); /* whosever they are */
    if (sc->broken)
        return;
    if (sc->alive == ALIVE_PREFACE) {
        rk_conn_close(sc->conn, "no HTTP/2 preface");
        return;
    }
    if (sc->alive == ALIVE_NEW) {
        nudge(sc);
        return;
    }
    frames = rk_h2_frames_in(sc->link.h2);
    if (!rk_list_empty(&sc->link.calls))
        sc->busy_ms = now;
    if (now - sc->busy_ms >= cfg->idle_ms) {
        rk_h2_terminate(sc->link.h2, NGHTTP2_NO_ERROR);
        end_conn(sc, "idle");
        return;
    }
    if (frames != sc->frames_seen) {
        sc->frames_seen = frames;
        sc->alive = ALIVE_QUIET;
        rk_timer_start(t, cfg->keepalive_ms, 0);
    } else if (sc->alive == ALIVE_QUIET) {
        sc->alive = ALIVE_PINGED;
        rk_h2_ping(sc->link.h2);
        rk_timer_start(t, cfg->answer_ms, 0);
    } else if (sc->alive == ALIVE_PINGED) {
        /* Timers come before sockets: when it was us who stood still, the answer waits there. */
        sc->alive = ALIVE_DOUBTED;
        rk_timer_start(t, 1, 0); /* 0 would be now */
    } else {
        rk_conn_close(sc->conn, "PING not answered");
    }
}

/* --- input --- */

/* Something else than HTTP/2 speaks: a browser or a probe gets an answer it understands. */
static void refuse_http1(struct server_conn *sc, const uint8_t *p, size_t n)
{
    static const char get[] =
        "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Type: text/plain\r\n"
        "Content-Length: 29\r\nConnection: close\r\n\r\nThis is a gRPC server (h2c).\n";
    static const char post[] = "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    uint8_t first = sc->preface_n > 0 ? (uint8_t)preface[0] : p[0];
    uint8_t second = sc->preface_n > 0 ? p[0] : (n > 1 ? p[1] : 0);

    sc->broken = true;
    if (sc->inside && rk_tunnel_is_open(sc->inside->tunnel)) {
        tunnel_error(sc, RK_GRPC_TUNNEL_INNER);
        rk_tunnel_close(sc->inside->tunnel, RK_TUNNEL_PROTOCOL);
    } else if (first == 'P' && second == 'O') {
        rk_conn_write(sc->conn, post, sizeof(post) - 1);
    } else if (first >= 'A' && first <= 'Z' && sc->preface_n <= 1) {
        rk_conn_write(sc->conn, get, sizeof(get) - 1);
    } else {
        rk_conn_close(sc->conn, "not HTTP/2");
        return;
    }
    rk_conn_close_flush(sc->conn, "not HTTP/2", sc->server->cfg.flush_ms);
}

/* False: refused. The session sees the preface too, so the bytes are only looked at here. */
static bool check_preface(struct server_conn *sc, const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n && sc->preface_n < PREFACE_LEN && p[i] == (uint8_t)preface[sc->preface_n]) {
        i++;
        sc->preface_n++;
    }
    if (sc->preface_n == PREFACE_LEN) {
        sc->busy_ms = rk_mono_ms();
        sc->nudge_ms = sc->server->cfg.nudge_ms;
        look_for_calls(sc);
        io_want_flush(sc);
        return true;
    }
    if (i == n)
        return true;
    refuse_http1(sc, p + i, n - i);
    return false;
}

static void session_read(struct server_conn *sc, const uint8_t *p, size_t n)
{
    struct rk_err err = { 0 };

    if (sc->broken || (sc->preface_n < PREFACE_LEN && !check_preface(sc, p, n)))
        return;
    if (rk_h2_feed(sc->link.h2, p, n, &err) < 0) {
        if (sc->inside)
            tunnel_error(sc, RK_GRPC_TUNNEL_INNER);
        end_conn(sc, err.msg);
    }
}

static void start_session(struct server_conn *sc)
{
    rk_grpc_link_init(&sc->link, &sc->server->core);
    if (sc->server->draining)
        rk_h2_goaway(sc->link.h2);
}

/* --- inside a WebSocket --- */

static void tunnel_write(void *arg, const void *p, size_t n)
{
    struct server_conn *sc = arg;

    rk_conn_write(sc->conn, p, n);
}

static size_t tunnel_queued(void *arg)
{
    struct server_conn *sc = arg;

    return rk_conn_queued(sc->conn);
}

/* The session begins anew, for the client the request names. */
static void tunnel_open(void *arg, const struct rk_ws_upgrade *u)
{
    struct server_conn *sc = arg;
    struct inside *in = sc->inside;

    in->opened = true;
    tunnel_count(sc, RK_GRPC_TUNNEL_ACTIVE, 0, 1);
    if (sc->link.trusted &&
        rk_grpc_forwarded(&u->forwarded_for, 1, sc->server->core.trusted_proxies, &in->ss)) {
        rk_addr_format_ip((const struct sockaddr *)&in->ss, in->remote);
        sc->link.sa = (const struct sockaddr *)&in->ss;
        sc->link.remote = in->remote;
    }
    rk_grpc_link_done(&sc->link);
    sc->link.tunnelled = true;
    start_session(sc);
}

static bool tunnel_bytes(void *arg, const uint8_t *p, size_t n)
{
    struct server_conn *sc = arg;

    tunnel_count(sc, RK_GRPC_TUNNEL_BYTES, RK_GRPC_TUNNEL_IN, (int64_t)n);
    session_read(sc, p, n);
    return !sc->broken;
}

static const struct rk_tunnel_ops tunnel_ops = {
    .write = tunnel_write,
    .queued = tunnel_queued,
    .on_open = tunnel_open,
    .on_bytes = tunnel_bytes,
};

static void tunnel_ends(struct server_conn *sc, int r, const char *why)
{
    struct inside *in = sc->inside;

    if (in->opened && r != RK_UNAVAILABLE)
        tunnel_error(sc, RK_GRPC_TUNNEL_READ);
    else if (r == RK_DENIED)
        tunnel_error(sc, RK_GRPC_TUNNEL_REFUSED);
    in->over = true;
    sc->broken = true;
    rk_conn_close_flush(sc->conn, why, sc->server->cfg.flush_ms);
}

/* --- */

static void conn_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct server_conn *sc = arg;
    struct rk_grpc_tunnels *t = sc->server->cfg.tunnels;
    struct rk_err err = { 0 };
    int r;

    (void)c;
    if (sc->broken)
        return;
    /* A preface does not begin with the letter of GET. */
    if (t && !sc->inside && sc->preface_n == 0 && p[0] == 'G') {
        sc->inside = rk_new(struct inside);
        sc->inside->tunnel = rk_tunnel_new(rk_str(t->path), &tunnel_ops, sc);
    }
    if (!sc->inside) {
        session_read(sc, p, n);
        return;
    }
    r = rk_tunnel_feed(sc->inside->tunnel, p, n, &err);
    if (r == RK_NOT_FOUND)
        refuse_http1(sc, (const uint8_t *)"GET", 3);
    else if (r < 0)
        tunnel_ends(sc, r, err.msg);
}

static void conn_open(struct rk_conn *c, void *arg)
{
    struct server_conn *sc = arg;

    sc->link.sa = rk_conn_peer(c);
    sc->link.remote = rk_conn_remote(c);
    sc->link.write = io_write;
    sc->link.queued = io_queued;
    sc->link.want_flush = io_want_flush;
    sc->link.io = sc;
    start_session(sc);
}

static const struct rk_conn_ops conn_ops = {
    .on_open = conn_open,
    .on_read = conn_read,
    .on_drain = conn_drain,
    .on_closed = conn_closed,
};

static void on_accept(struct rk_conn *c, void *arg)
{
    struct rk_grpc_server *s = arg;
    struct server_conn *sc = rk_new(struct server_conn);

    sc->server = s;
    sc->conn = c;
    sc->flush.run = run_flush;
    rk_list_init(&sc->flush.node);
    rk_list_init(&sc->link.calls);
    rk_timer_init(s->loop, &sc->timer, on_timer);
    rk_list_append(&s->conns, &sc->node);
    s->count++;
    rk_timer_start(&sc->timer, s->cfg.preface_ms, 0);
    rk_conn_start(c, &conn_ops, sc);
    if (s->count > s->cfg.max_connections) {
        sc->broken = true;
        rk_conn_close(c, "too many connections");
    }
}

/* --- server --- */

static struct rk_grpc_server_config with_defaults(const struct rk_grpc_server_config *given)
{
    struct rk_grpc_server_config cfg = *given;

    if (cfg.max_connections == 0)
        cfg.max_connections = MAX_CONNECTIONS;
    if (cfg.preface_ms == 0)
        cfg.preface_ms = PREFACE_MS;
    if (cfg.nudge_ms == 0)
        cfg.nudge_ms = NUDGE_MS;
    if (cfg.keepalive_ms == 0)
        cfg.keepalive_ms = KEEPALIVE_MS;
    if (cfg.answer_ms == 0)
        cfg.answer_ms = ANSWER_MS;
    if (cfg.idle_ms == 0)
        cfg.idle_ms = IDLE_MS;
    if (cfg.flush_ms == 0)
        cfg.flush_ms = FLUSH_MS;
    return cfg;
}

int rk_grpc_server_new(struct rk_loop *l,
                       const struct rk_addr *listen,
                       const struct rk_grpc_server_config *cfg,
                       struct rk_grpc_server **out,
                       struct rk_err *err)
{
    struct rk_grpc_server *s = rk_new(struct rk_grpc_server);
    int r;

    s->loop = l;
    s->cfg = with_defaults(cfg);
    s->closed_task.run = server_closed;
    rk_list_init(&s->closed_task.node);
    rk_list_init(&s->conns);
    rk_grpc_core_init(&s->core, l, cfg->methods, cfg->count, cfg->arg);
    s->core.trusted_proxies = cfg->trusted_proxies;
    r = rk_listener_new(l, listen, cfg->tls, on_accept, s, &s->listener, err);
    if (r < 0) {
        rk_grpc_core_done(&s->core);
        free(s);
        return r;
    }
    snprintf(s->address, sizeof(s->address), "%s", rk_listener_address(s->listener));
    *out = s;
    return 0;
}

const char *rk_grpc_server_address(const struct rk_grpc_server *s)
{
    return s->address;
}

size_t rk_grpc_server_connections(const struct rk_grpc_server *s)
{
    return s->count;
}

static void stop_listening(struct rk_grpc_server *s)
{
    rk_listener_close(s->listener);
    s->listener = NULL;
}

void rk_grpc_server_drain(struct rk_grpc_server *s)
{
    struct rk_list *n, *tmp;

    if (s->draining)
        return;
    s->draining = true;
    stop_listening(s);
    rk_list_each(&s->conns, n, tmp)
    {
        struct server_conn *sc = rk_list_entry(n, struct server_conn, node);

        if (sc->link.h2 && !sc->broken)
            rk_h2_goaway(sc->link.h2);
    }
}

void rk_grpc_server_close(struct rk_grpc_server *s, void (*on_closed)(void *arg), void *arg)
{
    struct rk_list *n, *tmp;

    s->closing = true;
    s->draining = true;
    s->on_closed = on_closed;
    s->on_closed_arg = arg;
    stop_listening(s);
    rk_list_each(&s->conns, n, tmp)
    {
        struct server_conn *sc = rk_list_entry(n, struct server_conn, node);

        sc->broken = true;
        if (sc->inside)
            sc->inside->over = true;
        if (sc->conn)
            rk_conn_close(sc->conn, "server closes");
    }
    maybe_closed(s);
}
