/* Listening socket: accepts on the loop and hands unopened connections to the owner. */

#include "libcommon/net/conn.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/net/conn_int.h"

#define BACKLOG 4096

struct rk_listener {
    uv_tcp_t tcp;
    struct rk_loop *loop;
    struct rk_tls *tls;
    struct rk_task accept; /* TLS only: libuv holds one, and looks for no other before */
    void (*on_accept)(struct rk_conn *c, void *arg);
    void *arg;
    char address[RK_ADDR_LEN];
};

static void take(struct rk_listener *l)
{
    struct rk_conn *c = rk_conn_new(l->loop, l->tls, true);

    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)rk_conn_tcp(c)) < 0 ||
        !rk_conn_accepted(c)) {
        rk_conn_discard(c);
        return;
    }
    l->on_accept(c, l->arg);
}

static void run_accept(struct rk_task *t)
{
    take(rk_container_of(t, struct rk_listener, accept));
}

/* Over TLS strangers come in no faster than their handshakes get done: a crowd waits with the
 * kernel, where it costs nothing. */
static void on_connection(uv_stream_t *stream, int status)
{
    struct rk_listener *l = stream->data;

    if (status < 0)
        return; /* out of descriptors or aborted in the queue: the next one may do */
    if (l->tls)
        rk_loop_one_a_turn(l->loop, &l->accept);
    else
        take(l);
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
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
    l->tls = tls;
    l->accept.run = run_accept;
    rk_list_init(&l->accept.node);
    l->on_accept = on_accept;
    l->arg = arg;
    r = uv_tcp_init(rk_loop_uv(loop), &l->tcp);
    if (r < 0) {
        free(l);
        return rk_fail(err, RK_UNAVAILABLE, "socket: %s", uv_strerror(r));
    }
    l->tcp.data = l;
    r = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&addr->ss, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (r == 0)
        r = uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&bound, &len);
    if (r < 0) {
        uv_close((uv_handle_t *)&l->tcp, on_closed);
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
    rk_list_remove(&l->accept.node);
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}

const char *rk_listener_address(const struct rk_listener *l)
{
    return l->address;
}
