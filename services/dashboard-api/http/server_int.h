#pragma once

/* For http/ alone. */

#include "services/dashboard-api/http/server.h"

struct server {
    struct rk_loop *loop;
    const struct shared *shared;
    struct server_ops ops;
    void *arg;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    struct rk_timer turn; /* when MHD wants to run again */
    struct rk_task soon;  /* it is to run on this turn of the loop */
    bool running_soon;
    bool queued;             /* an answer was made in this run */
    size_t awake;            /* connections that wait for their answer without sleeping */
    bool bed_set;            /* `turn` is when they go to sleep */
    bool bedtime;            /* in this run they do */
    struct rk_timer overdue; /* looks for requests past their deadline */
    unsigned open_handles;
    struct check *check;
    struct kept *kept;
    unsigned kept_failures;           /* of the check, when last looked at */
    struct rk_list receiving;         /* requests that have sent some of their body */
    size_t bodies;                    /* bytes that bodies take */
    struct rk_list working[POOL_END]; /* requests at a worker whose connection waits */
    size_t at_workers;
    size_t in_flight; /* requests between first byte and last */
    bool draining;
    void (*on_drained)(void *arg);
    void *drained_arg;
    char address[RK_ADDR_LEN];
};

/* Counts a request that has its answer. */
void server_count(const struct request *q);

/* Counts a read that may be answered by what is kept. */
void server_count_known(bool again);
/* The way of a request that waits: it is taken in, comes home, and either goes elsewhere or is
 * finished. `pool` is whose time it may take; q is not freed before it has come home. */
void server_take_in(struct server *s, struct request *q, enum pool pool);
void server_come_home(struct server *s, struct request *q);
/* Takes it in, to a worker; false when too many wait already, or the pool has gone. */
bool server_submit(struct server *s, struct request *q, enum pool pool);
/* Somebody still waits for its answer. */
bool server_wants(const struct request *q);
/* It has come home for good, with a worker's answer or without any. */
void server_finish(struct server *s, struct request *q, bool answered);
/* The connection goes on, with the answer that q has. */
void server_resume(struct request *q);

/* known.c: what is read may have been read before. */
/* Whether q is to be checked, and is: it comes back with its answer, or goes on to the workers. */
bool known_ask(struct server *s, struct request *q);
/* What a worker has made for a request that was checked is the answer, and kept. */
void known_keep(struct server *s, struct request *q);

/* reply.c: hands the answer of q to MHD. */
enum MHD_Result reply_queue(struct server *s, struct request *q, struct MHD_Connection *connection);
