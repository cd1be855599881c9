/* See upstream.h. */

#include "services/dashboard-api/connector/upstream.h"

#include <pthread.h>
#include <string.h>

#include <jansson.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "services/dashboard-api/connector/kind.h"

#define MAX_KNOWN 1024
#define FRESH_MS ((uint64_t)3600 * 1000)
#define STALE_MS ((uint64_t)24 * 3600 * 1000)
#define RETRY_MS ((uint64_t)30 * 1000) /* between attempts to renew what is still good */
#define PATIENCE_MS 1000
#define MAX_ARENA ((size_t)4 << 20)
#define GRAPH_ME "https://graph.microsoft.com/v1.0/me"

struct known {
    char *key; /* id, issuer and client of the connector: another client is another upstream */
    struct upstream *up;
    uint64_t fetched_ms, tried_ms, used_ms;
};

struct upstreams {
    pthread_mutex_t lock;
    struct rk_map *by_key;
    struct lanes *lanes;
    struct rk_fetch_rules rules;
    _Atomic bool stop;
};

static struct upstream *ref(struct upstream *u)
{
    atomic_fetch_add(&u->refs, 1);
    return u;
}

void upstream_unref(struct upstream *u)
{
    if (!u || atomic_fetch_sub(&u->refs, 1) > 1)
        return;
    rk_verifier_free(u->verifier);
    rk_arena_free(u->arena);
    rk_free(u);
}

struct upstreams *upstreams_new(const struct rk_fetch_rules *rules, unsigned threads)
{
    struct upstreams *s = rk_new(struct upstreams);

    pthread_mutex_init(&s->lock, NULL);
    s->by_key = rk_map_new();
    s->lanes = lanes_new(threads, PATIENCE_MS);
    s->rules = *rules;
    s->rules.stop = &s->stop;
    return s;
}

static void free_known(struct known *k)
{
    upstream_unref(k->up);
    rk_free(k->key);
    rk_free(k);
}

void upstreams_free(struct upstreams *s)
{
    size_t it = 0;
    void *k;

    if (!s)
        return;
    while (rk_map_each(s->by_key, &it, &k))
        free_known(k);
    rk_map_free(s->by_key);
    lanes_free(s->lanes);
    pthread_mutex_destroy(&s->lock);
    rk_free(s);
}

void upstreams_stop(struct upstreams *s)
{
    size_t it = 0;
    void *v;

    atomic_store(&s->stop, true);
    pthread_mutex_lock(&s->lock);
    while (rk_map_each(s->by_key, &it, &v)) {
        struct known *k = v;

        if (k->up->verifier)
            rk_verifier_stop(k->up->verifier);
    }
    pthread_mutex_unlock(&s->lock);
}

const struct rk_fetch_rules *upstreams_rules(const struct upstreams *s)
{
    return &s->rules;
}

struct lanes *upstreams_lanes(struct upstreams *s)
{
    return s->lanes;
}

const char *upstream_issuer(const struct rk_connector *c)
{
    const char *own = kind_of(c->kind)->issuer;

    return c->issuer[0] == '\0' && own ? own : c->issuer;
}

static char *key_of(const struct rk_connector *c)
{
    return rk_asprintf("%s\n%s\n%s", c->id, upstream_issuer(c), c->client_id);
}

/* === Finding out === */

/* Without the slash at the end, if there is one. */
static struct rk_str trimmed(const char *issuer)
{
    struct rk_str s = rk_str(issuer);

    if (rk_str_ends(s, RK_STR("/")))
        s.n--;
    return s;
}

/* Microsoft's endpoints follow from the tenant, whose document names another issuer than the one it
 * is found by. */
static void graph_endpoints(const char *issuer, struct rk_arena *arena, struct rk_discovery *out)
{
    struct rk_str base = trimmed(issuer);

    if (rk_str_ends(base, RK_STR("/v2.0")))
        base.n -= sizeof("/v2.0") - 1;
    *out = (struct rk_discovery){
        .issuer = rk_arena_strdup(arena, issuer),
        .authorization_endpoint =
            rk_arena_printf(arena, "%.*s/oauth2/v2.0/authorize", RK_STR_FMT(base)),
        .token_endpoint = rk_arena_printf(arena, "%.*s/oauth2/v2.0/token", RK_STR_FMT(base)),
        .end_session_endpoint = rk_arena_printf(arena, "%.*s/oauth2/v2.0/logout", RK_STR_FMT(base)),
        .userinfo_endpoint = GRAPH_ME,
        .jwks_uri = "",
        .device_authorization_endpoint = "",
    };
}

static struct rk_verifier *
verifier_of(struct upstreams *s, const struct rk_connector *c, const struct rk_discovery *d)
{
    const struct rk_str audience = rk_str(c->client_id);
    const struct rk_verifier_options o = { .issuer = d->issuer,
                                           .keys_url = d->jwks_uri,
                                           .audiences = &audience,
                                           .audiences_n = 1,
                                           .ca_file = s->rules.ca_file,
                                           .allow_private = s->rules.allow_private };

    return rk_verifier_new(&o);
}

static int
ask(struct upstreams *s, const struct rk_connector *c, struct upstream **out, struct rk_err *err)
{
    rk_auto(upstream_unref) struct upstream *u = rk_new(struct upstream);
    const char *issuer = upstream_issuer(c);
    int r;

    u->refs = 1;
    u->arena = rk_arena_new(MAX_ARENA);
    if (kind_of(c->kind)->graph) {
        graph_endpoints(issuer, u->arena, &u->endpoints);
    } else {
        r = rk_discovery_fetch(&s->rules, issuer, u->arena, &u->endpoints, err);
        if (r < 0)
            return r;
        if (u->endpoints.authorization_endpoint[0] == '\0' ||
            u->endpoints.token_endpoint[0] == '\0')
            return rk_fail(err, RK_INVALID, "the discovery document lacks an endpoint");
        u->verifier = verifier_of(s, c, &u->endpoints);
    }
    *out = rk_steal(u);
    return 0;
}

/* === What is known === */

/* One reference to what is not older than that. */
static struct upstream *
look(struct upstreams *s, const char *key, uint64_t max_age_ms, bool retries)
{
    struct upstream *u = NULL;
    uint64_t now = rk_mono_ms();
    struct known *k;

    pthread_mutex_lock(&s->lock);
    k = rk_map_get(s->by_key, rk_str(key));
    if (k && (now - k->fetched_ms < max_age_ms ||
              (!retries && now - k->tried_ms < RETRY_MS && now - k->fetched_ms < STALE_MS))) {
        k->used_ms = now;
        u = ref(k->up);
    }
    pthread_mutex_unlock(&s->lock);
    return u;
}

struct upstream *upstream_known(struct upstreams *s, const struct rk_connector *c)
{
    rk_auto(rk_free) char *key = key_of(c);

    return look(s, key, FRESH_MS, false);
}

static void forget_oldest(struct upstreams *s)
{
    struct known *oldest = NULL;
    size_t it = 0;
    void *v;

    if (rk_map_count(s->by_key) < MAX_KNOWN)
        return;
    while (rk_map_each(s->by_key, &it, &v)) {
        struct known *k = v;

        if (!oldest || k->used_ms < oldest->used_ms)
            oldest = k;
    }
    (void)rk_map_del(s->by_key, rk_str(oldest->key));
    free_known(oldest);
}

static bool same(const struct rk_discovery *a, const struct rk_discovery *b)
{
    return strcmp(a->authorization_endpoint, b->authorization_endpoint) == 0 &&
           strcmp(a->token_endpoint, b->token_endpoint) == 0 &&
           strcmp(a->jwks_uri, b->jwks_uri) == 0 &&
           strcmp(a->userinfo_endpoint, b->userinfo_endpoint) == 0 &&
           strcmp(a->end_session_endpoint, b->end_session_endpoint) == 0 &&
           a->iss_parameter == b->iss_parameter && a->s256 == b->s256 &&
           a->auth_basic == b->auth_basic && a->auth_post == b->auth_post;
}

/* What says nothing new does not take the place of what has its keys already. */
static void remember(struct upstreams *s, const char *key, struct upstream *u)
{
    struct known *k;

    pthread_mutex_lock(&s->lock);
    k = rk_map_get(s->by_key, rk_str(key));
    if (!k) {
        forget_oldest(s);
        k = rk_new(struct known);
        k->key = rk_strdup(key);
        (void)rk_map_put(s->by_key, rk_str(k->key), k);
    }
    if (!k->up || !same(&k->up->endpoints, &u->endpoints)) {
        upstream_unref(k->up);
        k->up = ref(u);
    }
    k->fetched_ms = k->tried_ms = k->used_ms = rk_mono_ms();
    pthread_mutex_unlock(&s->lock);
}

static void note_failure(struct upstreams *s, const char *key)
{
    struct known *k;

    pthread_mutex_lock(&s->lock);
    k = rk_map_get(s->by_key, rk_str(key));
    if (k)
        k->tried_ms = rk_mono_ms();
    pthread_mutex_unlock(&s->lock);
}

int upstream_open(struct upstreams *s,
                  const struct rk_connector *c,
                  struct upstream **out,
                  struct rk_err *err)
{
    rk_auto(rk_free) char *key = key_of(c);
    struct upstream *u = look(s, key, FRESH_MS, false);
    int r;

    if (!u) {
        r = ask(s, c, &u, err);
        if (r == 0) {
            remember(s, key, u);
        } else {
            note_failure(s, key);
            u = look(s, key, STALE_MS, true);
            if (!u)
                return r;
        }
    }
    *out = u;
    return 0;
}

/* === Before it is stored === */

static bool other_issuer(struct rk_str json, const char *issuer)
{
    json_t *root = json_loadb(json.p ? json.p : "", json.n, 0, NULL);
    const char *said = json_string_value(json_object_get(root, "issuer"));
    bool other = said && strcmp(said, issuer) != 0;

    json_decref(root);
    return other;
}

static int probe(struct upstreams *s,
                 const char *issuer,
                 struct rk_arena *arena,
                 bool *out_other,
                 struct rk_err *err)
{
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer a;
    struct rk_discovery d;
    const struct rk_fetch_request q = { .url = rk_discovery_url(issuer, arena) };
    int r;

    *out_other = false;
    rk_fetch_answer_init(&a);
    r = rk_fetch(&s->rules, &q, &a, err);
    if (r < 0)
        return r;
    if (a.status != 200)
        return rk_fail(err, RK_UNAVAILABLE, "discovery answered with status %d", a.status);
    r = rk_discovery_parse(&s->rules, rk_buf_str(&a.body), issuer, arena, &d, err);
    *out_other = r < 0 && other_issuer(rk_buf_str(&a.body), issuer);
    return r;
}

int upstream_probe(struct upstreams *s,
                   const char *issuer,
                   struct rk_arena *arena,
                   struct rk_err *err)
{
    struct rk_err why = { 0 };
    struct lane *lane;
    bool other;
    int r;

    /* All of them share one lane: whoever enters addresses holds up only others who do. */
    r = lane_enter(s->lanes, "probe", &lane, err);
    if (r < 0)
        return r;
    r = probe(s, issuer, arena, &other, &why);
    lane_leave(s->lanes, lane, true);
    if (r < 0 && other)
        return rk_fail(err, RK_INVALID,
                       "identity provider issuer does not match the issuer returned by the "
                       "provider");
    if (r < 0)
        return rk_fail(err, RK_INVALID, "identity provider issuer is unreachable: %.300s", why.msg);
    return 0;
}
