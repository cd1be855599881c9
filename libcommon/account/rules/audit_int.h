#pragma once

/* Between a change and its audit trail. */

#include "libcommon/account/rules/audit.h"

struct audit;

/* Events that wait for COMMIT, in their order; they are written together. */
struct audit_event;
struct audit_events {
    struct audit_event *first, **last;
    size_t n, bytes;
};

void audit_events_init(struct audit_events *e);
void audit_events_done(struct audit_events *e);
/* False: there is no more room, write it now. */
bool audit_events_hold(struct audit_events *e,
                       const char *code,
                       const char *initiator_id,
                       const char *target_id,
                       struct rk_str meta);
/* Behind those that `to` has; *from has none then. */
void audit_events_move(struct audit_events *to, struct audit_events *from);
/* Forgets all but the first n. */
void audit_events_cut(struct audit_events *e, size_t n);
int audit_events_write(const struct audit_events *e,
                       struct rk_pg *pg,
                       const char *account_id,
                       struct rk_err *err) RK_CHECKED;

/* Makes it on the first call. */
int audit_watch(struct audit **a,
                struct rk_pg *pg,
                const char *account_id,
                enum rk_watched kind,
                const char *id,
                const char *also,
                struct rk_err *err) RK_CHECKED;
/* rk_change_seen and rk_change_becomes. */
json_t *audit_seen(const struct audit *a, const char *id);
void audit_becomes(struct audit *a, const char *id, json_t *after);
/* Looks again at what nobody has said the end of, and adds to the change's events what differs. */
int audit_compare(struct audit *a,
                  struct audit_events *events,
                  struct rk_pg *pg,
                  const char *account_id,
                  struct rk_err *err) RK_CHECKED;
void audit_free(struct audit *a); /* after the transaction has ended */
