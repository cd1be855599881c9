#pragma once

/*
 * Who may do what over REST: roles, modules and the matrix between them, as data. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

enum rk_role {
    RK_ROLE_OWNER,
    RK_ROLE_ADMIN,
    RK_ROLE_NETWORK_ADMIN,
    RK_ROLE_AUDITOR,
    RK_ROLE_USER,
    RK_ROLE_BILLING_ADMIN,
    RK_ROLE_COUNT,
};

/* Order of enum and names: auth.c. The 24 modules of GET /api/users/current. */
enum rk_module {
    RK_MOD_NETWORKS,
    RK_MOD_GROUPS,
    RK_MOD_DNS,
    RK_MOD_NAMESERVERS,
    RK_MOD_POLICIES,
    RK_MOD_ROUTES,
    RK_MOD_PATS,
    RK_MOD_SETTINGS,
    RK_MOD_ACCOUNTS,
    RK_MOD_EVENTS,
    RK_MOD_USERS,
    RK_MOD_SETUP_KEYS,
    RK_MOD_PEERS,
    RK_MOD_IDENTITY_PROVIDERS,
    RK_MOD_REMOTE_JOBS,
    RK_MOD_SERVICES,
    RK_MOD_AGENT_NETWORK,
    RK_MOD_AN_PROVIDERS,
    RK_MOD_AN_POLICIES,
    RK_MOD_AN_GUARDRAILS,
    RK_MOD_AN_BUDGETS,
    RK_MOD_AN_USAGE,
    RK_MOD_AN_LOGS,
    RK_MOD_AN_SETTINGS,
    RK_MOD_COUNT,
};

enum rk_op {
    RK_OP_READ = 1,
    RK_OP_CREATE = 2,
    RK_OP_UPDATE = 4,
    RK_OP_DELETE = 8,
};

bool rk_role_parse(struct rk_str s, enum rk_role *out); /* case ignored */
const char *rk_role_name(enum rk_role r);
const char *rk_module_name(enum rk_module m); /* "setup_keys", "agent_network.providers" */

/* Bits of enum rk_op the role has; service users additionally may read everything. 0 for roles
 * without a table. */
unsigned rk_role_ops(enum rk_role r, enum rk_module m, bool service_user);
bool rk_role_has_table(enum rk_role r); /* false: billing_admin */
