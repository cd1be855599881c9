#pragma once

/*
 * One HTTP request. It lives on the loop; while a worker has it (`working`), the worker alone
 * touches `call`, `status` and `failed`. It goes when both the connection and the worker have let
 * go.
 */

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "libcommon/base/id.h"
#include "libcommon/base/list.h"
#include "libcommon/loop/workers.h"
#include "libcommon/obs/trace.h"
#include "services/dashboard-api/call.h"
#include "services/dashboard-api/http/etag.h"
#include "services/dashboard-api/kept/check.h"

struct server;

enum request_state {
    REQUEST_NEW,       /* headers are being read */
    REQUEST_RECEIVING, /* body */
    REQUEST_WORKING,   /* a worker has it, or it is being checked; the connection waits */
    REQUEST_ANSWERED,  /* `status` and the body are ready */
};

/* How a connection waits while its request is worked on. */
enum request_rest {
    REST_NONE,
    REST_AWAKE,  /* MHD keeps calling, and is told that there is nothing yet */
    REST_ASLEEP, /* suspended */
};

struct request {
    struct rk_job job;
    struct rk_list node; /* in server.receiving, then in server.working */
    struct server *server;
    struct MHD_Connection *connection; /* NULL when it has gone */
    enum request_state state;
    enum request_rest rest;
    bool checking;       /* Postgres is asked whether what is kept will do */
    bool at_worker;      /* the job, or the check, has not come back yet */
    bool moves;          /* it goes on in another pool */
    struct rk_task keys; /* it waits for the provider's keys */
    bool preflight;
    bool unknown; /* plain 404, or what SCIM has for it */
    bool posted;  /* of an unknown one: its method is POST */
    bool has_origin;
    bool retry_after;
    uint64_t started_ns;
    uint64_t begin_by_ms; /* a worker that comes later leaves it */
    bool late;            /* one did */
    uint64_t deadline_ms;
    struct rk_trace trace;
    struct rk_arena *arena;
    char *uri;
    struct rk_str path, query;
    char *wanted_method, *wanted_headers; /* of a preflight */
    const struct route *route;            /* NULL when unknown */
    struct rk_buf body;
    size_t max_body;
    bool too_large;
    char *token;
    char *if_match, *if_none_match; /* NULL when absent */
    struct rk_str vars[ROUTE_MAX_VARS];

    struct call call;
    unsigned status;     /* of what the loop answers */
    struct rk_buf reply; /* errors made on the loop */
    unsigned worker_status;
    char etag[ETAG_LEN + 1]; /* of call.out or `kept`; "" = none */

    struct check_item check;
    char version[2 * KEPT_VERSION_MAX]; /* the answer may be kept, as of that; "" = not */
    struct kept_answer *kept;           /* is the answer */
    struct MHD_Response *lent;          /* of `kept`, until the request has been completed */
};

struct request *request_new(struct server *s, const char *uri);
void request_free(struct request *q);
/* Loop thread: nobody reads it. */
void request_drop_body(struct request *q);

/* Worker thread: authenticates, checks, calls the handler; fills call.out and worker_status. */
void request_serve(struct request *q, struct rk_pg *pg);
/* The same for what has failed. */
void request_refuse(struct request *q, struct rk_err *err);
/* Loop thread: an error as the answer. */
void request_fail(struct request *q, int code, const char *message);
