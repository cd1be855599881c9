#pragma once

/*
 * Routes: one table of method, path, and everything that is decided about a request before its
 * handler runs. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/auth/auth.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/str.h"

struct call;
typedef int handler_fn(struct call *c, struct rk_err *err);

/* How errors look, and who may read answers from another origin. */
enum route_kind {
    ROUTE_REST,  /* JSON, any origin; tags, pages, the caller's permissions */
    ROUTE_OAUTH, /* {"error","error_description"}, any origin */
    ROUTE_PAGE,  /* for people */
    ROUTE_SCIM,  /* application/scim+json */
};

/* Whose threads a request waits for; each pool has threads and a queue of its own, so that what one
 * kind of request waits for costs only that kind. */
enum pool {
    POOL_COMMON,   /* Postgres */
    POOL_PASSWORD, /* password hashes: a core's time and 64 MiB each */
    POOL_OUTBOUND, /* other hosts, which may let us wait */
    POOL_END,
};

#define ROUTE_MAX_VARS 2
#define ROUTE_MAX_NEEDS 2

struct route_need {
    enum rk_module module;
    unsigned op; /* enum rk_op; 0 ends the list */
};

/* What the answer of a GET depends on, beside the request and who makes it: on nothing that changes
 * with time alone, with a setting's file, or outside of rk_change_commit. Then it may be kept. */
enum route_kept {
    KEPT_NOT,
    KEPT_ACCOUNT, /* the account's objects, and the caller's own row */
    KEPT_PEERS,   /* and which of its peers are connected */
    KEPT_PUBLIC,  /* whether there is an account; the handler has no headers to read */
};

enum route_refusal {
    REFUSE_USUAL, /* 403 */
    REFUSE_NEVER, /* the handler answers less: call.permitted says whether the role allows it */
    REFUSE_BARE,  /* 403 without the prefix for blocked users */
    REFUSE_SELF, /* no permission is needed, but blocked users and service users are told so in bare
                    words */
};

struct route {
    const char *method;
    const char *path; /* "{}" stands for one segment */
    handler_fn *handler;
    const char *group; /* label of the metrics */
    enum route_kind kind;
    enum pool pool;
    bool is_public; /* of ROUTE_REST; other kinds know their callers themselves */
    struct route_need need[ROUTE_MAX_NEEDS];
    enum route_refusal refusal;
    const char *denied; /* text of the 403, NULL = "permission denied" */
    bool writes;        /* takes a body and changes things */
    enum route_kept kept;
    size_t max_body; /* bytes; 0 = a body is read and dropped, however long it is */
};

#define ROUTE_MAX_BODY ((size_t)1 << 20)
#define ROUTE_MAX_FORM ((size_t)64 << 10)

extern const struct route routes[];
extern const size_t routes_count;

enum route_match {
    ROUTE_FOUND,
    ROUTE_NO_METHOD, /* a path of ours, but not with this method */
    ROUTE_NONE,
};
/* `path` is raw, as in the request line without its query. vars point into it. */
enum route_match route_find(struct rk_str method,
                            struct rk_str path,
                            const struct route **out,
                            struct rk_str vars[ROUTE_MAX_VARS]);

/* %XX decoded (and '+' as a space when `form`), in the arena. A NUL or a bad escape ends up as it
 * was sent. */
char *route_unescape(struct rk_arena *a, struct rk_str s, bool form);
/* The same, to be looked up: what is not UTF-8 has a question mark for each byte that is not ASCII,
 * as Postgres would refuse it and no id has one. */
char *route_text(struct rk_arena *a, struct rk_str s, bool form);
