#pragma once

/*
 * One request as its handler sees it: on a worker thread, top to bottom, with a Postgres connection
 * of its own. The handler writes its JSON into `json` and returns 0, or a negative rk_code whose
 * message becomes the error's body.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/account/rules/sign_in.h"
#include "libcommon/auth/auth.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/json.h"
#include "libcommon/conf/addr.h"
#include "libcommon/crypto/seal.h"
#include "libcommon/geo/geo.h"
#include "libcommon/pg/pg.h"
#include "services/dashboard-api/config.h"
#include "services/dashboard-api/picture/picture.h"
#include "services/dashboard-api/json/page.h"
#include "services/dashboard-api/route/route.h"

/* Who asks, read with the token in one query. Strings live in the call's arena. */
struct caller {
    char *user_id;
    char *account_id;
    char *role_name; /* as stored */
    enum rk_role role;
    bool is_service_user;
    bool blocked;
    bool pending_approval;
    bool view_blocked; /* the account hides its peers from plain users */
    char *domain;      /* of the account's peers */
    char pat_id[RK_XID_LEN + 1];
    struct rk_str grant; /* of a token of the embedded provider; else empty */
};

/* A job that its peer is to be told of; peer_id "" = none. */
struct job_bell {
    char peer_id[RK_XID_LEN + 1];
    char job_id[RK_UUID_LEN + 1];
};

struct rk_workers;
struct provider;
struct rk_verifier;
struct rk_keeper;
struct upstreams;

/* What all requests have in common; set at start. */
struct shared {
    const struct api_config *config;
    const struct rk_seal *seal;
    struct pictures *pictures;
    struct rk_geo *geo;
    const struct rk_cidrs *trusted; /* proxies whose X-Forwarded-For is believed; may be NULL */
    struct rk_workers *pool[POOL_END];
    struct provider *provider;    /* of identities, ours; NULL = off */
    struct rk_verifier *verifier; /* of the provider's tokens; NULL: nobody signs in */
    struct rk_keeper *keeper;     /* of its keys; loop thread; NULL until Postgres has answered */
    struct rk_sign_in_rules sign_in;
    struct upstreams *upstreams; /* of the connectors */
};

/* What the request said beside its body; "" when it did not. */
struct call_head {
    const char *authorization, *cookie, *content_type, *accept_language, *origin, *fetch_site,
        *user_agent;
};

struct call_header {
    const char *name, *value;
};

/* What an answer will need of the object that changes, read behind the COMMIT (api/write.h). */
struct call_ahead {
    const struct rk_pg_stmt *stmt;
    struct rk_pg_result *res; /* NULL: it has not come */
};
#define CALL_MAX_AHEAD 3

#define CALL_MAX_HEADERS 16
#define CALL_MAX_OUT ((size_t)256 << 20)

struct call {
    const struct shared *shared;
    const struct api_config *config;
    const struct rk_seal *seal;
    struct pictures *pictures;
    struct rk_geo *geo;
    struct rk_pg *pg;
    enum pool pool;   /* whose thread this is */
    enum pool move;   /* where CALL_MOVE goes */
    bool first;       /* and before those that wait there */
    bool turned_away; /* there was no place to hash for this page: it says so itself */
    struct rk_arena *arena;
    const struct route *route;
    const char *var[ROUTE_MAX_VARS]; /* "" when the pattern has fewer */
    struct rk_str query;             /* raw, without '?' */
    struct rk_str body;
    const char *token;           /* NULL without credentials */
    bool jwt;                    /* it is the identity provider's */
    bool counted;                /* among the requests with its token */
    bool wants_keys;             /* with CALL_MOVE: goes on when the provider's keys are there */
    unsigned key_fetches;        /* so far */
    struct call_head head;       /* of public routes and of kinds other than ROUTE_REST */
    char remote_ip[RK_ADDR_LEN]; /* the same; the client's, before the proxies we trust */

    struct caller caller; /* not for public routes */
    bool permitted;       /* false only for routes that answer less instead of refusing */
    struct rk_actor actor;

    struct rk_buf out;
    struct rk_json json;
    unsigned status;          /* of success, 0 = 200 */
    const char *content_type; /* NULL = that of the route's kind */
    bool no_store;
    bool scripted; /* of ROUTE_PAGE: a script of ours may run */
    struct call_header header[CALL_MAX_HEADERS];
    unsigned headers_n;
    struct page page; /* of a list; see call_page */
    bool paged;       /* the handler has chosen the page itself, `total` says out of how many */
    uint64_t total;
    const char *link; /* Link header, "" = none */
    struct call_ahead ahead[CALL_MAX_AHEAD];
    unsigned ahead_n;
    const char *ahead_id;
    struct rk_bell bell;
    struct rk_bell sign_in_bell; /* of what signing in has changed; stays when the call fails */
    struct job_bell job_bell;
};

/* What a handler returns to be called again on a thread of another pool (`call.move`). */
#define CALL_MOVE 1
/* What a handler asks before it hashes a password, after all that may be refused without: 0 where
 * that is done, else CALL_MOVE. Pages look at `turned_away` first. */
int call_may_hash(struct call *c) RK_CHECKED;
/* Adds a header to the answer of a handler that succeeds. `value` lives as long as the arena. */
void call_header(struct call *c, const char *name, const char *value);
/* Forgets what was read ahead. */
void call_ahead_done(struct call *c);
/* Reads page, per_page, q and sort into c->page; RK_INVALID. For lists that page themselves (in
 * SQL, with `paged` set); all others are paged behind their handler. */
int call_page(struct call *c, struct rk_err *err) RK_CHECKED;
/* Value of a query parameter, decoded, in the arena; NULL when absent. */
const char *call_query(struct call *c, const char *name);
/* Whom remote_ip stands for where tries are counted (rk_addr_source); in the arena. */
const char *call_source(struct call *c);
