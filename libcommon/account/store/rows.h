#pragma once

/* From query results to rows of the model. Worker thread. */

#include "libcommon/account/model/model.h"
#include "libcommon/pg/pg.h"

/* Column lists in the order the functions below read them. */
#define ACCOUNT_COLUMNS                                                                            \
    "a.id, a.network_id, host(network(a.net4)), masklen(a.net4), host(network(a.net6)), "          \
    "masklen(a.net6), "                                                                            \
    "a.settings->>'dns_domain', "                                                                  \
    "coalesce((a.settings->>'peer_login_expiration_enabled')::boolean, true), "                    \
    "coalesce((a.settings->>'peer_login_expiration')::bigint, 86400), "                            \
    "coalesce((a.settings->>'routing_peer_dns_resolution_enabled')::boolean, false), "             \
    "coalesce((a.settings->>'lazy_connection_enabled')::boolean, false), "                         \
    "coalesce((a.settings->>'metrics_push_enabled')::boolean, false), "                            \
    "a.settings->>'auto_update_version', "                                                         \
    "coalesce((a.settings->>'auto_update_always')::boolean, false), a.dns_disabled_groups"
#define PEER_COLUMNS                                                                               \
    "p.id, p.key, host(p.ip), host(p.ip6), p.dns_label, p.extra_dns_labels, p.user_id, "           \
    "p.ssh_key, p.ssh_enabled, "                                                                   \
    "p.login_expiration_enabled, p.login_expired, p.requires_approval, p.ephemeral, "              \
    "p.allow_extra_dns_labels, "                                                                   \
    "p.last_login, p.meta->>'netbirdVersion', p.meta->>'goOS', p.meta->>'capabilities', "          \
    "p.meta->'flags'->>'disableIPv6', p.meta->'flags'->>'serverSSHAllowed', "                      \
    "p.meta->>'syncMessageVersion', p.meta_hash, p.meta->>'OSVersion', "                           \
    "p.meta->>'kernelVersion', "                                                                   \
    "(SELECT array_agg(a->>'netIP') FROM jsonb_array_elements(p.meta->'networkAddresses') a), "    \
    "CASE WHEN p.meta ? 'files' THEN (SELECT array_agg(f->>'path') FROM "                          \
    "jsonb_array_elements(p.meta->'files') f WHERE (f->>'processIsRunning')::boolean) END, "       \
    "p.location_ip, p.country_code, p.city_name"
#define GROUP_COLUMNS                                                                              \
    "g.id, g.name, (SELECT array_agg(m.peer_id ORDER BY m.peer_id) FROM group_peer m WHERE "       \
    "m.group_id = g.id), g.public_id, (SELECT array_agg(m.resource_id ORDER BY m.resource_id) "    \
    "FROM group_resource m WHERE m.group_id = g.id)"
#define POLICY_COLUMNS "p.id, p.public_id, p.enabled, p.source_posture_checks"
#define RULE_COLUMNS                                                                               \
    "r.policy_id, r.id, r.enabled, r.action, r.protocol, r.bidirectional, r.sources, "             \
    "r.destinations, "                                                                             \
    "r.source_resource_type, r.source_resource_id, r.destination_resource_type, "                  \
    "r.destination_resource_id, r.ports, "                                                         \
    "r.port_ranges, r.authorized_groups, r.authorized_user"

struct rk_account_row *
store_account_row(const struct rk_pg_result *res, int row, const char *default_domain);
struct rk_peer_row *store_peer_row(const struct rk_pg_result *res, int row);
struct rk_group_row *store_group_row(const struct rk_pg_result *res, int row);
/* Without rules; they are added one by one in the order of their position. */
struct rk_policy_row *store_policy_row(const struct rk_pg_result *res, int row);
void store_add_rule(struct rk_policy_row *p, const struct rk_pg_result *res, int row);

/* Columns of the type text[]. */
void store_ids(const struct rk_pg_result *res, int row, int col, struct rk_ids *out);
void store_strings(const struct rk_pg_result *res, int row, int col, struct rk_strings *out);
