#pragma once

/*
 * Claim: what a relay or a STUN server says of itself to management, and proves by a key made of
 * the relay secret, which agents do not have. Management puts it among what agents are told for as
 * long as the lease lasts. Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/ring.h"

#define RK_EDGE_RENEW_MS 2000 /* how often a claim is made */
#define RK_EDGE_LEASE_MS 8000 /* how long one holds */
#define RK_EDGE_METHOD "/management.ManagementService/RenewEdge"
#define RK_EDGE_URL_MAX 300
#define RK_EDGE_REGION_MAX 63
#define RK_CLAIM_MAX 1024 /* bytes of a sealed one */

enum rk_edge_kind {
    RK_EDGE_RELAY,
    RK_EDGE_STUN,
};

struct rk_position {
    bool known;
    int32_t latitude_e4, longitude_e4; /* degrees times 10,000 */
};

struct rk_claim {
    const char *url; /* as agents are told it */
    uint64_t who;    /* one life of one process: several may stand behind one address */
    const char *region;
    struct rk_position at;
    uint64_t capacity, load; /* connections; capacity 0: no bound */
    bool leaving;
    int64_t said_us; /* by the clock of who says it */
};

/* Two while the secret is changed: a claim is signed with the first. */
struct rk_claim_key {
    struct rk_mac_ring ring;
};
void rk_claim_key_init(struct rk_claim_key *k, struct rk_str relay_secret);

/* rel://, rels:// or stun: with host and port, both spelled out, and nothing that an agent could
 * stumble over. */
int rk_edge_url_check(struct rk_str url, enum rk_edge_kind *out, struct rk_err *err);
/* Empty, or lower-case letters, digits and hyphens. */
int rk_edge_region_check(struct rk_str region, struct rk_err *err);
/* "50.11,8.68", degrees; empty = not known. */
int rk_position_parse(struct rk_str text, struct rk_position *out, struct rk_err *err);

/* Appends the message. */
void rk_claim_seal(const struct rk_claim_key *k, const struct rk_claim *c, struct rk_buf *out);
/* RK_DENIED when it is not signed with our secret, or was said more than a minute from `now_us`;
 * RK_INVALID when it could harm agents. Strings are in the arena. */
int rk_claim_open(const struct rk_claim_key *k,
                  struct rk_str message,
                  int64_t now_us,
                  struct rk_arena *arena,
                  struct rk_claim *out,
                  struct rk_err *err);
