#pragma once

/* The account of a worked example, as rows: the `in` of tests/unit/account/golden/<name>.json. */

#include <arpa/inet.h>
#include <stdio.h>

#include <jansson.h>

#include "tests/support/account_rows.h"
#include "tests/support/test.h"

#define GOLDEN_NOW_US INT64_C(1700000000123456)
#define GOLDEN_SERIAL 7

static RK_UNUSED const char *golden_text(json_t *o, const char *key, const char *otherwise)
{
    const char *v = json_string_value(json_object_get(o, key));

    return v ? v : otherwise;
}

static RK_UNUSED bool golden_flag(json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

/* A public id is "P" and the id. */
static RK_UNUSED void golden_public(const char *id, char out[RK_XID_LEN + 1])
{
    (void)snprintf(out, RK_XID_LEN + 1, "P%.*s", RK_XID_LEN - 1, id);
}

static RK_UNUSED void golden_ids(json_t *list, struct rk_ids *ids)
{
    json_t *v;
    size_t i;

    json_array_foreach(list, i, v) rows_ids_add(&ids->v, &ids->n, json_string_value(v));
}

static RK_UNUSED void golden_strings(json_t *list, struct rk_strings *out)
{
    json_t *v;
    size_t i;

    json_array_foreach(list, i, v) rows_string(out, json_string_value(v));
}

static RK_UNUSED void golden_peer(struct rk_delta *d, const char *id, json_t *o, bool unapproved)
{
    static const int64_t hour_us = INT64_C(3600000000);
    struct rk_peer_row *p = rows_peer(id, (unsigned)d->n); /* the account is item 0 */
    json_t *v, *age = json_object_get(o, "lastLoginAgeHours");
    size_t i;

    rows_set(&p->version, golden_text(o, "version", "0.77.1"));
    rows_set(&p->user_id, golden_text(o, "userId", ""));
    p->ssh_enabled = golden_flag(o, "sshEnabled");
    p->flag_server_ssh_allowed = golden_flag(o, "serverSshAllowed");
    p->login_expiration_enabled = golden_flag(o, "loginExpirationEnabled");
    p->requires_approval = unapproved;
    if (age)
        p->last_login_us = GOLDEN_NOW_US - json_integer_value(age) * hour_us;
    if (json_object_get(o, "caps"))
        p->capabilities = 0;
    json_array_foreach(json_object_get(o, "caps"), i, v) p->capabilities |=
        1u << json_integer_value(v);
    if (json_object_get(o, "ip6")) {
        p->has_ip6 = true;
        assert_int_equal(inet_pton(AF_INET6, golden_text(o, "ip6", ""), p->ip6), 1);
    }
    rows_add_peer(d, p);
}

static RK_UNUSED void golden_peers(struct rk_delta *d, json_t *in)
{
    const char *id;
    json_t *o, *v;
    size_t i;

    json_object_foreach(json_object_get(in, "peers"), id, o)
    {
        bool unapproved = false;

        json_array_foreach(json_object_get(in, "unapproved"), i, v) unapproved =
            unapproved || strcmp(json_string_value(v), id) == 0;
        golden_peer(d, id, o, unapproved);
    }
}

static RK_UNUSED void golden_groups(struct rk_delta *d, json_t *in)
{
    struct rk_group_row *all = rows_group("gAll", "All");
    const char *id;
    json_t *o, *v;
    size_t i;

    golden_public(all->id, all->public_id);
    json_object_foreach(json_object_get(in, "peers"), id, o) rows_member(all, id);
    rows_add_group(d, all);
    json_object_foreach(json_object_get(in, "groups"), id, o)
    {
        struct rk_group_row *g = rows_group(id, id);

        golden_public(id, g->public_id);
        golden_ids(json_object_get(o, "res"), &g->resources);
        json_array_foreach(json_is_object(o) ? json_object_get(o, "peers") : o, i, v)
            rows_member(g, json_string_value(v));
        rows_add_group(d, g);
    }
}

static RK_UNUSED enum rk_rule_protocol golden_protocol(const char *name)
{
    static const struct {
        const char *name;
        enum rk_rule_protocol v;
    } all[] = { { "all", RK_PROTO_ALL },
                { "tcp", RK_PROTO_TCP },
                { "udp", RK_PROTO_UDP },
                { "icmp", RK_PROTO_ICMP },
                { "netbird-ssh", RK_PROTO_NETBIRD_SSH } };

    for (size_t i = 0; i < RK_COUNT(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].v;
    fail_msg("protocol %s", name);
    return RK_PROTO_ALL;
}

static RK_UNUSED void golden_authorized(struct rk_rule *r, json_t *groups)
{
    const char *group;
    json_t *names;

    json_object_foreach(groups, group, names)
    {
        struct rk_authorized *a;

        r->authorized = rk_realloc(r->authorized, (r->authorized_n + 1) * sizeof(*r->authorized));
        a = &r->authorized[r->authorized_n++];
        memset(a, 0, sizeof(*a));
        (void)rk_str_copy(rk_str(group), a->group, sizeof(a->group));
        golden_strings(names, &a->local_users);
    }
}

/* A resource is written [type, id]. */
static RK_UNUSED void
golden_end(json_t *resource, char peer[RK_XID_LEN + 1], char other[RK_XID_LEN + 1])
{
    const char *type = json_string_value(json_array_get(resource, 0));
    const char *id = json_string_value(json_array_get(resource, 1));
    char *to = type && strcmp(type, "peer") == 0 ? peer : other;

    if (type && to)
        (void)rk_str_copy(rk_str(id), to, RK_XID_LEN + 1);
}

static RK_UNUSED void golden_rule(struct rk_policy_row *p, json_t *o)
{
    struct rk_rule *r =
        rows_rule(p, golden_protocol(golden_text(o, "proto", "")), golden_flag(o, "bidir"));
    json_t *v;
    size_t i;

    (void)rk_str_copy(rk_str(golden_text(o, "id", "")), r->id, sizeof(r->id));
    r->enabled = !golden_flag(o, "off");
    if (strcmp(golden_text(o, "action", "accept"), "drop") == 0)
        r->action = RK_RULE_DROP;
    json_array_foreach(json_object_get(o, "src"), i, v) rows_source(r, json_string_value(v));
    json_array_foreach(json_object_get(o, "dst"), i, v) rows_destination(r, json_string_value(v));
    golden_end(json_object_get(o, "srcRes"), r->source_peer, NULL);
    golden_end(json_object_get(o, "dstRes"), r->destination_peer, r->destination_resource);
    json_array_foreach(json_object_get(o, "ports"), i, v) rows_port(r, json_string_value(v));
    json_array_foreach(json_object_get(o, "ranges"), i, v)
        rows_range(r, (uint16_t)json_integer_value(json_array_get(v, 0)),
                   (uint16_t)json_integer_value(json_array_get(v, 1)));
    golden_authorized(r, json_object_get(o, "authGroups"));
}

static RK_UNUSED void golden_policies(struct rk_delta *d, json_t *in)
{
    json_t *o, *v;
    size_t i, k;

    json_array_foreach(json_object_get(in, "policies"), i, o)
    {
        struct rk_policy_row *p = rows_policy(golden_text(o, "id", ""));

        golden_public(p->id, p->public_id);
        p->enabled = !golden_flag(o, "off");
        golden_ids(json_object_get(o, "checks"), &p->posture_checks);
        json_array_foreach(json_object_get(o, "rules"), k, v) golden_rule(p, v);
        rows_add_policy(d, p);
    }
}

static RK_UNUSED void golden_users(struct rk_delta *d, json_t *in)
{
    const char *id;
    json_t *o;

    json_object_foreach(json_object_get(in, "users"), id, o)
    {
        struct rk_user_row *u = (struct rk_user_row *)rk_row_new(RK_OBJ_USER, id);

        u->active = !golden_flag(o, "blocked") && !golden_flag(o, "service");
        golden_ids(json_object_get(o, "groups"), &u->auto_groups);
        rows_add_object(d, &u->row);
    }
}

static RK_UNUSED void golden_posture(struct rk_delta *d, json_t *in)
{
    const char *id;
    json_t *o;

    json_object_foreach(json_object_get(in, "posture"), id, o)
    {
        struct rk_posture_row *p = (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, id);

        golden_public(id, p->public_id);
        p->has_nb_version = json_object_get(o, "nbMinVersion") != NULL;
        p->nb_min = rk_strdup(golden_text(o, "nbMinVersion", ""));
        rows_add_object(d, &p->row);
    }
}

static RK_UNUSED void golden_routes(struct rk_delta *d, json_t *in)
{
    json_t *o;
    size_t i;

    json_array_foreach(json_object_get(in, "routes"), i, o)
    {
        struct rk_route_row *r =
            (struct rk_route_row *)rk_row_new(RK_OBJ_ROUTE, golden_text(o, "id", ""));

        golden_public(r->row.id, r->public_id);
        r->description = rk_strdup("");
        r->net_id = rk_strdup(golden_text(o, "netid", ""));
        assert_true(
            rk_prefix_parse(rk_str(golden_text(o, "network", "192.0.2.0/32")), &r->network));
        golden_strings(json_object_get(o, "domains"), &r->domains);
        r->type = r->domains.n > 0                ? RK_NET_DOMAIN
                  : r->network.family == AF_INET6 ? RK_NET_IPV6
                                                  : RK_NET_IPV4;
        (void)rk_str_copy(rk_str(golden_text(o, "peer", "")), r->peer, sizeof(r->peer));
        golden_ids(json_object_get(o, "peerGroups"), &r->peer_groups);
        golden_ids(json_object_get(o, "groups"), &r->groups);
        golden_ids(json_object_get(o, "acg"), &r->access_groups);
        r->metric = (uint32_t)json_integer_value(json_object_get(o, "metric"));
        r->masquerade = golden_flag(o, "masq");
        r->keep_route = golden_flag(o, "keep");
        r->skip_auto_apply = golden_flag(o, "skip");
        r->enabled = !golden_flag(o, "off");
        rows_add_object(d, &r->row);
    }
}

static RK_UNUSED void golden_network(struct rk_delta *d, const char *id)
{
    struct rk_network_row *n;

    for (size_t i = 0; i < d->n; i++)
        if (d->items[i].kind == RK_OBJ_NETWORK && strcmp(d->items[i].id, id) == 0)
            return;
    n = (struct rk_network_row *)rk_row_new(RK_OBJ_NETWORK, id);
    golden_public(id, n->public_id);
    n->name = rk_strdup(id);
    rows_add_object(d, &n->row);
}

static RK_UNUSED void golden_resources(struct rk_delta *d, json_t *in)
{
    json_t *o;
    size_t i;

    json_array_foreach(json_object_get(in, "resources"), i, o)
    {
        struct rk_resource_row *r =
            (struct rk_resource_row *)rk_row_new(RK_OBJ_RESOURCE, golden_text(o, "id", ""));
        const char *prefix = json_string_value(json_object_get(o, "prefix"));

        golden_public(r->row.id, r->public_id);
        (void)rk_str_copy(rk_str(golden_text(o, "net", "")), r->network, sizeof(r->network));
        r->name = rk_strdup(golden_text(o, "name", ""));
        r->description = rk_strdup("");
        r->domain = rk_strdup(golden_text(o, "domain", ""));
        r->type = prefix ? RK_RESOURCE_SUBNET : RK_RESOURCE_DOMAIN;
        if (prefix)
            assert_true(rk_prefix_parse(rk_str(prefix), &r->prefix));
        if (prefix && r->prefix.bits == (r->prefix.family == AF_INET6 ? 128 : 32))
            r->type = RK_RESOURCE_HOST;
        r->enabled = !golden_flag(o, "off");
        rows_add_object(d, &r->row);
        golden_network(d, r->network);
    }
}

static RK_UNUSED void golden_routers(struct rk_delta *d, json_t *in)
{
    json_t *o;
    size_t i;

    json_array_foreach(json_object_get(in, "routers"), i, o)
    {
        struct rk_router_row *r =
            (struct rk_router_row *)rk_row_new(RK_OBJ_ROUTER, golden_text(o, "id", ""));

        golden_public(r->row.id, r->public_id);
        (void)rk_str_copy(rk_str(golden_text(o, "net", "")), r->network, sizeof(r->network));
        (void)rk_str_copy(rk_str(golden_text(o, "peer", "")), r->peer, sizeof(r->peer));
        golden_ids(json_object_get(o, "groups"), &r->peer_groups);
        r->metric = (uint32_t)json_integer_value(json_object_get(o, "metric"));
        r->masquerade = golden_flag(o, "masq");
        r->enabled = !golden_flag(o, "off");
        rows_add_object(d, &r->row);
        golden_network(d, r->network);
    }
}

/* A server is written "address:port". */
static RK_UNUSED void golden_server(struct rk_nsgroup_row *g, const char *text)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;

    g->servers = rk_realloc(g->servers, (g->servers_n + 1) * sizeof(*g->servers));
    g->servers[g->servers_n].ip = rk_strndup(text, (size_t)(colon - text));
    assert_true(rk_str_u64(rk_str(colon + 1), &port));
    g->servers[g->servers_n++].port = (uint16_t)port;
}

static RK_UNUSED void golden_nameservers(struct rk_delta *d, json_t *in)
{
    json_t *o, *v;
    size_t i, k;

    json_array_foreach(json_object_get(in, "nameserverGroups"), i, o)
    {
        struct rk_nsgroup_row *g =
            (struct rk_nsgroup_row *)rk_row_new(RK_OBJ_NAMESERVER_GROUP, golden_text(o, "id", ""));

        golden_public(g->row.id, g->public_id);
        json_array_foreach(json_object_get(o, "servers"), k, v)
            golden_server(g, json_string_value(v));
        golden_strings(json_object_get(o, "domains"), &g->domains);
        golden_ids(json_object_get(o, "groups"), &g->groups);
        g->primary = golden_flag(o, "primary");
        g->search_domains = golden_flag(o, "search");
        g->enabled = true;
        rows_add_object(d, &g->row);
    }
}

/* A record is written [name, type, ttl, content]. */
static RK_UNUSED void golden_record(struct rk_zone_row *z, json_t *o)
{
    const char *type = json_string_value(json_array_get(o, 1));
    struct rk_zone_record *r;

    z->records = rk_realloc(z->records, (z->records_n + 1) * sizeof(*z->records));
    r = &z->records[z->records_n++];
    r->name = rk_strdup(json_string_value(json_array_get(o, 0)));
    r->type = strcmp(type, "A") == 0 ? 1 : strcmp(type, "AAAA") == 0 ? 28 : 5;
    r->ttl = json_integer_value(json_array_get(o, 2));
    r->content = rk_strdup(json_string_value(json_array_get(o, 3)));
}

static RK_UNUSED void golden_zones(struct rk_delta *d, json_t *in)
{
    json_t *o, *v;
    size_t i, k;

    json_array_foreach(json_object_get(in, "zones"), i, o)
    {
        struct rk_zone_row *z =
            (struct rk_zone_row *)rk_row_new(RK_OBJ_ZONE, golden_text(o, "domain", ""));

        z->domain = rk_strdup(golden_text(o, "domain", ""));
        z->search_domain = golden_flag(o, "search");
        z->enabled = true;
        golden_ids(json_object_get(o, "groups"), &z->groups);
        json_array_foreach(json_object_get(o, "records"), k, v) golden_record(z, v);
        rows_add_object(d, &z->row);
    }
}

static RK_UNUSED struct rk_delta *golden_delta(json_t *in)
{
    struct rk_delta *d = rows_full(GOLDEN_SERIAL);
    struct rk_account_row *a = rows_account();
    const char *net6 = golden_text(in, "net6", NULL);
    struct rk_prefix prefix;

    (void)rk_str_copy(RK_STR("net"), a->network_id, sizeof(a->network_id));
    if (net6) {
        assert_true(rk_prefix_parse(rk_str(net6), &prefix));
        a->has_net6 = true;
        memcpy(a->net6, prefix.addr, sizeof(a->net6));
    }
    golden_ids(json_object_get(in, "dnsDisabledGroups"), &a->dns_disabled_groups);
    rows_add_account(d, a);
    golden_peers(d, in);
    golden_groups(d, in);
    golden_policies(d, in);
    golden_users(d, in);
    golden_posture(d, in);
    golden_routes(d, in);
    golden_resources(d, in);
    golden_routers(d, in);
    golden_nameservers(d, in);
    golden_zones(d, in);
    return d;
}

static RK_UNUSED struct rk_snapshot *golden_account(json_t *in)
{
    return rows_apply(NULL, golden_delta(in));
}

/* Quotes are written as '. */
static RK_UNUSED json_t *golden_parse(const char *text)
{
    char *json = rk_strdup(text);
    json_error_t err;
    json_t *o;

    for (char *c = json; *c; c++)
        *c = (char)(*c == '\'' ? '"' : *c);
    o = json_loads(json, JSON_DECODE_ANY, &err);
    if (!o)
        fail_msg("%s: %s", err.text, text);
    free(json);
    return o;
}

static RK_UNUSED json_t *golden_load(const char *source_dir, const char *name)
{
    char path[512];
    json_error_t err;
    json_t *doc;

    (void)snprintf(path, sizeof(path), "%s/tests/unit/account/golden/%s.json", source_dir, name);
    doc = json_load_file(path, 0, &err);
    if (!doc)
        fail_msg("%s:%d: %s", path, err.line, err.text);
    return doc;
}
