#pragma once

/*
 * NetbirdConfig: where signal, STUN and relay are, with an expiring relay credential. A config that
 * is present without its relay section disables the agent's relay, so whoever sends one sends the
 * relay with it. Loop thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/edge/claim.h"

struct app;

/* Who gets it. */
struct config_reader {
    struct rk_position place; /* that it connects from */
    uint64_t who;             /* any number that it keeps */
};

/* Appends the body of NetbirdConfig, everything in it; returns netbird_config_lists. */
uint64_t netbird_config_full(const struct app *app,
                             const struct config_reader *to,
                             bool metrics_enabled,
                             struct rk_buf *out);
/* STUN and relay only, for a refresh and for other lists; likewise. */
uint64_t
netbird_config_edges(const struct app *app, const struct config_reader *to, struct rk_buf *out);
/* Equal for equal lists of STUN servers and relays, whatever the credential. */
uint64_t netbird_config_lists(const struct app *app, const struct config_reader *to);
