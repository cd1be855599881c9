#pragma once

/*
 * Signer: a private RSA key that signs tokens, with its kid: 40 hex characters of its RFC 7638
 * thumbprint. Made once, then used by any number of threads.
 */

#include "libcommon/base/attr.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

struct rk_signer;

/* A new key of 2048 bits; takes a tenth of a second: worker threads only. */
struct rk_signer *rk_signer_new(void);
/* From what rk_signer_export wrote. */
int rk_signer_load(struct rk_str der, struct rk_signer **out, struct rk_err *err) RK_CHECKED;
void rk_signer_free(struct rk_signer *s);
RK_DEFINE_AUTO(struct rk_signer, rk_signer_free)

#define RK_SIGNER_MAX_DER 4096
#define RK_SIGNER_KID_LEN 40
const char *rk_signer_kid(const struct rk_signer *s);
/* Appends PKCS #8; the caller seals it and wipes the buffer. */
void rk_signer_export(const struct rk_signer *s, struct rk_buf *out);
/* Appends the public half as a JWK: kty, use, alg, kid, n, e. */
void rk_signer_public_jwk(const struct rk_signer *s, struct rk_buf *out);
