/* See password.h. Argon2id by libsodium, bcrypt by libcrypt. */

#include "libcommon/crypto/password.h"

#include <crypt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#define PASSES 3
#define MEMORY ((size_t)64 << 20)
#define BCRYPT_MAX 72 /* bytes that count; more would verify by their beginning */
#define BCRYPT_MIN_COST 4
#define BCRYPT_MAX_COST 16 /* a second or two */

_Static_assert(RK_PASSWORD_LEN >= crypto_pwhash_STRBYTES, "room for libsodium's string");

static _Atomic uint64_t computed;

/* Of 32 random bytes that nobody has kept. */
static const char nobody[] = "$argon2id$v=19$m=65536,t=3,p=1$xCjwuR0eFmblfBh89LD++g$"
                             "TTuV9TxwhlQWKpAA24ODizG2saDQN+WnkaR99cB+HHA";

uint64_t rk_password_count(void)
{
    return atomic_load_explicit(&computed, memory_order_relaxed);
}

static void count(void)
{
    atomic_fetch_add_explicit(&computed, 1, memory_order_relaxed);
}

void rk_password_hash(struct rk_str password, char out[RK_PASSWORD_LEN])
{
    count();
    if (crypto_pwhash_str(out, password.p ? password.p : "", password.n, PASSES, MEMORY) != 0) {
        (void)fputs("no memory for a password hash\n", stderr);
        abort();
    }
}

/* "$2b$12$" and 53 characters; $2a$ and $2y$ are the same. */
static bool is_bcrypt(const char *hash)
{
    int cost;

    if (strlen(hash) != 60 || hash[0] != '$' || hash[1] != '2' || !strchr("aby", hash[2]) ||
        hash[3] != '$' || hash[4] < '0' || hash[4] > '9' || hash[5] < '0' || hash[5] > '9')
        return false;
    cost = (hash[4] - '0') * 10 + (hash[5] - '0');
    return hash[6] == '$' && cost >= BCRYPT_MIN_COST && cost <= BCRYPT_MAX_COST;
}

static bool bcrypt_verify(struct rk_str password, const char *hash)
{
    char text[BCRYPT_MAX + 1];
    struct crypt_data *data;
    const char *made;
    bool same;

    if (!rk_str_copy(password, text, sizeof(text)))
        return false;
    data = calloc(1, sizeof(*data));
    if (!data)
        return false;
    made = crypt_r(text, hash, data);
    same = made && strlen(made) == strlen(hash) && sodium_memcmp(made, hash, strlen(hash)) == 0;
    sodium_memzero(data, sizeof(*data));
    sodium_memzero(text, sizeof(text));
    free(data);
    return same;
}

bool rk_password_verify(struct rk_str password, const char *hash)
{
    if (password.n > RK_PASSWORD_MAX)
        return false;
    count();
    if (is_bcrypt(hash))
        return bcrypt_verify(password, hash);
    return crypto_pwhash_str_verify(hash, password.p ? password.p : "", password.n) == 0;
}

void rk_password_verify_nobody(struct rk_str password)
{
    (void)rk_password_verify(password, nobody);
}

bool rk_password_outdated(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, PASSES, MEMORY) != 0;
}
