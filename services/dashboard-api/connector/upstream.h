#pragma once

/*
 * Upstream: where one connector's provider has its endpoints, and the keys that its ID tokens are
 * checked with. Both are asked for when they are first needed, and again after an hour; while that
 * fails what is known stays good for a day. Nothing here is shared between replicas: each finds out
 * for itself. Worker threads.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include "libcommon/account/rules/connector.h"
#include "libcommon/base/arena.h"
#include "libcommon/oidc/discovery.h"
#include "libcommon/oidc/fetch.h"
#include "libcommon/oidc/verifier.h"
#include "services/dashboard-api/connector/lane.h"

/* Immutable and counted. */
struct upstream {
    _Atomic unsigned refs;
    struct rk_arena *arena;
    struct rk_discovery endpoints;
    struct rk_verifier *verifier; /* NULL: there are no ID tokens to check */
};
void upstream_unref(struct upstream *u);
RK_DEFINE_AUTO(struct upstream, upstream_unref)

struct upstreams;

/* `threads` may wait at once. The rules are copied, but for what they point to. */
struct upstreams *upstreams_new(const struct rk_fetch_rules *rules, unsigned threads);
void upstreams_free(struct upstreams *s); /* no thread is inside */
RK_DEFINE_AUTO(struct upstreams, upstreams_free)
/* Whoever waits for another host stops within a second. */
void upstreams_stop(struct upstreams *s);
const struct rk_fetch_rules *upstreams_rules(const struct upstreams *s);
struct lanes *upstreams_lanes(struct upstreams *s);

/* The connector's issuer, or that of its kind. */
const char *upstream_issuer(const struct rk_connector *c);

/* One reference; NULL when it would have to be asked for. Never waits. */
struct upstream *upstream_known(struct upstreams *s, const struct rk_connector *c);
/* One reference in *out; asks if need be, up to 10 s. RK_UNAVAILABLE: no answer; RK_DENIED,
 * RK_INVALID, RK_EXHAUSTED: one that cannot be used. For who has entered the connector's lane. */
int upstream_open(struct upstreams *s,
                  const struct rk_connector *c,
                  struct upstream **out,
                  struct rk_err *err) RK_CHECKED;

/* Asks whether this is an issuer. RK_INVALID with the text of the wire, which repeats nothing of
 * what was answered. */
int upstream_probe(struct upstreams *s,
                   const char *issuer,
                   struct rk_arena *arena,
                   struct rk_err *err) RK_CHECKED;
