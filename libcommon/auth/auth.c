/* The matrix of roles and modules. Rows of the module table are in the order of enum rk_module. */

#include "libcommon/auth/auth.h"

#include "libcommon/base/attr.h"

#define RCUD (RK_OP_READ | RK_OP_CREATE | RK_OP_UPDATE | RK_OP_DELETE)
#define R RK_OP_READ

/* Columns: owner, admin, network_admin, auditor. Every other role has no entry. */
struct module_row {
    const char *name;
    unsigned char ops[4];
};

static const struct module_row modules[RK_MOD_COUNT] = {
    [RK_MOD_NETWORKS] = { "networks", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_GROUPS] = { "groups", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_DNS] = { "dns", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_NAMESERVERS] = { "nameservers", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_POLICIES] = { "policies", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_ROUTES] = { "routes", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_PATS] = { "pats", { RCUD, RCUD, RCUD, R } },
    [RK_MOD_SETTINGS] = { "settings", { RCUD, RCUD, R, R } },
    [RK_MOD_ACCOUNTS] = { "accounts", { RCUD, R, R, R } },
    [RK_MOD_EVENTS] = { "events", { RCUD, RCUD, R, R } },
    [RK_MOD_USERS] = { "users", { RCUD, RCUD, R, R } },
    [RK_MOD_SETUP_KEYS] = { "setup_keys", { RCUD, RCUD, R, R } },
    [RK_MOD_PEERS] = { "peers", { RCUD, RCUD, R, R } },
    [RK_MOD_IDENTITY_PROVIDERS] = { "identity_providers", { RCUD, RCUD, R, R } },
    [RK_MOD_REMOTE_JOBS] = { "remote_jobs", { RCUD, RCUD, 0, R } },
    [RK_MOD_SERVICES] = { "services", { RCUD, RCUD, 0, R } },
    [RK_MOD_AGENT_NETWORK] = { "agent_network", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_PROVIDERS] = { "agent_network.providers", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_POLICIES] = { "agent_network.policies", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_GUARDRAILS] = { "agent_network.guardrails", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_BUDGETS] = { "agent_network.budgets", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_USAGE] = { "agent_network.usage", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_LOGS] = { "agent_network.logs", { RCUD, RCUD, 0, R } },
    [RK_MOD_AN_SETTINGS] = { "agent_network.settings", { RCUD, RCUD, 0, R } },
};

static const char *const roles[RK_ROLE_COUNT] = {
    [RK_ROLE_OWNER] = "owner",
    [RK_ROLE_ADMIN] = "admin",
    [RK_ROLE_NETWORK_ADMIN] = "network_admin",
    [RK_ROLE_AUDITOR] = "auditor",
    [RK_ROLE_USER] = "user",
    [RK_ROLE_BILLING_ADMIN] = "billing_admin",
};

bool rk_role_parse(struct rk_str s, enum rk_role *out)
{
    unsigned i;

    for (i = 0; i < RK_COUNT(roles); i++) {
        if (rk_str_ieq(s, rk_str(roles[i]))) {
            *out = (enum rk_role)i;
            return true;
        }
    }
    return false;
}

const char *rk_role_name(enum rk_role r)
{
    return roles[r];
}

const char *rk_module_name(enum rk_module m)
{
    return modules[m].name;
}

bool rk_role_has_table(enum rk_role r)
{
    return r != RK_ROLE_BILLING_ADMIN;
}

unsigned rk_role_ops(enum rk_role r, enum rk_module m, bool service_user)
{
    unsigned ops = (unsigned)r < RK_COUNT(modules[m].ops) ? modules[m].ops[r] : 0;

    return service_user ? ops | RK_OP_READ : ops;
}
