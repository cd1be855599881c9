#pragma once

/*
 * An account with one setup key on a server of its own: peers that come by the key, and what is
 * loaded of the account then.
 */

#include "tests/support/test.h"

#include "libcommon/account/rules/account_create.h"
#include "libcommon/crypto/hash.h"
#include "tests/support/account_pg.h"
#include "tests/support/peer_meta.h"

static struct rk_account_created acc;
static const char key_text[] = "A2C8E62B-38F5-4553-B31E-DD66C696CEBB";

static RK_UNUSED int register_peer(struct rk_pg *from,
                                   const char *hostname,
                                   uint8_t out_key[RK_KEY_LEN],
                                   struct rk_bell *bell,
                                   struct rk_err *err)
{
    struct rk_peer_meta meta = meta_of(hostname);
    struct rk_peer_registration reg = { .setup_key = key_text,
                                        .meta = &meta,
                                        .ssh_key = "ssh-ed25519 AAAA",
                                        .connection_ip = "192.0.2.1",
                                        .default_domain = "d.test" };
    struct rk_keypair pair;

    rk_keypair_new(&pair);
    memcpy(reg.key, pair.public_key, RK_KEY_LEN);
    if (out_key)
        memcpy(out_key, pair.public_key, RK_KEY_LEN);
    return rk_peer_register(from, &reg, bell, err);
}

/* One account, one key with this limit, no peers. */
static RK_UNUSED void fresh(unsigned limit)
{
    const struct rk_account_setup in = { .domain = "netbird.selfhosted",
                                         .email = "a@example.com",
                                         .name = "A",
                                         .password_hash = "x",
                                         .pat_name = "setup-token",
                                         .pat_hash = "hash",
                                         .pat_expires_us = 4102444800000000 };
    struct rk_err err = { 0 };
    char hash[45], sql[512];

    pg_must(pg, "DELETE FROM account");
    if (rk_account_setup(pg, &in, &acc, &err) < 0)
        fail_msg("%s", err.msg);
    rk_sha256_b64(rk_str(key_text), hash);
    snprintf(sql, sizeof(sql),
             "INSERT INTO setup_key (id, account_id, name, hash, masked, type, usage_limit) "
             "VALUES ('k1', '%s', 'key', '%s', 'A2C8E****', 'reusable', %u)",
             acc.account_id, hash, limit);
    pg_must(pg, sql);
}

static RK_UNUSED struct rk_delta *load(uint64_t since)
{
    struct rk_delta *d = NULL;
    struct rk_err err = { 0 };

    if (rk_store_load(pg, acc.account_id, since, "default.test", &d, &err) < 0)
        fail_msg("%s", err.msg);
    return d;
}

static RK_UNUSED const struct rk_delta_item *item(const struct rk_delta *d,
                                                  enum rk_object_kind kind)
{
    size_t i;

    for (i = 0; i < d->n; i++) {
        if (d->items[i].kind == kind)
            return &d->items[i];
    }
    fail_msg("no item of kind %d", kind);
    return NULL;
}
