#pragma once

/* For tests. */

#include "libcommon/oidc/verifier.h"

/* As if the keys had grown old: the next rk_verifier_fetch asks for newer ones. */
void rk_verifier_expire(struct rk_verifier *v);
