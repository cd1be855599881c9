#pragma once

/*
 * Interest: who on this loop asked about which peer ID. "Online" is told once and then not again
 * until the session subscribes anew; "offline" every time. Every step is a hash lookup, so the
 * number of subscribers of an ID costs nothing until there is something to tell them.
 *
 * Bounded twice: MAX_SUBSCRIPTIONS of one session, and `max` of all sessions of the loop. One
 * thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/attr.h"
#include "services/relay/session/session.h"

struct interests;

struct interests *interests_new(size_t max);
void interests_free(struct interests *in); /* after every session has been removed */
RK_DEFINE_AUTO(struct interests, interests_free)

/* Subscribes, or arms a subscription again. False: over one of the bounds. */
bool interest_add(struct interests *in, struct session *s, const struct relay_id *id) RK_CHECKED;
void interest_remove(struct interests *in, const struct session *s, const struct relay_id *id);
void interest_remove_all(struct interests *in, struct session *s);
size_t interest_count(const struct interests *in); /* subscriptions */

/* RELAY_PEERS_ONLINE or RELAY_PEERS_WENT_OFFLINE to everyone concerned. */
void interest_notify(struct interests *in, enum relay_type type, const struct relay_id *id);
