#pragma once

/* Tokens as the verifier hands them on, for the tests of what is made of them. */

#include "tests/support/test.h"

#include "libcommon/account/rules/sign_in.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/clock.h"

/* Of `sub`, issued a minute ago, with the claims as JSON (an object). */
static RK_UNUSED struct rk_claims claims_of(const char *sub, const char *json)
{
    return (struct rk_claims){
        .user_id = sub,
        .issuer = "https://op.test",
        .subject = sub,
        .email = "",
        .name = "",
        .preferred_username = "",
        .nonce = "",
        .expires_s = rk_wall_s() + 600,
        .issued_s = rk_wall_s() - 60,
        .payload = rk_str(json),
        .account_id = "",
        .account_domain = "",
        .account_domain_category = "",
        .last_login_us = RK_TIME_UNSET,
    };
}
