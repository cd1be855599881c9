#pragma once

/*
 * Admin port: /livez, /readyz, /metrics over HTTP/1.1, small and on the service's own loop. Loop
 * thread only. Readiness is a set of named conditions; ready when all hold and the service is not
 * draining.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/loop/loop.h"

struct rk_admin;

/* Listens at once; the reason of /readyz is "starting" until a first condition is set. */
int rk_admin_new(struct rk_loop *l, const char *listen, struct rk_admin **out, struct rk_err *err);
void rk_admin_close(struct rk_admin *a);                /* closes handles; freed on a later turn */
const char *rk_admin_address(const struct rk_admin *a); /* as bound */

/* `name` has static storage ("postgres"); `why` is shown while not ok. At most 8 conditions. */
void rk_admin_ready(struct rk_admin *a, const char *name, bool ok, const char *why);
/* What is amiss without making the service unready: /readyz shows it either way. "" = nothing.
 * `name` has static storage; at most 4 names. */
void rk_admin_note(struct rk_admin *a, const char *name, const char *text);
void rk_admin_draining(struct rk_admin *a);

/* 64 connections, of which the oldest goes when one more comes, and 5000 ms for a request and its
 * answer, unless said otherwise. */
void rk_admin_limit(struct rk_admin *a, unsigned max_connections, uint64_t timeout_ms);

/* Called before /metrics is printed, to set gauges. May be NULL. */
void rk_admin_on_scrape(struct rk_admin *a, void (*on_scrape)(void *arg), void *arg);
