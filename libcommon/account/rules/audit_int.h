#pragma once

/* Between a change and its audit trail. */

#include "libcommon/account/rules/audit.h"

struct audit;

/* Makes it on the first call. */
int audit_watch(struct audit **a,
                struct rk_pg *pg,
                const char *account_id,
                enum rk_watched kind,
                const char *id,
                const char *also,
                struct rk_err *err) RK_CHECKED;
/* An event that waits for the end of the change. False: there is no more room, write it now. */
bool audit_hold(struct audit *a,
                const char *code,
                const char *initiator_id,
                const char *target_id,
                struct rk_str meta);
/* rk_change_seen and rk_change_becomes. */
json_t *audit_seen(const struct audit *a, const char *id);
void audit_becomes(struct audit *a, const char *id, json_t *after);
/* Looks again at what nobody has said the end of, and writes the events that have waited. */
int audit_write(struct audit *a, struct rk_pg *pg, const char *account_id, struct rk_err *err)
    RK_CHECKED;
void audit_free(struct audit *a); /* after the transaction has ended */
