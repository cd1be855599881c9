#pragma once

/*
 * NetbirdConfig: where signal, STUN and relay are, with an expiring relay credential. A config that
 * is present without its relay section disables the agent's relay, so whoever sends one sends the
 * relay with it. Loop thread.
 */

#include "libcommon/base/buf.h"

struct app;

/* Appends the body of NetbirdConfig, everything in it. */
void netbird_config_full(const struct app *app, bool metrics_enabled, struct rk_buf *out);
/* Relay only, for the refresh. */
void netbird_config_relay(const struct app *app, struct rk_buf *out);
