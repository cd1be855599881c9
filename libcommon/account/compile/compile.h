#pragma once

/*
 * compile(snapshot, peer) -> bytes: the network map one peer gets, as protobuf fields of
 * management.SyncResponse. Pure: the same snapshot, peer and time give the same bytes, in a fixed
 * order. Any thread.
 *
 * Protobuf messages concatenate, so a caller may put further SyncResponse fields (netbirdConfig, on
 * the first response of a stream) before or after.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/base/buf.h"

/*
 * Appends peerConfig(2), remotePeersIsEmpty(4), NetworkMap(5), Checks(6), sessionExpiresAt(7). A
 * peer that waits for approval gets the empty map. `now_us` decides login expiry (offline peers).
 */
void rk_compile_map(const struct rk_snapshot *s, size_t index, int64_t now_us, struct rk_buf *out);

/*
 * The same for an agent that computes its map itself (PeerSystemMeta.syncMessageVersion 1):
 * appends peerConfig(2), Checks(6), sessionExpiresAt(7), NetworkMapEnvelope(8), Version(9).
 */
void rk_compile_components(const struct rk_snapshot *s,
                           size_t index,
                           int64_t now_us,
                           struct rk_buf *out);

/* What a deleted peer is told: serial, all three empty flags, no peerConfig. */
void rk_compile_deleted(uint64_t serial, int64_t forwarder_port, struct rk_buf *out);

/*
 * What a peer says of itself at Login may differ from what the snapshot holds (it is stored by
 * Sync); its PeerConfig must follow the newest, or address_v6 would differ between Login and Sync.
 */
struct rk_peer_claims {
    uint32_t capabilities;
    bool flag_disable_ipv6;
};
/* Appends the PeerConfig message body (not the field). claims NULL: as in the snapshot. */
void rk_compile_peer_config(const struct rk_snapshot *s,
                            size_t index,
                            const struct rk_peer_claims *claims,
                            struct rk_buf *out);
/* Appends the Checks of a SyncResponse or LoginResponse, whose field they are: the files that an
 * agent is to look for. */
void rk_compile_checks(const struct rk_snapshot *s,
                       size_t index,
                       unsigned field,
                       struct rk_buf *out);
/* Appends the body of the Timestamp sessionExpiresAt: empty = no deadline. */
void rk_compile_session_expiry(const struct rk_snapshot *s, size_t index, struct rk_buf *out);

/*
 * What agents' SSH servers check the tokens of visitors with, the same for all accounts of the
 * server: the body of SSHConfig.JWTConfig, and the claim that holds a user's id. Until it is set
 * there is no JWTConfig, and agents let nobody in by token. What is set stays in memory for good,
 * so only set what has changed. True when it has. Any thread; maps compiled afterwards have it.
 */
bool rk_compile_set_ssh(struct rk_str jwt_config, const char *user_claim);

/* ForwarderPort of DNSConfig: 22054 when every peer of the account understands it, else 5353. */
int64_t rk_compile_forwarder_port(const struct rk_snapshot *s);
