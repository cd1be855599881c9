#pragma once

/*
 * What a change has changed: objects are looked at before it and at its end, and the members that
 * differ go into the events that tell of them, as {"name": {"before": ..., "after": ...}}. One
 * table says how each kind is looked at; nothing secret is in it. Worker threads.
 */

#include <jansson.h>

#include "libcommon/account/store/store.h"

enum rk_watched {
    RK_WATCH_ACCOUNT, /* settings, ranges, groups without DNS; id = the account's */
    RK_WATCH_PEER,
    RK_WATCH_GROUP,  /* with its members */
    RK_WATCH_POLICY, /* with its rules */
    RK_WATCH_USER,
    RK_WATCH_SETUP_KEY,
    RK_WATCH_TOKEN,
    RK_WATCH_POSTURE_CHECK,
    RK_WATCH_ROUTE,
    RK_WATCH_NETWORK,
    RK_WATCH_RESOURCE, /* with its groups */
    RK_WATCH_ROUTER,
    RK_WATCH_NAMESERVER_GROUP,
    RK_WATCH_ZONE,
    RK_WATCH_RECORD,
    RK_WATCH_INVITE,
    RK_WATCH_PROXY_TOKEN,
    RK_WATCH_CONNECTOR,
    RK_WATCH_COUNT,
};

/*
 * Call it once the change has begun and before it writes; also for an object that is to be made.
 * Its members then go into the events whose target is `id` or `also` (NULL: none), or, when there
 * is no such event, into the change's first one. Costs no round trip of its own here, and at commit
 * one for all that are watched.
 */
int rk_change_watch(struct rk_change *ch,
                    enum rk_watched kind,
                    const char *id,
                    const char *also,
                    struct rk_err *err) RK_CHECKED;

/* The object as it was when its watch began, once an answer has been waited for since. A new
 * reference; NULL: there was none. */
json_t *rk_change_seen(const struct rk_change *ch, const char *id);
/* What the change makes of an object that is watched (NULL: nothing), from whoever writes it, who
 * knows: it is not looked at again. */
void rk_change_becomes(struct rk_change *ch, const char *id, json_t *after);

/*
 * The members of two objects that differ; NULL for an object stands for one that is not there. Of
 * lists of more than RK_AUDIT_MAX_LIST texts only what came or went is told, at most that many. A
 * new reference, NULL when nothing differs. Any thread.
 */
#define RK_AUDIT_MAX_LIST 100
json_t *rk_audit_diff(const json_t *before, const json_t *after);
