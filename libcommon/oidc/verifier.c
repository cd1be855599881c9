#include "libcommon/oidc/verifier.h"

/*
 * One mutex guards a few words: the two counted snapshots (keys, provider) and the timetable of
 * fetches. It is held for a moment to copy or exchange them, and never while somebody verifies or
 * waits for another server.
 */

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/metrics.h"
#include "libcommon/oidc/verifier_int.h"

#define FRESH_MIN_S 60
#define FRESH_MAX_S 86400
#define FRESH_DEFAULT_S 3600
#define FRESH_EMBEDDED_S 60
#define DISCOVERY_FRESH_MS (24 * 3600 * 1000ull)
#define FORCED_GAP_MS 30000
#define FORCED_GAP_EMBEDDED_MS 1000 /* it is a query of ours, and keys are also rotated by hand */
#define RETRY_MIN_MS 2000
#define RETRY_MAX_MS 30000

static const struct rk_pg_stmt select_keys = {
    "oidc.signing_keys",
    "SELECT public_jwk::text FROM signing_key WHERE kept_until > now()"
    " ORDER BY created_at DESC, kid LIMIT 100",
};

/* The first values are those of enum rk_jwt_refusal. */
#define TOKEN_NO_KEYS RK_JWT_REFUSALS
static const char *const token_outcomes[] = { "accepted",  "malformed", "algorithm", "key",
                                              "signature", "issuer",    "audience",  "time",
                                              "user",      "no_keys",   NULL };
_Static_assert(RK_COUNT(token_outcomes) == RK_JWT_REFUSALS + 2, "one outcome a refusal");
static const char *const fetch_outcomes[] = { "fetched", "failed", NULL };

static struct rk_metric metrics[] = {
    { .name = "rookery_oidc_tokens_total",
      .help = "Tokens checked, by what became of them.",
      .type = RK_COUNTER,
      .label = "outcome",
      .values = token_outcomes },
    { .name = "rookery_oidc_key_fetches_total",
      .help = "Fetches of the identity provider's keys.",
      .type = RK_COUNTER,
      .label = "outcome",
      .values = fetch_outcomes },
};

struct rk_verifier {
    char *issuer, *discovery_url, *keys_url, *user_claim, *ca_file;
    struct rk_str *audiences;
    size_t audiences_n;
    bool embedded, account_claims;
    struct rk_fetch_rules rules;
    _Atomic bool stop;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    /* Under the lock. */
    struct rk_jwks *keys;         /* NULL: never had any */
    struct rk_provider *provider; /* NULL: not discovered yet */
    bool fetching;
    uint64_t fetches; /* that have ended */
    bool wanted;      /* a token asked for newer keys */
    bool forced_once;
    uint64_t forced_ms; /* when that was granted last */
    uint64_t due_ms;    /* when the next ordinary fetch is */
    uint64_t discovered_ms;
    uint64_t fetched_ms;
    unsigned failures; /* in a row */
    int last;          /* outcome of the last fetch */
    char error[256];
};

void rk_verifier_metrics_register(void)
{
    rk_metrics_register(metrics, RK_COUNT(metrics));
}

static char *copy(const char *s)
{
    return rk_strdup(s ? s : "");
}

/* Without a URL the document is where the issuer must have it. */
static char *discovery_url(const struct rk_verifier_options *o)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = NULL;

    if (o->embedded)
        return copy("");
    if ((o->discovery_url && o->discovery_url[0] != '\0') ||
        (o->keys_url && o->keys_url[0] != '\0') || !o->issuer || o->issuer[0] == '\0')
        return copy(o->discovery_url);
    arena = rk_arena_new(RK_FETCH_MAX_BYTES);
    return copy(rk_discovery_url(o->issuer, arena));
}

struct rk_verifier *rk_verifier_new(const struct rk_verifier_options *o)
{
    struct rk_verifier *v = rk_new(struct rk_verifier);

    v->issuer = copy(o->issuer);
    v->discovery_url = discovery_url(o);
    v->keys_url = copy(o->keys_url);
    v->user_claim = o->user_claim && o->user_claim[0] != '\0' ? copy(o->user_claim) : copy("sub");
    v->ca_file = copy(o->ca_file);
    v->audiences = rk_new_array(struct rk_str, o->audiences_n + 1);
    v->audiences_n = o->audiences_n;
    for (size_t i = 0; i < o->audiences_n; i++)
        v->audiences[i] = rk_str(rk_strndup(o->audiences[i].p, o->audiences[i].n));
    v->embedded = o->embedded;
    v->account_claims = o->account_claims;
    v->rules = (struct rk_fetch_rules){ .allow_private = o->allow_private,
                                        .ca_file = v->ca_file,
                                        .stop = &v->stop };
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->ended, NULL);
    if (v->embedded)
        v->provider = rk_provider_embedded(v->issuer);
    else if (v->discovery_url[0] == '\0')
        v->provider = rk_provider_configured(v->issuer, v->keys_url);
    return v;
}

void rk_verifier_free(struct rk_verifier *v)
{
    if (!v)
        return;
    rk_jwks_unref(v->keys);
    rk_provider_unref(v->provider);
    pthread_cond_destroy(&v->ended);
    pthread_mutex_destroy(&v->lock);
    for (size_t i = 0; i < v->audiences_n; i++)
        free((char *)(uintptr_t)v->audiences[i].p);
    free(v->audiences);
    free(v->issuer);
    free(v->discovery_url);
    free(v->keys_url);
    free(v->user_claim);
    free(v->ca_file);
    free(v);
}

void rk_verifier_stop(struct rk_verifier *v)
{
    atomic_store_explicit(&v->stop, true, memory_order_relaxed);
}

/* --- checks --- */

static void
take(struct rk_verifier *v, struct rk_jwks **out_keys, struct rk_provider **out_provider)
{
    pthread_mutex_lock(&v->lock);
    *out_keys = v->keys ? rk_jwks_ref(v->keys) : NULL;
    *out_provider = v->provider ? rk_provider_ref(v->provider) : NULL;
    pthread_mutex_unlock(&v->lock);
}

static bool due(const struct rk_verifier *v)
{
    return v->wanted || rk_mono_ms() >= v->due_ms;
}

enum newer {
    NEWER_NOW,   /* others have come meanwhile */
    NEWER_FETCH, /* a fetch may bring them */
    NEWER_NOT,   /* it is too soon to ask again */
};

/* A token whose kid is not in `keys`. */
static enum newer want_newer(struct rk_verifier *v, const struct rk_jwks *keys)
{
    uint64_t gap = v->embedded ? FORCED_GAP_EMBEDDED_MS : FORCED_GAP_MS, now = rk_mono_ms();
    enum newer r = NEWER_NOT;

    pthread_mutex_lock(&v->lock);
    if (v->keys != keys) {
        r = NEWER_NOW;
    } else if (v->fetching || due(v)) {
        r = NEWER_FETCH;
    } else if (!v->forced_once || now - v->forced_ms >= gap) {
        v->forced_once = true;
        v->forced_ms = now;
        v->wanted = true;
        r = NEWER_FETCH;
    }
    pthread_mutex_unlock(&v->lock);
    return r;
}

/* There are no keys at all. */
static int without_keys(struct rk_verifier *v, struct rk_err *err)
{
    bool may;

    pthread_mutex_lock(&v->lock);
    may = v->fetching || due(v);
    pthread_mutex_unlock(&v->lock);
    if (may)
        return RK_VERIFIER_FETCH;
    rk_metric_add_at(&metrics[0], TOKEN_NO_KEYS, 1);
    return rk_fail(err, RK_UNAVAILABLE, "the identity provider's keys are not known yet");
}

int rk_verifier_check(struct rk_verifier *v,
                      struct rk_str token,
                      struct rk_arena *arena,
                      struct rk_claims *out,
                      struct rk_err *err)
{
    for (;;) {
        rk_auto(rk_jwks_unref) struct rk_jwks *keys = NULL;
        rk_auto(rk_provider_unref) struct rk_provider *provider = NULL;
        struct rk_jwt_expect expect = { .audiences = v->audiences,
                                        .audiences_n = v->audiences_n,
                                        .user_claim = v->user_claim };
        enum rk_jwt_refusal why;
        int r;

        take(v, &keys, &provider);
        if (!keys || !provider)
            return without_keys(v, err);
        expect.issuer = provider->issuer;
        r = rk_jwt_verify(keys, token, &expect, arena, out, &why, err);
        if (why == RK_JWT_KEY) {
            switch (want_newer(v, keys)) {
            case NEWER_NOW:
                continue;
            case NEWER_FETCH:
                return RK_VERIFIER_FETCH;
            case NEWER_NOT:
                break;
            }
        }
        if (r == 0 && v->account_claims && v->audiences_n > 0)
            rk_claims_read_account(out, v->audiences[0].p, arena);
        rk_metric_add_at(&metrics[0], why, 1);
        return r;
    }
}

/* --- fetches --- */

static int
fetch_embedded(struct rk_pg *pg, struct rk_jwks **out, int64_t *out_fresh_s, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *rows = NULL;
    struct rk_str keys[RK_JWKS_MAX_KEYS];
    size_t n;
    int r;

    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(pg, &select_keys, &rows, err);
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    n = (size_t)rk_pg_rows(rows);
    assert(n <= RK_COUNT(keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = rk_pg_str(rows, (int)i, 0);
    *out_fresh_s = FRESH_EMBEDDED_S;
    return rk_jwks_from_keys(keys, n, out, err);
}

/* The provider as it is to be used for this fetch: a new reference. Discovery that fails does not
 * matter as long as an earlier one has not. */
static int
find_provider(struct rk_verifier *v, bool look, struct rk_provider **provider, struct rk_err *err)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = NULL;
    struct rk_discovery d;
    int r;

    if (v->discovery_url[0] == '\0' || (*provider && !look))
        return 0;
    arena = rk_arena_new(RK_FETCH_MAX_BYTES * 4);
    r = rk_discovery_fetch_url(&v->rules, v->discovery_url, arena, &d, err);
    if (r < 0)
        return *provider ? 0 : r;
    rk_provider_unref(*provider);
    *provider = rk_provider_discovered(&d, v->issuer, v->keys_url);
    pthread_mutex_lock(&v->lock);
    v->discovered_ms = rk_mono_ms();
    pthread_mutex_unlock(&v->lock);
    return 0;
}

static int fetch_keys(struct rk_verifier *v,
                      const char *url,
                      struct rk_jwks **out,
                      int64_t *out_fresh_s,
                      struct rk_err *err)
{
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    struct rk_fetch_request q = { .url = url };
    int r;

    rk_fetch_answer_init(&answer);
    r = rk_fetch(&v->rules, &q, &answer, err);
    if (r < 0)
        return r;
    if (answer.status != 200)
        return rk_fail(err, RK_UNAVAILABLE, "key set: status %d in place of 200", answer.status);
    r = rk_jwks_parse(rk_buf_str(&answer.body), out, err);
    if (r < 0)
        return r;
    *out_fresh_s = answer.max_age_s < 0             ? FRESH_DEFAULT_S
                   : answer.max_age_s < FRESH_MIN_S ? FRESH_MIN_S
                   : answer.max_age_s > FRESH_MAX_S ? FRESH_MAX_S
                                                    : answer.max_age_s;
    return 0;
}

/* Under the lock: the fetch has ended. Takes over both references. */
static void ended(struct rk_verifier *v,
                  int r,
                  struct rk_jwks *keys,
                  struct rk_provider *provider,
                  int64_t fresh_s,
                  const struct rk_err *err)
{
    uint64_t now = rk_mono_ms(), wait;

    v->last = r;
    v->fetching = false;
    v->fetches++;
    if (provider) {
        rk_provider_unref(v->provider);
        v->provider = provider;
    }
    rk_metric_add_at(&metrics[1], r == 0 ? 0 : 1, 1);
    if (r == 0) {
        rk_jwks_unref(v->keys);
        v->keys = keys;
        v->fetched_ms = now;
        v->due_ms = now + (uint64_t)fresh_s * 1000;
        v->failures = 0;
        v->error[0] = '\0';
    } else {
        wait = RETRY_MIN_MS << (v->failures < 5 ? v->failures : 5);
        v->due_ms = now + (wait > RETRY_MAX_MS ? RETRY_MAX_MS : wait);
        v->failures++;
        if (!rk_str_copy(rk_str(err->msg), v->error, sizeof(v->error)))
            memcpy(v->error, err->msg, sizeof(v->error) - 1);
    }
    pthread_cond_broadcast(&v->ended);
}

static int fetch(struct rk_verifier *v,
                 struct rk_pg *pg,
                 struct rk_provider **provider,
                 bool look,
                 struct rk_jwks **out_keys,
                 int64_t *out_fresh_s,
                 struct rk_err *err)
{
    int r;

    if (v->embedded) {
        return pg ? fetch_embedded(pg, out_keys, out_fresh_s, err)
                  : rk_fail(err, RK_INTERNAL, "the embedded provider's keys need Postgres");
    }
    r = find_provider(v, look, provider, err);
    if (r < 0)
        return r;
    return fetch_keys(v, (*provider)->keys_url, out_keys, out_fresh_s, err);
}

/* Under the lock: another thread fetches. */
static int join(struct rk_verifier *v, struct rk_err *err)
{
    uint64_t mine = v->fetches;
    int r;

    while (v->fetches == mine)
        pthread_cond_wait(&v->ended, &v->lock);
    r = v->last;
    if (r < 0)
        rk_fail(err, r, "%s", v->error);
    return r;
}

int rk_verifier_fetch(struct rk_verifier *v, struct rk_pg *pg, struct rk_err *err)
{
    struct rk_provider *provider;
    struct rk_jwks *keys = NULL;
    struct rk_err mine = { 0 };
    int64_t fresh_s = FRESH_DEFAULT_S;
    bool look;
    int r = 0;

    pthread_mutex_lock(&v->lock);
    if (v->fetching || !due(v)) {
        r = v->fetching ? join(v, err) : 0;
        pthread_mutex_unlock(&v->lock);
        return r;
    }
    v->fetching = true;
    v->wanted = false;
    provider = v->provider ? rk_provider_ref(v->provider) : NULL;
    look = v->failures > 0 || rk_mono_ms() - v->discovered_ms > DISCOVERY_FRESH_MS;
    pthread_mutex_unlock(&v->lock);

    r = fetch(v, pg, &provider, look, &keys, &fresh_s, &mine);

    pthread_mutex_lock(&v->lock);
    ended(v, r, keys, provider, fresh_s, &mine);
    pthread_mutex_unlock(&v->lock);
    return r < 0 ? rk_fail(err, r, "%s", mine.msg) : 0;
}

bool rk_verifier_due(struct rk_verifier *v)
{
    bool yes;

    pthread_mutex_lock(&v->lock);
    yes = !v->fetching && due(v);
    pthread_mutex_unlock(&v->lock);
    return yes;
}

void rk_verifier_expire(struct rk_verifier *v)
{
    pthread_mutex_lock(&v->lock);
    v->due_ms = 0;
    pthread_mutex_unlock(&v->lock);
}

struct rk_provider *rk_verifier_provider(struct rk_verifier *v)
{
    struct rk_provider *p;

    pthread_mutex_lock(&v->lock);
    p = v->provider ? rk_provider_ref(v->provider) : NULL;
    pthread_mutex_unlock(&v->lock);
    return p;
}

void rk_verifier_state(struct rk_verifier *v, struct rk_verifier_state *out)
{
    pthread_mutex_lock(&v->lock);
    *out = (struct rk_verifier_state){ .ready = v->keys && v->provider, .age_s = -1 };
    if (v->keys) {
        out->keys = rk_jwks_count(v->keys);
        out->age_s = (int64_t)(rk_mono_ms() - v->fetched_ms) / 1000;
    }
    memcpy(out->error, v->error, sizeof(out->error));
    pthread_mutex_unlock(&v->lock);
}

void rk_verifier_trouble(struct rk_verifier *v, char out[RK_VERIFIER_TROUBLE_LEN])
{
    struct rk_verifier_state s;

    rk_verifier_state(v, &s);
    if (s.ready && s.error[0] == '\0')
        out[0] = '\0';
    else if (s.ready)
        snprintf(out, RK_VERIFIER_TROUBLE_LEN,
                 "the identity provider's keys are %lld s old, newer ones cannot be had: %s",
                 (long long)s.age_s, s.error);
    else
        snprintf(out, RK_VERIFIER_TROUBLE_LEN, "nobody can sign in: no keys yet%s%s",
                 s.error[0] != '\0' ? ": " : "", s.error);
}
