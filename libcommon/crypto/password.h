#pragma once

/*
 * Passwords at rest: Argon2id (64 MiB, 3 passes) as a self-describing string. Hashes of bcrypt, as
 * other servers made them, verify too. Each call takes a core and about a tenth of a second: worker
 * threads only, of a pool that may be kept waiting.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/str.h"

#define RK_PASSWORD_LEN 128

/* Whatever is longer verifies as no password, without being hashed. */
#define RK_PASSWORD_MAX 1024

/* `password` is at most RK_PASSWORD_MAX bytes. */
void rk_password_hash(struct rk_str password, char out[RK_PASSWORD_LEN]);
bool rk_password_verify(struct rk_str password, const char *hash);
/* Takes as long as a verification and finds nothing: for somebody who does not exist. */
void rk_password_verify_nobody(struct rk_str password);
/* Whether a password that was verified should be hashed again, as we do it today. */
bool rk_password_outdated(const char *hash);

/* How many hashes this process has computed. */
uint64_t rk_password_count(void);
