#pragma once

/* For this directory. */

#include <openssl/evp.h>

#include "libcommon/jwt/signer.h"

struct rk_signer {
    EVP_PKEY *key;
    char kid[RK_SIGNER_KID_LEN + 1];
};
