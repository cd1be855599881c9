#pragma once

/* Settings of management. Read once at start; immutable afterwards. */

#include "libcommon/conf/settings.h"
#include "libcommon/oidc/config.h"
#include "libcommon/rds/config.h"

struct config {
    struct rk_common_config common;
    char *listen;
    char *tls_cert_file;
    char *tls_key_file;
    char *postgres;
    char *postgres_file;
    struct rk_rds_config redis;
    char *secret_key;
    char *secret_key_file;
    char *dns_domain;
    char *signal_url;
    char *relay_urls;
    char *stun_urls;
    char *relay_secret;
    char *relay_secret_file;
    int64_t relay_token_ttl_s;
    char *trusted_proxies;
    char *geo_database;
    int64_t workers;
    int64_t map_threads;
    int64_t sweep_ms;
    int64_t ephemeral_life_s;
    bool component_maps;
    struct rk_oidc_config oidc;
};

/* The table; its check() holds what depends on several values. */
extern const struct rk_settings_table config_table;
