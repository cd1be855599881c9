#pragma once

/*
 * A change on its way to a group: who expected it when it was acknowledged and does not have it
 * yet. Others get it too, as agents that were starting then, but they are not waited for. One
 * thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/bitmap.h"

struct pending {
    struct rk_bitmap who; /* members, by number within the group */
    uint32_t change, left;
    uint64_t at_ns;   /* acknowledged */
    uint64_t last_ns; /* the newest moment that somebody got it who expected it; 0: nobody has */
};

void pending_init(struct pending *c, uint32_t change, uint64_t at_ns);
void pending_done(struct pending *c);
void pending_await(struct pending *c, uint32_t member); /* once each */
/* It has it: false when it is not waited for. */
bool pending_take(struct pending *c, uint32_t member) RK_CHECKED;
/* Somebody who expected it had it then. */
void pending_had(struct pending *c, uint64_t ns);
