#pragma once

/*
 * Hub: one account on this replica: its newest snapshot, the sessions of its peers, and who waits
 * for which serial.
 *
 * A doorbell or the sweep says "the account is at serial N"; the hub has a worker read what
 * changed, build the next snapshot and compute the affected peers, swaps it in, and marks those
 * that are connected here as pending. A failed read changes nothing: the last good snapshot stays.
 * One read at a time; what is heard meanwhile causes one more. Loop thread, except where a job runs
 * on a worker.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/base/err.h"
#include "libcommon/base/list.h"
#include "libcommon/loop/loop.h"
#include "services/management/fanout/pace.h"

struct app;
struct session;

struct hub {
    char id[RK_XID_LEN + 1];
    struct app *app;
    struct rk_snapshot *snap; /* NULL until first loaded */
    uint64_t heard;           /* highest serial anybody named */
    uint64_t behind_ms;       /* since when `snap` is older than that; 0: it is not */
    bool loading;
    struct rk_list waiters; /* struct hub_wait */
    struct rk_list sessions;
    struct rk_list pending;    /* sessions that owe a map, who has longest first */
    struct rk_list batches;    /* of maps that makers have for it */
    struct rk_list by_makers;  /* where it waits for its turn, or alone */
    struct session **by_index; /* peer index → its session here, or NULL */
    size_t by_index_n;
    size_t session_count;
    struct rk_timer fan; /* next round of fan-out */
    bool fan_armed;
    struct pace pace;
    uint64_t round_started_ms;
    int64_t round_late_us; /* from COMMIT to the latest map of this round; -1 = none yet */
    uint64_t used_ms;      /* last time anybody needed it */
};

/* Somebody who needs the account at `serial` or later. */
struct hub_wait {
    struct rk_list node;
    uint64_t serial;
    /* r = 0: the hub's snapshot is new enough; else why not. The waiter is off the list. */
    void (*on_ready)(struct hub_wait *w, int r, const struct rk_err *err);
};

struct hub *hub_get(struct app *app, const char *account_id); /* makes it when it is new */
struct hub *hub_find(struct app *app, struct rk_str account_id);
/* Calls on_ready at once when the snapshot is there already. */
void hub_wait(struct hub *h, uint64_t serial, struct hub_wait *w);
void hub_hear(struct hub *h, uint64_t serial); /* reads when serial is news */

void hub_attach(struct hub *h,
                struct session *s,
                size_t index); /* an older session of the same peer ends with status 0 */
void hub_detach(struct hub *h, struct session *s);
/* Owes a map, because of a change that was committed then (RK_TIME_UNSET: not known). */
void hub_mark(struct hub *h, struct session *s, int64_t committed_at_us);
/* The same for those of these peers (indexes of the snapshot) that are connected here. */
void hub_mark_all(struct hub *h, const struct rk_bitmap *peers, int64_t committed_at_us);

/* The peer may not have taken its last map: it gets one, whatever it says. */
void hub_resend(struct hub *h, const uint8_t key[RK_KEY_LEN]);

/*
 * After a read that brought the account to serial `have`: is another one due? `*heard` is the
 * highest serial anybody named by now, `heard_before` what it was when the read was asked for. A
 * number that was named before the read and is still not there was committed by nobody: it is
 * forgotten, or it would be asked for for ever. Pure.
 */
bool hub_read_again(uint64_t have, uint64_t *heard, uint64_t heard_before, bool awaited);

/* How long the account that has waited longest has been known to be newer in Postgres than here. */
uint64_t hub_behind_ms(struct app *app);

/* Every few seconds: compares the serials of all hubs with Postgres; lets go of accounts nobody
 * uses. */
void hub_sweep(struct app *app);
void hub_close_all(struct app *app);
