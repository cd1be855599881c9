/* Secrets that all replicas share. The first INSERT wins; everybody, the winner too, reads what
 * stands. */

#include "libcommon/account/store/store.h"
#include "libcommon/crypto/box.h"

#include <stdlib.h>

#define SECRET_MAX_BYTES 65536

static const struct rk_pg_stmt read_secret = { "secret_read",
                                               "SELECT sealed FROM secret WHERE name = $1" };
static const struct rk_pg_stmt add_secret = { "secret_add",
                                              "INSERT INTO secret (name, sealed) VALUES ($1, $2) "
                                              "ON CONFLICT DO NOTHING" };

/* Stores whether it exists; its plain text is appended to out. */
static int read_one(struct rk_pg *pg,
                    const struct rk_seal *seal,
                    const char *name,
                    struct rk_buf *out,
                    bool *out_found,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    uint8_t *sealed = NULL;
    size_t n = 0;
    int r;

    r = rk_pg_run(pg, &read_secret, &res, err, RK_P_C(name));
    if (r < 0)
        return r;
    *out_found = rk_pg_rows(res) > 0;
    if (!*out_found)
        return 0;
    rk_pg_bytea(res, 0, 0, &sealed, &n);
    r = rk_seal_get(seal, name, rk_strn(sealed, n), out, err);
    free(sealed);
    return r;
}

int rk_store_secret_read(struct rk_pg *pg,
                         const struct rk_seal *seal,
                         const char *name,
                         struct rk_buf *out,
                         struct rk_err *err)
{
    bool found;
    int r = read_one(pg, seal, name, out, &found, err);

    return r == 0 && !found ? rk_fail(err, RK_NOT_FOUND, "there is no secret %s", name) : r;
}

int rk_store_secret(struct rk_pg *pg,
                    const struct rk_seal *seal,
                    const char *name,
                    void (*make)(struct rk_buf *out),
                    struct rk_buf *out,
                    struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf plain;
    rk_auto(rk_buf_done) struct rk_buf sealed;
    bool found = false;
    int r;

    rk_buf_init(&plain, SECRET_MAX_BYTES);
    rk_buf_init(&sealed, SECRET_MAX_BYTES);
    r = read_one(pg, seal, name, out, &found, err);
    if (r < 0 || found)
        return r;
    make(&plain);
    rk_seal_put(seal, name, rk_buf_str(&plain), &sealed);
    rk_wipe(plain.p, plain.n);
    r = rk_pg_run(pg, &add_secret, NULL, err, RK_P_C(name), RK_P_BYTEA(rk_buf_str(&sealed)));
    if (r < 0)
        return r;
    r = read_one(pg, seal, name, out, &found, err);
    if (r == 0 && !found)
        r = rk_fail(err, RK_INTERNAL, "secret %s vanished", name);
    return r;
}
