#pragma once

/*
 * Relay messages: `01 <type> <body>`, one to a WebSocket frame (or, later, to a QUIC datagram).
 * Pure functions; any thread.
 *
 * A message that arrived is kept as it came, still masked: only its first 38 bytes (version, type,
 * peer ID) are unmasked to route it, and the rest is unmasked while it is copied to where it goes.
 * So a forwarded payload is touched once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

#define RELAY_VERSION 1
#define RELAY_ID_LEN 36
#define RELAY_HEAD_LEN 38      /* version, type, one peer ID */
#define RELAY_MAX_MESSAGE 8820 /* an agent's read buffer */
#define RELAY_MAX_AUTH 212
#define RELAY_MAX_AUTH_RESPONSE 8192
#define RELAY_MAX_IDS 244 /* of one message of types 8 to 11 */

enum relay_type {
    RELAY_TRANSPORT = 3,
    RELAY_CLOSE = 4,
    RELAY_HEALTHCHECK = 5,
    RELAY_AUTH = 6,
    RELAY_AUTH_RESPONSE = 7,
    RELAY_SUBSCRIBE = 8,
    RELAY_UNSUBSCRIBE = 9,
    RELAY_PEERS_ONLINE = 10,
    RELAY_PEERS_WENT_OFFLINE = 11,
};

/* Opaque to the relay. Agents use "sha-" and the SHA-256 of the 44-character key. */
struct relay_id {
    uint8_t b[RELAY_ID_LEN];
};

struct incoming {
    const uint8_t *p; /* as it came, n bytes */
    size_t n;
    uint8_t mask[4];              /* zero: not masked */
    uint8_t head[RELAY_HEAD_LEN]; /* the first min(n, 38) bytes in clear */
};

void incoming_init(struct incoming *m, const uint8_t *p, size_t n, const uint8_t mask[4]);
/* Copies the clear bytes [from, from + n) of the message to `out`. */
void incoming_copy(const struct incoming *m, size_t from, size_t n, uint8_t *out);

/* The first message of a connection, in clear. *out_token points into p. RK_INVALID: not a
 * well-formed AUTH. */
int relay_auth_parse(const uint8_t *p,
                     size_t n,
                     struct relay_id *out_id,
                     struct rk_str *out_token,
                     struct rk_err *err) RK_CHECKED;

/* The same written, as a client does; its length. The token has RELAY_MAX_TOKEN bytes at most. */
#define RELAY_MAX_TOKEN (RELAY_MAX_AUTH - 6 - RELAY_ID_LEN)
size_t
relay_auth_write(const struct relay_id *id, struct rk_str token, uint8_t out[RELAY_MAX_AUTH]);
