#pragma once

/*
 * DNS inside a snapshot: who has no DNS configuration at all, and each nameserver group and zone
 * with its encoding and the peers that get it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/bitmap.h"

struct rk_snapshot;
struct snap_dirty;

struct snap_served {
    _Atomic unsigned refs;
    struct rk_row *row;
    uint8_t *bytes; /* field of DNSConfig, with its tag; none when there is nothing to send */
    size_t bytes_n;
    struct rk_bitmap who; /* approved members of its groups that have DNS; nobody when disabled */
};
/* Sorted by id. */
struct snap_serving {
    struct snap_served **v;
    size_t n;
};

struct snap_dns {
    struct rk_bitmap off; /* approved peers without DNS */
    struct snap_serving nsgroups, zones;
};

void snap_dns_copy(struct snap_dns *to, const struct snap_dns *from);
void snap_dns_done(struct snap_dns *d);
/* After rows, peers and groups of `s` were applied. */
void snap_dns_refresh(struct rk_snapshot *s, const struct snap_dirty *dirty);
