/*
 * Redis: a connection for commands and one for subscriptions. Both are watched by one heartbeat: a
 * message published on the first to a channel of our own must arrive on the second, so a connection
 * that is dead without saying so is noticed too. Whatever is wrong with either, the pair is down;
 * each comes back by itself.
 *
 * With Sentinels the address is theirs to say. They are asked anew whenever a connection is lost,
 * and listened to all the time: when they tell of a failover, both connections move at once.
 *
 * A Redis Cluster is the same with its nodes for Sentinels: what we keep is so little that all of
 * it has one slot, whose master is the server. Classic channels are the whole cluster's; that all
 * of us are at one node makes the count of receivers that PUBLISH returns right.
 *
 * A command that the server refuses because the key is, or will be, another one's was not run. It
 * is put off and asked again, of whoever is the master then: while a slot is moved, which takes as
 * long as its keys, commands wait instead of failing. To follow ASK to the slot's next master would
 * be no help to scripts, which want all their keys in one place.
 */

#include "libcommon/rds/rds.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/list.h"
#include "libcommon/base/map.h"
#include "libcommon/obs/log.h"
#include "libcommon/rds/guide.h"
#include "libcommon/rds/wire.h"

#define MAX_PENDING 100000
#define MAX_NESTING 8
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
#define HEARTBEAT_MS 3000
#define CONNECT_BEATS 2 /* heartbeats a connect, and an answer, may take */
#define AGAIN_MS 100
#define PUT_OFF_MS 3000 /* from the first refusal on */

struct side {
    struct rk_rds *r;
    struct wire *wire; /* NULL between connections */
    bool talking;      /* let in, and the server is the one it should be */
    bool ready;        /* commands: answered PING; subscriptions: every channel confirmed */
    bool refuses;      /* it is not the master any more, and is left on the next turn of `again` */
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
    struct wire_door door;
    char *address;         /* NULL: no guide has told yet */
    struct guides *guides; /* NULL: the address is fixed */
    bool clustered;
    struct rk_rds_ops ops;
    void *arg;
    struct side cmd;
    struct side sub;
    struct rk_timer heartbeat;
    struct rk_timer again;  /* runs while anybody waits for it */
    struct rk_list put_off; /* commands, counted in `pending` */
    struct rk_map *channels;
    char own_channel[48];
    size_t pending;
    unsigned handles; /* timers, wires and guides that still have to close */
    bool up;
    bool said_down;
    char why[128];
    bool closing;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

static void side_connect(struct side *s);

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
    if (why[0])
        (void)snprintf(r->why, sizeof(r->why), "%s", why);
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
        rk_info(NULL, "redis is back at %s", r->address);
    r->said_down = false;
    if (r->ops.on_up)
        r->ops.on_up(r, r->arg);
}

static void side_reset(struct side *s)
{
    size_t it = 0;
    void *ch;

    s->wire = NULL;
    s->talking = false;
    s->ready = false;
    s->refuses = false;
    s->silent_beats = 0;
    if (s != &s->r->sub)
        return;
    while (rk_map_each(s->r->channels, &it, &ch))
        ((struct channel *)ch)->confirmed = false;
}

static void connect_later(struct side *s)
{
    rk_timer_start(&s->retry, s->backoff_ms / 2 + rk_random_below(s->backoff_ms / 2 + 1), 0);
}

static void side_lost(struct side *s, const char *why)
{
    struct rk_rds *r = s->r;

    side_reset(s);
    if (r->closing)
        return;
    s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (s->backoff_ms > BACKOFF_MAX_MS)
        s->backoff_ms = BACKOFF_MAX_MS;
    connect_later(s);
    judge(r, why);
    if (r->guides)
        guides_ask(r->guides);
}

/* We give up on it: every waiting command is answered on the way. */
static void side_drop(struct side *s, const char *why)
{
    struct wire *w = rk_steal(s->wire);

    if (!w)
        return;
    side_lost(s, why);
    wire_close(w);
}

static void on_retry(struct rk_timer *t)
{
    side_connect(rk_container_of(t, struct side, retry));
}

/* === Commands side === */

static void on_first_ping(const redisReply *said, void *arg)
{
    struct side *s = arg;

    if (!said)
        return;
    if (said->type == REDIS_REPLY_ERROR) {
        side_drop(s, said->str); /* still loading its data, or wants a password */
        return;
    }
    s->ready = true;
    s->backoff_ms = 0;
    s->silent_beats = 0;
    judge(s->r, "");
}

static void on_beat_sent(const redisReply *said, void *arg)
{
    if (said)
        ((struct side *)arg)->silent_beats = 0;
}

static bool says(const redisReply *said, const char *error)
{
    return said->type == REDIS_REPLY_ERROR &&
           rk_str_starts(rk_strn(said->str, said->len), rk_str(error));
}

/* The master of a slot that is being moved says so of keys of which all, or some, are not there:
 * they have left already, or never were. */
static bool is_leaving(const redisReply *said)
{
    return says(said, "ASK ") || says(said, "TRYAGAIN ");
}

static bool is_elsewhere(const redisReply *said)
{
    return says(said, "MOVED ") || says(said, "CLUSTERDOWN ") || says(said, "READONLY ");
}

struct waiting {
    struct rk_task task; /* a refused command answers on the next turn */
    struct rk_rds *r;
    rk_rds_reply_fn *on_reply;
    void *arg;
    struct rk_list put_off;
    uint64_t until_ms; /* no longer put off; 0 before the first time */
    size_t argc;       /* 0: is not asked again */
    struct rk_str argv[];
};

/* Only guides tell of another master, and what is published is anybody's to take. */
static struct waiting *waiting_new(
    struct rk_rds *r, const struct rk_str *argv, size_t argc, rk_rds_reply_fn *on_reply, void *arg)
{
    size_t kept = r->guides && !rk_str_eq(argv[0], RK_STR("PUBLISH")) ? argc : 0, bytes = 0;
    struct waiting *w;
    char *at;

    for (size_t i = 0; i < kept; i++)
        bytes += argv[i].n;
    w = rk_zalloc(sizeof(*w) + kept * sizeof(*argv) + bytes);
    w->r = r;
    w->on_reply = on_reply;
    w->arg = arg;
    w->argc = kept;
    at = (char *)&w->argv[kept];
    for (size_t i = 0; i < kept; i++) {
        if (argv[i].n)
            memcpy(at, argv[i].p, argv[i].n);
        w->argv[i] = rk_strn(at, argv[i].n);
        at += argv[i].n;
    }
    return w;
}

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

static void answer(struct waiting *w, const redisReply *said)
{
    struct rk_rds_reply out = { .code = RK_UNAVAILABLE };

    w->r->pending--;
    if (said)
        convert(said, &out, 0);
    if (w->on_reply)
        w->on_reply(&out, w->arg);
    reply_done(&out);
    free(w);
}

static void soon_again(struct rk_rds *r)
{
    if (!r->closing && !uv_is_active((uv_handle_t *)&r->again.uv))
        rk_timer_start(&r->again, AGAIN_MS, 0);
}

static bool is_put_off(struct waiting *w)
{
    uint64_t now = rk_mono_ms();

    if (w->argc == 0 || w->r->closing)
        return false;
    if (w->until_ms == 0)
        w->until_ms = now + PUT_OFF_MS;
    if (now >= w->until_ms)
        return false;
    rk_list_append(&w->r->put_off, &w->put_off);
    soon_again(w->r);
    return true;
}

static void on_command_reply(const redisReply *said, void *arg)
{
    struct waiting *w = arg;
    struct rk_rds *r = w->r;
    bool elsewhere = said && r->guides && is_elsewhere(said);

    if (said)
        r->cmd.silent_beats = 0;
    if (elsewhere) {
        r->cmd.refuses = true; /* others that it refuses are on their way */
        soon_again(r);
    }
    if ((elsewhere || (said && is_leaving(said))) && is_put_off(w))
        return;
    answer(w, said);
}

static void on_again(struct rk_timer *t)
{
    struct rk_rds *r = rk_container_of(t, struct rk_rds, again);

    if (r->cmd.refuses)
        side_drop(&r->cmd, "it is not the master of our keys any more");
    while (!rk_list_empty(&r->put_off)) {
        struct waiting *w = rk_list_entry(r->put_off.next, struct waiting, put_off);

        if (!r->cmd.ready && rk_mono_ms() < w->until_ms) {
            soon_again(r);
            return;
        }
        rk_list_remove(&w->put_off);
        if (r->cmd.ready)
            wire_ask(r->cmd.wire, w->argv, w->argc, on_command_reply, w);
        else
            answer(w, NULL);
    }
}

/* === Subscriptions side === */

static void send_subscribe(struct side *s, const char *name)
{
    wire_tell(s->wire, (const struct rk_str[]){ RK_STR("SUBSCRIBE"), rk_str(name) }, 2);
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

static void on_push(const redisReply *p, void *arg)
{
    struct side *s = arg;
    struct rk_str kind, name;

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

static void start_talking(struct side *s)
{
    size_t it = 0;
    void *ch;

    s->talking = true;
    if (s == &s->r->cmd) {
        wire_ask(s->wire, (const struct rk_str[]){ RK_STR("PING") }, 1, on_first_ping, s);
        return;
    }
    while (rk_map_each(s->r->channels, &it, &ch)) {
        if (((struct channel *)ch)->wanted)
            send_subscribe(s, ((struct channel *)ch)->name);
    }
}

/* Guides may be behind, and then name a server that has become a replica, or lost the slot. */
static void on_role(const redisReply *said, void *arg)
{
    struct side *s = arg;

    if (!said)
        return;
    if (said->type == REDIS_REPLY_ERROR && !is_leaving(said))
        side_drop(s, said->str);
    else if (s->r->clustered)
        start_talking(s);
    else if (said->type != REDIS_REPLY_ARRAY || said->elements < 1 || !said->element[0]->str ||
             strcmp(said->element[0]->str, "master") != 0)
        side_drop(s, "it is not the master");
    else
        start_talking(s);
}

static void on_ready(void *arg)
{
    struct side *s = arg;

    if (s->r->clustered) /* whoever is not the slot's master refuses a key of it */
        wire_ask(s->wire, (const struct rk_str[]){ RK_STR("GET"), RK_STR("rk:" RK_RDS_TAG) }, 2,
                 on_role, s);
    else if (s->r->guides)
        wire_ask(s->wire, (const struct rk_str[]){ RK_STR("ROLE") }, 1, on_role, s);
    else
        start_talking(s);
}

static void on_lost(const char *why, void *arg)
{
    side_lost(arg, why);
}

static void on_freed(void *arg)
{
    handle_gone(((struct side *)arg)->r);
}

static void side_connect(struct side *s)
{
    static const struct wire_ops ops = { on_ready, on_push, on_lost, on_freed };

    if (!s->r->address)
        return; /* on_master */
    s->r->handles++;
    s->wire = wire_dial(s->r->loop, s->r->address, &s->r->door, &ops, s);
}

/* Sentinels that disagree do not keep us running between two addresses: only news is acted upon at
 * once. */
static void side_move(struct side *s, bool moved)
{
    struct wire *old = s->wire;

    side_reset(s);
    wire_close(old);
    if (moved)
        s->backoff_ms = 0;
    connect_later(s);
}

static void on_master(const char *address, bool moved, void *arg)
{
    struct rk_rds *r = arg;

    if (r->closing || (r->address && strcmp(r->address, address) == 0))
        return;
    if (r->up && !moved)
        return; /* that one is behind */
    if (moved)
        rk_info(NULL, "the master of redis is %s now", address);
    free(r->address);
    r->address = rk_strdup(address);
    side_move(&r->cmd, moved);
    side_move(&r->sub, moved);
    judge(r, "");
}

/* Counts the silence of a connection; every sign of life sets it to 0. */
static void beat_side(struct side *s)
{
    if (s->wire && ++s->silent_beats > CONNECT_BEATS)
        side_drop(s, "no answer");
}

static void on_heartbeat(struct rk_timer *t)
{
    struct rk_rds *r = rk_container_of(t, struct rk_rds, heartbeat);

    beat_side(&r->cmd);
    beat_side(&r->sub);
    if (r->cmd.ready)
        wire_ask(
            r->cmd.wire,
            (const struct rk_str[]){ RK_STR("PUBLISH"), rk_str(r->own_channel), RK_STR("beat") }, 3,
            on_beat_sent, &r->cmd);
    else
        r->sub.silent_beats =
            r->sub.ready ? 0 : r->sub.silent_beats; /* nobody can send it a beat */
}

static void side_init(struct side *s, struct rk_rds *r)
{
    s->r = r;
    rk_timer_init(r->loop, &s->retry, on_retry);
    r->handles++;
}

int rk_rds_new(struct rk_loop *l,
               const struct rk_rds_config *config,
               const struct rk_rds_ops *ops,
               void *arg,
               struct rk_rds **out,
               struct rk_err *err)
{
    static const struct guides_ops guides_ops = { on_master, handle_gone };
    struct rk_rds *r;
    uint8_t id[8];
    int code = rk_rds_config_check(config, err);

    if (code < 0)
        return code;
    r = rk_new(struct rk_rds);
    r->loop = l;
    r->door = (struct wire_door){ .user = config->redis_user,
                                  .password = config->redis_password,
                                  .tls = config->redis_tls,
                                  .ca_file = config->redis_ca_file,
                                  .cert_file = config->redis_cert_file,
                                  .key_file = config->redis_key_file };
    r->clustered = rk_rds_config_clustered(config);
    r->ops = *ops;
    r->arg = arg;
    r->channels = rk_map_new();
    rk_random(id, sizeof(id));
    snprintf(r->own_channel, sizeof(r->own_channel), "rk:beat:%02x%02x%02x%02x%02x%02x%02x%02x",
             id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]);
    side_init(&r->cmd, r);
    side_init(&r->sub, r);
    rk_timer_init(l, &r->heartbeat, on_heartbeat);
    r->handles++;
    rk_timer_start(&r->heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
    rk_list_init(&r->put_off);
    rk_timer_init(l, &r->again, on_again);
    r->handles++;
    rk_rds_subscribe(r, r->own_channel);
    if (rk_rds_config_guides(config)) {
        r->guides = guides_new(l, config, &guides_ops, r);
        r->handles++;
    } else {
        r->address = rk_strdup(config->redis);
        /* On the next turn, so that no callback comes before the caller holds *out. */
        rk_timer_start(&r->cmd.retry, 0, 0);
        rk_timer_start(&r->sub.retry, 0, 0);
    }
    *out = r;
    return 0;
}

static void retry_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct side, retry)->r);
}

static void again_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct rk_rds, again));
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
    if (r->guides)
        guides_close(r->guides);
    rk_timer_close(&r->cmd.retry, retry_closed);
    rk_timer_close(&r->sub.retry, retry_closed);
    rk_timer_close(&r->heartbeat, heartbeat_closed);
    rk_timer_close(&r->again, again_closed);
    while (!rk_list_empty(&r->put_off)) {
        struct waiting *w = rk_list_entry(r->put_off.next, struct waiting, put_off);

        rk_list_remove(&w->put_off);
        answer(w, NULL);
    }
}

const char *rk_rds_why(const struct rk_rds *r)
{
    return r->why;
}

bool rk_rds_up(const struct rk_rds *r)
{
    return r->up;
}

bool rk_rds_clustered(const struct rk_rds *r)
{
    return r->clustered;
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
    if (r->sub.talking)
        send_subscribe(&r->sub, ch->name);
}

/* === Public: commands === */

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
    struct waiting *w = waiting_new(r, argv, argc, on_reply, arg);

    if (!r->closing && r->cmd.ready && r->pending < MAX_PENDING) {
        r->pending++;
        wire_ask(r->cmd.wire, argv, argc, on_command_reply, w);
        return;
    }
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
