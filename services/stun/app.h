#pragma once

/* Builds the STUN service from its settings, runs it until SIGTERM or SIGINT, tears down. Main
 * thread. */

#include "libcommon/conf/settings.h"
#include "libcommon/edge/config.h"

struct stun_config {
    struct rk_common_config common;
    char *listen;
    int64_t loops; /* 0: one a core */
    int64_t prefix_rate;
    int64_t nice;
    char *xdp;
    char *xdp_mode;
    char *exposed_url;
    char *relay_secret;
    char *relay_secret_file;
    struct rk_edge_config edge;
};

extern const struct rk_settings_table stun_settings;

int stun_app_run(const struct stun_config *cfg); /* exit status of the process */
