#pragma once

/*
 * libmicrohttpd on our own loop: its epoll descriptor is watched, and MHD_run is called when it or
 * its timer says so. A request that has been read becomes a job of its route's pool of workers and
 * its connection sleeps meanwhile. Loop thread only.
 *
 * Bounds: connections, bytes of headers and body a request, bytes of all bodies together (past them
 * those that have been coming in for longest are dropped, 503), jobs that wait in a pool (503 past
 * it), seconds a request may take there (503 then, and the late result is dropped, but its bell
 * still rings).
 */

#include <stdbool.h>

#include "libcommon/conf/addr.h"
#include "libcommon/loop/loop.h"
#include "libcommon/loop/workers.h"
#include "services/dashboard-api/config.h"
#include "libcommon/obs/metrics.h"
#include "services/dashboard-api/http/request.h"

struct server;

struct server_ops {
    /* A request came back from its worker, whatever its answer: ring the bell, note the token's
     * use. */
    void (*on_done)(struct request *q, void *arg);
};

int server_new(struct rk_loop *l,
               const struct shared *shared,
               const struct server_ops *ops,
               void *arg,
               struct server **out,
               struct rk_err *err) RK_CHECKED;
const char *server_address(const struct server *s); /* as bound */

/* Accepts no more connections; `on_drained` runs once nothing is in flight. */
void server_drain(struct server *s, void (*on_drained)(void *arg), void *arg);
/* Before the workers are freed. What is being checked goes on without. */
void server_stop_checks(struct server *s);
/* After draining (or its deadline). Requests at workers must have come back. Freed on a later turn.
 */
void server_close(struct server *s);

/* For MHD's callbacks and the workers' ops. */
struct rk_pg;
struct rk_pg *server_worker_pg(void *worker);
extern struct rk_metric server_metrics[];
void server_metrics_register(void);
void server_metrics_scrape(struct server *s);
