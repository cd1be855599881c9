#pragma once

/*
 * What a token of the embedded provider was made for: its jti names the grant, so that it can be
 * looked up whether that still stands. Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#define RK_GRANT_ID_LEN 16
#define RK_JTI_LEN (1 + 2 * RK_GRANT_ID_LEN + 16)

enum rk_grant_use {
    RK_GRANT_NONE, /* no token of a grant; ID tokens of earlier versions named none */
    RK_GRANT_ACCESS,
    RK_GRANT_ID,
};

/* A new one: "a" or "d", the grant's id, 16 random digits. */
void rk_jti_new(enum rk_grant_use use,
                const uint8_t grant[RK_GRANT_ID_LEN],
                char out[RK_JTI_LEN + 1]);
/* *out is written unless it is RK_GRANT_NONE. */
enum rk_grant_use rk_jti_grant(const char *jti, uint8_t out[RK_GRANT_ID_LEN]);
