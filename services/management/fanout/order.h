#pragma once

/*
 * Order: one map to be made for one peer: compiled, looked at whether it is news, sealed into its
 * frame. It has all that takes, so that whichever thread has it can make it; it is with one thread
 * at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/bytes.h"
#include "libcommon/crypto/box.h"
#include "services/management/fanout/digest.h"

struct session;

/* Agents of 0.77.1 take messages of 16 MiB. */
#define ORDER_BYTES_MAX (16u * 1024 * 1024)

/* What orders that are made together have in common; nothing of it changes meanwhile. */
struct order_terms {
    const struct rk_snapshot *snap;
    const struct digest_key *digest_key;
    const char *server_key_b64;
};

enum order_state {
    ORDER_UNMADE,
    ORDER_NEWS, /* `frame` is to be sent */
    ORDER_SAME, /* it says, but for its serial, what the peer has been told */
    ORDER_TOO_BIG,
};

struct order {
    size_t index;    /* of the peer */
    bool components; /* what the map is made of, for an agent that can make it */
    bool has_digest; /* of the map the peer has; made: of this one */
    uint8_t digest[DIGEST_LEN];
    struct rk_box box;
    struct rk_buf config; /* the field netbirdConfig, unless it is empty: goes before the map, which
                             is sent whatever it says */
    enum order_state state;
    struct rk_bytes *frame; /* owned; NULL unless it is news */
    size_t bytes;           /* before sealing */
    uint64_t took_ns;
    struct session *session; /* loop thread alone; NULL: it has gone meanwhile */
    int64_t owed_since_us;   /* as in session */
};

/* `scratch` is where the map grows: of ORDER_BYTES_MAX, one for each thread. */
void order_make(struct order *o, const struct order_terms *t, struct rk_buf *scratch);
/* Nothing of the key stays in memory. */
void order_done(struct order *o);
RK_DEFINE_AUTO_DONE(struct order, order_done)
