/*
 * Listening socket: hands connections that are not open yet to the owner. In the clear it accepts
 * on the loop; over TLS a door does (door.h), and who has come through it is posted to the loop.
 */

#include "libcommon/net/conn.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fds.h"
#include "libcommon/net/conn_int.h"
#include "libcommon/net/door.h"
#include "libcommon/obs/log.h"

#define BACKLOG 4096
#define FEW_LEFT 16
#define WARN_MS 60000

struct rk_listener {
    uv_tcp_t tcp;
    struct rk_loop *loop;
    struct rk_door *door;    /* TLS only */
    _Atomic unsigned guests; /* posted, and not here yet */
    bool closed;
    uint64_t warned_ms;
    void (*on_accept)(struct rk_conn *c, void *arg);
    void *arg;
    char address[RK_ADDR_LEN];
};

/* From the door to the loop. */
struct guest {
    struct rk_task task;
    struct rk_listener *listener;
    struct rk_guest self;
};

static void free_if_over(struct rk_listener *l)
{
    if (l->closed && atomic_load_explicit(&l->guests, memory_order_acquire) == 0)
        free(l);
}

static void on_closed(uv_handle_t *h)
{
    struct rk_listener *l = h->data;

    l->closed = true;
    free_if_over(l);
}

static void send_away(const struct rk_guest *g)
{
    SSL_free(g->ssl);
    (void)close(g->fd);
}

static void run_guest(struct rk_task *t)
{
    struct guest *g = rk_container_of(t, struct guest, task);
    struct rk_listener *l = g->listener;
    struct rk_conn *c = NULL;

    if (uv_is_closing((uv_handle_t *)&l->tcp))
        send_away(&g->self);
    else
        c = rk_conn_guest(l->loop, &g->self);
    if (c)
        l->on_accept(c, l->arg);
    free(g);
    atomic_fetch_sub_explicit(&l->guests, 1, memory_order_acq_rel);
    free_if_over(l);
}

/* On the door's thread. */
static void on_guest(const struct rk_guest *self, void *arg)
{
    struct rk_listener *l = arg;
    struct guest *g = rk_new(struct guest);

    g->task.run = run_guest;
    rk_list_init(&g->task.node);
    g->listener = l;
    g->self = *self;
    atomic_fetch_add_explicit(&l->guests, 1, memory_order_relaxed);
    rk_loop_post(l->loop, &g->task);
}

/* Past the last descriptor libuv hangs up on whoever comes and tells nobody: said before. The
 * kernel gives the lowest that is free. Asked anew each time, as prlimit(1) changes the limit. */
static void warn_of_the_end(struct rk_listener *l, struct rk_conn *c)
{
    uint64_t most = rk_fds_max();
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)rk_conn_tcp(c), &fd) < 0 || (uint64_t)fd + FEW_LEFT < most ||
        !rk_due(&l->warned_ms, WARN_MS))
        return;
    rk_warn(NULL, "hardly a descriptor is left of %llu: who comes then is hung up on",
            (unsigned long long)most);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct rk_listener *l = stream->data;
    struct rk_conn *c;

    if (status < 0)
        return; /* aborted in the queue: the next one may do */
    c = rk_conn_new(l->loop);
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)rk_conn_tcp(c)) < 0 ||
        !rk_conn_accepted(c)) {
        rk_conn_discard(c);
        return;
    }
    warn_of_the_end(l, c);
    l->on_accept(c, l->arg);
}

/* Over TLS libuv only keeps the socket. */
static int begin(struct rk_listener *l, struct rk_tls *tls)
{
    uv_os_fd_t fd;
    int r;

    if (!tls)
        return uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    r = uv_fileno((uv_handle_t *)&l->tcp, &fd);
    if (r < 0)
        return r;
    if (listen(fd, BACKLOG) < 0)
        return uv_translate_sys_error(errno);
    l->door = rk_door_open(
        &(struct rk_door_terms){ .listen_fd = fd, .tls = tls, .on_guest = on_guest, .arg = l });
    return 0;
}

int rk_listener_new(struct rk_loop *loop,
                    const struct rk_addr *addr,
                    struct rk_tls *tls,
                    void (*on_accept)(struct rk_conn *c, void *arg),
                    void *arg,
                    struct rk_listener **out,
                    struct rk_err *err)
{
    struct rk_listener *l = rk_new(struct rk_listener);
    struct sockaddr_storage bound;
    int len = sizeof(bound);
    char text[RK_ADDR_LEN];
    int r;

    l->loop = loop;
    l->on_accept = on_accept;
    l->arg = arg;
    r = uv_tcp_init(rk_loop_uv(loop), &l->tcp);
    if (r < 0) {
        free(l);
        return rk_fail(err, RK_UNAVAILABLE, "socket: %s", uv_strerror(r));
    }
    l->tcp.data = l;
    r = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&addr->ss, 0);
    if (r == 0) /* also says what libuv would say only when it listens: the address is taken */
        r = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &len);
    if (r == 0)
        r = begin(l, tls);
    if (r < 0) {
        rk_listener_close(l);
        rk_addr_format((const struct sockaddr *)&addr->ss, text);
        return rk_fail(err, RK_UNAVAILABLE, "listen on %s: %s", text, uv_strerror(r));
    }
    rk_addr_format((const struct sockaddr *)&bound, l->address);
    *out = l;
    return 0;
}

void rk_listener_close(struct rk_listener *l)
{
    if (!l || uv_is_closing((uv_handle_t *)&l->tcp))
        return;
    rk_door_close(l->door);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}

const char *rk_listener_address(const struct rk_listener *l)
{
    return l->address;
}
