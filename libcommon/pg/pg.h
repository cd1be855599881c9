#pragma once

/*
 * One Postgres connection, used top to bottom by the worker thread that owns it. Statements stand
 * in a table and are prepared on first use after each (re)connect. Lost connection: the call
 * returns RK_UNAVAILABLE, and the next rk_pg_begin reconnects (at most one attempt a call, with
 * jittered back-off between attempts so that a dead server costs nothing but the error).
 *
 * A conninfo may name several servers; the one that takes writes is used (target_session_attrs, by
 * default read-write). They are all tried at once, and when an answer takes longer than half a
 * second and another one takes writes by then, the connection counts as lost.
 *
 * SQLSTATE classes: 08, 57P, 53 and no connection = RK_UNAVAILABLE; 40001, 40P01 = RK_CONFLICT;
 * 23505 = RK_EXISTS (err->msg holds the constraint's name); 23503 = RK_NOT_FOUND; other =
 * RK_INTERNAL.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

struct rk_pg;
struct rk_pg_result;

/* One row a statement; the address of the row is its identity. Text format parameters; results
 * text, except where a statement is declared binary. */
struct rk_pg_stmt {
    const char *name; /* unique, for logs and metrics */
    const char *sql;  /* $1.. */
};

struct rk_pg *rk_pg_new(const char *conninfo, const char *application_name); /* connects lazily */
/*
 * Every statement is planned once, for any values; otherwise anew for each of its first five, which
 * costs more than most statements themselves, and after that where it looks worth it. For who asks
 * by keys alone. Before the first use.
 */
void rk_pg_plan_once(struct rk_pg *c);
void rk_pg_free(struct rk_pg *c);
RK_DEFINE_AUTO(struct rk_pg, rk_pg_free)
/* Connects if need be and says whether it works (SELECT 1). */
int rk_pg_ping(struct rk_pg *c, struct rk_err *err);

/* A parameter: text, or NULL. rk_pg_* helpers build them without allocation beyond the statement.
 */
struct rk_pg_param {
    enum {
        RK_PG_NULL,
        RK_PG_TEXT,
        RK_PG_INT,
        RK_PG_BOOL,
        RK_PG_TIME,
        RK_PG_BYTEA,
        RK_PG_TEXT_ARRAY
    } type;
    struct rk_str s;
    int64_t i; /* INT, BOOL; TIME: microseconds since 1970 (RK_TIME_UNSET = NULL) */
    const struct rk_str *array;
    size_t n;
};
static inline struct rk_pg_param rk_pg_param_c(const char *v)
{
    return (struct rk_pg_param){ .type = v ? RK_PG_TEXT : RK_PG_NULL, .s = rk_str(v) };
}
#define RK_P_NULL ((struct rk_pg_param){ .type = RK_PG_NULL })
#define RK_P_STR(v) ((struct rk_pg_param){ .type = RK_PG_TEXT, .s = (v) })
#define RK_P_C(v) rk_pg_param_c(v)
#define RK_P_INT(v) ((struct rk_pg_param){ .type = RK_PG_INT, .i = (v) })
#define RK_P_BOOL(v) ((struct rk_pg_param){ .type = RK_PG_BOOL, .i = (v) })
#define RK_P_TIME(v) ((struct rk_pg_param){ .type = RK_PG_TIME, .i = (v) })
#define RK_P_BYTEA(v) ((struct rk_pg_param){ .type = RK_PG_BYTEA, .s = (v) })
#define RK_P_ARRAY(v, count)                                                                       \
    ((struct rk_pg_param){ .type = RK_PG_TEXT_ARRAY, .array = (v), .n = (count) })

/* out may be NULL. */
int rk_pg_exec(struct rk_pg *c,
               const struct rk_pg_stmt *st,
               const struct rk_pg_param *params,
               size_t n,
               struct rk_pg_result **out,
               struct rk_err *err) RK_CHECKED;
#define rk_pg_run(c, st, out, err, ...)                                                            \
    rk_pg_exec((c), (st), (const struct rk_pg_param[]){ __VA_ARGS__ },                             \
               sizeof((const struct rk_pg_param[]){ __VA_ARGS__ }) / sizeof(struct rk_pg_param),   \
               (out), (err))
#define rk_pg_run0(c, st, out, err) rk_pg_exec((c), (st), NULL, 0, (out), (err))
/*
 * The same without waiting for the answer: it is read with that of the next rk_pg_exec or
 * rk_pg_commit, which fails when this one did; *out (may be NULL) is filled then and must stay
 * until then. Inside a transaction only.
 */
int rk_pg_queue(struct rk_pg *c,
                const struct rk_pg_stmt *st,
                const struct rk_pg_param *params,
                size_t n,
                struct rk_pg_result **out,
                struct rk_err *err) RK_CHECKED;
#define rk_pg_later(c, st, out, err, ...)                                                          \
    rk_pg_queue((c), (st), (const struct rk_pg_param[]){ __VA_ARGS__ },                            \
                sizeof((const struct rk_pg_param[]){ __VA_ARGS__ }) / sizeof(struct rk_pg_param),  \
                (out), (err))
/* Reads the answers of all that was queued, if anything was. */
int rk_pg_catch_up(struct rk_pg *c, struct rk_err *err) RK_CHECKED;
/*
 * rk_pg_exec in two halves, neither of which waits; for loops (asker.h). Only outside a
 * transaction, on a connection that is up, for a statement that it has prepared before: otherwise
 * rk_pg_send is false, nothing was sent, and rk_pg_exec does what is missing. When rk_pg_fd can be
 * read, what came is taken: 1 = more is to come, 0 = the answer is whole and in *out. One answer at
 * a time.
 */
bool rk_pg_send(struct rk_pg *c,
                const struct rk_pg_stmt *st,
                const struct rk_pg_param *params,
                size_t n) RK_CHECKED;
int rk_pg_fd(const struct rk_pg *c); /* -1 = no connection */
int rk_pg_come(struct rk_pg *c,
               const struct rk_pg_stmt *st,
               struct rk_pg_result **out,
               struct rk_err *err) RK_CHECKED;
/* Waits for the rest of it, as rk_pg_exec does. */
int rk_pg_await(struct rk_pg *c,
                const struct rk_pg_stmt *st,
                struct rk_pg_result **out,
                struct rk_err *err) RK_CHECKED;
/* Gives the connection up; the next rk_pg_exec makes another. */
void rk_pg_cut(struct rk_pg *c);
/* Unprepared, possibly several statements: migrations only. */
int rk_pg_script(struct rk_pg *c, const char *sql, struct rk_err *err) RK_CHECKED;

/* One thread; each is given back with rk_pg_result_free. */
struct rk_pg_result *rk_pg_result_ref(struct rk_pg_result *r);
void rk_pg_result_free(struct rk_pg_result *r);
RK_DEFINE_AUTO(struct rk_pg_result, rk_pg_result_free)
int rk_pg_rows(const struct rk_pg_result *r);
long rk_pg_affected(const struct rk_pg_result *r);
bool rk_pg_null(const struct rk_pg_result *r, int row, int col);
struct rk_str
rk_pg_str(const struct rk_pg_result *r, int row, int col); /* NUL-terminated too; empty for NULL */
int64_t rk_pg_int(const struct rk_pg_result *r, int row, int col); /* 0 for NULL */
bool rk_pg_bool(const struct rk_pg_result *r, int row, int col);
int64_t rk_pg_time(const struct rk_pg_result *r,
                   int row,
                   int col); /* timestamptz → µs; RK_TIME_UNSET for NULL */
/* bytea → bytes, in the arena; empty for NULL. */
struct rk_str rk_pg_bytes(const struct rk_pg_result *r, int row, int col, struct rk_arena *arena);
/* bytea → bytes; the caller frees *out with free(). */
void rk_pg_bytea(const struct rk_pg_result *r, int row, int col, uint8_t **out, size_t *out_n);
/* text[] → strings inside one block that the caller frees with free(*out); *out NULL when empty. */
void rk_pg_array(
    const struct rk_pg_result *r, int row, int col, struct rk_str **out, size_t *out_n);

/* Transactions. rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL; begin (which reaches the server
 * with the first statement); work on the connection; commit leaves NULL. */
struct rk_pg_tx;
enum rk_pg_isolation {
    RK_PG_READ_COMMITTED,
    RK_PG_SHARED,               /* the same; its commit may be put off (rk_pg_share) */
    RK_PG_REPEATABLE_READ_ONLY, /* one consistent picture for loading */
};
int rk_pg_begin(struct rk_pg *c,
                enum rk_pg_isolation isolation,
                struct rk_pg_tx **out,
                struct rk_err *err) RK_CHECKED;
/* RK_UNAVAILABLE when the connection was lost while committing: the outcome is unknown, the caller
 * must say "try again" and be repeatable. */
int rk_pg_commit(struct rk_pg_tx **tx, struct rk_err *err) RK_CHECKED;
void rk_pg_rollback(struct rk_pg_tx *tx); /* NULL is fine */
RK_DEFINE_AUTO(struct rk_pg_tx, rk_pg_rollback)

/*
 * Several changes in one commit, for who serves one after the other what would only wait for each
 * other. While `more` says that another one waits, the COMMIT of an RK_PG_SHARED transaction is put
 * off, without waiting for what it wrote, and the next one of that kind goes on in it. Statements
 * between them, and reading transactions, belong to it, too; any other transaction first commits
 * what was put off. With COMMIT it is over: what follows is shared with nobody.
 *
 * There are no savepoints. One that is rolled back before it has written anything leaves the others
 * alone; one that has, and any statement that fails, spoils all: nothing more is done.
 */
struct rk_pg_share {
    bool (*more)(struct rk_pg_share *s);
    /* Queues, right before COMMIT, what all of them have in common. */
    int (*close)(struct rk_pg_share *s, struct rk_pg *c, struct rk_err *err);
};
void rk_pg_share(struct rk_pg *c, struct rk_pg_share *s);
struct rk_pg_share *rk_pg_shared(const struct rk_pg *c); /* NULL: not now */
/* A commit is put off, and others may join it. */
bool rk_pg_put_off(const struct rk_pg *c);
/* Commits what is put off. RK_CONFLICT: nothing stands of what was to be committed together, each
 * is to be done again by itself. RK_UNAVAILABLE: lost while committing, as with rk_pg_commit. */
int rk_pg_share_end(struct rk_pg *c, struct rk_err *err) RK_CHECKED;

/*
 * What a request reads of its own change: `fn` runs when COMMIT is on its way and queues
 * statements, whose answers come with COMMIT's and show what was committed. One that fails, or was
 * not prepared before, leaves its *out as it was, and the change is made all the same: the caller
 * asks again. Until it is set to NULL.
 */
typedef void rk_pg_then_fn(void *arg);
void rk_pg_then(struct rk_pg *c, rk_pg_then_fn *fn, void *arg);

/*
 * A condition for the changes of one request: who changes something asks it inside the transaction,
 * once it holds its lock, and goes no further when it fails. Until it is set to NULL. While it runs
 * it may begin a read-only transaction, which then is a part of the open one.
 */
typedef int rk_pg_guard_fn(void *arg, struct rk_err *err);
void rk_pg_guard(struct rk_pg *c, rk_pg_guard_fn *fn, void *arg);
int rk_pg_ask_guard(struct rk_pg *c, struct rk_err *err) RK_CHECKED; /* 0 without one */
