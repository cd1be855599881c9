#pragma once

/* A server of its own with the tables of accounts, for all tests of one file. */

#include "tests/support/test.h"

#include "libcommon/account/store/store.h"
#include "libcommon/crypto/box.h"
#include "tests/support/pg_ask.h"

static struct rk_pg *pg;

static RK_UNUSED int account_start(void **state)
{
    struct rk_err err = { 0 };

    (void)state;
    rk_crypto_init();
    if (!fixture_postgres(&fx))
        return -1;
    pg = rk_pg_new(fx.conninfo, "test");
    return rk_store_migrate(pg, &err);
}

static RK_UNUSED int account_stop(void **state)
{
    (void)state;
    rk_pg_free(pg);
    fixture_done(&fx);
    return 0;
}
