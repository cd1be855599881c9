#pragma once

/*
 * Who the simulated agents are: keys and names that follow from the run's seed and a number, so
 * that every process knows every agent's public key without being told. Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/str.h"
#include "libcommon/crypto/box.h"

#define IDENTITY_NAME 32

struct identity {
    uint8_t seed[16];
    char run[9]; /* of the names: "fleet-<run>-<number>" */
};

void identity_new(struct identity *id);
void identity_keypair(const struct identity *id, uint32_t number, struct rk_keypair *out);
void identity_name(const struct identity *id, uint32_t number, char out[IDENTITY_NAME]);
/* The number in a host name or a domain name that begins with one; false for somebody else's. */
bool identity_number(const struct identity *id, struct rk_str name, uint32_t *out);
/* What only this run can have made of these bytes. */
uint64_t identity_sum(const struct identity *id, const void *p, size_t n);
