#pragma once

/*
 * Does a peer pass a posture check? Decided from the two rows alone: every sub-check that is there
 * must pass, and what cannot be decided (a version that does not parse, an unknown location) fails.
 * Any thread.
 */

#include <stdbool.h>

#include "libcommon/account/model/model.h"

/* In the order they are asked; the first that fails is the reason. */
enum rk_posture_part {
    RK_POSTURE_PASSES,
    RK_POSTURE_NB_VERSION,
    RK_POSTURE_OS_VERSION,
    RK_POSTURE_GEO,
    RK_POSTURE_NETWORK_RANGE,
    RK_POSTURE_PROCESS,
};

enum rk_posture_part rk_posture_failing(const struct rk_posture_row *check,
                                        const struct rk_peer_row *peer);
static inline bool rk_posture_passes(const struct rk_posture_row *check,
                                     const struct rk_peer_row *peer)
{
    return rk_posture_failing(check, peer) == RK_POSTURE_PASSES;
}
/* Do both peers look alike to every check? */
bool rk_posture_same_peer(const struct rk_peer_row *a, const struct rk_peer_row *b);
