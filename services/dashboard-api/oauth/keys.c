/* See keys.h. */

#include "services/dashboard-api/oauth/keys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/oauth/key_plan.h"

#define FRESH_MS 30000
#define AGAIN_MS 1000
#define MAX_KEYS 64
#define MAX_JWKS ((size_t)256 << 10)

static const struct rk_pg_stmt lock_keys = { "signing_key_lock",
                                             "SELECT pg_advisory_xact_lock(7237108263412733)" };
static const struct rk_pg_stmt list_keys = {
    "signing_key_list",
    "SELECT kid, public_jwk::text, sealed, extract(epoch FROM signs_from)::bigint, "
    "extract(epoch FROM signs_until)::bigint, floor(extract(epoch FROM clock_timestamp()))::bigint "
    "FROM signing_key WHERE kept_until > clock_timestamp() ORDER BY signs_from LIMIT 64"
};
static const struct rk_pg_stmt add_key = {
    "signing_key_add",
    "INSERT INTO signing_key (kid, public_jwk, sealed, signs_from, signs_until, kept_until) "
    "VALUES ($1, $2::jsonb, $3, to_timestamp($4::bigint), to_timestamp($5::bigint), "
    "to_timestamp($6::bigint))"
};
/* Whatever was to sign later never does. */
static const struct rk_pg_stmt retire_keys = {
    "signing_key_retire", "UPDATE signing_key SET signs_until = LEAST(signs_until, "
                          "GREATEST(signs_from, to_timestamp($1::bigint))), kept_until = "
                          "LEAST(kept_until, to_timestamp($2::bigint)) "
                          "WHERE kept_until > clock_timestamp()"
};
static const struct rk_pg_stmt drop_later = {
    "signing_key_drop_later", "DELETE FROM signing_key WHERE signs_from > clock_timestamp()"
};
/* A cast rounds, and would make now the future. */
static const struct rk_pg_stmt server_time = {
    "signing_key_time", "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint"
};

struct keys {
    const struct rk_seal *seal;
    int64_t kept_s;
    pthread_mutex_t lock; /* of `current` alone */
    struct key_set *current;
};

struct keys *keys_new(const struct rk_seal *seal, int64_t kept_s)
{
    struct keys *k = rk_new(struct keys);

    k->seal = seal;
    k->kept_s = kept_s;
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void keys_free(struct keys *k)
{
    if (!k)
        return;
    key_set_unref(k->current);
    pthread_mutex_destroy(&k->lock);
    rk_free(k);
}

void key_set_unref(struct key_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    rk_signer_free(s->signer);
    rk_jwks_unref(s->published);
    rk_free(s->json);
    rk_free(s);
}

static struct key_set *current(struct keys *k, uint64_t max_age_ms)
{
    struct key_set *s = NULL;

    pthread_mutex_lock(&k->lock);
    if (k->current && rk_mono_ms() - k->current->loaded_ms < max_age_ms) {
        s = k->current;
        atomic_fetch_add(&s->refs, 1);
    }
    pthread_mutex_unlock(&k->lock);
    return s;
}

/* Takes a reference of its own. */
static void publish(struct keys *k, struct key_set *s)
{
    struct key_set *old;

    atomic_fetch_add(&s->refs, 1);
    pthread_mutex_lock(&k->lock);
    old = k->current;
    k->current = s;
    pthread_mutex_unlock(&k->lock);
    key_set_unref(old);
}

static int load_signer(const struct keys *k,
                       const struct rk_pg_result *res,
                       int row,
                       struct rk_signer **out,
                       struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf der = { .max = RK_SIGNER_MAX_DER };
    char name[sizeof("signing_key/") + RK_SIGNER_KID_LEN];
    struct rk_str kid = rk_pg_str(res, row, 0);
    uint8_t *sealed;
    size_t n;
    int r;

    snprintf(name, sizeof(name), "signing_key/%.*s", RK_STR_FMT(kid));
    rk_pg_bytea(res, row, 2, &sealed, &n);
    r = rk_seal_get(k->seal, name, rk_strn(sealed, n), &der, err);
    free(sealed);
    if (r == 0)
        r = rk_signer_load(rk_buf_str(&der), out, err);
    if (der.p)
        rk_wipe(der.p, der.n);
    if (r < 0)
        return rk_fail(err, RK_INTERNAL, "signing key %.*s cannot be read: has secret_key changed?",
                       RK_STR_FMT(kid));
    return 0;
}

/* The set as published, in JSON and for checking. */
static int build_public(const struct rk_pg_result *res, struct key_set *s, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf text = { .max = MAX_JWKS };
    struct rk_json j;

    rk_json_init(&j, &text);
    rk_json_object(&j, NULL);
    rk_json_array(&j, "keys");
    for (int i = 0; i < rk_pg_rows(res); i++)
        rk_json_raw(&j, NULL, rk_pg_str(res, i, 1));
    rk_json_array_end(&j);
    rk_json_object_end(&j);
    rk_buf_put_u8(&text, '\0');
    s->json = rk_strdup((const char *)text.p);
    return rk_jwks_parse(rk_str(s->json), &s->published, err);
}

struct terms {
    struct key_term list[MAX_KEYS];
    size_t n;
    int64_t now_s;
};

static void read_terms(const struct rk_pg_result *res, struct terms *t)
{
    t->n = (size_t)rk_pg_rows(res);
    t->now_s = 0;
    for (size_t i = 0; i < t->n; i++) {
        t->list[i].signs_from_s = rk_pg_int(res, (int)i, 3);
        t->list[i].signs_until_s = rk_pg_int(res, (int)i, 4);
        t->now_s = rk_pg_int(res, (int)i, 5);
    }
}

static int insert_key(struct keys *k,
                      struct rk_pg *pg,
                      const struct rk_signer *signer,
                      int64_t from_s,
                      struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf der = { .max = RK_SIGNER_MAX_DER };
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 2 * RK_SIGNER_MAX_DER };
    rk_auto(rk_buf_done) struct rk_buf jwk = { .max = RK_SIGNER_MAX_DER };
    char name[sizeof("signing_key/") + RK_SIGNER_KID_LEN];

    snprintf(name, sizeof(name), "signing_key/%s", rk_signer_kid(signer));
    rk_signer_export(signer, &der);
    rk_seal_put(k->seal, name, rk_buf_str(&der), &sealed);
    rk_wipe(der.p, der.n);
    rk_signer_public_jwk(signer, &jwk);
    return rk_pg_run(pg, &add_key, NULL, err, RK_P_C(rk_signer_kid(signer)),
                     RK_P_STR(rk_buf_str(&jwk)), RK_P_BYTEA(rk_buf_str(&sealed)), RK_P_INT(from_s),
                     RK_P_INT(from_s + KEY_SIGNS_S), RK_P_INT(from_s + KEY_SIGNS_S + k->kept_s));
}

/*
 * Looks again under the lock, as another replica may have been faster. A key takes a busy machine
 * longer than Postgres lets a transaction idle and others wait for its lock, so it is made before.
 */
static int tend(struct keys *k, struct rk_pg *pg, struct rk_err *err)
{
    rk_auto(rk_signer_free) struct rk_signer *signer = rk_signer_new();
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL, *clock = NULL;
    struct terms terms;
    int64_t from_s;
    int r;

    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(pg, &lock_keys, NULL, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(pg, &list_keys, &res, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(pg, &server_time, &clock, err);
    if (r < 0)
        return r;
    read_terms(res, &terms);
    from_s = terms.now_s = rk_pg_int(clock, 0, 0);
    if (key_plan(terms.list, terms.n, terms.now_s, &from_s) != KEY_NONE) {
        r = insert_key(k, pg, signer, from_s, err);
        if (r < 0)
            return r;
    }
    return rk_pg_commit(&tx, err);
}

static int load(struct keys *k, struct rk_pg *pg, struct key_set **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(key_set_unref) struct key_set *s = NULL;
    struct terms terms;
    int64_t from_s;
    int r, signs;

    r = rk_pg_run0(pg, &list_keys, &res, err);
    if (r < 0)
        return r;
    read_terms(res, &terms);
    if (key_plan(terms.list, terms.n, terms.now_s, &from_s) != KEY_NONE) {
        r = tend(k, pg, err);
        if (r < 0)
            return r;
        rk_pg_result_free(rk_steal(res));
        r = rk_pg_run0(pg, &list_keys, &res, err);
        if (r < 0)
            return r;
        read_terms(res, &terms);
    }
    signs = key_signing(terms.list, terms.n, terms.now_s);
    if (signs < 0)
        return rk_fail(err, RK_INTERNAL, "no signing key");
    s = rk_new(struct key_set);
    atomic_init(&s->refs, 1);
    s->loaded_ms = rk_mono_ms();
    r = load_signer(k, res, signs, &s->signer, err);
    if (r < 0)
        return r;
    r = build_public(res, s, err);
    if (r < 0)
        return r;
    *out = rk_steal(s);
    return 0;
}

int keys_get(struct keys *k, struct rk_pg *pg, bool again, struct key_set **out, struct rk_err *err)
{
    struct key_set *s = current(k, again ? AGAIN_MS : FRESH_MS);
    int r = 0;

    if (!s) {
        r = load(k, pg, &s, err);
        if (r < 0)
            return r;
        publish(k, s);
    }
    *out = s;
    return 0;
}

int keys_rotate(struct keys *k, struct rk_pg *pg, bool compromised, struct rk_err *err)
{
    rk_auto(rk_signer_free) struct rk_signer *signer = rk_signer_new(); /* see tend */
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *clock = NULL;
    int64_t now_s, from_s;
    int r;

    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(pg, &lock_keys, NULL, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(pg, &server_time, &clock, err);
    if (r < 0)
        return r;
    now_s = rk_pg_int(clock, 0, 0);
    from_s = compromised ? now_s : now_s + KEY_PUBLISHED_S;
    r = rk_pg_run0(pg, &drop_later, NULL, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &retire_keys, NULL, err, RK_P_INT(from_s),
                  RK_P_INT(compromised ? now_s : from_s + k->kept_s));
    if (r < 0)
        return r;
    r = insert_key(k, pg, signer, from_s, err);
    if (r < 0)
        return r;
    return rk_pg_commit(&tx, err);
}
