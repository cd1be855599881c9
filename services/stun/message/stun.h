#pragma once

/*
 * STUN (RFC 8489), the one exchange agents use: a Binding Request in, a success with
 * XOR-MAPPED-ADDRESS and FINGERPRINT out. Anything else is not answered. Pure functions; any
 * thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "services/stun/message/answer.h"

#define STUN_MAX_REQUEST 1500
#define STUN_MAX_REPLY 52 /* IPv6; 40 for IPv4 */

enum stun_verdict {
    STUN_ANSWER,
    STUN_MALFORMED, /* short, no cookie, lengths that overrun */
    STUN_OTHER,     /* well-formed, but no Binding Request */
};

/* Attributes must fit, but are not understood: unknown ones do not spoil a request, nor do bytes
 * after the message. */
enum stun_verdict stun_check(const uint8_t *p, size_t n);

/* Answer to a request that passed the check; returns its length, 40 or 52. An IPv4-mapped source is
 * IPv4. */
size_t
stun_answer(const uint8_t *request, const struct sockaddr *source, uint8_t out[STUN_MAX_REPLY]);
/* There before main. */
const struct stun_crc *stun_crc(void);
