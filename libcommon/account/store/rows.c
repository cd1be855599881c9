/* From query results to rows of the model. */

#include "libcommon/account/store/rows.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

static char *dup_col(const struct rk_pg_result *res, int row, int col)
{
    struct rk_str s = rk_pg_str(res, row, col);

    return rk_strndup(s.p, s.n);
}

static bool is_true(const struct rk_pg_result *res, int row, int col)
{
    return rk_pg_bool(res, row, col) || rk_str_eq(rk_pg_str(res, row, col), RK_STR("true"));
}

static void copy_id(const struct rk_pg_result *res, int row, int col, char out[RK_XID_LEN + 1])
{
    (void)rk_str_copy(rk_pg_str(res, row, col), out, RK_XID_LEN + 1);
}

struct rk_account_row *
store_account_row(const struct rk_pg_result *res, int row, const char *default_domain)
{
    struct rk_account_row *a = rk_account_row_new();
    struct rk_str domain = rk_pg_str(res, row, 6), update = rk_pg_str(res, row, 12);

    copy_id(res, row, 0, a->id);
    copy_id(res, row, 1, a->network_id);
    inet_pton(AF_INET, rk_pg_str(res, row, 2).p, a->net4);
    a->net4_bits = (uint8_t)rk_pg_int(res, row, 3);
    a->has_net6 = inet_pton(AF_INET6, rk_pg_str(res, row, 4).p, a->net6) == 1;
    a->net6_bits = (uint8_t)rk_pg_int(res, row, 5);
    a->dns_domain = domain.n ? rk_strndup(domain.p, domain.n) : rk_strdup(default_domain);
    a->peer_login_expiration_enabled = rk_pg_bool(res, row, 7);
    a->peer_login_expiration_s = rk_pg_int(res, row, 8);
    a->routing_peer_dns_resolution_enabled = rk_pg_bool(res, row, 9);
    a->lazy_connection_enabled = rk_pg_bool(res, row, 10);
    a->metrics_push_enabled = rk_pg_bool(res, row, 11);
    a->auto_update_version = update.n ? rk_strndup(update.p, update.n) : rk_strdup("disabled");
    a->auto_update_always = rk_pg_bool(res, row, 13);
    store_ids(res, row, 14, &a->dns_disabled_groups);
    return a;
}

/* "[1, 2]" to bits; numbers past 31 say nothing to us. */
static uint32_t capability_bits(struct rk_str s)
{
    uint32_t bits = 0;
    size_t i = 0;

    while (i < s.n) {
        unsigned v = 0;
        bool any = false;

        for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, any = true)
            v = v < 1000 ? v * 10 + (unsigned)(s.p[i] - '0') : v;
        if (any && v < 32)
            bits |= 1u << v;
        if (!any)
            i++;
    }
    return bits;
}

/* text[] to separately owned strings. */
static void
copy_strings(const struct rk_pg_result *res, int row, int col, char ***out, size_t *out_n)
{
    struct rk_str *items = NULL;
    size_t i;

    rk_pg_array(res, row, col, &items, out_n);
    *out = *out_n ? rk_new_array(char *, *out_n) : NULL;
    for (i = 0; i < *out_n; i++)
        (*out)[i] = rk_strndup(items[i].p, items[i].n);
    free(items);
}

struct rk_peer_row *store_peer_row(const struct rk_pg_result *res, int row)
{
    struct rk_peer_row *p = rk_peer_row_new();
    struct rk_str key = rk_pg_str(res, row, 1);
    uint8_t *hash = NULL;
    size_t n = 0;

    copy_id(res, row, 0, p->id);
    (void)rk_str_copy(key, p->key_b64, sizeof(p->key_b64));
    (void)rk_key_parse(key, p->key);
    inet_pton(AF_INET, rk_pg_str(res, row, 2).p, p->ip4);
    p->has_ip6 = inet_pton(AF_INET6, rk_pg_str(res, row, 3).p, p->ip6) == 1;
    p->dns_label = dup_col(res, row, 4);
    copy_strings(res, row, 5, &p->extra_dns_labels, &p->extra_dns_labels_n);
    p->user_id = dup_col(res, row, 6);
    p->ssh_key = dup_col(res, row, 7);
    p->ssh_enabled = rk_pg_bool(res, row, 8);
    p->login_expiration_enabled = rk_pg_bool(res, row, 9);
    p->login_expired = rk_pg_bool(res, row, 10);
    p->requires_approval = rk_pg_bool(res, row, 11);
    p->ephemeral = rk_pg_bool(res, row, 12);
    p->allow_extra_dns_labels = rk_pg_bool(res, row, 13);
    p->last_login_us = rk_pg_time(res, row, 14);
    p->version = dup_col(res, row, 15);
    p->goos = dup_col(res, row, 16);
    p->capabilities = capability_bits(rk_pg_str(res, row, 17));
    p->flag_disable_ipv6 = is_true(res, row, 18);
    p->flag_server_ssh_allowed = is_true(res, row, 19);
    p->sync_message_version = (int32_t)rk_pg_int(res, row, 20);
    rk_pg_bytea(res, row, 21, &hash, &n);
    if (n == sizeof(p->meta_hash))
        memcpy(p->meta_hash, hash, n);
    free(hash);
    p->os_version = dup_col(res, row, 22);
    p->kernel_version = dup_col(res, row, 23);
    store_strings(res, row, 24, &p->networks);
    store_strings(res, row, 25, &p->processes);
    p->location_ip = dup_col(res, row, 26);
    p->country_code = dup_col(res, row, 27);
    p->city_name = dup_col(res, row, 28);
    return p;
}

/* text[] of ids to an array of fixed-size ids. */
static void copy_ids(
    const struct rk_pg_result *res, int row, int col, char (**out)[RK_XID_LEN + 1], size_t *out_n)
{
    struct rk_str *items = NULL;
    size_t i;

    rk_pg_array(res, row, col, &items, out_n);
    *out = *out_n ? rk_zalloc(*out_n * (RK_XID_LEN + 1)) : NULL;
    for (i = 0; i < *out_n; i++)
        (void)rk_str_copy(items[i], (*out)[i], RK_XID_LEN + 1);
    free(items);
}

void store_ids(const struct rk_pg_result *res, int row, int col, struct rk_ids *out)
{
    copy_ids(res, row, col, &out->v, &out->n);
}

void store_strings(const struct rk_pg_result *res, int row, int col, struct rk_strings *out)
{
    copy_strings(res, row, col, &out->v, &out->n);
}

struct rk_group_row *store_group_row(const struct rk_pg_result *res, int row)
{
    struct rk_group_row *g = rk_group_row_new();

    copy_id(res, row, 0, g->id);
    g->name = dup_col(res, row, 1);
    g->is_all = rk_str_eq(rk_str(g->name), RK_STR("All"));
    copy_ids(res, row, 2, &g->members, &g->members_n);
    copy_id(res, row, 3, g->public_id);
    store_ids(res, row, 4, &g->resources);
    return g;
}

struct rk_policy_row *store_policy_row(const struct rk_pg_result *res, int row)
{
    struct rk_policy_row *p = rk_policy_row_new();

    copy_id(res, row, 0, p->id);
    copy_id(res, row, 1, p->public_id);
    p->enabled = rk_pg_bool(res, row, 2);
    store_ids(res, row, 3, &p->posture_checks);
    return p;
}

/* The schema's CHECK holds every other name out. */
static enum rk_rule_protocol protocol_of(struct rk_str s)
{
    static const struct {
        const char *name;
        enum rk_rule_protocol protocol;
    } rows[] = {
        { "all", RK_PROTO_ALL },
        { "tcp", RK_PROTO_TCP },
        { "udp", RK_PROTO_UDP },
        { "icmp", RK_PROTO_ICMP },
        { "netbird-ssh", RK_PROTO_NETBIRD_SSH },
    };
    size_t i;

    for (i = 0; i < RK_COUNT(rows); i++) {
        if (rk_str_eq(s, rk_str(rows[i].name)))
            return rows[i].protocol;
    }
    return RK_PROTO_ALL;
}

/* "start-end" */
static void copy_ranges(const struct rk_pg_result *res, int row, int col, struct rk_rule *rule)
{
    struct rk_str *items = NULL;
    size_t i, n = 0;

    rk_pg_array(res, row, col, &items, &n);
    rule->ranges = n ? rk_new_array(struct rk_port_range, n) : NULL;
    for (i = 0; i < n; i++) {
        struct rk_str rest = items[i], start, end;
        uint64_t a, b;

        if (rk_str_next(&rest, '-', &start) && rk_str_next(&rest, '-', &end) &&
            rk_str_u64(start, &a) && rk_str_u64(end, &b) && a <= UINT16_MAX && b <= UINT16_MAX)
            rule->ranges[rule->ranges_n++] = (struct rk_port_range){ (uint16_t)a, (uint16_t)b };
    }
    free(items);
}

/* A side that is one thing: a peer, or a resource (NULL: none there). */
static void
copy_resource(const struct rk_pg_result *res, int row, int type_col, char *peer, char *resource)
{
    struct rk_str type = rk_pg_str(res, row, type_col);

    if (rk_str_eq(type, RK_STR("peer")))
        copy_id(res, row, type_col + 1, peer);
    else if (type.n > 0 && resource)
        copy_id(res, row, type_col + 1, resource);
}

/* {"<group>": ["<local user>", ...]} */
static void copy_authorized(const struct rk_pg_result *res, int row, int col, struct rk_rule *rule)
{
    struct rk_str text = rk_pg_str(res, row, col);
    json_t *all = json_loadb(text.p, text.n, 0, NULL), *names;
    const char *group;

    rule->authorized = all ? rk_new_array(struct rk_authorized, json_object_size(all) + 1) : NULL;
    json_object_foreach(all, group, names)
    {
        struct rk_authorized *a = &rule->authorized[rule->authorized_n];

        if (!rk_str_copy(rk_str(group), a->group, sizeof(a->group)))
            continue; /* no group of ours has such an id */
        rule->authorized_n++;
        a->local_users.v = rk_new_array(char *, json_array_size(names) + 1);
        for (size_t i = 0; i < json_array_size(names); i++) {
            const char *name = json_string_value(json_array_get(names, i));

            if (name)
                a->local_users.v[a->local_users.n++] = rk_strdup(name);
        }
    }
    json_decref(all);
}

void store_add_rule(struct rk_policy_row *p, const struct rk_pg_result *res, int row)
{
    struct rk_rule *rule;

    p->rules = rk_realloc(p->rules, (p->rules_n + 1) * sizeof(*p->rules));
    rule = &p->rules[p->rules_n++];
    *rule = (struct rk_rule){ .enabled = rk_pg_bool(res, row, 2) };
    copy_id(res, row, 1, rule->id);
    rule->action =
        rk_str_eq(rk_pg_str(res, row, 3), RK_STR("drop")) ? RK_RULE_DROP : RK_RULE_ACCEPT;
    rule->protocol = protocol_of(rk_pg_str(res, row, 4));
    rule->bidirectional = rk_pg_bool(res, row, 5);
    copy_ids(res, row, 6, &rule->sources, &rule->sources_n);
    copy_ids(res, row, 7, &rule->destinations, &rule->destinations_n);
    copy_resource(res, row, 8, rule->source_peer, NULL);
    copy_resource(res, row, 10, rule->destination_peer, rule->destination_resource);
    copy_strings(res, row, 12, &rule->ports, &rule->ports_n);
    copy_ranges(res, row, 13, rule);
    copy_authorized(res, row, 14, rule);
    rule->authorized_user = dup_col(res, row, 15);
}
