#pragma once

/*
 * May this peer reach that peer, resource or address, and why: read off the maps that the two ends
 * (or the routing peers between them) hold at this snapshot, not computed a second time from the
 * policies. What the policies say is listed beside it, each with the reason it does or does not
 * apply. Pure; any thread. Everything it gives lives in the caller's arena.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/prefix.h"

enum rk_explain_target {
    RK_EXPLAIN_PEER,
    RK_EXPLAIN_RESOURCE,
    RK_EXPLAIN_ADDRESS,
    RK_EXPLAIN_DOMAIN,
};

struct rk_explain_query {
    size_t from; /* index of a peer */
    enum rk_explain_target target;
    size_t peer;                    /* PEER: its index */
    const char *resource;           /* RESOURCE: its id */
    struct rk_prefix address;       /* ADDRESS */
    const char *domain;             /* DOMAIN: lower case, punycode, without a trailing dot */
    bool v6;                        /* PEER: over IPv6 */
    enum rk_rule_protocol protocol; /* RK_PROTO_ALL: any */
    uint16_t port;                  /* 0: any */
};

/* A rule of a map that bears on the query. */
struct rk_explain_rule {
    const char *policy; /* id; "" = a route without access control groups lets everyone in */
    bool accept;
    bool whole; /* covers all that was asked for; false: some of its protocols or ports */
    enum rk_rule_protocol protocol;
    uint16_t first_port, last_port; /* 0, 0: all */
};

enum rk_explain_why {
    RK_WHY_ALLOWED,
    RK_WHY_NOT_CONNECTED, /* no policy, in either direction, joins the two peers */
    RK_WHY_EXPIRED,       /* the other's login has expired */
    RK_WHY_NO_RULE,       /* connected, but no rule lets this in */
    RK_WHY_DROPPED,       /* a drop rule forbids it */
    RK_WHY_NO_ROUTE,      /* nothing routes there */
    RK_WHY_SELF,          /* the peer itself */
};
const char *rk_explain_why_text(enum rk_explain_why why);

/* Straight to the peer, or through one routing peer. */
struct rk_explain_way {
    size_t router; /* index; RK_NO_PEER: straight */
    const char *route, *net_id, *network;
    int64_t metric;
    enum rk_explain_why why;
    struct rk_explain_rule
        *rules; /* that bear on the query, those that let in and those that do not */
    size_t rules_n;
};

/* Why a policy's rule does not let the query through; 0: it does. */
enum rk_explain_fault {
    RK_FAULT_POLICY_DISABLED = 1,
    RK_FAULT_RULE_DISABLED = 2,
    RK_FAULT_DIRECTION = 4, /* one-way, and the other way round */
    RK_FAULT_PROTOCOL = 8,
    RK_FAULT_PORT = 16,
    RK_FAULT_POSTURE = 32,
    RK_FAULT_APPROVAL = 64, /* one of the two waits for approval */
    RK_FAULT_COUNT = 7,
};
const char *rk_explain_fault_text(enum rk_explain_fault fault);

struct rk_explain_check {
    const char *id;
    bool passed;
};

/* A rule whose two sides hold the two ends. Group ids of those that do; none when an end is named
 * directly. */
struct rk_explain_policy {
    const struct rk_policy_row *policy;
    size_t rule;
    unsigned faults;
    const char **sources, **destinations;
    size_t sources_n, destinations_n;
    struct rk_explain_check *checks; /* of the peer on the source side */
    size_t checks_n;
};

struct rk_explanation {
    bool allowed; /* at least some of what was asked for, some way */
    enum rk_explain_why why;
    struct rk_explain_way *ways;
    size_t ways_n;
    struct rk_explain_policy *policies;
    size_t policies_n;
};

void rk_explain(const struct rk_snapshot *s,
                const struct rk_explain_query *q,
                int64_t now_us,
                struct rk_arena *arena,
                struct rk_explanation *out);
