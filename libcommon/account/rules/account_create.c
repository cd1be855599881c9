/* The first account and its owner. */

#include "libcommon/account/rules/account_create.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/json.h"

static const struct rk_pg_stmt lock_setup = { "setup_lock",
                                              "SELECT pg_advisory_xact_lock(7237108263412732)" };
static const struct rk_pg_stmt any_account = { "account_any",
                                               "SELECT EXISTS (SELECT 1 FROM account)" };
static const struct rk_pg_stmt add_account = {
    "setup_account",
    "INSERT INTO account (id, domain, created_by, network_id, net4, net6, settings, "
    "domain_category, is_primary, onboarding) "
    "VALUES ($1, $2, $3, $4, $5::cidr, $6::cidr, $7::jsonb, $8, $9, "
    "'{\"signup_form_pending\":true,\"onboarding_flow_pending\":true}')"
};
static const struct rk_pg_stmt add_user = {
    "setup_user", "INSERT INTO users (id, account_id, role, name, email, password_hash, issued) "
                  "VALUES ($1, $2, 'owner', $3, $4, $5, 'api')"
};
static const struct rk_pg_stmt add_pat = {
    "setup_pat", "INSERT INTO pat (id, account_id, user_id, name, hash, created_by, expires_at) "
                 "VALUES ($1, $2, $3, $4, $5, $3, $6)"
};
static const struct rk_pg_stmt add_group = {
    "setup_group", "INSERT INTO account_group (id, public_id, account_id, name) "
                   "VALUES ($1, $2, $3, 'All')"
};
static const struct rk_pg_stmt add_policy = {
    "setup_policy",
    "INSERT INTO policy (id, public_id, account_id, name, description, enabled) VALUES ($1, $2, "
    "$3, 'Default', "
    "'This is a default rule that allows connections between all the resources', true)"
};
static const struct rk_pg_stmt add_rule = { "setup_rule",
                                            "INSERT INTO policy_rule (policy_id, position, id, "
                                            "name, description, enabled, action, protocol, "
                                            "bidirectional, sources, destinations) SELECT id, 0, "
                                            "id, name, description, true, 'accept', 'all', true, "
                                            "ARRAY[$2], ARRAY[$2] FROM policy WHERE id = $1" };
static const struct rk_pg_stmt add_event = {
    "setup_event", "INSERT INTO event (account_id, code, initiator_id, target_id, meta) "
                   "VALUES ($1, $2, $3, $4, $5::jsonb)"
};

int rk_account_any(struct rk_pg *pg, bool *out_any, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run0(pg, &any_account, &res, err);

    if (r < 0)
        return r;
    *out_any = rk_pg_bool(res, 0, 0);
    return 0;
}

/* Every member of AccountSettings that a new account has. */
static void put_settings(struct rk_json *j, const char *all_group)
{
    rk_json_object(j, NULL);
    rk_json_bool(j, "peer_login_expiration_enabled", true);
    rk_json_int(j, "peer_login_expiration", 86400);
    rk_json_bool(j, "peer_inactivity_expiration_enabled", false);
    rk_json_int(j, "peer_inactivity_expiration", 600);
    rk_json_bool(j, "regular_users_view_blocked", true);
    rk_json_bool(j, "groups_propagation_enabled", true);
    rk_json_bool(j, "jwt_groups_enabled", false);
    rk_json_cstr(j, "jwt_groups_claim_name", "");
    rk_json_array(j, "jwt_allow_groups");
    rk_json_array_end(j);
    rk_json_bool(j, "routing_peer_dns_resolution_enabled", true);
    rk_json_cstr(j, "dns_domain", "");
    rk_json_bool(j, "peer_expose_enabled", false);
    rk_json_null(j, "peer_expose_groups");
    rk_json_object(j, "extra");
    rk_json_bool(j, "peer_approval_enabled", false);
    rk_json_bool(j, "user_approval_required", true);
    rk_json_bool(j, "network_traffic_logs_enabled", false);
    rk_json_null(j, "network_traffic_logs_groups");
    rk_json_bool(j, "network_traffic_packet_counter_enabled", false);
    rk_json_object_end(j);
    rk_json_bool(j, "lazy_connection_enabled", true);
    rk_json_cstr(j, "auto_update_version", "disabled");
    rk_json_bool(j, "auto_update_always", false);
    rk_json_bool(j, "metrics_push_enabled", false);
    rk_json_bool(j, "agent_network_only", false);
    rk_json_bool(j, "local_mfa_enabled", false);
    rk_json_array(j, "ipv6_enabled_groups");
    rk_json_cstr(j, NULL, all_group);
    rk_json_array_end(j);
    rk_json_object_end(j);
}

/* A /16 out of 100.64.0.0/10 and a /64 out of fd00::/8, both at random. */
static void draw_networks(char net4[32], char net6[48])
{
    uint8_t b[7];

    rk_random(b, sizeof(b));
    snprintf(net4, 32, "100.%u.0.0/16", 64 + (unsigned)rk_random_below(64));
    snprintf(net6, 48, "fd%02x:%02x%02x:%02x%02x:%02x%02x::/64", b[0], b[1], b[2], b[3], b[4], b[5],
             b[6]);
}

static int insert_account(struct rk_pg *pg,
                          const struct rk_account_new *in,
                          const char *account_id,
                          const char *all_group,
                          struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf settings;
    char network_id[RK_XID_LEN + 1], net4[32], net6[48];
    struct rk_json j;

    rk_buf_init(&settings, 64 * 1024);
    rk_json_init(&j, &settings);
    put_settings(&j, all_group);
    rk_xid_new(network_id);
    draw_networks(net4, net6);
    return rk_pg_run(pg, &add_account, NULL, err, RK_P_C(account_id), RK_P_C(in->domain),
                     RK_P_C(in->user_id), RK_P_C(network_id), RK_P_C(net4), RK_P_C(net6),
                     RK_P_STR(rk_buf_str(&settings)), RK_P_C(in->domain_category),
                     RK_P_BOOL(in->is_primary));
}

static int
insert_defaults(struct rk_pg *pg, const char *account_id, const char *all_group, struct rk_err *err)
{
    char group_public[RK_XID_LEN + 1], policy[RK_XID_LEN + 1], policy_public[RK_XID_LEN + 1];
    int r;

    rk_xid_new(group_public);
    rk_xid_new(policy);
    rk_xid_new(policy_public);
    r = rk_pg_run(pg, &add_group, NULL, err, RK_P_C(all_group), RK_P_C(group_public),
                  RK_P_C(account_id));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &add_policy, NULL, err, RK_P_C(policy), RK_P_C(policy_public),
                  RK_P_C(account_id));
    if (r < 0)
        return r;
    return rk_pg_run(pg, &add_rule, NULL, err, RK_P_C(policy), RK_P_C(all_group));
}

static int tell(struct rk_pg *pg,
                const char *account_id,
                const char *code,
                const char *user_id,
                const char *target_id,
                struct rk_str meta,
                struct rk_err *err)
{
    return rk_pg_run(pg, &add_event, NULL, err, RK_P_C(account_id), RK_P_C(code), RK_P_C(user_id),
                     RK_P_C(target_id), RK_P_STR(meta));
}

int rk_account_lock(struct rk_pg *pg, struct rk_err *err)
{
    return rk_pg_run0(pg, &lock_setup, NULL, err);
}

int rk_account_insert(struct rk_pg *pg,
                      const struct rk_account_new *in,
                      char out_account_id[RK_XID_LEN + 1],
                      struct rk_err *err)
{
    char account[RK_XID_LEN + 1], all_group[RK_XID_LEN + 1];
    int r;

    rk_xid_new(account);
    rk_xid_new(all_group);
    r = insert_account(pg, in, account, all_group, err);
    if (r == 0)
        r = rk_pg_run(pg, &add_user, NULL, err, RK_P_C(in->user_id), RK_P_C(account),
                      RK_P_C(in->name), RK_P_C(in->email), RK_P_C(in->password_hash));
    if (r == 0)
        r = insert_defaults(pg, account, all_group, err);
    if (r == 0)
        r = tell(pg, account, "account.create", in->user_id, account, RK_STR("{}"), err);
    if (r == 0)
        r = tell(pg, account, "user.join", in->user_id, in->user_id, RK_STR("{}"), err);
    if (r < 0)
        return r;
    memcpy(out_account_id, account, sizeof(account));
    return 0;
}

/* The token that the setup may ask for. */
static int insert_pat(struct rk_pg *pg,
                      const struct rk_account_setup *in,
                      const struct rk_account_created *ids,
                      struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta;
    char pat_id[RK_XID_LEN + 1];
    struct rk_json j;
    int r;

    rk_buf_init(&meta, 64 * 1024);
    rk_xid_new(pat_id);
    r = rk_pg_run(pg, &add_pat, NULL, err, RK_P_C(pat_id), RK_P_C(ids->account_id),
                  RK_P_C(ids->user_id), RK_P_C(in->pat_name), RK_P_C(in->pat_hash),
                  RK_P_TIME(in->pat_expires_us));
    if (r < 0)
        return r;
    rk_json_init(&j, &meta);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "name", in->pat_name);
    rk_json_bool(&j, "is_service_user", false);
    rk_json_cstr(&j, "user_name", in->name);
    rk_json_object_end(&j);
    return tell(pg, ids->account_id, "personal.access.token.create", ids->user_id, ids->user_id,
                rk_buf_str(&meta), err);
}

static int create(struct rk_pg *pg,
                  const struct rk_account_setup *in,
                  bool first,
                  struct rk_account_created *out,
                  struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    struct rk_account_created ids;
    struct rk_account_new account = { .user_id = ids.user_id,
                                      .email = in->email,
                                      .name = in->name,
                                      .password_hash = in->password_hash,
                                      .domain = in->domain,
                                      .domain_category = "private",
                                      .is_primary = first };
    char user_uuid[RK_UUID_LEN + 1];
    bool any = true;
    int r;

    rk_uuid_new(user_uuid);
    if (!rk_subject_encode(user_uuid, RK_CONNECTOR_LOCAL, ids.user_id))
        return rk_fail(err, RK_INTERNAL, "user id is too long");
    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_account_lock(pg, err); /* two setups at once: the second sees the first's account */
    if (r == 0)
        r = rk_account_any(pg, &any, err);
    if (r < 0)
        return r;
    if (any && first)
        return rk_fail(err, RK_PRECONDITION, "setup already completed");
    r = rk_account_insert(pg, &account, ids.account_id, err);
    if (r == RK_EXISTS)
        return rk_fail(err, r, "user with this email already exists");
    if (r == 0 && in->pat_hash)
        r = insert_pat(pg, in, &ids, err);
    if (r == 0)
        r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    *out = ids;
    return 0;
}

int rk_account_setup(struct rk_pg *pg,
                     const struct rk_account_setup *in,
                     struct rk_account_created *out,
                     struct rk_err *err)
{
    return create(pg, in, true, out, err);
}

int rk_account_add(struct rk_pg *pg,
                   const struct rk_account_setup *in,
                   struct rk_account_created *out,
                   struct rk_err *err)
{
    return create(pg, in, false, out, err);
}
