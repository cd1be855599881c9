#pragma once

/* Pieces of answers that several resources share. Worker threads. */

#include "libcommon/base/map.h"
#include "services/dashboard-api/call.h"

#define LOCAL_AUTH_DISABLED "local user creation is disabled - use an external identity provider"

/* {}: what a deletion answers. */
int write_empty(struct call *c);

/* One row as an object. */
typedef void write_row_fn(struct rk_json *j, const struct rk_pg_result *res, int row);
/* Every row, as a list. */
void write_rows(struct rk_json *j, const struct rk_pg_result *res, write_row_fn *write);
/* Before a change of an object: what its answer will ask, each with (account, id), comes with the
 * answer to COMMIT and costs no round trip. `id` stays until then. The list ends with NULL. */
void answer_ahead(struct call *c, const char *id, const struct rk_pg_stmt *stmt, ...)
    __attribute__((sentinel));
/* What `stmt` says of an object, as of the change if it was asked ahead. Free *out. */
int ask_object(struct call *c,
               const struct rk_pg_stmt *stmt,
               const char *id,
               struct rk_pg_result **out,
               struct rk_err *err) RK_CHECKED;
/* The same where it has one row at least: RK_NOT_FOUND "<what>: <id> not found". */
int find_object(struct call *c,
                const struct rk_pg_stmt *stmt,
                const char *what,
                const char *id,
                struct rk_pg_result **out,
                struct rk_err *err) RK_CHECKED;
/* `r`, with which a change was refused, or RK_NOT_FOUND: that the object is not there is said
 * before what is wrong with the request. */
typedef int
exists_fn(struct rk_pg *pg, const struct rk_actor *actor, const char *id, struct rk_err *err);
int refused(struct call *c, int r, exists_fn *exists, const char *id, struct rk_err *err)
    RK_CHECKED;
/* What a list answers; `stmt` takes (account). */
int answer_rows(struct call *c,
                const struct rk_pg_stmt *stmt,
                write_row_fn *write,
                struct rk_err *err) RK_CHECKED;
/* One object; `stmt` takes (account, id). RK_NOT_FOUND "<what>: <id> not found". */
int answer_row(struct call *c,
               const struct rk_pg_stmt *stmt,
               const char *what,
               const char *id,
               write_row_fn *write,
               struct rk_err *err) RK_CHECKED;
/* The row of an object inside the one that the path names first; `stmt` takes (account, that one's
 * id, id). RK_NOT_FOUND as above. Free *out. */
int find_inside(struct call *c,
                const struct rk_pg_stmt *stmt,
                const char *what,
                const char *id,
                struct rk_pg_result **out,
                struct rk_err *err) RK_CHECKED;
/* An array of strings from a text[] column. */
void write_strings(
    struct rk_json *j, const char *key, const struct rk_pg_result *res, int row, int col);

/* The JSON of a jsonb column, compact. */
void write_jsonb(
    struct rk_json *j, const char *key, const struct rk_pg_result *res, int row, int col);

/* A zone's record: id, name, type, content and ttl from column `col` on. */
void write_record(struct rk_json *j, const struct rk_pg_result *res, int row, int col);

/* Every group of the account as it appears inside other objects, by id. */
struct group_brief {
    const char *id, *name;
    int64_t peers, resources;
    size_t place; /* by age */
};
struct group_briefs {
    struct rk_map *by_id;
};
void group_briefs_done(struct group_briefs *g);
RK_DEFINE_AUTO_DONE(struct group_briefs, group_briefs_done)
int group_briefs_load(struct call *c, struct group_briefs *out, struct rk_err *err) RK_CHECKED;
/* Those alone that an object needs: `stmt` takes (account, id) and answers as RK_GROUP_BRIEFS. */
int group_briefs_of(struct call *c,
                    const struct rk_pg_stmt *stmt,
                    const char *id,
                    struct group_briefs *out,
                    struct rk_err *err) RK_CHECKED;
/* From such an answer. */
void group_briefs_take(struct call *c, const struct rk_pg_result *res, struct group_briefs *out);
/* For qsort of pointers to them: the oldest first. */
int group_brief_order(const void *a, const void *b);
void write_group_brief(struct rk_json *j, const struct group_brief *g);
/* The groups of a list of ids, in its order; null when there are none. */
void write_group_ids(struct rk_json *j,
                     const char *key,
                     const struct rk_str *ids,
                     size_t n,
                     const struct group_briefs *groups);
/* The same of a text[] column. */
void write_group_list(struct rk_json *j,
                      const char *key,
                      const struct rk_pg_result *res,
                      int row,
                      int col,
                      const struct group_briefs *groups);
