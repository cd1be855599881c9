#include "tools/doctor/visit.h"

#include <stdio.h>

#include "tools/doctor/dial.h"

static const char reach_it[] =
    "see that the proxy at this URL runs and passes gRPC on (HTTP/2, also in cleartext), and that "
    "the replicas behind it are ready";

static void on_limit(struct rk_timer *t)
{
    struct visit *v = rk_container_of(t, struct visit, limit);

    rk_loop_stop(v->loop);
}

static void on_closed(struct rk_grpc_client *grpc, const char *why, void *arg)
{
    struct visit *v = arg;

    (void)grpc;
    v->grpc = NULL;
    (void)snprintf(v->lost, sizeof(v->lost), "%s", why);
    rk_loop_stop(v->loop);
}

static bool look_at_certificate(struct check *c, const char *topic, const struct rk_target *to)
{
    rk_auto(dial_done) struct dial d;
    struct rk_err err = { 0 };
    const unsigned char *alpn;
    unsigned n = 0;

    if (dial_open(&d, to, c->ca_file, "\x02h2", &err) < 0) {
        check_say(c, VERDICT_FAIL, topic, reach_it, "%s", err.msg);
        return false;
    }
    if (!dial_judge(&d, to, c))
        return false;
    SSL_get0_alpn_selected(d.ssl, &alpn, &n);
    if (n == 2)
        return true;
    check_say(c, VERDICT_FAIL, topic, "let the proxy offer h2 (ALPN): agents insist on it",
              "TLS without HTTP/2");
    return false;
}

bool visit_open(struct visit *v, struct check *c, const char *topic, const struct rk_target *to)
{
    struct rk_err err = { 0 };
    int r = 0;

    *v = (struct visit){ .loop = NULL };
    if (to->tls && !look_at_certificate(c, topic, to))
        return false;
    v->loop = rk_loop_new();
    rk_timer_init(v->loop, &v->limit, on_limit);
    if (to->tls)
        r = rk_tls_client_new(v->loop, c->ca_file, "\x02h2", &v->tls, &err);
    if (r == 0)
        r = rk_grpc_client_new(v->loop, &to->addr, v->tls, to->authority, on_closed, v, &v->grpc,
                               &err);
    if (r == 0)
        return true;
    check_say(c, VERDICT_FAIL, topic, reach_it, "%s", err.msg);
    visit_close(v);
    return false;
}

void visit_run(struct visit *v)
{
    rk_timer_start(&v->limit, ANSWER_MS, 0);
    rk_loop_run(v->loop);
}

void visit_end(struct visit *v)
{
    rk_loop_stop(v->loop);
}

void visit_close(struct visit *v)
{
    rk_timer_close(&v->limit, NULL);
    if (v->grpc)
        rk_grpc_client_close(v->grpc);
    rk_tls_free(v->tls);
    rk_loop_free(v->loop);
}
