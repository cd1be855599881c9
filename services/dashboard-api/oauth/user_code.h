#pragma once

/* User code: what a person reads from a device and types elsewhere. Eight of 20 consonants, which
 * spell nothing: 34.5 bits. Pure; any thread. */

#include "libcommon/base/str.h"

#define USER_CODE_LEN 9 /* "BCDF-GHJK" */

void user_code_new(char out[USER_CODE_LEN + 1]);
/* Any case, with or without the dash, with spaces. False: can be no code of ours. */
bool user_code_read(struct rk_str typed, char out[USER_CODE_LEN + 1]);
