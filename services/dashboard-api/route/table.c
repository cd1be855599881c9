/* Every route of this service, one row each; see route.h for what a row decides. */

#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/route/route.h"

#define NEED(module, ops) .need = { { RK_MOD_##module, RK_OP_##ops } }
#define BODY .writes = true, .max_body = ROUTE_MAX_BODY

const struct route routes[] = {
    { "GET", "/api/instance", instance_status, "instance", .is_public = true },
    { "POST", "/api/setup", setup_create, "instance", .is_public = true, BODY },
    { "GET", "/api/openapi.json", openapi_get, "openapi", .is_public = true },
    { "GET", "/api/instance/version", instance_version, "instance", .refusal = REFUSE_USUAL },

    { "GET", "/api/accounts", account_list, "accounts",
      .need = { { RK_MOD_ACCOUNTS, RK_OP_READ }, { RK_MOD_SETTINGS, RK_OP_READ } } },
    { "PUT", "/api/accounts/{}", account_update, "accounts", NEED(SETTINGS, UPDATE), BODY },
    { "DELETE", "/api/accounts/{}", account_delete, "accounts", NEED(ACCOUNTS, DELETE),
      .writes = true,
      .denied = "user is not allowed to delete account. only account owner can delete account" },

    { "GET", "/api/users", user_list, "users", NEED(USERS, READ), .refusal = REFUSE_NEVER },
    { "GET", "/api/users/current", user_current, "users", .refusal = REFUSE_SELF },
    { "POST", "/api/users", user_create, "users", NEED(USERS, CREATE), BODY },
    { "PUT", "/api/users/{}", user_update, "users", NEED(USERS, CREATE), BODY },
    { "DELETE", "/api/users/{}", user_delete, "users", NEED(USERS, DELETE), .writes = true },
    { "POST", "/api/users/{}/approve", user_approve, "users", NEED(USERS, UPDATE), .writes = true },
    { "DELETE", "/api/users/{}/reject", user_reject, "users", NEED(USERS, DELETE), .writes = true },
    { "POST", "/api/users/{}/invite", user_invite, "users", NEED(USERS, CREATE), .writes = true },
    { "PUT", "/api/users/{}/password", user_password, "users", .refusal = REFUSE_SELF, BODY },
    { "GET", "/api/users/{}/tokens", token_list, "tokens", NEED(PATS, READ) },
    { "POST", "/api/users/{}/tokens", token_create, "tokens", NEED(PATS, CREATE), BODY },
    { "GET", "/api/users/{}/tokens/{}", token_get, "tokens", NEED(PATS, READ) },
    { "DELETE", "/api/users/{}/tokens/{}", token_delete, "tokens", NEED(PATS, DELETE),
      .writes = true },

    { "GET", "/api/setup-keys", setup_key_list, "setup_keys", NEED(SETUP_KEYS, READ) },
    { "POST", "/api/setup-keys", setup_key_create, "setup_keys", NEED(SETUP_KEYS, CREATE), BODY },
    { "GET", "/api/setup-keys/{}", setup_key_get, "setup_keys", NEED(SETUP_KEYS, READ) },
    { "PUT", "/api/setup-keys/{}", setup_key_update, "setup_keys", NEED(SETUP_KEYS, UPDATE), BODY },
    { "DELETE", "/api/setup-keys/{}", setup_key_delete, "setup_keys", NEED(SETUP_KEYS, DELETE),
      .writes = true },

    { "GET", "/api/groups", group_list, "groups", NEED(GROUPS, READ), .refusal = REFUSE_BARE },
    { "POST", "/api/groups", group_create, "groups", NEED(GROUPS, CREATE), BODY },
    { "GET", "/api/groups/{}", group_get, "groups", NEED(GROUPS, READ), .refusal = REFUSE_BARE },
    { "PUT", "/api/groups/{}", group_update, "groups", NEED(GROUPS, UPDATE), BODY },
    { "DELETE", "/api/groups/{}", group_delete, "groups", NEED(GROUPS, DELETE), .writes = true },

    { "GET", "/api/policies", policy_list, "policies", NEED(POLICIES, READ) },
    { "POST", "/api/policies", policy_create, "policies", NEED(POLICIES, CREATE), BODY },
    { "GET", "/api/policies/{}", policy_get, "policies", NEED(POLICIES, READ) },
    { "PUT", "/api/policies/{}", policy_update, "policies", NEED(POLICIES, UPDATE), BODY },
    { "DELETE", "/api/policies/{}", policy_delete, "policies", NEED(POLICIES, DELETE),
      .writes = true },

    { "GET", "/api/posture-checks", posture_list, "posture_checks", NEED(POLICIES, READ) },
    { "POST", "/api/posture-checks", posture_create, "posture_checks", NEED(POLICIES, CREATE),
      BODY },
    { "GET", "/api/posture-checks/{}", posture_get, "posture_checks", NEED(POLICIES, READ) },
    { "PUT", "/api/posture-checks/{}", posture_update, "posture_checks", NEED(POLICIES, UPDATE),
      BODY },
    { "DELETE", "/api/posture-checks/{}", posture_delete, "posture_checks", NEED(POLICIES, DELETE),
      .writes = true },
    { "GET", "/api/locations/countries", country_list, "locations", .refusal = REFUSE_USUAL },
    { "GET", "/api/locations/countries/{}/cities", city_list, "locations",
      .refusal = REFUSE_USUAL },

    { "GET", "/api/dns/nameservers", nsgroup_list, "nameservers", NEED(NAMESERVERS, READ) },
    { "POST", "/api/dns/nameservers", nsgroup_create, "nameservers", NEED(NAMESERVERS, CREATE),
      BODY },
    { "GET", "/api/dns/nameservers/{}", nsgroup_get, "nameservers", NEED(NAMESERVERS, READ) },
    { "PUT", "/api/dns/nameservers/{}", nsgroup_update, "nameservers", NEED(NAMESERVERS, UPDATE),
      BODY },
    { "DELETE", "/api/dns/nameservers/{}", nsgroup_delete, "nameservers", NEED(NAMESERVERS, DELETE),
      .writes = true },
    { "GET", "/api/dns/settings", dns_settings_get, "dns", NEED(DNS, READ) },
    { "PUT", "/api/dns/settings", dns_settings_update, "dns", NEED(DNS, UPDATE), BODY },
    { "GET", "/api/dns/zones", zone_list, "dns", NEED(DNS, READ) },
    { "POST", "/api/dns/zones", zone_create, "dns", NEED(DNS, CREATE), BODY },
    { "GET", "/api/dns/zones/{}", zone_get, "dns", NEED(DNS, READ) },
    { "PUT", "/api/dns/zones/{}", zone_update, "dns", NEED(DNS, UPDATE), BODY },
    { "DELETE", "/api/dns/zones/{}", zone_delete, "dns", NEED(DNS, DELETE), .writes = true },
    { "GET", "/api/dns/zones/{}/records", record_list, "dns", NEED(DNS, READ) },
    { "POST", "/api/dns/zones/{}/records", record_create, "dns", NEED(DNS, CREATE), BODY },
    { "GET", "/api/dns/zones/{}/records/{}", record_get, "dns", NEED(DNS, READ) },
    { "PUT", "/api/dns/zones/{}/records/{}", record_update, "dns", NEED(DNS, UPDATE), BODY },
    { "DELETE", "/api/dns/zones/{}/records/{}", record_delete, "dns", NEED(DNS, DELETE),
      .writes = true },

    { "GET", "/api/routes", route_list, "routes", NEED(ROUTES, READ) },
    { "POST", "/api/routes", route_create, "routes", NEED(ROUTES, CREATE), BODY },
    { "GET", "/api/routes/{}", route_get, "routes", NEED(ROUTES, READ) },
    { "PUT", "/api/routes/{}", route_update, "routes", NEED(ROUTES, UPDATE), BODY },
    { "DELETE", "/api/routes/{}", route_delete, "routes", NEED(ROUTES, DELETE), .writes = true },

    { "GET", "/api/peers", peer_list, "peers", NEED(PEERS, READ), .refusal = REFUSE_NEVER },
    { "GET", "/api/peers/{}", peer_get, "peers", NEED(PEERS, READ), .refusal = REFUSE_NEVER },
    { "PUT", "/api/peers/{}", peer_update, "peers", NEED(PEERS, UPDATE), BODY },
    { "DELETE", "/api/peers/{}", peer_delete, "peers", NEED(PEERS, DELETE), .writes = true },
    { "GET", "/api/peers/{}/accessible-peers", peer_accessible, "peers", NEED(PEERS, READ),
      .refusal = REFUSE_NEVER },
    /* Those who may change everything may see everything. */
    { "GET", "/api/peers/{}/network-map", peer_network_map, "peers", NEED(SETTINGS, UPDATE) },

    { "GET", "/api/explain", explain_get, "explain",
      .need = { { RK_MOD_PEERS, RK_OP_READ }, { RK_MOD_POLICIES, RK_OP_READ } } },

    { "GET", "/api/peers/{}/jobs", job_list, "jobs", NEED(REMOTE_JOBS, READ) },
    { "POST", "/api/peers/{}/jobs", job_create, "jobs", NEED(REMOTE_JOBS, CREATE), BODY },
    { "GET", "/api/peers/{}/jobs/{}", job_get, "jobs", NEED(REMOTE_JOBS, READ) },

    { "GET", "/api/events/audit", event_list, "events", NEED(EVENTS, READ) },
    { "GET", "/api/events", event_list, "events", NEED(EVENTS, READ) },
};
const size_t routes_count = RK_COUNT(routes);
