#pragma once

/*
 * Connecting to whichever of the servers that a conninfo names takes writes. All are tried at the
 * same time: one that is frozen, or behind a dead path, costs nothing while another one answers,
 * and one that refuses is asked again while others say nothing: a standby may be promoted
 * meanwhile. Any thread; blocks.
 */

#include <stdbool.h>

#include <libpq-fe.h>

#include "libcommon/base/str.h"

/* A connection that PQstatus calls good, or one whose PQerrorMessage says why there is none; NULL
 * when memory is out. `limit_ms` bounds the whole of it, unless the conninfo has a connect_timeout
 * that is shorter; so does `but_fd`, if it is not -1, as soon as there is something to read. */
PGconn *
pg_connect(const char *conninfo, const char *application_name, unsigned limit_ms, int but_fd);
/* Whether it names several servers. */
bool pg_names_several(const char *conninfo);

/* What a conninfo says of its servers are comma lists: how many elements there are, and the i-th,
 * which points into the list. One alone is every server's; NULL when there is no i-th. */
unsigned pg_list_count(struct rk_str list);
struct rk_str pg_list_at(struct rk_str list, unsigned i);
