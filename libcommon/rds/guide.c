/*
 * A Sentinel: a connection that is subscribed answers no questions in the protocol that all
 * versions speak, so to ask one is to connect to it anew: it is asked first and listened to from
 * then on.
 *
 * A node of a Cluster tells nothing by itself, so it is asked every second. One that changes what
 * it says has news; what it says first may be behind. In place of a node that is away one is asked
 * that another one named: the settings need not know all of them, nor those that came later.
 */

#include "libcommon/rds/guide.h"

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/id.h"
#include "libcommon/obs/log.h"
#include "libcommon/rds/wire.h"

#define GUIDES_MAX 16
#define NODES_MAX 32
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
#define BEAT_MS 1000
#define SILENT_BEATS 6
#define ADDRESS_MAX 280
#define SLOT 11435 /* of RK_RDS_TAG */

struct guide {
    struct guides *all;
    char *address;          /* as in the settings */
    char at[ADDRESS_MAX];   /* who is asked: that one, or a node in its place */
    char told[ADDRESS_MAX]; /* the last answer on this connection; "" before the first */
    struct wire *wire;      /* NULL between connections */
    bool listening;
    bool said_away;
    unsigned failures; /* since it last answered */
    unsigned silent_beats;
    struct rk_timer retry;
};

struct guides {
    struct rk_loop *loop;
    bool cluster;
    const char *master; /* Sentinels' name of it */
    struct wire_door door;
    struct guides_ops ops;
    void *arg;
    struct rk_timer beat;
    struct guide guide[GUIDES_MAX];
    unsigned n;
    char *node[NODES_MAX]; /* of the Cluster, as the last answer had them */
    unsigned nodes;
    unsigned turn;    /* whose it is to be asked */
    unsigned handles; /* timers and wires that still have to close */
    bool closing;
};

static void forget_nodes(struct guides *g)
{
    while (g->nodes > 0)
        free(g->node[--g->nodes]);
}

static void handle_gone(void *arg)
{
    struct guides *g = arg;

    if (--g->handles > 0)
        return;
    g->ops.on_closed(g->arg);
    for (unsigned i = 0; i < g->n; i++)
        free(g->guide[i].address);
    forget_nodes(g);
    free(g);
}

/* === What they say === */

static bool address_of(struct rk_str host, struct rk_str port, char out[ADDRESS_MAX])
{
    bool six = host.n && memchr(host.p, ':', host.n) && host.p[0] != '[';

    (void)snprintf(out, ADDRESS_MAX, six ? "[%.*s]:%.*s" : "%.*s:%.*s", RK_STR_FMT(host),
                   RK_STR_FMT(port));
    return wire_address_ok(rk_str(out));
}

static void tell_master(struct guides *g, const char *address, bool moved)
{
    if (!g->closing)
        g->ops.on_master(address, moved, g->arg);
}

static struct rk_str text_of(const redisReply *said)
{
    return rk_strn(said->str, said->str ? said->len : 0);
}

static unsigned backoff_ms(const struct guide *w)
{
    unsigned ms = BACKOFF_FIRST_MS;

    for (unsigned i = 1; i < w->failures && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static const char *kind_of(const struct guide *w)
{
    return w->all->cluster ? "node" : "sentinel";
}

static void lost(struct guide *w, const char *why)
{
    unsigned ms;

    w->wire = NULL;
    w->listening = false;
    w->silent_beats = 0;
    if (!w->said_away)
        rk_warn(NULL, "redis %s %s is away: %s", kind_of(w), w->at, why);
    w->said_away = true;
    w->failures++;
    ms = backoff_ms(w);
    rk_timer_start(&w->retry, ms / 2 + rk_random_below(ms / 2 + 1), 0);
}

static void drop(struct guide *w, const char *why)
{
    wire_close(w->wire);
    lost(w, why);
}

static void answers(struct guide *w)
{
    w->listening = true;
    w->failures = 0;
    if (!w->said_away || strcmp(w->at, w->address) != 0)
        return;
    rk_info(NULL, "redis %s %s is back", kind_of(w), w->at);
    w->said_away = false;
}

/* === Sentinels === */

/* "<name> <old host> <old port> <new host> <new port>" */
static void on_switch(struct guide *w, struct rk_str text)
{
    char address[ADDRESS_MAX];
    struct rk_str word[5];

    for (unsigned i = 0; i < RK_COUNT(word); i++) {
        if (!rk_str_next(&text, ' ', &word[i]))
            return;
    }
    if (rk_str_eq(word[0], rk_str(w->all->master)) && address_of(word[3], word[4], address))
        tell_master(w->all, address, true);
}

static void on_push(const redisReply *said, void *arg)
{
    struct guide *w = arg;
    struct rk_str kind;

    w->silent_beats = 0;
    if (said->type == REDIS_REPLY_ERROR) {
        drop(w, said->str);
        return;
    }
    if (said->type != REDIS_REPLY_ARRAY || said->elements < 2)
        return;
    kind = text_of(said->element[0]);
    if (rk_str_eq(kind, RK_STR("subscribe")))
        answers(w);
    else if (rk_str_eq(kind, RK_STR("message")) && said->elements == 3)
        on_switch(w, text_of(said->element[2]));
}

static void on_told(const redisReply *said, struct guide *w)
{
    char address[ADDRESS_MAX], why[128];

    if (said->type != REDIS_REPLY_ARRAY || said->elements != 2) {
        snprintf(why, sizeof(why), "it knows no master called %.64s", w->all->master);
        drop(w, why);
        return;
    }
    wire_tell(w->wire, (const struct rk_str[]){ RK_STR("SUBSCRIBE"), RK_STR("+switch-master") }, 2);
    if (address_of(text_of(said->element[0]), text_of(said->element[1]), address))
        tell_master(w->all, address, false);
}

/* === Nodes of a Cluster === */

/* [host, port, ...], where the host is nil or empty for one that does not know its own. */
static bool node_address(const struct guide *w, const redisReply *node, char out[ADDRESS_MAX])
{
    const char *colon = strrchr(w->at, ':');
    struct rk_str host;
    char port[24];

    if (node->type != REDIS_REPLY_ARRAY || node->elements < 2 ||
        node->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    host = text_of(node->element[0]);
    if (host.n == 0 && colon)
        host = rk_strn(w->at, (size_t)(colon - w->at));
    (void)snprintf(port, sizeof(port), "%lld", node->element[1]->integer);
    return address_of(host, rk_str(port), out);
}

static void remember_node(struct guides *g, const char *address)
{
    for (unsigned i = 0; i < g->nodes; i++) {
        if (strcmp(g->node[i], address) == 0)
            return; /* it has several ranges of slots */
    }
    if (g->nodes < NODES_MAX)
        g->node[g->nodes++] = rk_strdup(address);
}

/* Of ranges: [first slot, last slot, master, replica, ...] */
static bool find_master(const struct guide *w, const redisReply *said, char out[ADDRESS_MAX])
{
    for (size_t i = 0; i < said->elements; i++) {
        const redisReply *range = said->element[i];

        if (range->type == REDIS_REPLY_ARRAY && range->elements >= 3 &&
            range->element[0]->integer <= SLOT && SLOT <= range->element[1]->integer)
            return node_address(w, range->element[2], out);
    }
    return false;
}

static void remember_nodes(const struct guide *w, const redisReply *said)
{
    char address[ADDRESS_MAX];

    forget_nodes(w->all);
    for (size_t i = 0; i < said->elements; i++) {
        const redisReply *range = said->element[i];

        for (size_t j = 2; j < range->elements; j++) {
            if (node_address(w, range->element[j], address))
                remember_node(w->all, address);
        }
    }
}

static void on_slots(const redisReply *said, struct guide *w)
{
    char master[ADDRESS_MAX];
    bool moved;

    if (!find_master(w, said, master)) {
        drop(w, "it knows no master of the slot of our keys");
        return;
    }
    remember_nodes(w, said);
    answers(w);
    moved = w->told[0] && strcmp(w->told, master) != 0;
    (void)rk_str_copy(rk_str(master), w->told, sizeof(w->told));
    tell_master(w->all, master, moved);
}

/* === Connections === */

static void on_answer(const redisReply *said, void *arg)
{
    struct guide *w = arg;

    if (!said)
        return;
    w->silent_beats = 0;
    if (said->type == REDIS_REPLY_ERROR)
        drop(w, said->str);
    else if (w->all->cluster)
        on_slots(said, w);
    else
        on_told(said, w);
}

static void ask(void *arg)
{
    struct guide *w = arg;

    if (w->all->cluster)
        wire_ask(w->wire, (const struct rk_str[]){ RK_STR("CLUSTER"), RK_STR("SLOTS") }, 2,
                 on_answer, w);
    else
        wire_ask(w->wire,
                 (const struct rk_str[]){ RK_STR("SENTINEL"), RK_STR("get-master-addr-by-name"),
                                          rk_str(w->all->master) },
                 3, on_answer, w);
}

static void on_lost(const char *why, void *arg)
{
    lost(arg, why);
}

static void on_freed(void *arg)
{
    handle_gone(((struct guide *)arg)->all);
}

static void connect_to(struct guide *w)
{
    static const struct wire_ops ops = { ask, on_push, on_lost, on_freed };
    struct guides *g = w->all;
    bool instead = g->nodes > 0 && w->failures % 2 == 1;

    (void)snprintf(w->at, sizeof(w->at), "%s",
                   instead ? g->node[rk_random_below(g->nodes)] : w->address);
    w->told[0] = '\0';
    w->listening = false;
    w->silent_beats = 0;
    g->handles++;
    w->wire = wire_dial(g->loop, w->at, &g->door, &ops, w);
}

static void on_retry(struct rk_timer *t)
{
    connect_to(rk_container_of(t, struct guide, retry));
}

static void on_beat(struct rk_timer *t)
{
    struct guides *g = rk_container_of(t, struct guides, beat);

    for (unsigned i = 0; i < g->n; i++) {
        struct guide *w = &g->guide[i];

        if (!w->wire)
            continue;
        if (++w->silent_beats > SILENT_BEATS)
            drop(w, "no answer");
        else if (w->listening && g->cluster)
            ask(w);
        else if (w->listening)
            wire_tell(w->wire, (const struct rk_str[]){ RK_STR("PING") }, 1);
    }
}

void guides_ask(struct guides *g)
{
    for (unsigned i = 0; i < g->n && !g->closing; i++) {
        struct guide *w = &g->guide[g->turn++ % g->n];

        if (!w->listening)
            continue; /* away, or being asked */
        if (g->cluster) {
            ask(w);
            return;
        }
        wire_close(w->wire);
        connect_to(w);
        return;
    }
}

struct guides *guides_new(struct rk_loop *l,
                          const struct rk_rds_config *config,
                          const struct guides_ops *ops,
                          void *arg)
{
    struct guides *g = rk_new(struct guides);
    bool cluster = rk_rds_config_clustered(config);
    struct rk_str rest = rk_str(rk_rds_config_guides(config)), one;

    g->loop = l;
    g->cluster = cluster;
    g->master = config->redis_master;
    g->door =
        (struct wire_door){ .user = cluster ? config->redis_user : config->redis_sentinel_user,
                            .password =
                                cluster ? config->redis_password : config->redis_sentinel_password,
                            .tls = config->redis_tls,
                            .ca_file = config->redis_ca_file,
                            .cert_file = config->redis_cert_file,
                            .key_file = config->redis_key_file };
    g->ops = *ops;
    g->arg = arg;
    while (g->n < GUIDES_MAX && rk_str_next(&rest, ',', &one)) {
        struct guide *w = &g->guide[g->n++];

        one = rk_str_trim(one);
        w->all = g;
        w->address = rk_strndup(one.p, one.n);
        rk_timer_init(l, &w->retry, on_retry);
        rk_timer_start(&w->retry, 0, 0);
        g->handles++;
    }
    rk_timer_init(l, &g->beat, on_beat);
    rk_timer_start(&g->beat, BEAT_MS, BEAT_MS);
    g->handles++;
    return g;
}

static void on_retry_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct guide, retry)->all);
}

static void on_beat_closed(struct rk_timer *t)
{
    handle_gone(rk_container_of(t, struct guides, beat));
}

void guides_close(struct guides *g)
{
    g->closing = true;
    for (unsigned i = 0; i < g->n; i++) {
        wire_close(rk_steal(g->guide[i].wire));
        rk_timer_close(&g->guide[i].retry, on_retry_closed);
    }
    rk_timer_close(&g->beat, on_beat_closed);
}
