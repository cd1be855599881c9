#pragma once

/*
 * Random changes of an account through its rules, against a real server. Any refusal that the rules
 * know is fine; what must not happen is an internal error. One life belongs to one thread.
 */

#include <stdio.h>
#include <string.h>

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/group.h"
#include "libcommon/account/peer/rules.h"
#include "libcommon/account/rules/policy.h"
#include "libcommon/account/rules/settings.h"
#include "libcommon/account/rules/setup_key.h"
#include "libcommon/base/alloc.h"
#include "tests/support/peer_meta.h"
#include "tests/support/test.h"

#define LIFE_IDS 64   /* of one kind, at most, that a change looks at */
#define LIFE_PEERS 24 /* about so many live at a time */
#define LIFE_GROUPS 8 /* besides All */
#define LIFE_POLICIES 8
#define LIFE_KEYS 6

struct life {
    struct rk_pg *pg;
    struct rk_actor actor;
    uint64_t seed;
    unsigned done, refused;
    char keys[LIFE_KEYS][RK_UUID_LEN + 1]; /* secrets of setup keys of this life */
    size_t keys_n;
};

struct life_ids {
    char id[LIFE_IDS][RK_XID_LEN + 1];
    struct rk_str str[LIFE_IDS];
    size_t n;
};

static RK_UNUSED unsigned life_below(struct life *l, unsigned n)
{
    l->seed ^= l->seed << 13;
    l->seed ^= l->seed >> 7;
    l->seed ^= l->seed << 17;
    return (unsigned)((l->seed >> 11) % n);
}

/* Ids from the table, in an order that the seed decides; a stranger among them now and then. */
static RK_UNUSED void
life_pick(struct life *l, const struct rk_pg_stmt *st, size_t max, struct life_ids *out)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };
    size_t rows;

    if (rk_pg_run(l->pg, st, &res, &err, RK_P_C(l->actor.account_id)) < 0)
        fail_msg("%s: %s", st->name, err.msg);
    rows = (size_t)rk_pg_rows(res);
    out->n = 0;
    for (size_t i = 0; i < rows && out->n < max && out->n < LIFE_IDS; i++)
        if (rows <= max || life_below(l, (unsigned)rows) < max * 2)
            (void)rk_str_copy(rk_pg_str(res, (int)i, 0), out->id[out->n++], RK_XID_LEN + 1);
    for (size_t i = out->n; i > 1; i--) {
        size_t k = life_below(l, (unsigned)i);
        char tmp[RK_XID_LEN + 1];

        memcpy(tmp, out->id[i - 1], sizeof(tmp));
        memcpy(out->id[i - 1], out->id[k], sizeof(tmp));
        memcpy(out->id[k], tmp, sizeof(tmp));
    }
    if (out->n > 0 && life_below(l, 40) == 0)
        (void)rk_str_copy(RK_STR("stranger"), out->id[0], RK_XID_LEN + 1);
    for (size_t i = 0; i < out->n; i++)
        out->str[i] = rk_str(out->id[i]);
}

static const struct rk_pg_stmt life_peers = {
    "life_peers", "SELECT id FROM peer WHERE account_id = $1 ORDER BY id"
};
static const struct rk_pg_stmt life_groups = {
    "life_groups",
    "SELECT id FROM account_group WHERE account_id = $1 AND name <> 'All' ORDER BY id"
};
static const struct rk_pg_stmt life_all_groups = {
    "life_all_groups", "SELECT id FROM account_group WHERE account_id = $1 ORDER BY id"
};
static const struct rk_pg_stmt life_policies = {
    "life_policies", "SELECT id FROM policy WHERE account_id = $1 ORDER BY id"
};
static const struct rk_pg_stmt life_keys = {
    "life_keys", "SELECT id FROM setup_key WHERE account_id = $1 ORDER BY id"
};

static RK_UNUSED struct rk_peer_meta life_meta(struct life *l, const char *hostname)
{
    static const char *const versions[] = { "0.77.1", "0.77.1", "0.58.0", "0.47.0", "development" };
    struct rk_peer_meta meta = meta_of(hostname);

    meta.goos = life_below(l, 4) ? "linux" : "windows";
    meta.version = versions[life_below(l, RK_COUNT(versions))];
    meta.capabilities = life_below(l, 4) << 1 & (RK_CAP_SOURCE_PREFIXES | RK_CAP_IPV6);
    meta.flags = life_below(l, 4) ? 0 : RK_META_FLAG_DISABLE_IPV6;
    return meta;
}

static RK_UNUSED int life_join(struct life *l, struct rk_bell *bell, struct rk_err *err)
{
    static const char *const names[] = { "web", "db", "Mail_1", "web", "laptop", "x" };
    struct rk_peer_meta meta = life_meta(l, names[life_below(l, RK_COUNT(names))]);
    struct rk_keypair pair;
    struct rk_peer_registration reg = { .meta = &meta,
                                        .ssh_key = life_below(l, 2) ? "ssh-ed25519 AAAA" : "",
                                        .connection_ip = "192.0.2.1",
                                        .default_domain = l->actor.default_domain };

    if (l->keys_n == 0)
        return RK_NOT_FOUND;
    reg.setup_key = l->keys[life_below(l, (unsigned)l->keys_n)];
    rk_keypair_new(&pair);
    memcpy(reg.key, pair.public_key, RK_KEY_LEN);
    return rk_peer_register(l->pg, &reg, bell, err);
}

static RK_UNUSED int life_peer(struct life *l, struct rk_bell *bell, struct rk_err *err)
{
    static const char *const names[] = { "", "Web", "db 2", "kiosk" };
    struct life_ids peers;
    struct rk_peer_meta meta;
    char ip[32];

    life_pick(l, &life_peers, LIFE_IDS, &peers);
    if (peers.n == 0 || (peers.n < LIFE_PEERS && life_below(l, 3) == 0))
        return life_join(l, bell, err);
    if (peers.n > LIFE_PEERS || life_below(l, 6) == 0)
        return rk_peer_delete(l->pg, &l->actor, peers.id[0], bell, err);
    meta = life_meta(l, "host");
    switch (life_below(l, 3)) {
    case 0:
        return rk_peer_update_meta(l->pg, l->actor.account_id, peers.id[0], &meta, bell, err);
    case 1:
        return rk_peer_update_ssh_key(l->pg, l->actor.account_id, peers.id[0],
                                      life_below(l, 2) ? "ssh-ed25519 BBBB" : "ssh-rsa CC", bell,
                                      err);
    default:
        snprintf(ip, sizeof(ip), "10.9.0.%u", 1 + life_below(l, 250));
        return rk_peer_update(
            l->pg, &l->actor, peers.id[0],
            &(struct rk_peer_input){ .name = names[life_below(l, RK_COUNT(names))],
                                     .ssh_enabled = life_below(l, 2),
                                     .ip = life_below(l, 4) ? NULL : ip },
            bell, err);
    }
}

static RK_UNUSED int life_group(struct life *l, struct rk_bell *bell, struct rk_err *err)
{
    struct life_ids groups, peers;
    char id[RK_XID_LEN + 1], name[16];
    struct rk_group_input in = { .name = name };

    life_pick(l, &life_groups, LIFE_IDS, &groups);
    life_pick(l, &life_peers, life_below(l, 10), &peers);
    in.peers = peers.str;
    in.peers_n = peers.n;
    snprintf(name, sizeof(name), "g%u", life_below(l, 20));
    if (groups.n < LIFE_GROUPS && life_below(l, 3) == 0)
        return rk_group_create(l->pg, &l->actor, &in, id, bell, err);
    if (groups.n == 0)
        return RK_NOT_FOUND;
    if (life_below(l, 5) == 0)
        return rk_group_delete(l->pg, &l->actor, groups.id[0], bell, err);
    return rk_group_update(l->pg, &l->actor, groups.id[0], &in, bell, err);
}

static RK_UNUSED void
life_side(struct life *l, struct life_ids *ids, const char *peer, struct rk_policy_side *out)
{
    life_pick(l, &life_all_groups, life_below(l, 3), ids);
    *out = (struct rk_policy_side){ .has_groups = true, .groups = ids->str, .groups_n = ids->n };
    if (peer && life_below(l, 6) == 0)
        *out = (struct rk_policy_side){ .has_resource = true,
                                        .resource_id = peer,
                                        .resource_type = "peer" };
}

static RK_UNUSED int life_policy(struct life *l, struct rk_bell *bell, struct rk_err *err)
{
    static const char *const protocols[] = { "all", "tcp", "udp", "icmp", "netbird-ssh" };
    static const struct rk_str ports[] = { RK_STR("22"), RK_STR("443") };
    static const struct rk_policy_range ranges[] = { { 20, 30 }, { 80, 80 } };
    struct life_ids policies, peers, sides[4];
    struct rk_policy_rule_input rules[2];
    struct rk_policy_input in = {
        .name = "p", .description = "", .enabled = life_below(l, 6) > 0, .rules = rules
    };
    char id[RK_XID_LEN + 1];

    life_pick(l, &life_policies, LIFE_IDS, &policies);
    if (policies.n > 0 && (policies.n > LIFE_POLICIES || life_below(l, 5) == 0))
        return rk_policy_delete(l->pg, &l->actor, policies.id[0], bell, err);
    life_pick(l, &life_peers, 3, &peers);
    in.rules_n = 1 + life_below(l, 2);
    for (size_t i = 0; i < in.rules_n; i++) {
        struct rk_policy_rule_input *r = &rules[i];
        unsigned proto = life_below(l, RK_COUNT(protocols));

        *r = (struct rk_policy_rule_input){ .id = "",
                                            .name = "r",
                                            .description = "",
                                            .enabled = life_below(l, 6) > 0,
                                            .action = life_below(l, 5) ? "accept" : "drop",
                                            .protocol = protocols[proto],
                                            .bidirectional = life_below(l, 2) };
        life_side(l, &sides[2 * i], peers.n > 0 ? peers.id[0] : NULL, &r->source);
        life_side(l, &sides[2 * i + 1], peers.n > 1 ? peers.id[1] : NULL, &r->destination);
        if (proto == 0 || proto == 3 || life_below(l, 3) == 0)
            continue;
        if (life_below(l, 2)) {
            r->ports = ports;
            r->ports_n = 1 + life_below(l, 2);
        } else {
            r->ranges = ranges;
            r->ranges_n = 1 + life_below(l, 2);
        }
    }
    if (policies.n == 0 || life_below(l, 3) == 0)
        return rk_policy_create(l->pg, &l->actor, &in, id, NULL, bell, err);
    return rk_policy_update(l->pg, &l->actor, policies.id[0], &in, NULL, bell, err);
}

static RK_UNUSED int life_key(struct life *l, struct rk_bell *bell, struct rk_err *err)
{
    struct life_ids keys, groups;
    char id[RK_XID_LEN + 1], secret[RK_UUID_LEN + 1];
    struct rk_setup_key_input in = { .name = "k", .type = "reusable" };
    int r;

    bell->serial = 0;
    life_pick(l, &life_groups, life_below(l, 4), &groups);
    in.auto_groups = groups.str;
    in.auto_groups_n = groups.n;
    in.usage_limit = life_below(l, 3) ? 0 : 5;
    life_pick(l, &life_keys, LIFE_IDS, &keys);
    if (keys.n > 0 && life_below(l, 4) == 0)
        return rk_setup_key_update(l->pg, &l->actor, keys.id[0], life_below(l, 5) == 0, groups.str,
                                   groups.n, err);
    if (keys.n > LIFE_KEYS)
        return rk_setup_key_delete(l->pg, &l->actor, keys.id[0], err);
    r = rk_setup_key_create(l->pg, &l->actor, &in, id, secret, err);
    if (r == 0)
        memcpy(l->keys[l->keys_n < LIFE_KEYS ? l->keys_n++ : life_below(l, LIFE_KEYS)], secret,
               sizeof(secret));
    return r;
}

static RK_UNUSED int life_settings(struct life *l, struct rk_bell *bell, struct rk_err *err)
{
    static const char *const domains[] = { "", "other.test", "third.test" };
    static const char *const nets[] = { "10.9.0.0/24", "10.9.0.0/24", "100.80.0.0/16" };
    struct life_ids groups;
    rk_auto(json_decref) json_t *to = NULL, *in = NULL;

    life_pick(l, &life_all_groups, 2, &groups);
    in = json_pack("{s:i,s:b,s:b,s:b,s:s,s:s,s:[]}", "peer_login_expiration", 3600,
                   "peer_login_expiration_enabled", life_below(l, 2), "lazy_connection_enabled",
                   life_below(l, 2), "metrics_push_enabled", life_below(l, 2), "dns_domain",
                   domains[life_below(l, RK_COUNT(domains))], "network_range",
                   nets[life_below(l, RK_COUNT(nets))], "ipv6_enabled_groups");
    assert_non_null(in);
    for (size_t i = 0; i < groups.n; i++)
        json_array_append_new(json_object_get(in, "ipv6_enabled_groups"),
                              json_string(groups.id[i]));
    assert_true(rk_settings_decode(in, &to));
    return rk_settings_update(l->pg, &l->actor, to, NULL, bell, err);
}

/* One change; RK_CONFLICT (a deadlock between two lives) counts as refused. */
static RK_UNUSED void life_step(struct life *l)
{
    struct rk_bell bell = { .serial = 0 };
    struct rk_err err = { 0 };
    unsigned what = life_below(l, 40);
    int r;

    if (l->keys_n == 0 || what < 3)
        r = life_key(l, &bell, &err);
    else if (what < 17)
        r = life_peer(l, &bell, &err);
    else if (what < 27)
        r = life_group(l, &bell, &err);
    else if (what < 38)
        r = life_policy(l, &bell, &err);
    else
        r = life_settings(l, &bell, &err);
    if (r == RK_INTERNAL && strstr(err.msg, "address"))
        r = RK_EXHAUSTED; /* ten attempts found none free */
    if (r == RK_INTERNAL || r == RK_UNAVAILABLE)
        fail_msg("change %u: %d %s", what, r, err.msg);
    l->done += r == 0;
    l->refused += r < 0;
}
