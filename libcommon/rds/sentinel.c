/*
 * A connection that is subscribed answers no questions in the protocol that all versions speak, so
 * to ask a Sentinel is to connect to it anew: it is asked first and listened to from then on.
 */

#include "libcommon/rds/sentinel.h"

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/id.h"
#include "libcommon/obs/log.h"
#include "libcommon/rds/wire.h"

#define SENTINELS_MAX 16
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
#define BEAT_MS 3000
#define SILENT_BEATS 2
#define ADDRESS_MAX 280

struct watcher {
    struct sentinels *all;
    char *address;
    struct wire *wire; /* NULL between connections */
    bool listening;
    bool said_away;
    unsigned silent_beats;
    unsigned backoff_ms;
    struct rk_timer retry;
};

struct sentinels {
    struct rk_loop *loop;
    const char *master;
    struct wire_door door;
    struct sentinels_ops ops;
    void *arg;
    struct rk_timer beat;
    struct watcher watcher[SENTINELS_MAX];
    unsigned n;
    unsigned turn;    /* whose it is to be asked */
    unsigned handles; /* timers and wires that still have to close */
    bool closing;
};

static void handle_gone(void *arg)
{
    struct sentinels *s = arg;

    if (--s->handles > 0)
        return;
    s->ops.on_closed(s->arg);
    for (unsigned i = 0; i < s->n; i++)
        free(s->watcher[i].address);
    free(s);
}

/* === What they say === */

static void tell_master(struct sentinels *s, struct rk_str host, struct rk_str port, bool moved)
{
    char address[ADDRESS_MAX];
    bool six = host.n && memchr(host.p, ':', host.n);

    snprintf(address, sizeof(address), six ? "[%.*s]:%.*s" : "%.*s:%.*s", RK_STR_FMT(host),
             RK_STR_FMT(port));
    if (!s->closing && wire_address_ok(rk_str(address)))
        s->ops.on_master(address, moved, s->arg);
}

static struct rk_str text_of(const redisReply *said)
{
    return rk_strn(said->str, said->str ? said->len : 0);
}

static void lost(struct watcher *w, const char *why)
{
    w->wire = NULL;
    w->listening = false;
    w->silent_beats = 0;
    if (!w->said_away)
        rk_warn(NULL, "redis sentinel %s is away: %s", w->address, why);
    w->said_away = true;
    w->backoff_ms = w->backoff_ms ? w->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (w->backoff_ms > BACKOFF_MAX_MS)
        w->backoff_ms = BACKOFF_MAX_MS;
    rk_timer_start(&w->retry, w->backoff_ms / 2 + rk_random_below(w->backoff_ms / 2 + 1), 0);
}

static void drop(struct watcher *w, const char *why)
{
    wire_close(w->wire);
    lost(w, why);
}

/* "<name> <old host> <old port> <new host> <new port>" */
static void on_switch(struct watcher *w, struct rk_str text)
{
    struct rk_str word[5];

    for (unsigned i = 0; i < RK_COUNT(word); i++) {
        if (!rk_str_next(&text, ' ', &word[i]))
            return;
    }
    if (rk_str_eq(word[0], rk_str(w->all->master)))
        tell_master(w->all, word[3], word[4], true);
}

static void on_push(const redisReply *said, void *arg)
{
    struct watcher *w = arg;
    struct rk_str kind;

    w->silent_beats = 0;
    if (said->type == REDIS_REPLY_ERROR) {
        drop(w, said->str);
        return;
    }
    if (said->type != REDIS_REPLY_ARRAY || said->elements < 2)
        return;
    kind = text_of(said->element[0]);
    if (rk_str_eq(kind, RK_STR("subscribe"))) {
        w->listening = true;
        w->backoff_ms = 0;
        if (w->said_away)
            rk_info(NULL, "redis sentinel %s is back", w->address);
        w->said_away = false;
    } else if (rk_str_eq(kind, RK_STR("message")) && said->elements == 3) {
        on_switch(w, text_of(said->element[2]));
    }
}

static void on_told(const redisReply *said, void *arg)
{
    struct watcher *w = arg;
    char why[128];

    if (!said)
        return;
    w->silent_beats = 0;
    if (said->type == REDIS_REPLY_ERROR) {
        drop(w, said->str);
        return;
    }
    if (said->type != REDIS_REPLY_ARRAY || said->elements != 2) {
        snprintf(why, sizeof(why), "it knows no master called %.64s", w->all->master);
        drop(w, why);
        return;
    }
    wire_tell(w->wire, (const struct rk_str[]){ RK_STR("SUBSCRIBE"), RK_STR("+switch-master") }, 2);
    tell_master(w->all, text_of(said->element[0]), text_of(said->element[1]), false);
}

/* === Connections === */

static void on_ready(void *arg)
{
    struct watcher *w = arg;

    wire_ask(w->wire,
             (const struct rk_str[]){ RK_STR("SENTINEL"), RK_STR("get-master-addr-by-name"),
                                      rk_str(w->all->master) },
             3, on_told, w);
}

static void on_lost(const char *why, void *arg)
{
    lost(arg, why);
}

static void on_freed(void *arg)
{
    handle_gone(((struct watcher *)arg)->all);
}

static void connect_to(struct watcher *w)
{
    static const struct wire_ops ops = { on_ready, on_push, on_lost, on_freed };

    w->listening = false;
    w->silent_beats = 0;
    w->all->handles++;
    w->wire = wire_dial(w->all->loop, w->address, &w->all->door, &ops, w);
}

static void on_retry(struct rk_timer *t)
{
    connect_to(rk_container_of(t, struct watcher, retry));
}

static void on_beat(struct rk_timer *t)
{
    struct sentinels *s = rk_container_of(t, struct sentinels, beat);

    for (unsigned i = 0; i < s->n; i++) {
        struct watcher *w = &s->watcher[i];

        if (!w->wire)
            continue;
        if (++w->silent_beats > SILENT_BEATS)
            drop(w, "no answer");
        else if (w->listening)
            wire_tell(w->wire, (const struct rk_str[]){ RK_STR("PING") }, 1);
    }
}

void sentinels_ask(struct sentinels *s)
{
    for (unsigned i = 0; i < s->n && !s->closing; i++) {
        struct watcher *w = &s->watcher[s->turn++ % s->n];

        if (!w->listening)
            continue; /* away, or being asked */
        wire_close(w->wire);
        connect_to(w);
        return;
    }
}

struct sentinels *sentinels_new(struct rk_loop *l,
                                const struct rk_rds_config *config,
                                const struct sentinels_ops *ops,
                                void *arg)
{
    struct sentinels *s = rk_new(struct sentinels);
    struct rk_str rest = rk_str(config->redis_sentinels), one;

    s->loop = l;
    s->master = config->redis_master;
    s->door = (struct wire_door){ .user = config->redis_sentinel_user,
                                  .password = config->redis_sentinel_password,
                                  .tls = config->redis_tls,
                                  .ca_file = config->redis_ca_file,
                                  .cert_file = config->redis_cert_file,
                                  .key_file = config->redis_key_file };
    s->ops = *ops;
    s->arg = arg;
    while (s->n < SENTINELS_MAX && rk_str_next(&rest, ',', &one)) {
        struct watcher *w = &s->watcher[s->n++];

        one = rk_str_trim(one);
        w->all = s;
        w->address = rk_strndup(one.p, one.n);
        rk_timer_init(l, &w->retry, on_retry);
        rk_timer_start(&w->retry, 0, 0);
        s->handles++;
    }
    rk_timer_init(l, &s->beat, on_beat);
    rk_timer_start(&s->beat, BEAT_MS, BEAT_MS);
    s->handles++;
    return s;
}

static void on_retry_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct watcher, retry)->all);
}

static void on_beat_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct sentinels, beat));
}

void sentinels_close(struct sentinels *s)
{
    s->closing = true;
    for (unsigned i = 0; i < s->n; i++) {
        wire_close(rk_steal(s->watcher[i].wire));
        rk_timer_close(&s->watcher[i].retry, on_retry_closed);
    }
    rk_timer_close(&s->beat, on_beat_closed);
}
