#pragma once

/*
 * One account on a server of its own, for the tests of one file's rules: an owner who acts, the
 * group All, and what of the change can be asked afterwards.
 */

#include "tests/support/test.h"

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/group.h"
#include "tests/support/account_pg.h"

static struct rk_account_created acc;
static struct rk_actor actor;
static struct rk_bell bell;

static RK_UNUSED int account_fresh(void **state)
{
    struct rk_err err = { 0 };
    const struct rk_account_setup in = {
        .domain = "d.test", .email = "o@d.test", .name = "O", .password_hash = "x"
    };

    (void)state;
    pg_must(pg, "DELETE FROM account");
    if (rk_account_setup(pg, &in, &acc, &err) < 0)
        return -1;
    actor = (struct rk_actor){ .account_id = acc.account_id,
                               .user_id = acc.user_id,
                               .is_admin = true,
                               .default_domain = "d.test" };
    bell = (struct rk_bell){ .serial = 0 };
    return 0;
}

static RK_UNUSED int64_t serial(void)
{
    return pg_ask(&fx, "SELECT serial FROM account");
}

/* Objects of this kind that the newest serial names. */
static RK_UNUSED int64_t touched(const char *kind)
{
    char sql[200];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM account_change c JOIN account a ON c.account_id = a.id AND "
             "c.serial = a.serial WHERE c.kind = '%s'",
             kind);
    return pg_ask(&fx, sql);
}

static RK_UNUSED int64_t events(const char *code)
{
    char sql[200];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM event WHERE code = '%s'", code);
    return pg_ask(&fx, sql);
}

/* Events of the code with this member in their meta. */
static RK_UNUSED int64_t events_with(const char *code, const char *key, const char *value)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM event WHERE code = '%s' AND meta->>'%s' = '%s'", code, key,
             value);
    return pg_ask(&fx, sql);
}

static RK_UNUSED void refused(int r, int code, const struct rk_err *err, const char *message)
{
    assert_string_equal(err->msg, message);
    assert_int_equal(r, code);
}

static RK_UNUSED void done(int r, const struct rk_err *err)
{
    if (r < 0)
        fail_msg("%s", err->msg);
    assert_int_equal(r, 0);
}

static RK_UNUSED void make_group(const char *name, char out[RK_XID_LEN + 1])
{
    struct rk_err err = { 0 };

    done(rk_group_create(pg, &actor, &(struct rk_group_input){ .name = name }, out, &bell, &err),
         &err);
    assert_int_equal((int64_t)bell.serial, serial());
    assert_string_equal(bell.account_id, actor.account_id);
}

/* Two peers: a at the first address of the account's network, b at the second. */
#define A "peer000000000000000a"
#define B "peer000000000000000b"

static RK_UNUSED void two_peers(void)
{
    pg_must(pg, "INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT "
                "'peer000000000000000' || n, id, 'key' || n, host(network(net4)::inet + "
                "CASE n WHEN 'a' THEN 1 ELSE 2 END)::inet, n, n FROM account, "
                "(VALUES ('a'), ('b')) v(n)");
}

static RK_UNUSED int account_fresh_with_two_peers(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    two_peers();
    return 0;
}

static RK_UNUSED void make_group_of(const char *name, const char *member, char out[RK_XID_LEN + 1])
{
    struct rk_err err = { 0 };
    const struct rk_str peer = rk_str(member);

    done(rk_group_create(pg, &actor,
                         &(struct rk_group_input){ .name = name, .peers = &peer, .peers_n = 1 },
                         out, &bell, &err),
         &err);
}
