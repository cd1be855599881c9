#include "services/signal/router/router.h"

/*
 * Epochs come from Redis: microseconds of its clock, kept strictly rising by `rk:sig:epoch`, so
 * that they stay comparable with the local hybrid clock that stands in while Redis is away. That
 * one may be ahead, and refreshing writes its epochs down: a registration goes above the entry it
 * replaces, too. It waits at most a second.
 *
 * Bus message: kind u8 ('M' frame, 'R' frame returned, 'E' superseded) | flags u8 | node length u8
 * | sender's node | key length u8 | key | rest: the frame, or the decimal epoch, '|' and where the
 * newer stream comes from. An owner that does not have the key returns the frame once, and one that
 * is gone takes none: the sender forgets the owner, looks again, and marks the second try, which is
 * the last.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/cursor.h"
#include "libcommon/base/id.h"
#include "libcommon/base/map.h"
#include "libcommon/rds/rds.h"
#include "services/signal/message/message.h"
#include "services/signal/metrics.h"
#include "services/signal/registry/registry.h"

#define TTL_MS "10000"
#define REGISTER_WAIT_MS 1000
#define TICK_MS 100
#define CACHE_MAX 65536
#define CACHE_MS 30000
#define LOOKUPS_MAX 16384
#define REFRESH_BATCH 128
#define NODE_LEN RK_XID_LEN
#define FLAG_LAST_TRY 1

static const char register_script[] =
    "local t=redis.call('TIME') local e=tonumber(redis.call('GET',KEYS[2]) or '0')+1 "
    "local n=t[1]*1000000+t[2] if n>e then e=n end local old=redis.call('GET',KEYS[1]) "
    "local o=old and tonumber(string.match(old,'^%d+')) if o and o>=e then e=o+1 end "
    "local s=string.format('%.0f',e) redis.call('SET',KEYS[2],s) "
    "redis.call('SET',KEYS[1],s..'|'..ARGV[1],'PX'," TTL_MS ") return {s,old or ''}";

/* For each key: ours, older or gone is written again; a newer entry is reported as {index, epoch}.
 */
static const char refresh_script[] =
    "local out={} for i,k in ipairs(KEYS) do local v=redis.call('GET',k) local mine=ARGV[i+1] "
    "local e=v and tonumber(string.match(v,'^%d+')) if e and e>tonumber(mine) then "
    "out[#out+1]=tostring(i) out[#out+1]=string.match(v,'^%d+') else "
    "redis.call('SET',k,mine..'|'..ARGV[1],'PX'," TTL_MS ") end end return out";

static const char delete_script[] =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

struct owner {
    uint64_t until_ms;
    uint8_t key_n;
    char key[SIGNAL_MAX_KEY];
    char value[NODE_LEN + 24]; /* "<epoch>|<node>" as stored */
};

struct lookup {
    struct router *router;
    struct fifo fifo;
    bool last_try;
    uint8_t key_n;
    char key[SIGNAL_MAX_KEY];
};

struct router {
    struct rk_loop *loop;
    struct rk_rds *rds;
    struct fifo_budget *budget;
    struct router_ops ops;
    void *arg;
    struct rk_timer tick;
    struct rk_list pending; /* streams whose registration is on the way, oldest first */
    struct rk_map *owners;
    struct rk_map *lookups; /* in flight */
    uint64_t last_epoch;
    uint64_t started_ms;
    bool was_up;
    unsigned closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
    char node[NODE_LEN + 1];
};

struct registering {
    struct router *router;
    struct stream *stream;
};

struct publishing {
    struct router *router;
    struct rk_bytes *frame; /* counted in the budget */
    uint8_t flags;
    struct owner owner;
};

struct batch {
    struct router *router;
    size_t n;
    struct {
        uint8_t key_n;
        char key[SIGNAL_MAX_KEY];
    } keys[REFRESH_BATCH];
};

static const char *key_prefix(const struct router *r)
{
    return rk_rds_clustered(r->rds) ? "rk:" RK_RDS_TAG ":" : "rk:sig:";
}

static struct rk_str
entry_name(const struct router *r, struct rk_str key, char out[SIGNAL_MAX_KEY + 16])
{
    int n = snprintf(out, SIGNAL_MAX_KEY + 16, "%speer:", key_prefix(r));

    memcpy(out + n, key.p, key.n);
    return rk_strn(out, (size_t)n + key.n);
}

static void see_epoch(struct router *r, uint64_t epoch)
{
    if (epoch > r->last_epoch)
        r->last_epoch = epoch;
}

/* A new local epoch, above every one seen. */
static uint64_t local_epoch(struct router *r)
{
    uint64_t now = (uint64_t)rk_wall_us();

    r->last_epoch = now > r->last_epoch ? now : r->last_epoch + 1;
    return r->last_epoch;
}

/* --- the bus --- */

static void head(struct router *r, struct rk_buf *out, char kind, uint8_t flags, struct rk_str key)
{
    rk_buf_init(out, SIGNAL_MAX_MESSAGE + 1024);
    rk_buf_put_u8(out, (uint8_t)kind);
    rk_buf_put_u8(out, flags);
    rk_buf_put_u8(out, NODE_LEN);
    rk_buf_put(out, r->node, NODE_LEN);
    rk_buf_put_u8(out, (uint8_t)key.n);
    rk_buf_put_str(out, key);
}

static void channel_of(struct rk_str node, char out[64])
{
    (void)snprintf(out, 64, "rk:sig:node:%.*s", RK_STR_FMT(node));
}

static struct rk_str node_of(struct rk_str value)
{
    struct rk_str epoch;

    (void)rk_str_next(&value, '|', &epoch);
    return value.p ? value : RK_STR("");
}

static void forget_owner(struct router *r, struct rk_str key)
{
    free(rk_map_del(r->owners, key));
}

static void delete_entry(struct router *r, struct rk_str key, struct rk_str value)
{
    char name[SIGNAL_MAX_KEY + 16];

    rk_rds_run(r->rds, NULL, NULL, RK_STR("EVAL"), RK_STR(delete_script), RK_STR("1"),
               entry_name(r, key, name), value);
}

static void look_up(struct router *r, struct rk_str key, struct rk_bytes *frame, bool last_try);

static void on_published(const struct rk_rds_reply *reply, void *arg)
{
    struct publishing *w = arg;
    struct router *r = w->router;
    struct rk_str key = rk_strn(w->owner.key, w->owner.key_n);

    r->budget->bytes -= w->frame->n;
    if (reply->code < 0) {
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_ERROR);
    } else if (reply->integer == 0) {
        /* Nobody listens there: that replica is gone, and so is what it had. */
        forget_owner(r, key);
        delete_entry(r, key, rk_str(w->owner.value));
        if (w->flags & FLAG_LAST_TRY)
            signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_NOT_CONNECTED);
        else
            look_up(r, key, w->frame, true); /* its agents may be elsewhere already */
    }
    rk_bytes_unref(w->frame);
    free(w);
}

static void
publish_frame(struct router *r, const struct owner *o, uint8_t flags, struct rk_bytes *f)
{
    rk_auto(rk_buf_done) struct rk_buf out = { 0 }; /* not all ways out have set it up */
    struct publishing *w;
    char channel[64];

    if (f->n > r->budget->max_bytes - r->budget->bytes) {
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_OVERFLOW);
        return;
    }
    w = rk_new(struct publishing);
    w->router = r;
    w->owner = *o;
    w->flags = flags;
    w->frame = rk_bytes_ref(f);
    r->budget->bytes += f->n;
    head(r, &out, 'M', flags, rk_strn(o->key, o->key_n));
    rk_buf_put(&out, f->p, f->n);
    channel_of(node_of(rk_str(o->value)), channel);
    signal_count_at(SIGNAL_BUS_MESSAGES, 0);
    rk_rds_run(r->rds, on_published, w, RK_STR("PUBLISH"), rk_str(channel), rk_buf_str(&out));
}

static void
tell_superseded(struct router *r, struct rk_str node, const struct stream *s, uint64_t epoch)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    char channel[64];

    head(r, &out, 'E', 0, stream_key(s));
    rk_buf_printf(&out, "%" PRIu64 "|", epoch);
    rk_buf_put(&out, s->source.b, SOURCE_LEN);
    channel_of(node, channel);
    rk_rds_publish(r->rds, channel, rk_buf_str(&out));
}

/* --- finding the owner --- */

static void remember_owner(struct router *r, const struct owner *o)
{
    struct owner *copy;

    forget_owner(r, rk_strn(o->key, o->key_n));
    if (rk_map_count(r->owners) >= CACHE_MAX) { /* start over: one lookup a key rebuilds it */
        size_t it = 0;
        void *v;

        while (rk_map_each(r->owners, &it, &v))
            forget_owner(r, rk_strn(((struct owner *)v)->key, ((struct owner *)v)->key_n));
    }
    copy = rk_memdup(o, sizeof(*o));
    (void)rk_map_put(r->owners, rk_strn(copy->key, copy->key_n), copy);
}

static void on_found(const struct rk_rds_reply *reply, void *arg)
{
    struct lookup *q = arg;
    struct router *r = q->router;
    struct owner o = { .until_ms = rk_mono_ms() + CACHE_MS, .key_n = q->key_n };
    struct rk_str key = rk_strn(q->key, q->key_n);
    struct rk_bytes *f;
    unsigned expired = 0;
    uint64_t waited;
    bool elsewhere;

    (void)rk_map_del(r->lookups, key);
    memcpy(o.key, q->key, q->key_n);
    elsewhere = reply->code == 0 && !reply->nil &&
                rk_str_copy(reply->str, o.value, sizeof(o.value)) &&
                node_of(rk_str(o.value)).n == NODE_LEN &&
                !rk_str_eq(node_of(rk_str(o.value)), rk_str(r->node));
    if (elsewhere)
        remember_owner(r, &o);
    while ((f = fifo_pop(&q->fifo, rk_mono_ms(), &expired, &waited))) {
        if (elsewhere)
            publish_frame(r, &o, q->last_try ? FLAG_LAST_TRY : 0, f);
        else if (!r->ops.on_frame(key, f, r->arg)) /* it may have come here meanwhile */
            signal_count_at(SIGNAL_FORWARD_FAILURES,
                            reply->code < 0 ? SIGNAL_FAIL_ERROR : SIGNAL_FAIL_NOT_CONNECTED);
        rk_bytes_unref(f);
    }
    fifo_done(&q->fifo);
    free(q);
}

static void look_up(struct router *r, struct rk_str key, struct rk_bytes *frame, bool last_try)
{
    struct lookup *q = rk_map_get(r->lookups, key);
    char name[SIGNAL_MAX_KEY + 16];

    if (!rk_rds_up(r->rds) || (!q && rk_map_count(r->lookups) >= LOOKUPS_MAX)) {
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_NOT_CONNECTED);
        return;
    }
    if (!q) {
        q = rk_new(struct lookup);
        q->router = r;
        q->key_n = (uint8_t)key.n;
        memcpy(q->key, key.p, key.n);
        fifo_init(&q->fifo, r->budget);
        (void)rk_map_put(r->lookups, rk_strn(q->key, q->key_n), q);
        rk_rds_run(r->rds, on_found, q, RK_STR("GET"), entry_name(r, key, name));
    }
    q->last_try = q->last_try || last_try;
    if (!fifo_push(&q->fifo, frame, rk_mono_ms()))
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_OVERFLOW);
}

void router_forward(struct router *r, struct rk_str key, struct rk_bytes *frame)
{
    struct owner *o;

    if (key.n == 0 || key.n > SIGNAL_MAX_KEY) {
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_NOT_CONNECTED);
        return;
    }
    o = rk_map_get(r->owners, key);
    if (o && o->until_ms > rk_mono_ms() && rk_rds_up(r->rds))
        publish_frame(r, o, 0, frame);
    else
        look_up(r, key, frame, false);
}

static void
return_frame(struct router *r, struct rk_str node, struct rk_str key, struct rk_str frame)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    char channel[64];

    head(r, &out, 'R', 0, key);
    rk_buf_put_str(&out, frame);
    channel_of(node, channel);
    signal_count_at(SIGNAL_BUS_MESSAGES, 2);
    rk_rds_publish(r->rds, channel, rk_buf_str(&out));
}

/* `node` has the key now. Remembered: our own, older registration may still be on its way. */
static void superseded(struct router *r, struct rk_str node, struct rk_str key, struct rk_str rest)
{
    struct owner o = { .until_ms = rk_mono_ms() + CACHE_MS, .key_n = (uint8_t)key.n };
    struct source source = { { 0 } };
    struct rk_str text;
    uint64_t epoch;

    if (!rk_str_next(&rest, '|', &text) || !rk_str_u64(text, &epoch))
        return;
    if (rest.n == SOURCE_LEN)
        memcpy(source.b, rest.p, SOURCE_LEN);
    see_epoch(r, epoch);
    memcpy(o.key, key.p, key.n);
    (void)snprintf(o.value, sizeof(o.value), "%" PRIu64 "|%.*s", epoch, RK_STR_FMT(node));
    remember_owner(r, &o);
    r->ops.on_superseded(key, epoch, &source, r->arg);
}

static void on_bus(struct rk_rds *rds, struct rk_str channel, struct rk_str payload, void *arg)
{
    struct rk_cursor c = rk_cursor(payload.p, payload.n);
    struct router *r = arg;
    uint8_t kind = rk_cursor_u8(&c), flags = rk_cursor_u8(&c);
    struct rk_str node = rk_cursor_take(&c, rk_cursor_u8(&c));
    struct rk_str key = rk_cursor_take(&c, rk_cursor_u8(&c));
    struct rk_str rest = rk_strn(c.p, c.n);
    struct rk_bytes *frame;

    (void)rds;
    (void)channel;
    if (c.bad || node.n != NODE_LEN || key.n == 0 || key.n > SIGNAL_MAX_KEY)
        return;
    if (kind == 'E') {
        superseded(r, node, key, rest);
        return;
    }
    if (rest.n < 5 || (kind != 'M' && kind != 'R'))
        return;
    signal_count_at(SIGNAL_BUS_MESSAGES, 1);
    frame = rk_bytes_copy(rest);
    if (!r->ops.on_frame(key, frame, r->arg)) {
        if (kind == 'R') {
            forget_owner(r, key);
            look_up(r, key, frame, true);
        } else if (flags & FLAG_LAST_TRY) {
            signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_NOT_CONNECTED);
        } else {
            return_frame(r, node, key, rest);
        }
    }
    rk_bytes_unref(frame);
}

/* --- registration --- */

static void registered(struct router *r, struct stream *s, uint64_t epoch)
{
    if (rk_list_empty(&s->pending))
        return; /* the wait was over already */
    rk_list_remove(&s->pending);
    r->ops.on_registered(s, epoch, r->arg);
}

/* The epoch of a registration elsewhere that was announced while ours was on its way; 0: none. */
static uint64_t announced_epoch(struct router *r, struct rk_str key)
{
    const struct owner *o = rk_map_get(r->owners, key);
    struct rk_str value, text;
    uint64_t epoch;

    if (!o || o->until_ms + 2 * REGISTER_WAIT_MS < rk_mono_ms() + CACHE_MS)
        return 0;
    value = rk_str(o->value);
    return rk_str_next(&value, '|', &text) && rk_str_u64(text, &epoch) ? epoch : 0;
}

static void on_register_reply(const struct rk_rds_reply *reply, void *arg)
{
    struct registering *w = arg;
    struct router *r = w->router;
    struct stream *s = w->stream;
    uint64_t epoch;

    if (reply->code == 0 && reply->n == 2 && rk_str_u64(reply->element[0].str, &epoch)) {
        struct rk_str old = node_of(reply->element[1].str);
        uint64_t newer = announced_epoch(r, stream_key(s));

        see_epoch(r, epoch);
        if (newer < epoch)
            forget_owner(r, stream_key(s));
        if (s->call && !s->ending && old.n == NODE_LEN && !rk_str_eq(old, rk_str(r->node)))
            tell_superseded(r, old, s, epoch);
        if (!s->call || s->ending) {
            router_unregister(r, stream_key(s), epoch); /* it left while we asked */
        } else if (!rk_list_empty(&s->pending)) {
            registered(r, s, epoch);
            if (newer > epoch)
                r->ops.on_superseded(stream_key(s), newer, &(struct source){ { 0 } }, r->arg);
        } else if (s->registered && epoch > s->epoch) {
            s->epoch = epoch; /* late answer: the stream went local after its wait */
        }
    } else {
        registered(r, s, local_epoch(r));
    }
    r->ops.on_reply_done(s, r->arg);
    free(w);
}

static void ask_to_register(struct router *r, struct stream *s)
{
    char name[SIGNAL_MAX_KEY + 16], epoch[24];
    struct registering *w = rk_new(struct registering);

    w->router = r;
    w->stream = s;
    s->replies++;
    (void)snprintf(epoch, sizeof(epoch), "%sepoch", key_prefix(r));
    rk_rds_run(r->rds, on_register_reply, w, RK_STR("EVAL"), RK_STR(register_script), RK_STR("2"),
               entry_name(r, stream_key(s), name), rk_str(epoch), rk_str(r->node));
}

/* A replica that has just started has not reached Redis yet: whoever comes first waits for it, as
 * he would wait for its answer. Later on, Redis is away. */
static bool is_starting(const struct router *r)
{
    return !r->was_up && rk_mono_ms() - r->started_ms < REGISTER_WAIT_MS;
}

void router_register(struct router *r, struct stream *s)
{
    s->registering_ms = rk_mono_ms();
    rk_list_append(&r->pending, &s->pending);
    if (rk_rds_up(r->rds))
        ask_to_register(r, s);
    else if (!is_starting(r))
        registered(r, s, local_epoch(r));
}

void router_unregister(struct router *r, struct rk_str key, uint64_t epoch)
{
    char value[NODE_LEN + 24];

    (void)snprintf(value, sizeof(value), "%" PRIu64 "|%s", epoch, r->node);
    if (rk_rds_up(r->rds))
        delete_entry(r, key, rk_str(value));
}

static void on_refreshed(const struct rk_rds_reply *reply, void *arg)
{
    static const struct source unknown;
    struct batch *b = arg;
    uint64_t index, epoch;

    for (size_t i = 0; reply->code == 0 && i + 1 < reply->n; i += 2) {
        if (!rk_str_u64(reply->element[i].str, &index) || index == 0 || index > b->n ||
            !rk_str_u64(reply->element[i + 1].str, &epoch))
            continue;
        see_epoch(b->router, epoch);
        b->router->ops.on_superseded(rk_strn(b->keys[index - 1].key, b->keys[index - 1].key_n),
                                     epoch, &unknown, b->router->arg);
    }
    free(b);
}

static void refresh_batch(struct router *r, struct stream *const *streams, size_t n)
{
    struct rk_str argv[3 + REFRESH_BATCH + 1 + REFRESH_BATCH];
    char names[REFRESH_BATCH][SIGNAL_MAX_KEY + 16], epochs[REFRESH_BATCH][24], count[24];
    struct batch *b = rk_new(struct batch);

    b->router = r;
    b->n = n;
    (void)snprintf(count, sizeof(count), "%zu", n);
    argv[0] = RK_STR("EVAL");
    argv[1] = RK_STR(refresh_script);
    argv[2] = rk_str(count);
    argv[3 + n] = rk_str(r->node);
    for (size_t i = 0; i < n; i++) {
        b->keys[i].key_n = streams[i]->key_n;
        memcpy(b->keys[i].key, streams[i]->key, streams[i]->key_n);
        (void)snprintf(epochs[i], sizeof(epochs[i]), "%" PRIu64, streams[i]->epoch);
        argv[3 + i] = entry_name(r, stream_key(streams[i]), names[i]);
        argv[4 + n + i] = rk_str(epochs[i]);
    }
    rk_rds_command(r->rds, argv, 4 + 2 * n, on_refreshed, b);
}

void router_refresh(struct router *r, struct stream *const *streams, size_t n)
{
    if (!rk_rds_up(r->rds))
        return;
    for (size_t i = 0; i < n; i += REFRESH_BATCH)
        refresh_batch(r, streams + i, n - i < REFRESH_BATCH ? n - i : REFRESH_BATCH);
}

/* --- life --- */

static void on_tick(struct rk_timer *t)
{
    struct router *r = rk_container_of(t, struct router, tick);
    uint64_t now = rk_mono_ms();

    while (!rk_list_empty(&r->pending)) {
        struct stream *s = rk_list_entry(r->pending.next, struct stream, pending);

        if (now - s->registering_ms < REGISTER_WAIT_MS)
            break;
        registered(r, s, local_epoch(r));
    }
}

static void on_up(struct rk_rds *rds, void *arg)
{
    struct router *r = arg;
    struct rk_list *n, *tmp;

    (void)rds;
    if (!r->was_up) { /* nobody has been asked for yet */
        rk_list_each(&r->pending, n, tmp)
            ask_to_register(r, rk_list_entry(n, struct stream, pending));
    }
    r->was_up = true;
    r->ops.on_up(true, r->arg);
}

static void on_down(struct rk_rds *rds, void *arg)
{
    struct router *r = arg;

    (void)rds;
    r->ops.on_up(false, r->arg);
}

int router_new(struct rk_loop *l,
               const struct rk_rds_config *redis,
               struct fifo_budget *budget,
               const struct router_ops *ops,
               void *arg,
               struct router **out,
               struct rk_err *err)
{
    static const struct rk_rds_ops rds_ops = { on_up, on_down, on_bus };
    struct router *r = rk_new(struct router);
    char channel[64];
    int code;

    r->loop = l;
    r->started_ms = rk_mono_ms();
    r->budget = budget;
    r->ops = *ops;
    r->arg = arg;
    rk_list_init(&r->pending);
    rk_xid_new(r->node);
    code = rk_rds_new(l, redis, &rds_ops, r, &r->rds, err);
    if (code < 0) {
        free(r);
        return code;
    }
    r->owners = rk_map_new();
    r->lookups = rk_map_new();
    channel_of(rk_str(r->node), channel);
    rk_rds_subscribe(r->rds, channel);
    rk_timer_init(l, &r->tick, on_tick);
    rk_timer_start(&r->tick, TICK_MS, TICK_MS);
    *out = r;
    return 0;
}

static void part_closed(struct router *r)
{
    size_t it = 0;
    void *v;

    if (--r->closing > 0)
        return;
    while (rk_map_each(r->owners, &it, &v))
        free(v);
    rk_map_free(r->owners);
    rk_map_free(r->lookups); /* empty: every lookup had its reply */
    r->on_closed(r->closed_arg);
    free(r);
}

static void on_timer_closed(struct rk_timer *t)
{
    part_closed(rk_container_of(t, struct router, tick));
}

static void on_rds_closed(void *arg)
{
    part_closed(arg);
}

void router_close(struct router *r, void (*on_closed)(void *arg), void *arg)
{
    r->on_closed = on_closed;
    r->closed_arg = arg;
    r->closing = 2;
    rk_timer_close(&r->tick, on_timer_closed);
    rk_rds_close(r->rds, on_rds_closed, r);
}
