#pragma once

/*
 * Sync session: one open stream of one peer. It owes its peer a map (pending) or not; it is written
 * to only when its stream has nothing queued, so a slow agent holds back only itself and gets the
 * newest map when its socket drains. Owned by its hub from session_attach until the stream is gone.
 * Loop thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/list.h"
#include "libcommon/crypto/box.h"
#include "libcommon/grpc/server.h"
#include "services/management/fanout/digest.h"
#include "services/management/fanout/netbird_config.h"
#include "services/management/fanout/order.h"

struct app;
struct hub;

/* First member of what hangs on a call, so that its end finds the right owner. */
enum call_kind {
    CALL_REQUEST,
    CALL_SESSION,
};

struct session {
    enum call_kind kind;
    struct rk_list by_hub;     /* hub->sessions */
    struct rk_list by_pending; /* hub->pending, or alone */
    struct rk_list by_refresh; /* app->relay_refresh, in the order of due times */
    struct rk_list by_edges;   /* of app->edges, once it has been told its lists */
    struct hub *hub;
    struct rk_grpc_call *call; /* NULL once the stream is gone */
    uint8_t key[RK_KEY_LEN];
    char key_b64[RK_KEY_B64_LEN + 1];
    char peer_id[RK_XID_LEN + 1];
    size_t index; /* in the hub's snapshot */
    struct rk_box box;
    int64_t token;          /* start of the stream, ns (app_now_us): the newest wins everywhere */
    uint64_t refresh_at_ms; /* relay credential */
    struct config_reader reader;
    uint64_t lists;        /* of relays and STUN servers, that it has been told */
    struct order *order;   /* its map is being made; what it owes besides is newer */
    int64_t owes_since_us; /* COMMIT of the oldest change that its map owes; RK_TIME_UNSET */
    bool owes_config;      /* netbirdConfig goes with the next map */
    bool greeted;          /* got its first message */
    bool has_digest;       /* a map was written, and this is its: */
    uint8_t digest[DIGEST_LEN];
    char remote_ip[64];
};

struct session *session_new(struct app *app,
                            struct rk_grpc_call *call,
                            const uint8_t key[RK_KEY_LEN],
                            const struct rk_box *box);

/* The first message: netbirdConfig and the map. */
void session_greet(struct app *app, struct session *s);
/* A map, from the hub's snapshot as it is now; after netbirdConfig, if that is owed. False when it
 * says, but for its serial, what the last one said: then nothing is written. */
bool session_push(struct app *app, struct session *s);

/* The same in steps, of which the second, order_make, may be another thread's. The first notes what
 * the session owes. */
void session_order(const struct app *app, struct session *s, struct order *o);
struct order_terms session_terms(const struct app *app, const struct rk_snapshot *snap);
/* Made: true when there was something to write. */
bool session_settle(struct app *app, struct order *o);
/* Not made: the session is the first of those that owe a map. */
void session_order_back(struct order *o);
/* Whatever is being made for it is for nobody. */
void session_order_drop(struct session *s);

/* A new relay credential, with the lists of relays and STUN servers as they are now. */
void session_refresh_relay(struct app *app, struct session *s);
/* The same if the lists are others than it has been told; whether they are. */
bool session_tell_edges(struct app *app, struct session *s);
/* Tells a deleted peer, and ends the stream. */
void session_deleted(struct app *app, struct session *s);
/* Ends the stream; `status` is never CANCELLED (old agents would not come back). */
void session_end(struct app *app, struct session *s, int status, const char *message);
/* The stream is over: leaves every list, writes presence, frees. */
void session_gone(struct app *app, struct session *s);
