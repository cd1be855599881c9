#include "libcommon/edge/registrar.h"

/* One call at a time, on a timer. */

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/conf/addr.h"
#include "libcommon/crypto/box.h"
#include "libcommon/grpc/client.h"
#include "libcommon/grpc/status.h"
#include "libcommon/net/tls.h"
#include "libcommon/obs/log.h"
#include "libcommon/obs/metrics.h"

#define CALL_MS (RK_EDGE_RENEW_MS - 200)
#define AGAIN_MS 300 /* after a lost connection */
#define LEAVE_MS 1000

struct rk_registrar {
    struct rk_loop *loop;
    struct rk_registrar_terms terms;
    struct rk_claim_key key;
    struct rk_position at;
    uint64_t who;
    struct rk_tls *tls; /* NULL: cleartext */
    char *host, *authority;
    char port[8];
    struct rk_timer tick, limit; /* limit: of leaving */
    struct rk_task left;
    uv_getaddrinfo_t lookup;
    struct rk_grpc_client *client;
    struct rk_grpc_client_call *call;
    unsigned attempts; /* which of several addresses is next */
    bool on;           /* there is a management_url */
    bool looking;
    bool leaving, goodbye; /* goodbye: the call under way says so */
    bool dropped;          /* the client is on its way out */
    bool registered, complained;
    bool closing;
    unsigned timers; /* not closed yet */
    void (*on_left)(void *arg);
    void *left_arg;
};

static struct rk_metric metrics[] = {
    { .name = "rookery_edge_registered",
      .help = "1 while management has this one among those that agents are told of",
      .type = RK_GAUGE },
};

void rk_registrar_metrics_register(void)
{
    rk_metrics_register(metrics, RK_COUNT(metrics));
}

static void free_when_closed(struct rk_registrar *r)
{
    if (!r->closing || r->looking || r->client || r->timers > 0)
        return;
    rk_tls_free(r->tls);
    rk_wipe(&r->key, sizeof(r->key));
    free(r->host);
    free(r->authority);
    free(r);
}

/* --- what comes of a call --- */

static void have_left(struct rk_registrar *r)
{
    void (*on_left)(void *arg) = r->on_left;

    r->on_left = NULL;
    rk_timer_stop(&r->limit);
    if (on_left)
        on_left(r->left_arg);
}

static void run_left(struct rk_task *t)
{
    have_left(rk_container_of(t, struct rk_registrar, left));
}

static void on_limit(struct rk_timer *t)
{
    have_left(rk_container_of(t, struct rk_registrar, limit));
}

static void set_registered(struct rk_registrar *r, bool registered)
{
    r->registered = registered;
    rk_metric_set(&metrics[0], registered);
}

static void refused(struct rk_registrar *r, const char *why)
{
    if (!r->complained && !r->closing)
        rk_warn(NULL, "management does not have %s: %s; trying again", r->terms.url, why);
    r->complained = true;
    set_registered(r, false);
}

static void taken(struct rk_registrar *r)
{
    if (!r->registered)
        rk_info(NULL, "management has %s", r->terms.url);
    r->complained = false;
    set_registered(r, true);
}

static void speak(struct rk_registrar *r);

static void on_done(struct rk_grpc_client_call *c, int status, const char *message, void *arg)
{
    struct rk_registrar *r = arg;
    bool goodbye = r->goodbye;

    (void)c;
    r->call = NULL;
    if (status == RK_GRPC_OK && goodbye) {
        set_registered(r, false);
    } else if (status == RK_GRPC_OK) {
        taken(r);
    } else {
        refused(r, message);
        /* Whether it was lost, or does not answer: the next one may lead elsewhere. */
        if (r->client && (status == RK_GRPC_UNAVAILABLE || status == RK_GRPC_DEADLINE_EXCEEDED)) {
            r->dropped = true;
            rk_grpc_client_close(r->client);
        }
    }
    if (goodbye)
        have_left(r);
    else if (r->leaving && r->client && !r->dropped && !r->closing)
        speak(r);
}

/* Empty, by which it is known that the claim was taken. */
static void on_message(struct rk_grpc_client_call *c, struct rk_str message, void *arg)
{
    (void)c;
    (void)message;
    (void)arg;
}

static void on_client_closed(struct rk_grpc_client *c, const char *why, void *arg)
{
    struct rk_registrar *r = arg;

    (void)c;
    (void)why;
    r->client = NULL;
    r->dropped = false;
    if (r->closing)
        free_when_closed(r);
    else
        rk_timer_start(&r->tick, AGAIN_MS, RK_EDGE_RENEW_MS);
}

static const struct rk_grpc_client_ops call_ops = { .on_message = on_message, .on_done = on_done };

/* --- a call --- */

static void speak(struct rk_registrar *r)
{
    const struct rk_registrar_terms *t = &r->terms;
    struct rk_claim claim = { .url = t->url,
                              .who = r->who,
                              .region = t->cfg->region ? t->cfg->region : "",
                              .at = r->at,
                              .capacity = t->capacity,
                              .load = t->load ? t->load(t->arg) : 0,
                              .leaving = r->leaving,
                              .said_us = rk_wall_us() };
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, RK_CLAIM_MAX * 2);
    rk_claim_seal(&r->key, &claim, &b);
    r->goodbye = r->leaving;
    r->call = rk_grpc_call(r->client, RK_EDGE_METHOD, NULL, NULL, CALL_MS, &call_ops, r);
    rk_grpc_call_send(r->call, rk_buf_str(&b), true);
}

static void dial(struct rk_registrar *r, const struct addrinfo *found)
{
    const struct addrinfo *one = found;
    struct rk_addr addr = { 0 };
    struct rk_err err = { 0 };
    unsigned count = 0;

    for (const struct addrinfo *i = found; i; i = i->ai_next)
        count++;
    for (unsigned i = r->attempts++ % count; i > 0; i--)
        one = one->ai_next;
    memcpy(&addr.ss, one->ai_addr, one->ai_addrlen);
    addr.len = one->ai_addrlen;
    if (rk_grpc_client_new(r->loop, &addr, r->tls, r->authority, on_client_closed, r, &r->client,
                           &err) < 0)
        refused(r, err.msg);
    else
        speak(r);
}

static void on_found(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct rk_registrar *r = lookup->data;

    r->looking = false;
    if (r->closing)
        free_when_closed(r);
    else if (status < 0 || !found)
        refused(r, status < 0 ? uv_strerror(status) : "no such host");
    else
        dial(r, found);
    uv_freeaddrinfo(found);
}

static void on_tick(struct rk_timer *t)
{
    struct rk_registrar *r = rk_container_of(t, struct rk_registrar, tick);
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    if (r->call || r->looking || r->dropped)
        return;
    if (r->client) {
        speak(r);
        return;
    }
    r->lookup.data = r;
    r->looking =
        uv_getaddrinfo(rk_loop_uv(r->loop), &r->lookup, on_found, r->host, r->port, &hints) == 0;
}

/* --- life --- */

static int aim(struct rk_registrar *r, struct rk_err *err)
{
    const struct rk_edge_config *cfg = r->terms.cfg;
    struct rk_str scheme, host;
    uint16_t port;
    bool six;
    int x;

    x = rk_position_parse(rk_str(cfg->region_at), &r->at, err);
    if (x == 0)
        x = rk_url_parse(rk_str(cfg->management_url), &scheme, &host, &port, err);
    if (x < 0)
        return x;
    six = memchr(host.p, ':', host.n) != NULL;
    r->host = rk_strndup(host.p, host.n);
    r->authority = rk_asprintf(six ? "[%s]:%u" : "%s:%u", r->host, port);
    (void)snprintf(r->port, sizeof(r->port), "%u", port);
    if (!rk_str_eq(scheme, RK_STR("https")))
        return 0;
    return rk_tls_client_new(r->loop, *cfg->management_ca_file ? cfg->management_ca_file : NULL,
                             "\x02h2", &r->tls, err);
}

int rk_registrar_new(struct rk_loop *l,
                     const struct rk_registrar_terms *terms,
                     struct rk_registrar **out,
                     struct rk_err *err)
{
    struct rk_registrar *r = rk_new(struct rk_registrar);
    int x = 0;

    r->loop = l;
    r->terms = *terms;
    r->terms.relay_secret = NULL;
    r->on = terms->cfg->management_url && *terms->cfg->management_url;
    if (r->on)
        x = aim(r, err);
    if (x < 0) {
        r->closing = true;
        free_when_closed(r);
        return x;
    }
    r->left.run = run_left;
    rk_list_init(&r->left.node);
    rk_timer_init(l, &r->tick, on_tick);
    rk_timer_init(l, &r->limit, on_limit);
    r->timers = 2;
    if (r->on) {
        rk_random(&r->who, sizeof(r->who));
        rk_claim_key_init(&r->key, rk_str(terms->relay_secret));
        rk_timer_start(&r->tick, 0, RK_EDGE_RENEW_MS);
    }
    *out = r;
    return 0;
}

void rk_registrar_leave(struct rk_registrar *r, void (*on_left)(void *arg), void *arg)
{
    r->on_left = on_left;
    r->left_arg = arg;
    r->leaving = true;
    if (!r->registered) { /* nobody has it on a list, or nobody can be told */
        rk_loop_defer(r->loop, &r->left);
        return;
    }
    rk_timer_start(&r->limit, LEAVE_MS, 0);
    rk_timer_start(&r->tick, 0, RK_EDGE_RENEW_MS); /* unless a call is under way: then after it */
}

static void on_timer_closed(struct rk_registrar *r)
{
    r->timers--;
    free_when_closed(r);
}

static void on_tick_closed(struct rk_timer *t)
{
    on_timer_closed(rk_container_of(t, struct rk_registrar, tick));
}

static void on_limit_closed(struct rk_timer *t)
{
    on_timer_closed(rk_container_of(t, struct rk_registrar, limit));
}

void rk_registrar_close(struct rk_registrar *r)
{
    if (!r)
        return;
    r->closing = true;
    r->on_left = NULL;
    rk_list_remove(&r->left.node);
    rk_timer_close(&r->tick, on_tick_closed);
    rk_timer_close(&r->limit, on_limit_closed);
    if (r->client)
        rk_grpc_client_close(r->client);
    if (r->looking)
        (void)uv_cancel((uv_req_t *)&r->lookup);
}
