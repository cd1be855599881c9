#include "tests/bench/lib/big_change.h"

/* Rows are those of the snapshot but for what changes. */

#include "tests/bench/lib/big_account.h"
#include "tests/bench/lib/report.h"
#include "tests/support/account_rows.h"

static unsigned peers(const struct rk_snapshot *s)
{
    return (unsigned)rk_snapshot_peers(s);
}

size_t big_account_index(const struct rk_snapshot *s, unsigned peer)
{
    char id[RK_XID_LEN + 1];
    size_t at;

    big_account_peer_id(peer, id);
    at = rk_snapshot_find_id(s, rk_str(id));
    if (at == RK_NO_PEER)
        bench_die("no peer %s", id);
    return at;
}

static struct rk_delta *change(const struct rk_snapshot *s)
{
    return rk_delta_new(BIG_ACCOUNT_ID, rk_snapshot_serial(s) + 1);
}

/* As it is in the snapshot; the fields that a map has. */
static struct rk_peer_row *peer_again(const struct rk_snapshot *s, unsigned n)
{
    const struct rk_peer_row *was = rk_snapshot_peer(s, big_account_index(s, n));
    struct rk_peer_row *row = rows_peer(was->id, n);

    memcpy(row->key, was->key, sizeof(row->key));
    memcpy(row->key_b64, was->key_b64, sizeof(row->key_b64));
    memcpy(row->ip4, was->ip4, sizeof(row->ip4));
    memcpy(row->ip6, was->ip6, sizeof(row->ip6));
    row->has_ip6 = was->has_ip6;
    rows_set(&row->dns_label, was->dns_label);
    rows_set(&row->ssh_key, was->ssh_key);
    rows_set(&row->goos, was->goos);
    rows_set(&row->os_version, was->os_version);
    rows_set(&row->kernel_version, was->kernel_version);
    row->ssh_enabled = was->ssh_enabled;
    row->last_login_us = was->last_login_us;
    row->capabilities = was->capabilities;
    return row;
}

struct rk_delta *big_change_version(const struct rk_snapshot *s)
{
    struct rk_delta *d = change(s);
    struct rk_peer_row *row = peer_again(s, peers(s) / 2);

    rows_set(&row->version, "0.77.2");
    rows_add_peer(d, row);
    return d;
}

struct rk_delta *big_change_team(const struct rk_snapshot *s)
{
    struct rk_delta *d = change(s);
    char group[RK_XID_LEN + 1], peer[RK_XID_LEN + 1];

    big_account_group_id(BIG_ACCOUNT_TEAM((peers(s) / 2 + 75) % 150), group);
    big_account_peer_id(peers(s) / 2, peer);
    rows_add_membership(d, group, peer, true);
    return d;
}

static struct rk_delta *policy_changes(const struct rk_snapshot *s,
                                       const char *id,
                                       const char *from,
                                       const char *to,
                                       const char *port,
                                       bool both)
{
    struct rk_delta *d = change(s);
    struct rk_policy_row *p = rows_policy(id);
    struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, both);

    rows_port(r, port);
    rows_source(r, from);
    rows_destination(r, to);
    rows_add_policy(d, p);
    return d;
}

struct rk_delta *big_change_port(const struct rk_snapshot *s)
{
    return policy_changes(s, BIG_ACCOUNT_TEAM_POLICY, "g0000000000000000003",
                          "g0000000000000000004", "8443", true);
}

struct rk_delta *big_change_wide(const struct rk_snapshot *s, const char *port)
{
    return policy_changes(s, BIG_ACCOUNT_WIDE_POLICY, BIG_ACCOUNT_ALL, "g0000000000000000191", port,
                          false);
}

struct rk_delta *big_change_join(const struct rk_snapshot *s)
{
    struct rk_delta *d = change(s);
    char group[RK_XID_LEN + 1], peer[RK_XID_LEN + 1];

    big_account_peer_id(peers(s) + 1, peer);
    big_account_group_id(BIG_ACCOUNT_TEAM((peers(s) + 1) % 150), group);
    rows_add_peer(d, rows_peer(peer, peers(s) + 1));
    rows_add_membership(d, BIG_ACCOUNT_ALL, peer, true);
    rows_add_membership(d, group, peer, true);
    return d;
}

struct rk_delta *big_change_one(const struct rk_snapshot *s)
{
    struct rk_delta *d = change(s);
    struct rk_peer_row *row = peer_again(s, peers(s) / 2);

    row->ssh_enabled = !row->ssh_enabled;
    rows_add_peer(d, row);
    return d;
}
