#pragma once

/* The handlers that route/table.c names; each file of this directory holds one resource. Worker
 * threads. */

#include "services/dashboard-api/call.h"

handler_fn instance_status, instance_version, setup_create;
handler_fn token_list, token_get, token_create, token_delete;
handler_fn setup_key_list, setup_key_get, setup_key_create, setup_key_update, setup_key_delete;
handler_fn group_list, group_get, group_create, group_update, group_delete;
handler_fn policy_list, policy_get, policy_create, policy_update, policy_delete;
handler_fn route_list, route_get, route_create, route_update, route_delete;
handler_fn network_list, network_get, network_create, network_update, network_delete;
handler_fn resource_list_all, resource_list, resource_get, resource_create, resource_update,
    resource_delete;
handler_fn router_list_all, router_list, router_get, router_create, router_update, router_delete;
handler_fn peer_list, peer_get, peer_update, peer_delete, peer_accessible;
handler_fn peer_network_map, explain_get;
handler_fn account_list, account_update, account_delete;
handler_fn posture_list, posture_get, posture_create, posture_update, posture_delete;
handler_fn country_list, city_list;
handler_fn job_list, job_get, job_create, temporary_access_create;
handler_fn nsgroup_list, nsgroup_get, nsgroup_create, nsgroup_update, nsgroup_delete;
handler_fn dns_settings_get, dns_settings_update;
handler_fn zone_list, zone_get, zone_create, zone_update, zone_delete;
handler_fn record_list, record_get, record_create, record_update, record_delete;
handler_fn user_list, user_current, user_create, user_update, user_delete;
handler_fn user_approve, user_reject, user_invite, user_password;
handler_fn invite_list, invite_create, invite_regenerate, invite_delete, invite_show, invite_accept;
handler_fn scim_idp_list, scim_idp_get, scim_idp_create, scim_idp_update, scim_idp_delete,
    scim_idp_rotate, scim_idp_logs;
handler_fn event_list, openapi_get;
handler_fn provider_list, provider_get, provider_create, provider_update, provider_delete;
handler_fn absent_list, provider_write, provider_missing;
handler_fn service_create, service_get, service_update, service_delete;
handler_fn proxy_domain_create, proxy_domain_delete, proxy_domain_validate;
handler_fn proxy_cluster_delete, proxy_callback, proxy_events;
handler_fn proxy_token_list, proxy_token_create, proxy_token_delete;
