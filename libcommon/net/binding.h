#pragma once

/*
 * STUN (RFC 8489) as a client asks it: a Binding Request, and the address that the answer to one
 * names. Pure functions; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/conf/addr.h"

#define RK_BINDING_REQUEST 20
#define RK_BINDING_TRANSACTION 12

void rk_binding_request(const uint8_t transaction[RK_BINDING_TRANSACTION],
                        uint8_t out[RK_BINDING_REQUEST]);

/* False, and nothing stored, when it is no success that names an address. Whether the transaction
 * is one of the caller's is for the caller to see. */
bool rk_binding_answer(const uint8_t *p,
                       size_t n,
                       uint8_t out_transaction[RK_BINDING_TRANSACTION],
                       struct rk_addr *out_address);
