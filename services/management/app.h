#pragma once

/* The service: what exists once a process. Built and torn down in app.c; loop thread only. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/peer/peers.h"
#include "libcommon/account/rules/sign_in.h"
#include "libcommon/admin/admin.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/bytes.h"
#include "libcommon/base/list.h"
#include "libcommon/base/map.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/seal.h"
#include "libcommon/crypto/token.h"
#include "libcommon/edge/claim.h"
#include "libcommon/geo/geo.h"
#include "libcommon/grpc/server.h"
#include "libcommon/loop/loop.h"
#include "libcommon/loop/workers.h"
#include "libcommon/rds/rds.h"
#include "services/management/config.h"
#include "services/management/fanout/digest.h"

struct crowds;
struct due;
struct edges;
struct geo;
struct jobs;
struct makers;
struct presence;
struct rk_keeper;
struct rk_verifier;
struct upkeep;

struct app {
    const struct config *cfg;
    struct rk_loop *loop;
    struct rk_workers *workers;
    struct makers *makers;
    struct rk_rds *rds;
    struct rk_admin *admin;
    struct rk_tls *tls;
    struct rk_cidrs *trusted;
    struct rk_geo *geo;
    struct geo *geo_watch;         /* or NULL */
    struct rk_grpc_server *server; /* NULL until the server's key is known */
    struct rk_seal seal;
    struct rk_keypair key;
    char key_b64[RK_KEY_B64_LEN + 1];
    bool have_key;
    struct rk_relay_key relay_key;
    struct rk_claim_key claim_key;
    bool have_relay; /* both keys are there */

    struct rk_verifier *verifier; /* of users' tokens; NULL: nobody signs in */
    struct rk_keeper *keeper;     /* of its keys */
    struct rk_sign_in_rules sign_in;

    struct rk_map *hubs;      /* account id → struct hub */
    struct rk_map *known;     /* 32-byte key → struct known_peer (rpc/known.h) */
    struct rk_map *jobs_open; /* peer id → struct job_stream */
    struct rk_list relay_refresh;
    struct edges *edges;
    struct presence *presence;
    struct upkeep *upkeep;
    struct due *due;
    struct jobs *jobs;
    struct crowds *crowds;
    uint64_t put_off_said_ms;
    char replica[RK_REPLICA_LEN]; /* the instance's name and this process's start */
    int64_t ahead_us;             /* the database's clock, of ours; see app_now_us */
    size_t sessions;
    struct digest_key digest_key;
    struct rk_buf scratch; /* a map while it is made; keeps its memory */

    struct rk_timer tick; /* 1 s: relay credentials, stalled streams, gauges */
    struct rk_timer sweep;
    struct rk_timer boot; /* retries of the start-up job */
    struct rk_timer drain;
    bool booting;
    bool boot_complained;
    bool sweeping;
    bool draining;
    uint64_t drain_until_ms;
};

struct app *app_new(const struct config *cfg, struct rk_loop *loop, struct rk_err *err);
void app_stop(struct app *a); /* begins the drain; the loop stops when it is over */
void app_free(struct app *a);

/* The worker's own context. */
struct worker {
    struct rk_pg *pg;
    const struct config *cfg;
};

/* The moment by the database's clock, which all replicas share, whatever the machines' own may say.
 * It never goes back. */
int64_t app_now_us(const struct app *a);
void app_clock(struct app *a, int64_t ahead_us); /* as of a beat */

/* Jobs whose statements are many and long: a connection that has not made them before needs ten
 * times as much for them. */
enum job_kind {
    KIND_NONE,
    KIND_JOIN,
    KIND_CHANGE,
    KIND_LOAD,
    KIND_PRESENCE,
};

/* Tells every replica, this one included, that an account changed. */
void app_ring(struct app *a, const char *account_id, uint64_t serial);
