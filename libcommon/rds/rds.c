/*
 * Redis: a connection for commands and one for subscriptions. Both are watched by one heartbeat: a
 * message published on the first to a channel of our own must arrive on the second, so a connection
 * that is dead without saying so is noticed too. Whatever is wrong with either, the pair is down;
 * each comes back by itself.
 */

#include "libcommon/rds/rds.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/id.h"
#include "libcommon/base/map.h"
#include "libcommon/obs/log.h"
#include "libcommon/rds/link.h"

#define MAX_PENDING 100000
#define MAX_NESTING 8
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
#define HEARTBEAT_MS 3000
#define CONNECT_BEATS 2 /* heartbeats a connect, and an answer, may take */

struct side {
    struct rk_rds *r;
    const char *name;
    redisAsyncContext *ac; /* NULL between connections */
    bool ready;            /* commands: answered PING; subscriptions: every channel confirmed */
    unsigned backoff_ms;
    unsigned silent_beats;
    struct rk_timer retry;
};

struct channel {
    bool wanted;
    bool confirmed;
    char name[];
};

struct rk_rds {
    struct rk_loop *loop;
    char *address;
    struct rk_rds_ops ops;
    void *arg;
    struct side cmd;
    struct side sub;
    struct rk_timer heartbeat;
    struct rk_map *channels;
    char own_channel[48];
    size_t pending;
    unsigned handles; /* timers and polls that still have to close */
    bool up;
    bool said_down;
    bool closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

static void side_connect(struct side *s);
static void on_sub_reply(redisAsyncContext *ac, void *reply, void *priv);

/* === State === */

static void handle_gone(void *arg)
{
    struct rk_rds *r = arg;
    size_t it = 0;
    void *ch;

    if (--r->handles > 0)
        return;
    while (rk_map_each(r->channels, &it, &ch))
        free(ch);
    rk_map_free(r->channels);
    free(r->address);
    if (r->on_closed)
        r->on_closed(r->closed_arg);
    free(r);
}

/* The one place where the pair goes up or down. */
static void judge(struct rk_rds *r, const char *why)
{
    bool up = r->cmd.ready && r->sub.ready;

    if (r->closing)
        return;
    if (!up && why[0] && !r->said_down) {
        r->said_down = true;
        rk_warn(NULL, "redis is away: %s; trying again until it is back", why);
    }
    if (up == r->up)
        return;
    r->up = up;
    if (!up) {
        if (r->ops.on_down)
            r->ops.on_down(r, r->arg);
        return;
    }
    if (r->said_down)
        rk_info(NULL, "redis is back");
    r->said_down = false;
    if (r->ops.on_up)
        r->ops.on_up(r, r->arg);
}

/* The context is gone, or about to be freed by hiredis itself. */
static void side_lost(struct side *s, const char *why)
{
    struct rk_rds *r = s->r;
    size_t it = 0;
    void *ch;

    s->ac = NULL;
    s->ready = false;
    s->silent_beats = 0;
    if (s == &r->sub) {
        while (rk_map_each(r->channels, &it, &ch))
            ((struct channel *)ch)->confirmed = false;
    }
    if (r->closing)
        return;
    s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (s->backoff_ms > BACKOFF_MAX_MS)
        s->backoff_ms = BACKOFF_MAX_MS;
    rk_timer_start(&s->retry, s->backoff_ms / 2 + rk_random_below(s->backoff_ms / 2 + 1), 0);
    judge(r, why);
}

/* We give up on it: hiredis answers every waiting command with NULL on the way. */
static void side_drop(struct side *s, const char *why)
{
    redisAsyncContext *ac = s->ac;

    if (!ac)
        return;
    side_lost(s, why);
    ac->data = NULL;
    redisAsyncFree(ac);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    struct side *s = ac->data;

    if (s && status != REDIS_OK)
        side_lost(s, ac->errstr);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    struct side *s = ac->data;

    (void)status;
    if (s)
        side_lost(s, ac->err ? ac->errstr : "connection closed");
}

static void on_retry(struct rk_timer *t)
{
    side_connect(rk_container_of(t, struct side, retry));
}

/* === Commands side === */

static void on_first_ping(redisAsyncContext *ac, void *reply, void *priv)
{
    const redisReply *p = reply;
    struct side *s = ac->data;

    (void)priv;
    if (!s || !p)
        return;
    if (p->type == REDIS_REPLY_ERROR) {
        side_drop(s, p->str); /* still loading its data, or wants a password */
        return;
    }
    s->ready = true;
    s->backoff_ms = 0;
    s->silent_beats = 0;
    judge(s->r, "");
}

static void on_beat_sent(redisAsyncContext *ac, void *reply, void *priv)
{
    struct side *s = ac->data;

    (void)priv;
    if (s && reply)
        s->silent_beats = 0;
}

/* === Subscriptions side === */

static void send_subscribe(struct side *s, const char *verb, const char *name)
{
    const char *argv[] = { verb, name };
    const size_t lens[] = { strlen(verb), strlen(name) };

    redisAsyncCommandArgv(s->ac, on_sub_reply, NULL, 2, argv, lens);
}

static bool all_confirmed(const struct rk_rds *r)
{
    size_t it = 0;
    void *p;

    while (rk_map_each(r->channels, &it, &p)) {
        const struct channel *ch = p;

        if (ch->wanted && !ch->confirmed)
            return false;
    }
    return true;
}

static void on_confirmed(struct side *s, struct rk_str name)
{
    struct channel *ch = rk_map_get(s->r->channels, name);

    if (ch)
        ch->confirmed = true;
    s->silent_beats = 0;
    if (s->ready || !all_confirmed(s->r))
        return;
    s->ready = true;
    s->backoff_ms = 0;
    judge(s->r, "");
}

static void on_sub_reply(redisAsyncContext *ac, void *reply, void *priv)
{
    const redisReply *p = reply;
    struct side *s = ac->data;
    struct rk_str kind, name;

    (void)priv;
    if (!s || !p)
        return;
    if (p->type == REDIS_REPLY_ERROR) {
        side_drop(s, p->str);
        return;
    }
    if (p->type != REDIS_REPLY_ARRAY || p->elements < 3 || !p->element[0]->str ||
        !p->element[1]->str)
        return;
    kind = rk_strn(p->element[0]->str, p->element[0]->len);
    name = rk_strn(p->element[1]->str, p->element[1]->len);
    if (rk_str_eq(kind, RK_STR("subscribe"))) {
        on_confirmed(s, name);
    } else if (rk_str_eq(kind, RK_STR("message")) && p->element[2]->str) {
        struct channel *ch = rk_map_get(s->r->channels, name);

        s->silent_beats = 0;
        if (ch && ch->wanted && !rk_str_eq(name, rk_str(s->r->own_channel)) && s->r->ops.on_message)
            s->r->ops.on_message(s->r, name, rk_strn(p->element[2]->str, p->element[2]->len),
                                 s->r->arg);
    }
}

/* === Connecting === */

static redisAsyncContext *dial(const char *address)
{
    struct rk_str rest = rk_str(address), part;
    char host[64];
    uint64_t port;
    size_t colon = rest.n;

    if (rk_str_starts(rest, RK_STR("unix:")))
        return redisAsyncConnectUnix(address + 5);
    while (colon > 0 && rest.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return NULL;
    part = rk_strn(rest.p, colon - 1);
    if (part.n > 2 && part.p[0] == '[' && part.p[part.n - 1] == ']')
        part = rk_strn(part.p + 1, part.n - 2);
    if (!rk_str_copy(rk_str_eq(part, RK_STR("localhost")) ? RK_STR("127.0.0.1") : part, host,
                     sizeof(host)) ||
        !host[0] || !rk_str_u64(rk_strn(rest.p + colon, rest.n - colon), &port) || port == 0 ||
        port > 65535)
        return NULL;
    return redisAsyncConnect(host, (int)port);
}

static void start_talking(struct side *s)
{
    size_t it = 0;
    void *ch;

    if (s == &s->r->cmd) {
        redisAsyncCommand(s->ac, on_first_ping, NULL, "PING");
        return;
    }
    while (rk_map_each(s->r->channels, &it, &ch)) {
        if (((struct channel *)ch)->wanted)
            send_subscribe(s, "SUBSCRIBE", ((struct channel *)ch)->name);
    }
}

static void side_connect(struct side *s)
{
    redisAsyncContext *ac = dial(s->r->address);

    if (!ac || ac->err || link_attach(s->r->loop, ac, handle_gone, s->r) < 0) {
        char why[128];

        snprintf(why, sizeof(why), "%s", ac ? ac->errstr : "out of memory");
        if (ac)
            redisAsyncFree(ac);
        side_lost(s, why);
        return;
    }
    s->r->handles++;
    s->ac = ac;
    ac->data = s;
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    start_talking(s);
}

/* Counts the silence of a connection; every sign of life sets it to 0. */
static void beat_side(struct side *s)
{
    if (s->ac && ++s->silent_beats > CONNECT_BEATS)
        side_drop(s, "no answer");
}

static void on_heartbeat(struct rk_timer *t)
{
    struct rk_rds *r = rk_container_of(t, struct rk_rds, heartbeat);

    beat_side(&r->cmd);
    beat_side(&r->sub);
    if (r->cmd.ac && r->cmd.ready)
        redisAsyncCommand(r->cmd.ac, on_beat_sent, NULL, "PUBLISH %s beat", r->own_channel);
    else
        r->sub.silent_beats =
            r->sub.ready ? 0 : r->sub.silent_beats; /* nobody can send it a beat */
}

static void side_init(struct side *s, struct rk_rds *r, const char *name)
{
    s->r = r;
    s->name = name;
    rk_timer_init(r->loop, &s->retry, on_retry);
    r->handles++;
}

int rk_rds_new(struct rk_loop *l,
               const char *address,
               const struct rk_rds_ops *ops,
               void *arg,
               struct rk_rds **out,
               struct rk_err *err)
{
    struct rk_rds *r;
    redisAsyncContext *probe = NULL;
    uint8_t id[8];

    /* Only the form of the address is judged here; whether anyone answers is seen later. */
    if (!rk_str_starts(rk_str(address), RK_STR("unix:"))) {
        probe = dial(address);
        if (!probe)
            return rk_fail(err, RK_INVALID,
                           "redis address \"%s\" is neither unix:/path nor host:port", address);
        redisAsyncFree(probe);
    }
    r = rk_new(struct rk_rds);
    r->loop = l;
    r->address = rk_strdup(address);
    r->ops = *ops;
    r->arg = arg;
    r->channels = rk_map_new();
    rk_random(id, sizeof(id));
    snprintf(r->own_channel, sizeof(r->own_channel), "rk:beat:%02x%02x%02x%02x%02x%02x%02x%02x",
             id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]);
    side_init(&r->cmd, r, "commands");
    side_init(&r->sub, r, "subscriptions");
    rk_timer_init(l, &r->heartbeat, on_heartbeat);
    r->handles++;
    rk_timer_start(&r->heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
    rk_rds_subscribe(r, r->own_channel);
    /* On the next turn, so that no callback comes before the caller holds *out. */
    rk_timer_start(&r->cmd.retry, 0, 0);
    rk_timer_start(&r->sub.retry, 0, 0);
    *out = r;
    return 0;
}

static void retry_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct side, retry)->r);
}

static void heartbeat_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct rk_rds, heartbeat));
}

void rk_rds_close(struct rk_rds *r, void (*on_closed)(void *arg), void *arg)
{
    if (!r || r->closing)
        return;
    r->closing = true;
    r->up = false;
    r->on_closed = on_closed;
    r->closed_arg = arg;
    side_drop(&r->cmd, "closing");
    side_drop(&r->sub, "closing");
    rk_timer_close(&r->cmd.retry, retry_closed);
    rk_timer_close(&r->sub.retry, retry_closed);
    rk_timer_close(&r->heartbeat, heartbeat_closed);
}

bool rk_rds_up(const struct rk_rds *r)
{
    return r->up;
}

/* === Public: channels === */

void rk_rds_subscribe(struct rk_rds *r, const char *channel)
{
    size_t n = strlen(channel);
    struct channel *ch = rk_map_get(r->channels, rk_strn(channel, n));

    if (ch && ch->wanted)
        return;
    if (!ch) {
        ch = rk_zalloc(sizeof(*ch) + n + 1);
        memcpy(ch->name, channel, n);
        rk_map_put(r->channels, rk_strn(ch->name, n), ch);
    }
    ch->wanted = true;
    ch->confirmed = false;
    if (r->sub.ac)
        send_subscribe(&r->sub, "SUBSCRIBE", ch->name);
}

/* === Public: commands === */

struct waiting {
    struct rk_task task; /* a refused command answers on the next turn */
    struct rk_rds *r;
    rk_rds_reply_fn *on_reply;
    void *arg;
};

/* Copies the shape of a reply; strings stay hiredis's. */
static void convert(const redisReply *p, struct rk_rds_reply *out, unsigned depth)
{
    size_t i;
    struct rk_rds_reply *elements;

    *out = (struct rk_rds_reply){ .nil = p->type == REDIS_REPLY_NIL, .integer = p->integer };
    if (p->type == REDIS_REPLY_ERROR)
        out->code = RK_INTERNAL;
    if (p->type == REDIS_REPLY_STRING || p->type == REDIS_REPLY_STATUS ||
        p->type == REDIS_REPLY_ERROR)
        out->str = rk_strn(p->str, p->len);
    if (p->type != REDIS_REPLY_ARRAY || depth == MAX_NESTING || p->elements == 0)
        return;
    elements = rk_new_array(struct rk_rds_reply, p->elements);
    for (i = 0; i < p->elements; i++)
        convert(p->element[i], &elements[i], depth + 1);
    out->element = elements;
    out->n = p->elements;
}

static void reply_done(const struct rk_rds_reply *reply)
{
    size_t i;

    for (i = 0; i < reply->n; i++)
        reply_done(&reply->element[i]);
    rk_free((void *)(uintptr_t)reply->element);
}

static void on_command_reply(redisAsyncContext *ac, void *reply, void *priv)
{
    struct waiting *w = priv;
    struct rk_rds_reply out = { .code = RK_UNAVAILABLE };

    w->r->pending--;
    if (ac->data)
        ((struct side *)ac->data)->silent_beats = 0;
    if (reply)
        convert(reply, &out, 0);
    if (w->on_reply)
        w->on_reply(&out, w->arg);
    reply_done(&out);
    free(w);
}

static void on_refused(struct rk_task *t)
{
    struct waiting *w = rk_container_of(t, struct waiting, task);
    const struct rk_rds_reply out = { .code = RK_UNAVAILABLE };

    w->on_reply(&out, w->arg);
    free(w);
}

void rk_rds_command(
    struct rk_rds *r, const struct rk_str *argv, size_t argc, rk_rds_reply_fn *on_reply, void *arg)
{
    struct waiting *w = rk_new(struct waiting);
    const char **p = rk_new_array(const char *, argc);
    size_t *n = rk_new_array(size_t, argc);
    bool taken = false;
    size_t i;

    *w = (struct waiting){ .r = r, .on_reply = on_reply, .arg = arg };
    for (i = 0; i < argc; i++) {
        p[i] = argv[i].n ? argv[i].p : "";
        n[i] = argv[i].n;
    }
    if (!r->closing && r->cmd.ac && r->cmd.ready && r->pending < MAX_PENDING) {
        r->pending++; /* the reply may not come before this returns, but a failure must find it
                         counted */
        taken = redisAsyncCommandArgv(r->cmd.ac, on_command_reply, w, (int)argc, p, n) == REDIS_OK;
        if (!taken)
            r->pending--;
    }
    free(p);
    free(n);
    if (taken)
        return;
    if (!on_reply) {
        free(w);
        return;
    }
    w->task.run = on_refused;
    rk_loop_defer(r->loop, &w->task);
}

void rk_rds_publish(struct rk_rds *r, const char *channel, struct rk_str payload)
{
    rk_rds_run(r, NULL, NULL, RK_STR("PUBLISH"), rk_str(channel), payload);
}
