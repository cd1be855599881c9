#pragma once

/*
 * Request: one encrypted call on its way: opened, its peer looked up, perhaps a job on a worker,
 * perhaps a wait for a serial, then an answer. It lives until it is answered and its call is gone,
 * in whichever order these come; a step that finds the call gone goes on (a registration that began
 * is finished) but answers nobody. Loop thread; `work` runs on a worker.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/peer/peers.h"
#include "libcommon/account/rules/subject.h"
#include "libcommon/base/arena.h"
#include "libcommon/geo/geo.h"
#include "libcommon/loop/workers.h"
#include "libcommon/obs/log.h"
#include "libcommon/obs/trace.h"
#include "proto/management.pb-c.h"
#include "services/management/app.h"
#include "services/management/fanout/session.h"
#include "services/management/hub/hub.h"
#include "services/management/rpc/envelope.h"

struct request;

/* The peer is in `hub`'s snapshot at `index`. */
typedef void request_found_fn(struct request *q, struct hub *hub, size_t index);
typedef void request_step_fn(struct request *q);

struct request {
    enum call_kind kind;
    struct app *app;
    struct rk_grpc_call *call; /* NULL once it is gone */
    struct rk_arena *arena;
    struct envelope env;
    bool done;

    request_found_fn *on_found;
    request_step_fn *on_unknown;
    uint64_t need_serial;
    bool asked_store; /* the peer was looked up in Postgres in this request */
    struct hub_wait wait;
    char account_id[RK_XID_LEN + 1];

    struct rk_job job;
    void (*work)(struct request *q, struct worker *w); /* sets r and err */
    request_step_fn *after;
    struct rk_list in_line; /* crowd.h */
    bool registered_before; /* of a newcomer: it is none */
    int r;
    struct rk_err err;

    /* What the methods carry from step to step. */
    Management__LoginRequest *login;
    struct rk_peer_meta *meta; /* in the arena */
    const char *ssh_key;
    bool ssh_key_differs;
    char remote_ip[64];
    struct rk_trace trace;
    char peer_id[RK_XID_LEN + 1];
    struct rk_bell bell;
    struct rk_geo_place place; /* of remote_ip */
    bool place_known;
    bool store_meta, store_location;

    /* Of a call that carries a token (token.h). */
    const char *jwt;
    request_step_fn *on_signed_in;
    struct rk_task keys; /* waits for the provider's keys */
    bool wants_keys;
    unsigned key_fetches;
    int token_status; /* how it was refused */
    char user_id[RK_USER_ID_MAX];
    struct rk_bell sign_in_bell;
};

/* Opens the envelope; answers and returns NULL when that fails. Hangs itself on the call. */
struct request *request_new(struct app *app, struct rk_grpc_call *call, struct rk_str message);
/* What every line about it says; its strings are q's. */
struct rk_logctx request_logctx(const struct request *q);
/* The call is over. */
void request_gone(struct request *q);

/* Finds the peer of env.key: from the snapshots, else from Postgres. Exactly one of the two is
 * called, unless Postgres is needed and away, which is answered here with UNAVAILABLE. */
void request_resolve(struct request *q, request_found_fn *on_found, request_step_fn *on_unknown);
/* The same for who is known to be registered: from Postgres. */
void request_find(struct request *q, request_found_fn *on_found);
/* Whether this replica has seen the peer of env.key before. */
bool request_seen(const struct request *q);
/* Runs q->work on a worker and then `after` here. Answers by itself when the queue is full. */
void request_work(struct request *q,
                  void (*work)(struct request *q, struct worker *w),
                  request_step_fn *after);
/* After a change: tells everybody, and goes on with on_found once the snapshot has it. */
void request_follow(struct request *q, request_found_fn *on_found);
/* The same where everybody has been told. */
void request_await(struct request *q, request_found_fn *on_found);

/* Whether the peer may go on; answers when it may not. */
bool request_allowed(struct request *q, struct hub *hub, size_t index) RK_CHECKED;

/* The ends. Each may be followed by the request's end: do not touch q afterwards. */
void request_answer(struct request *q, struct rk_str plain); /* sealed */
void request_answer_plain_empty(struct request *q); /* SyncMeta and Logout answer a bare Empty */
void request_fail(struct request *q, int status, const char *message);
void request_fail_err(struct request *q); /* from q->r and q->err */
void request_release(struct request *q);  /* done with it; a session took the call over */

/* Metadata as the rules take it, in the arena. NULL when a string is not UTF-8. */
struct rk_peer_meta *request_meta(struct request *q, const Management__PeerSystemMeta *m);
