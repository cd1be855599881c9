#include "libcommon/account/store/reseal.h"

/* A row here for each column that holds what is sealed. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

#define BATCH "200"
#define SEALED_MAX (256 * 1024)
#define NAME_MAX_LEN 1024
#define RETIRED "retired_key/"

/* Sealed as `prefix` and the id, which is text here: bytes are in hexadecimal. */
struct column {
    const char *prefix;
    struct rk_pg_stmt read; /* id, sealed; those after $1, in order */
    struct rk_pg_stmt write;
};

#define COLUMN(prefix_, table_, id_, sealed_)                                                      \
    {                                                                                              \
        prefix_,                                                                                   \
            { "reseal_read_" table_,                                                               \
              "SELECT " id_ ", " sealed_ " FROM " table_ " WHERE " id_ " > $1 AND " sealed_        \
              " IS NOT NULL ORDER BY " id_ " LIMIT " BATCH " FOR UPDATE" },                        \
            { "reseal_write_" table_,                                                              \
              "UPDATE " table_ " SET " sealed_ " = $2 WHERE " id_ " = $1" },                       \
    }
#define COLUMN_OF_BYTES(prefix_, table_, id_, sealed_)                                             \
    {                                                                                              \
        prefix_,                                                                                   \
            { "reseal_read_" table_, "SELECT encode(" id_ ",'hex'), " sealed_ " FROM " table_      \
                                     " WHERE " id_ " > decode($1,'hex') AND " sealed_              \
                                     " IS NOT NULL ORDER BY " id_ " LIMIT " BATCH " FOR UPDATE" }, \
            { "reseal_write_" table_,                                                              \
              "UPDATE " table_ " SET " sealed_ " = $2 WHERE " id_ " = decode($1,'hex')" },         \
    }

static const struct column columns[] = {
    COLUMN("", "secret", "name", "sealed"),
    COLUMN("signing_key/", "signing_key", "kid", "sealed"),
    COLUMN("connector/", "connector", "id", "sealed_secret"),
    COLUMN("totp/", "user_factor", "user_id", "sealed_totp"),
    COLUMN_OF_BYTES("login/", "oauth_login", "id", "note"),
    COLUMN_OF_BYTES("refresh/", "oauth_grant", "id", "refresh_key"),
    COLUMN_OF_BYTES("device/", "oauth_device", "id", "sealed_code"),
};

static const struct rk_pg_stmt add_retired = {
    "reseal_retire", "INSERT INTO secret (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING"
};
static const struct rk_pg_stmt read_retired = {
    "reseal_retired", "SELECT name, sealed FROM secret WHERE name LIKE '" RETIRED "%' "
                      "ORDER BY created_at DESC LIMIT 16"
};

static int reseal_one(struct rk_pg *pg,
                      const struct rk_seal *seal,
                      const struct column *col,
                      const char *id,
                      struct rk_str sealed,
                      struct rk_reseal *sum,
                      struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf plain = { .max = SEALED_MAX };
    rk_auto(rk_buf_done) struct rk_buf anew = { .max = SEALED_MAX };
    char name[NAME_MAX_LEN + 32];

    (void)snprintf(name, sizeof(name), "%s%s", col->prefix, id);
    if (rk_seal_is_current(seal, name, sealed)) {
        sum->already++;
        return 0;
    }
    if (rk_seal_get(seal, name, sealed, &plain, NULL) < 0) {
        sum->lost++;
        return 0;
    }
    rk_seal_put(seal, name, rk_buf_str(&plain), &anew);
    if (plain.n > 0)
        rk_wipe(plain.p, plain.n);
    sum->changed++;
    return rk_pg_run(pg, &col->write, NULL, err, RK_P_C(id), RK_P_BYTEA(rk_buf_str(&anew)));
}

/* The ids after `last`, which becomes the last of these. How many there were. */
static int reseal_batch(struct rk_pg *pg,
                        const struct rk_seal *seal,
                        const struct column *col,
                        char last[NAME_MAX_LEN],
                        struct rk_reseal *sum,
                        struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);

    if (r == 0)
        r = rk_pg_run(pg, &col->read, &res, err, RK_P_C(last));
    for (int i = 0; r == 0 && i < rk_pg_rows(res); i++) {
        uint8_t *sealed = NULL;
        size_t n = 0;

        if (!rk_str_copy(rk_pg_str(res, i, 0), last, NAME_MAX_LEN))
            return rk_fail(err, RK_INTERNAL, "an id is too long");
        rk_pg_bytea(res, i, 1, &sealed, &n);
        r = reseal_one(pg, seal, col, last, rk_strn(sealed, n), sum, err);
        free(sealed);
    }
    if (r == 0)
        r = rk_pg_commit(&tx, err);
    return r < 0 ? r : rk_pg_rows(res);
}

/* A name that tells it apart, and tells nothing of it. */
static void retired_name(const uint8_t key[RK_SEAL_KEY], char out[sizeof(RETIRED) + 16])
{
    uint8_t hash[32];

    rk_sha256(key, RK_SEAL_KEY, hash);
    memcpy(out, RETIRED, sizeof(RETIRED));
    rk_hex_encode(hash, 8, out + sizeof(RETIRED) - 1);
}

static int retire(struct rk_pg *pg, const struct rk_seal *seal, unsigned which, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
    char name[sizeof(RETIRED) + 16];

    retired_name(seal->key[which], name);
    rk_seal_put(seal, name, rk_strn(seal->key[which], RK_SEAL_KEY), &sealed);
    return rk_pg_run(pg, &add_retired, NULL, err, RK_P_C(name), RK_P_BYTEA(rk_buf_str(&sealed)));
}

int rk_store_reseal(struct rk_pg *pg,
                    const struct rk_seal *seal,
                    struct rk_reseal *out,
                    struct rk_err *err)
{
    struct rk_reseal sum = { 0 };
    int r = 0;

    for (unsigned i = 1; r == 0 && i < seal->n; i++)
        r = retire(pg, seal, i, err);
    for (size_t i = 0; r == 0 && i < RK_COUNT(columns); i++) {
        char last[NAME_MAX_LEN] = "";

        do
            r = reseal_batch(pg, seal, &columns[i], last, &sum, err);
        while (r > 0);
    }
    if (r == 0)
        *out = sum;
    return r;
}

int rk_store_retired_keys(struct rk_pg *pg,
                          const struct rk_seal *seal,
                          struct rk_retired_keys *out,
                          struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(pg, &read_retired, &res, err);

    out->n = 0;
    for (int i = 0; r == 0 && i < rk_pg_rows(res); i++) {
        rk_auto(rk_buf_done) struct rk_buf plain = { .max = RK_SEAL_KEY };
        uint8_t *sealed = NULL;
        size_t n = 0;

        rk_pg_bytea(res, i, 1, &sealed, &n);
        r = rk_seal_get(seal, rk_pg_str(res, i, 0).p, rk_strn(sealed, n), &plain, err);
        free(sealed);
        if (r == 0 && plain.n == RK_SEAL_KEY)
            memcpy(out->key[out->n++], plain.p, RK_SEAL_KEY);
        if (plain.n > 0)
            rk_wipe(plain.p, plain.n);
    }
    return r;
}
