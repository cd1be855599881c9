#pragma once

/*
 * Verifier: who checks tokens against one identity provider's keys, and knows where its endpoints
 * are. Any thread. The key set is immutable and counted; no lock is held while anybody waits.
 *
 * rk_verifier_check never waits. When keys are missing it says so, and the caller has
 * rk_verifier_fetch done where waiting is allowed (keeper.h does that for a service) and checks
 * again. Keys are fetched by at most one thread at a time, are good for the max-age of the answer
 * (60 s to 24 h; 1 h when it has none) and stay in force when a later fetch fails. A token with an
 * unknown kid has them fetched at most every 30 s, however many come.
 *
 * Embedded: the keys come from table signing_key, never over HTTP.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/jwt/jwt.h"
#include "libcommon/oidc/provider.h"
#include "libcommon/pg/pg.h"

/* Copied. NULL and "" = none. */
struct rk_verifier_options {
    /* External: without both URLs the discovery document is where the issuer must have it. */
    const char *issuer;             /* of tokens; may be empty with a discovery URL */
    const char *discovery_url;      /* not needed with a keys_url */
    const char *keys_url;           /* in place of the document's jwks_uri */
    const struct rk_str *audiences; /* the first is the primary one, of the namespaced claims */
    size_t audiences_n;
    const char *user_claim; /* empty: sub */
    const char *ca_file;
    bool embedded;
    bool allow_private;
    bool account_claims; /* read wt_* and nb_* */
};

struct rk_verifier;

struct rk_verifier *rk_verifier_new(const struct rk_verifier_options *options);
void rk_verifier_free(struct rk_verifier *v); /* no thread is inside */
RK_DEFINE_AUTO(struct rk_verifier, rk_verifier_free)
/* A fetch under way ends within a second, later ones at once, with RK_UNAVAILABLE. */
void rk_verifier_stop(struct rk_verifier *v);

/* A good outcome of a check beside 0. */
#define RK_VERIFIER_FETCH 1

/*
 * 0 and *out: a good token. RK_UNAUTHENTICATED: a bad one (reason for the log in err).
 * RK_VERIFIER_FETCH: have keys fetched, then check again; a second time only when so much time has
 * gone by that another fetch is due. RK_UNAVAILABLE: there has never been a key set, and the next
 * attempt is not due yet.
 */
int rk_verifier_check(struct rk_verifier *v,
                      struct rk_str token,
                      struct rk_arena *arena,
                      struct rk_claims *out,
                      struct rk_err *err) RK_CHECKED;

/*
 * Blocks up to 20 s (discovery and keys, 10 s each; 10 s when only keys are asked for). Joins a
 * fetch that is under way, and does nothing when none is due. `pg` is needed with the embedded
 * provider, else may be NULL, and is outside of a transaction. A negative code says that this fetch
 * failed; what was known before stays.
 */
int rk_verifier_fetch(struct rk_verifier *v, struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
/* The keys are old, or have never come, and an attempt is due. */
bool rk_verifier_due(struct rk_verifier *v);

/* One reference; NULL while discovery has not answered yet. */
struct rk_provider *rk_verifier_provider(struct rk_verifier *v);

struct rk_verifier_state {
    bool ready; /* there are keys */
    size_t keys;
    int64_t age_s;   /* since they were fetched; -1: never */
    char error[256]; /* of the last fetch; "" = it went well */
};
void rk_verifier_state(struct rk_verifier *v, struct rk_verifier_state *out);
/* The same in words, for people: "" when all is well. */
#define RK_VERIFIER_TROUBLE_LEN 384
void rk_verifier_trouble(struct rk_verifier *v, char out[RK_VERIFIER_TROUBLE_LEN]);

/* Rows of metrics of all verifiers of the process: once at start-up. */
void rk_verifier_metrics_register(void);
