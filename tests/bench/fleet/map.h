#pragma once

/*
 * A network map as the fleet looks at it: whom of the fleet it holds, which of the fleet's changes,
 * and a digest that is equal for equal maps whatever the order of what they list. Both forms,
 * classic and components. One thread.
 *
 * A change of the fleet is the port of a group's policy, which counts up; so a map tells by itself
 * which change it holds, and nothing has to be believed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "tests/bench/fleet/identity.h"
#include "tests/bench/fleet/tally.h"

#define MAP_FIRST_PORT 2000 /* before any change */
#define MAP_MAX_CHANGES 60000
#define MAP_ID 40

typedef uint8_t map_key[RK_KEY_LEN];

/* Whom a map may hold, and how a change is known. */
struct map_scope {
    const struct identity *id;
    const map_key *keys;   /* of all agents, by number */
    uint32_t agents;       /* how many there are */
    uint32_t first, end;   /* who may be in it: the group, or everybody */
    uint32_t self;         /* whose map it is */
    const char *policy;    /* id of the group's policy */
    const char *rule;      /* and of its rule: maps name either */
    uint32_t *seen, stamp; /* scratch, one for each agent, zeroed once; the map's own mark */
};

struct map_facts {
    bool is_map; /* or a push of settings alone */
    bool components;
    uint64_t serial, digest;
    uint32_t members;   /* of the fleet, the owner not counted */
    uint32_t strangers; /* peers that are not the fleet's: nothing is known of them */
    uint32_t change;    /* of the group's policy; valid when members > 0 */
    bool has_change;
    struct rk_str config; /* NetbirdConfig, in the message that was read; empty: none */
};

/* Reads a SyncResponse in clear. False: a fault, in words in err. */
bool map_read(struct map_scope *scope,
              struct rk_str plain,
              struct map_facts *out,
              enum fault *out_fault,
              struct rk_err *err) RK_CHECKED;
