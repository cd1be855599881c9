#pragma once

/*
 * A Postgres connection that a loop asks: questions go out and answers come in on the loop itself,
 * which saves two wake-ups of threads a question. What would wait there (connecting, preparing a
 * statement) is done by a thread of the asker's own: who runs the question has the connection, the
 * loop or that thread, never both.
 *
 * Questions are asked one after the other, each outside a transaction, and must change nothing:
 * when the connection is lost after half a second without an answer, one is asked again. One that
 * is unanswered after 13 s costs the connection. Loop thread.
 */

#include "libcommon/loop/workers.h"
#include "libcommon/pg/pg.h"

struct rk_asker;

struct rk_question {
    struct rk_job job;      /* private */
    struct rk_list node;    /* private */
    struct rk_asker *asker; /* private */

    /* Stay as they are until on_done. */
    const struct rk_pg_stmt *stmt;
    const struct rk_pg_param *params;
    size_t n;
    void (*on_done)(struct rk_question *q); /* never inside rk_asker_ask */

    /* In on_done: */
    int r;
    bool at_thread;           /* by the thread: perhaps another server's, over a new connection */
    struct rk_pg_result *res; /* to be freed there; NULL when r < 0 */
    struct rk_err err;
};

struct rk_asker *
rk_asker_new(struct rk_loop *l, const char *conninfo, const char *application_name);
void rk_asker_ask(struct rk_asker *a, struct rk_question *q);
/* What waits comes back RK_UNAVAILABLE, like what is asked from now on; the loop must still run
 * turns for that. */
void rk_asker_stop(struct rk_asker *a);
/* NULL is fine. After rk_asker_stop, when everything has come back; the loop must still run turns.
 */
void rk_asker_free(struct rk_asker *a);
