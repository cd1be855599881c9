#pragma once

/*
 * The HTTP/1.1 request that opens a WebSocket: GET of one path with the upgrade headers, answered
 * by 101 or by an error that closes. Pure functions over the bytes read so far.
 *
 * Checks in this order: readable request (400), size (431), exactly the path wanted (404), upgrade
 * tokens (426), GET (405), version 13 and a 16-byte key (400). Origin, extensions and subprotocols
 * are ignored and not answered.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/str.h"

#define RK_WS_UPGRADE_MAX_BYTES 8192
#define RK_WS_UPGRADE_MAX_HEADERS 100

struct rk_ws_upgrade {
    size_t whole;    /* bytes of the request; frames may follow */
    char accept[29]; /* Sec-WebSocket-Accept, with NUL */
    struct rk_str
        real_ip; /* X-Real-Ip and X-Real-Port, empty when absent; point into the request */
    struct rk_str real_port;
    struct rk_str forwarded_for; /* X-Forwarded-For, the last when there are several */
};

/* 0: more bytes are needed; 101: *out is filled; else the HTTP status to refuse with. */
int rk_ws_upgrade_parse(const uint8_t *p, size_t n, struct rk_str path, struct rk_ws_upgrade *out);

/* X-Real-Ip and X-Real-Port as an address, both needed; false, and *out untouched, when they are
 * none. */
bool rk_ws_upgrade_real_addr(const struct rk_ws_upgrade *u, struct sockaddr_in6 *out);

#define RK_WS_REPLY_MAX 256
/* The whole response for a status of rk_ws_upgrade_parse; returns its length. */
size_t rk_ws_upgrade_reply(int status, const struct rk_ws_upgrade *u, char out[RK_WS_REPLY_MAX]);
