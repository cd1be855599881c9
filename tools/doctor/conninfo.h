#pragma once

/* Conninfo of Postgres that names several hosts, as one conninfo for each. Any thread. */

#include "libcommon/base/err.h"

#define CONNINFO_HOSTS_MAX 16

struct conninfo_host {
    char *name;     /* "10.0.0.1:5432", to be shown */
    char *conninfo; /* with this host alone; any server will do, it need not be writable */
};

/* How many in *out_n; RK_INVALID when it is no conninfo. */
int conninfo_split(const char *conninfo,
                   struct conninfo_host out[CONNINFO_HOSTS_MAX],
                   unsigned *out_n,
                   struct rk_err *err) RK_CHECKED;
void conninfo_host_done(struct conninfo_host *h);
