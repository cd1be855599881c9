#pragma once

/*
 * What must happen at a time, as rows of `due` (kind, object, when). A row is written in the
 * transaction of its cause: a peer disconnects, logs in, its replica dies, settings change. Whoever
 * is alive claims what is due and acts in the same transaction, so it happens exactly once; nothing
 * is kept in a process's memory but when to look again.
 *
 * A row says when to look, the object itself whether it is time: a peer that came back in between
 * keeps its row until then, and it goes without a trace; one whose deadline has moved on takes its
 * row along. So causes only ever write rows that are new or move.
 *
 * Locks are taken in the order account, peer_status, due; presence starts at the second.
 * Worker threads only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/store/store.h"

enum rk_due_kind {
    RK_DUE_EPHEMERAL,  /* an ephemeral peer has been away for its life: it is deleted */
    RK_DUE_LOGIN,      /* a login is too old: the peer is flagged login_expired */
    RK_DUE_INACTIVITY, /* a peer was away too long; a login is being there, too: likewise */
    RK_DUE_JOB,        /* a job that nobody answered has failed */
    RK_DUE_KINDS,
};

#define RK_EPHEMERAL_LIFE_S 600
#define RK_JOB_LIFE_S 900 /* the longest bundle waits 5 minutes before it is made and sent */

/*
 * The deadlines that these peers have as they are now; inside the transaction of what changed them.
 * A deadline that lies in the past already is due now. ephemeral_s: the life of an ephemeral peer
 * that is away (RK_EPHEMERAL_LIFE_S unless set otherwise); 0 leaves that deadline as it is.
 */
int rk_due_follow(struct rk_pg *pg,
                  const struct rk_str *peer_ids,
                  size_t n,
                  int64_t ephemeral_s,
                  struct rk_err *err) RK_CHECKED;
/* The account's expiration settings have changed: those of all its peers. */
int rk_due_follow_account(struct rk_change *ch, struct rk_err *err) RK_CHECKED;
/* One deadline, `seconds` from now. */
int rk_due_put(struct rk_change *ch,
               enum rk_due_kind kind,
               const char *object_id,
               int64_t seconds,
               struct rk_err *err) RK_CHECKED;

struct rk_due_params {
    int64_t ephemeral_s;
    const char *default_domain; /* the server's dns_domain */
    /* After COMMIT, once for each that was acted on: how late it was. */
    void (*on_acted)(void *arg, enum rk_due_kind kind, int64_t late_us);
    void *arg;
};

struct rk_due_report {
    struct rk_bell *bells; /* accounts that changed; free() */
    size_t bells_n;
    int64_t next_ms; /* until it is worth looking again; -1 = nothing is to come */
};

/* Acts on what is due, a bounded part of it; accounts that others work on are left to them for a
 * moment. What was done before an error is done, and in the report. */
int rk_due_act(struct rk_pg *pg,
               const struct rk_due_params *params,
               struct rk_due_report *out,
               struct rk_err *err) RK_CHECKED;

/* Flags the peers of users who may not log in any more, as an expired login would; `reason` goes
 * into the events. */
int rk_peer_expire_users(struct rk_change *ch,
                         const struct rk_str *user_ids,
                         size_t n,
                         const char *default_domain,
                         const char *reason,
                         struct rk_err *err) RK_CHECKED;
int rk_peer_expire_user(struct rk_change *ch,
                        const char *user_id,
                        const char *default_domain,
                        const char *reason,
                        struct rk_err *err) RK_CHECKED;
