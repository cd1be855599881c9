#pragma once

/*
 * Choice: which relays, or which STUN servers, one agent is told of. Agents connect to every relay
 * of their list and keep the first that answers, so the list is short: the best of the agent's
 * region, and one of the next as a way out while nobody can tell it anything. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/edge/claim.h"

#define CHOICE_MAX 4
#define CHOICE_NEAR 3 /* of them of one region */

/* The first are taken before the others are looked at. */
enum edge_state {
    EDGE_FIT,
    EDGE_CROWDED, /* nearly at its capacity */
    EDGE_OUT,     /* drained, leaving, or its lease has run out */
    EDGE_STATES,
};

struct edge {
    const char *url, *region;
    enum rk_edge_kind kind;
    enum edge_state state;
    struct rk_position at;
    uint64_t capacity, load;
};

/* `edges` of one region stand together. Of those of one kind, of the best state there is. An agent
 * whose place is known, and the regions' too, gets CHOICE_NEAR of the nearest region and one of the
 * next; any other one of each region, and finds out itself which is near. Within a region who has
 * the least to do comes first, by tenths; among equals it is `who`, any number that an agent keeps,
 * that decides. How many in *out. */
size_t choice_make(const struct edge *edges,
                   size_t n,
                   enum rk_edge_kind kind,
                   struct rk_position place,
                   uint64_t who,
                   const struct edge *out[CHOICE_MAX]);

/* Between two places on a sphere, km. */
double choice_distance_km(struct rk_position a, struct rk_position b);
