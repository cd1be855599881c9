/* Address ranges of an account: parsing, capacity, and giving peers new addresses. See
 * settings_int.h. */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/account/rules/settings_int.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

#define MAX_TRIES 1000

static const struct rk_pg_stmt count_stmt = { "settings_count_peers",
                                              "SELECT count(*) FROM peer WHERE account_id = $1" };
static const struct rk_pg_stmt peers_stmt = {
    "settings_peers", "SELECT id FROM peer WHERE account_id = $1 ORDER BY id"
};
/* Old and new ranges may overlap; in between every peer has an address that is nobody's. */
static const struct rk_pg_stmt park_stmt = { "settings_park",
                                             "UPDATE peer p SET ip = '::'::inet + x.n FROM (SELECT "
                                             "id, row_number() OVER (ORDER BY id) AS n FROM peer"
                                             " WHERE account_id = $1) x WHERE p.id = x.id" };
static const struct rk_pg_stmt move4_stmt = {
    "settings_move4", "UPDATE peer p SET ip = x.ip::inet FROM unnest($1::text[], $2::text[]) AS "
                      "x(id, ip) WHERE p.id = x.id"
};
static const struct rk_pg_stmt net4_stmt = { "settings_net4",
                                             "UPDATE account SET net4 = $2::cidr WHERE id = $1" };
static const struct rk_pg_stmt net6_stmt = { "settings_net6",
                                             "UPDATE account SET net6 = $2::cidr WHERE id = $1" };
static const struct rk_pg_stmt get_net6_stmt = { "settings_get_net6",
                                                 "SELECT net6::text FROM account WHERE id = $1" };
/* Those that have an address they should not have, or one outside the prefix. */
static const struct rk_pg_stmt drop6_stmt = {
    "settings_drop6",
    "UPDATE peer p SET ip6 = NULL FROM account a WHERE a.id = $1 AND p.account_id = a.id AND p.ip6 "
    "IS NOT NULL"
    " AND (NOT coalesce(p.ip6 <<= a.net6, false) OR NOT EXISTS (SELECT 1 FROM group_peer m"
    " WHERE m.peer_id = p.id AND m.group_id = ANY ($2::text[]))) RETURNING p.id"
};
static const struct rk_pg_stmt need6_stmt = {
    "settings_need6", "SELECT p.id, '' FROM peer p WHERE p.account_id = $1 AND p.ip6 IS NULL AND "
                      "EXISTS (SELECT 1 FROM group_peer m"
                      " WHERE m.peer_id = p.id AND m.group_id = ANY ($2::text[])) ORDER BY p.id"
};
static const struct rk_pg_stmt used6_stmt = {
    "settings_used6", "SELECT host(ip6) FROM peer WHERE account_id = $1 AND ip6 IS NOT NULL"
};
static const struct rk_pg_stmt set6_stmt = {
    "settings_set6", "UPDATE peer p SET ip6 = x.ip::inet FROM unnest($1::text[], $2::text[]) AS "
                     "x(id, ip) WHERE p.id = x.id"
};

static const struct rk_pg_stmt groups6_stmt = {
    "settings_groups6",
    "SELECT array(SELECT jsonb_array_elements_text(settings->'ipv6_enabled_groups')) FROM account"
    " WHERE id = $1 AND jsonb_typeof(settings->'ipv6_enabled_groups') = 'array' AND "
    "settings->'ipv6_enabled_groups' ? $2"
};

static int check_place(const struct rk_prefix *p, struct rk_err *err)
{
    static const uint8_t loopback6[16] = { [15] = 1 };
    const uint8_t *a = p->addr;
    bool v4 = p->family == AF_INET;

    if (v4 ? a[0] == 127 : memcmp(a, loopback6, 16) == 0)
        return rk_fail(err, RK_INVALID, "loopback address range not allowed");
    if (v4 ? (a[0] & 0xf0) == 0xe0 : a[0] == 0xff)
        return rk_fail(err, RK_INVALID, "multicast address range not allowed");
    if (v4 ? a[0] == 169 && a[1] == 254 : a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
        return rk_fail(err, RK_INVALID, "link-local address range not allowed");
    if (v4 && p->bits > 28)
        return rk_fail(err, RK_INVALID, "network range too small: minimum size is /28 for ipv4");
    if (!v4 && p->bits > 120)
        return rk_fail(err, RK_INVALID, "network range too small: minimum size is /120 for ipv6");
    if (!v4 && p->bits < 48)
        return rk_fail(err, RK_INVALID, "network range too large: maximum size is /48 for ipv6");
    return 0;
}

int rk_prefix_parse_range(const char *text, int family, struct rk_prefix *out, struct rk_err *err)
{
    struct rk_prefix p = { 0 };
    const char *slash = strrchr(text, '/');
    char addr[INET6_ADDRSTRLEN];
    uint64_t bits;

    if (!slash)
        return rk_fail(err, RK_INVALID, "invalid cidr format: netip.parseprefix(\"%s\"): no '/'",
                       text);
    if (!rk_str_copy(rk_strn(text, (size_t)(slash - text)), addr, sizeof(addr)) ||
        !rk_str_u64(rk_str(slash + 1), &bits) || bits > 128)
        return rk_fail(err, RK_INVALID, "invalid cidr format: unable to parse %s", text);
    if (inet_pton(AF_INET, addr, p.addr) == 1)
        p.family = AF_INET;
    else if (inet_pton(AF_INET6, addr, p.addr) == 1)
        p.family = AF_INET6;
    else
        return rk_fail(err, RK_INVALID, "invalid cidr format: unable to parse ip %s", addr);
    if (p.family == AF_INET && bits > 32)
        return rk_fail(err, RK_INVALID, "invalid cidr format: prefix length out of range in %s",
                       text);
    if (p.family != family)
        return rk_fail(err, RK_INVALID, "network range must be an %s address",
                       family == AF_INET ? "ipv4" : "ipv6");
    p.bits = (unsigned)bits;
    rk_prefix_mask(&p);
    if (check_place(&p, err) < 0)
        return RK_INVALID;
    *out = p;
    return 0;
}

int rk_settings_check_capacity(struct rk_change *ch,
                               const struct rk_prefix *range,
                               struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int64_t peers, need, have;
    int r;

    r = rk_pg_run(rk_change_pg(ch), &count_stmt, &res, err, RK_P_C(rk_change_account_id(ch)));
    if (r < 0)
        return r;
    peers = rk_pg_int(res, 0, 0);
    need = peers + peers / 2 > 10 ? peers + peers / 2 : 10;
    /* In IPv4 without the one that agents keep for their resolver. */
    have = range->family == AF_INET ? ((int64_t)1 << (32 - range->bits)) - 3
           : range->bits > 66       ? ((int64_t)1 << (128 - range->bits)) - 2
                                    : INT64_MAX;
    if (have < need)
        return rk_fail(err, RK_INVALID,
                       "network range too small: need at least %lld addresses for %lld peers + "
                       "buffer, but range provides %lld",
                       (long long)need, (long long)peers, (long long)have);
    return 0;
}

/* As a newcomer's. */
static bool random_host(const struct rk_prefix *p, struct rk_prefix *out)
{
    *out = *p;
    return p->family == AF_INET ? peer_random_ip4(p->addr, p->bits, out->addr)
                                : peer_random_ip6(p->addr, p->bits, out->addr);
}

struct host_text {
    char s[INET6_ADDRSTRLEN];
};

/* Fills texts[0..n) with addresses that are not in `used`, and adds them to it. */
static int allocate(const struct rk_prefix *p,
                    struct rk_map *used,
                    struct host_text *texts,
                    size_t n,
                    struct rk_err *err)
{
    for (size_t i = 0; i < n; i++) {
        unsigned tries = 0;

        do {
            struct rk_prefix host;

            if (++tries > MAX_TRIES)
                return rk_fail(err, RK_INVALID, "network range too small: no free address found");
            if (!random_host(p, &host) ||
                !inet_ntop(p->family, host.addr, texts[i].s, sizeof(texts[i].s)))
                return rk_fail(err, RK_INTERNAL, "range without hosts");
        } while (rk_map_get(used, rk_str(texts[i].s)));
        (void)rk_map_put(used, rk_str(texts[i].s), &texts[i]);
    }
    return 0;
}

/* Gives each peer in column 0 of `peers` an address by `stmt`, and touches it. */
static int give(struct rk_change *ch,
                const struct rk_prefix *p,
                const struct rk_pg_result *peers,
                struct rk_map *used,
                const struct rk_pg_stmt *stmt,
                struct rk_err *err)
{
    size_t n = (size_t)rk_pg_rows(peers);
    rk_auto(rk_free) struct host_text *texts = rk_new_array(struct host_text, n + 1);
    rk_auto(rk_free) struct rk_str *ids = rk_new_array(struct rk_str, n + 1);
    rk_auto(rk_free) struct rk_str *ips = rk_new_array(struct rk_str, n + 1);
    int r;

    if (n == 0)
        return 0;
    r = allocate(p, used, texts, n, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        ids[i] = rk_pg_str(peers, (int)i, 0);
        ips[i] = rk_str(texts[i].s);
    }
    r = rk_pg_later(rk_change_pg(ch), stmt, NULL, err, RK_P_ARRAY(ids, n), RK_P_ARRAY(ips, n));
    for (size_t i = 0; r == 0 && i < n; i++)
        r = rk_change_touch(ch, RK_OBJ_PEER, ids[i].p, err);
    return r;
}

int rk_settings_renumber4(struct rk_change *ch, const struct rk_prefix *to, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *peers = NULL;
    rk_auto(rk_map_free) struct rk_map *used = rk_map_new();
    struct rk_pg *pg = rk_change_pg(ch);
    const char *account = rk_change_account_id(ch);
    char text[RK_PREFIX_LEN];
    int r;

    r = rk_pg_run(pg, &peers_stmt, &peers, err, RK_P_C(account));
    if (r < 0)
        return r;
    rk_prefix_format(to, text);
    r = rk_pg_later(pg, &net4_stmt, NULL, err, RK_P_C(account), RK_P_C(text));
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &park_stmt, NULL, err, RK_P_C(account));
    if (r < 0)
        return r;
    return give(ch, to, peers, used, &move4_stmt, err);
}

int rk_settings_assign6(struct rk_change *ch,
                        const struct rk_prefix *to,
                        const struct rk_str *groups,
                        size_t n,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *net = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *dropped = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *need = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *taken = NULL;
    rk_auto(rk_map_free) struct rk_map *used = rk_map_new();
    struct rk_pg *pg = rk_change_pg(ch);
    const char *account = rk_change_account_id(ch);
    struct rk_prefix p;
    char text[RK_PREFIX_LEN];
    int r;

    if (to) {
        rk_prefix_format(to, text);
        r = rk_pg_later(pg, &net6_stmt, NULL, err, RK_P_C(account), RK_P_C(text));
        if (r < 0)
            return r;
    }
    r = rk_pg_run(pg, &drop6_stmt, &dropped, err, RK_P_C(account), RK_P_ARRAY(groups, n));
    if (r < 0)
        return r;
    for (int i = 0; r == 0 && i < rk_pg_rows(dropped); i++)
        r = rk_change_touch(ch, RK_OBJ_PEER, rk_pg_str(dropped, i, 0).p, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &get_net6_stmt, &net, err, RK_P_C(account));
    if (r < 0)
        return r;
    if (rk_pg_rows(net) == 0 || rk_pg_null(net, 0, 0))
        return 0;
    r = rk_prefix_parse_range(rk_pg_str(net, 0, 0).p, AF_INET6, &p, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &need6_stmt, &need, err, RK_P_C(account), RK_P_ARRAY(groups, n));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &used6_stmt, &taken, err, RK_P_C(account));
    if (r < 0)
        return r;
    for (int i = 0; i < rk_pg_rows(taken); i++)
        (void)rk_map_put(used, rk_pg_str(taken, i, 0), used);
    return give(ch, &p, need, used, &set6_stmt, err);
}

int rk_settings_follow6(struct rk_change *ch, const char *group_id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_free) struct rk_str *groups = NULL;
    size_t n = 0;
    int r;

    r = rk_pg_run(rk_change_pg(ch), &groups6_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_C(group_id));
    if (r < 0 || rk_pg_rows(res) == 0)
        return r;
    rk_pg_array(res, 0, 0, &groups, &n);
    return rk_settings_assign6(ch, NULL, groups, n, err);
}
