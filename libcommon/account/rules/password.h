#pragma once

/*
 * What a new password of a local user must be: 8 characters to 72 bytes, with a digit, an uppercase
 * letter, and a special character, which is neither letter nor digit. The same wherever one is
 * chosen. Any thread.
 */

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

enum rk_password_fault {
    RK_PASSWORD_GOOD,
    RK_PASSWORD_EMPTY,
    RK_PASSWORD_SHORT,
    RK_PASSWORD_LONG,
    RK_PASSWORD_WEAK, /* a kind of character is missing */
};
enum rk_password_fault rk_password_judge(struct rk_str password);

/* The same as 0 or RK_INVALID with the text that goes on the wire, which names what is missing. */
int rk_password_rules(const char *password, struct rk_err *err) RK_CHECKED;

/* A good one at random, for whoever gets it to change. */
#define RK_PASSWORD_DRAWN 16
void rk_password_draw(char out[RK_PASSWORD_DRAWN + 1]);
