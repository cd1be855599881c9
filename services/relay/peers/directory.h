#pragma once

/*
 * Directory: which session, on which loop, has a peer ID. Every loop holds a whole copy and reads
 * it without a lock.
 *
 * Each ID has a home loop (by its bytes) that puts the comings and goings of that ID in order and
 * tells every loop, itself included. So all loops see the same order for one ID, the newest AUTH
 * wins, and a departure is compare-and-delete. Interest in an ID (interest.h) is kept beside each
 * copy, on the subscriber's loop, so "register, then look" and "insert, then notify" are each one
 * step and no edge is lost.
 */

#include <stdbool.h>

#include "services/relay/session/session.h"

struct directory;

struct directory *directory_new(struct core *core);
void directory_free(struct directory *d);

/* NULL when absent. Valid until the next message from another loop is handled. */
const struct handle *directory_find(struct directory *d, const struct relay_id *id);

/* A session of this loop asks for its ID, or gives it up. */
void directory_publish(struct directory *d, const struct relay_id *id, struct handle h);
void directory_leave(struct directory *d, const struct relay_id *id, struct handle h);

/* Messages of other loops. */
enum directory_event {
    DIRECTORY_PUBLISH, /* to the home loop */
    DIRECTORY_LEAVE,   /* to the home loop */
    DIRECTORY_ONLINE,  /* from the home loop */
    DIRECTORY_OFFLINE, /* from the home loop */
};
void directory_handle(struct directory *d,
                      enum directory_event what,
                      const struct relay_id *id,
                      struct handle h);

/* Interest of a session of this loop. False: over a bound of interest.h. */
bool directory_subscribe(struct directory *d, struct session *s, const struct relay_id *id);
void directory_unsubscribe(struct directory *d, struct session *s, const struct relay_id *id);
void directory_unsubscribe_all(struct directory *d, struct session *s);
