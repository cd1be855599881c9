#pragma once

/* The service: built in order, torn down in reverse. Loop thread only. */

#include "libcommon/conf/settings.h"
#include "libcommon/rds/config.h"

struct signal_config {
    struct rk_common_config common;
    char *listen;
    char *tls_cert_file;
    char *tls_key_file;
    struct rk_rds_config redis;
    char *trusted_proxies;
    int64_t max_streams;
    int64_t queue_total_bytes;
};
extern const struct rk_settings_table signal_settings;

/* Runs until stopped by a signal; the exit status. */
int signal_app_run(const struct signal_config *cfg);
