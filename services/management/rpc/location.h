#pragma once

/*
 * Where a peer connects from, as the server sees it, and what the geo database says of that
 * address. Posture checks look at it, so it is stored when it changes. Loop thread; location_store
 * on a worker.
 */

#include <stdbool.h>

#include "services/management/rpc/request.h"

/* Looks it up. */
void location_find(struct request *q);
/* What lists of relays and STUN servers are chosen by; after location_find. */
struct config_reader location_reader(const struct request *q);
/* It is not what is stored of the peer. Without a database the place of an address that has not
 * changed stays as it is. */
bool location_differs(const struct request *q, const struct rk_peer_row *p);
/* Stores it for q->peer_id, and adds to q->bell. */
void location_store(struct request *q, struct worker *w);
