#pragma once

/* A connection from inside, for pg.c and the files it is divided into. */

#include <libpq-fe.h>

#include "libcommon/base/map.h"
#include "libcommon/pg/pg_int.h"

struct rk_pg_tx {
    struct rk_pg *c;
    bool lost;   /* the connection this transaction lived on is gone */
    bool shared; /* of rk_pg_share */
    bool inner;  /* a part of the open one: neither its beginning nor its end are told */
};

/* A statement that has been handed to libpq and whose answer has not been read. */
struct queued {
    const char *name;
    struct rk_pg_result **out; /* may be NULL */
    bool then;                 /* behind COMMIT: whether it fails is not the change's business */
};
#define QUEUE_MAX 32
#define QUEUE_SPARE 6 /* kept for one more statement, COMMIT and what is asked behind it */

struct prepared {
    const struct rk_pg_stmt *stmt;
    char name[16];
};

struct rk_pg {
    char *conninfo;
    char *application_name;
    PGconn *conn;
    PGconn *next;            /* to a server that has taken over; becomes conn */
    bool several;            /* servers are named */
    unsigned before;         /* overtakings until it was connected */
    struct rk_map *prepared; /* by the address of the statement's row */
    unsigned prepared_n;
    struct rk_pg_tx tx; /* at most one at a time */
    bool in_tx;
    rk_pg_guard_fn *guard;
    void *guard_arg;
    struct rk_pg_share *share;
    bool put_off;  /* the open transaction holds changes that are to be committed */
    bool joined;   /* and another one is being made in it */
    bool wrote;    /* that one may have written something */
    int spoilt;    /* nothing is done until rk_pg_share_end, which says this; 0: it is not */
    bool guarding; /* the guard runs */
    struct rk_pg_tx inner; /* the guard's own */
    rk_pg_then_fn *then;
    void *then_arg;
    bool behind_commit; /* `then` runs */
    const char *begin;  /* waits for the first statement; NULL: sent */
    struct queued queue[QUEUE_MAX];
    unsigned queued_n;
    PGresult *come; /* rk_pg_come: what there is of an answer that is not whole */
    unsigned timeout_ms;
    bool plan_once;
    unsigned backoff_ms;
    uint64_t retry_at_ms;
    char why[256]; /* of the last failed connect */
    unsigned trips;
    unsigned steps;
    unsigned fail_step;
    int fail_code;
};

void pg_drop(struct rk_pg *c);
/* The connection is gone: RK_UNAVAILABLE, with libpq's words. */
int pg_lost(struct rk_pg *c, const char *what, struct rk_err *err);
/* In this process: another server than ours was found to take writes. */
bool pg_behind(const struct rk_pg *c);
/* Ours has said nothing for a while. How long to wait for it until this is asked again; 0: no more.
 */
int pg_suspect(struct rk_pg *c, uint64_t deadline_ms);
/* `patience`: ms without a word until ours is suspected. */
int pg_wait(struct rk_pg *c, short events, int patience, uint64_t deadline_ms, struct rk_err *err);
/* Turns a result into 0 or a filled error. */
int pg_judge(struct rk_pg *c, const char *what, const PGresult *res, struct rk_err *err);
#define PG_SUSPECT_MS 500 /* without an answer: has another server taken over? */
#define PG_GRACE_MS 2000  /* the server's own timeout speaks first */
