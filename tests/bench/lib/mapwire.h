#pragma once

/*
 * What an agent needs of management's wire, as cheap as a load generator wants it: requests, and
 * just so much of a network map as says that it is the one waited for. One thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/crypto/box.h"

/* An EncryptedMessage of `plain` for the server. */
void mapwire_seal(const uint8_t public_key[RK_KEY_LEN],
                  const struct rk_box *box,
                  struct rk_str plain,
                  struct rk_buf *out);

/* What a request says of its agent; the rest is that of any Linux machine. */
struct mapwire_agent {
    const char *hostname;
    int32_t sync_version; /* of maps: 1, those of components too */
};
/* LoginRequest and SyncRequest; the key may be NULL. */
void mapwire_login(const struct mapwire_agent *agent, const char *setup_key, struct rk_buf *out);
void mapwire_sync(const struct mapwire_agent *agent, struct rk_buf *out);

/* The body of an EncryptedMessage, in place. False when there is none. */
bool mapwire_body(struct rk_str message, struct rk_str *out_body);

/*
 * The serial of the NetworkMap in a sealed SyncResponse, read without opening it: the cipher is a
 * stream, so only the blocks that hold the tags on the way are decrypted, and nothing is
 * authenticated. 0 when there is no map.
 */
uint64_t mapwire_peek_serial(const struct rk_box *box, struct rk_str body);

struct mapwire_map {
    uint64_t serial;
    unsigned peers; /* remote and offline */
};
/* Opens and authenticates the whole. False when it is not authentic or holds no map. */
bool mapwire_open(const struct rk_box *box, struct rk_str body, struct mapwire_map *out);
