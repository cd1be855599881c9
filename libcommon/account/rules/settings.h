#pragma once

/*
 * How an account's settings change, and how an account ends. One transaction each, on a worker
 * thread. Settings are JSON objects with the members of the REST object AccountSettings. Errors
 * carry the text for the wire.
 */

#include <stdbool.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/base/jansson.h"
#include "libcommon/base/prefix.h"

/*
 * A whole settings object from a request: known members only, each of its type, zero values for
 * what is missing (so a PUT replaces). `extra` and `dashboard_features` stay out when they were
 * left out. False for a member of a wrong type. Member names match without case. *out is the
 * caller's. Any thread.
 */
bool rk_settings_decode(const json_t *in, json_t **out) RK_CHECKED;
/* The checks of ranges and of what comes before them, in their order; RK_INVALID. The others are
 * made by rk_settings_update. Any thread. */
int rk_settings_validate(const json_t *settings, struct rk_err *err) RK_CHECKED;

struct rk_onboarding {
    bool signup_form_pending, onboarding_flow_pending;
};
/* Replaces the settings; `onboarding` NULL keeps that. Raises the serial when a member that reaches
 * maps has changed. */
int rk_settings_update(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const json_t *settings,
                       const struct rk_onboarding *onboarding,
                       struct rk_bell *out_bell,
                       struct rk_err *err) RK_CHECKED;

/* The account and everything in it. The bell rings so that replicas find it gone. */
int rk_account_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;

/* A prefix "10.0.0.0/16" of the family, masked. RK_INVALID with the text for the wire. Any thread.
 */
int rk_prefix_parse_range(const char *text, int family, struct rk_prefix *out, struct rk_err *err)
    RK_CHECKED;
