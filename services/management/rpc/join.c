/* See join.h. */

#include "services/management/rpc/join.h"

#include <stdio.h>
#include <string.h>

#include "services/management/rpc/crowd.h"

#define ATTEMPTS 3

static void describe(const struct request *q, struct rk_peer_registration *out)
{
    size_t n = q->login->n_dnslabels;
    struct rk_str *labels = rk_arena_alloc(q->arena, n * sizeof(*labels) + 1);

    for (size_t i = 0; i < n; i++)
        labels[i] = rk_str(q->login->dnslabels[i]);
    *out = (struct rk_peer_registration){
        .setup_key = q->login->setupkey,
        .user_id = *q->user_id ? q->user_id : NULL,
        .meta = q->meta,
        .ssh_key = q->ssh_key,
        .dns_labels = labels,
        .dns_labels_n = n,
        .connection_ip = q->remote_ip,
        .country_code = q->place.country,
        .city_name = q->place.city,
        .geoname_id = q->place.geoname_id,
        .default_domain = q->app->cfg->dns_domain,
        .ephemeral_s = q->app->cfg->ephemeral_life_s,
    };
    memcpy(out->key, q->env.key, RK_KEY_LEN);
}

static int
register_some(struct request *const *q, size_t n, struct rk_pg *pg, struct rk_bell *out_bell)
{
    struct rk_peer_registration regs[CROWD_TOGETHER_MAX] = { 0 };
    struct rk_registered out[CROWD_TOGETHER_MAX];
    struct rk_err err = { 0 };
    int r = RK_CONFLICT;

    for (size_t i = 0; i < n; i++)
        describe(q[i], &regs[i]);
    for (int i = 0; i < ATTEMPTS && r == RK_CONFLICT; i++)
        r = rk_peer_register_all(pg, regs, n, out, out_bell, &err);
    for (size_t i = 0; i < n; i++) {
        q[i]->r = r < 0 ? r : out[i].r;
        q[i]->err = r < 0 ? err : out[i].err;
        q[i]->registered_before = r == 0 && out[i].known;
    }
    return r;
}

static void
register_all(struct request *const *q, size_t n, struct worker *w, struct rk_bell *out_bell)
{
    int r = register_some(q, n, w->pg, out_bell);

    if (r == 0 || r == RK_UNAVAILABLE || n == 1)
        return;
    for (size_t i = 0; i < n; i++) /* what is wrong with one is not the others' business */
        (void)register_some(&q[i], 1, w->pg, out_bell);
}

/* A user's id is not taken for a key: the word in front tells them apart. */
static const char *name_of(const struct request *q)
{
    const char *kind = *q->user_id ? "user " : "key ";
    const char *what = *q->user_id ? q->user_id : q->login->setupkey;
    size_t n = strlen(kind) + strlen(what) + 1;
    char *name = rk_arena_alloc(q->arena, n);

    (void)snprintf(name, n, "%s%s", kind, what);
    return name;
}

void join(struct request *q, request_step_fn *after)
{
    crowd_take(q, name_of(q), KIND_JOIN, register_all, after);
}
