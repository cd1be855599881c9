#pragma once

/* Settings of the relay: one table is the parser, --help, --check-config and the redacted dump.
 * Start-up only. */

#include "libcommon/conf/settings.h"
#include "libcommon/edge/config.h"

struct relay_config {
    struct rk_common_config common;
    char *listen;
    char *tls_cert_file;
    char *tls_key_file;
    char *relay_secret;
    char *relay_secret_file;
    char *exposed_url;
    struct rk_edge_config edge;
    char *trusted_proxies;
    int64_t loops; /* 0: one a core */
    int64_t queue_bytes;
    int64_t queue_total_bytes;
    int64_t max_connections;
};

extern const struct rk_settings_table relay_settings;

/* The instance URL told to agents: exposed_url, with rels:// or rel:// put before it (by TLS) when
 * it has no scheme. Compared by agents byte for byte. Owned by the caller; NULL and err on a URL
 * agents could not use. */
char *relay_instance_url(const struct relay_config *c, struct rk_err *err);
