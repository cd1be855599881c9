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
    struct rk_timer turn;    /* when MHD wants to run again */
    struct rk_timer overdue; /* looks for requests past their deadline */
    unsigned open_handles;
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

/* reply.c: hands the answer of q to MHD. */
enum MHD_Result reply_queue(struct server *s, struct request *q, struct MHD_Connection *connection);
