#include "tests/support/test.h"

/*
 * Maps against worked examples (maps/<name>.json: an account and every peer's map). The examples'
 * lists of authorised SSH users are not compared: the model does not hold users.
 */

#include <arpa/inet.h>
#include <stdio.h>

#include <jansson.h>

#include "tests/support/account_maps.h"

#define HOUR_US INT64_C(3600000000)

/* --- worked examples: the account
 * ----------------------------------------------------------------------------------- */

static const char *text_or(json_t *o, const char *key, const char *otherwise)
{
    const char *v = json_string_value(json_object_get(o, key));

    return v ? v : otherwise;
}

static void load_peer(struct rk_delta *d, const char *id, json_t *o, unsigned n, json_t *unapproved)
{
    struct rk_peer_row *p = rows_peer(id, n);
    json_t *v, *age = json_object_get(o, "lastLoginAgeHours");
    size_t i;

    rows_set(&p->version, text_or(o, "version", "0.77.1"));
    rows_set(&p->user_id, text_or(o, "userId", ""));
    p->ssh_enabled = json_is_true(json_object_get(o, "sshEnabled"));
    p->flag_server_ssh_allowed = json_is_true(json_object_get(o, "serverSshAllowed"));
    p->login_expiration_enabled = json_is_true(json_object_get(o, "loginExpirationEnabled"));
    if (age)
        p->last_login_us = NOW_US - json_integer_value(age) * HOUR_US;
    if (json_object_get(o, "caps")) {
        p->capabilities = 0;
        json_array_foreach(json_object_get(o, "caps"), i, v) p->capabilities |=
            1u << json_integer_value(v);
    }
    if (json_object_get(o, "ip6")) {
        p->has_ip6 = true;
        assert_int_equal(inet_pton(AF_INET6, text_or(o, "ip6", ""), p->ip6), 1);
    }
    json_array_foreach(unapproved, i, v) if (strcmp(json_string_value(v), id) == 0)
        p->requires_approval = true;
    rows_add_peer(d, p);
}

static enum rk_rule_protocol protocol_of(const char *name)
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

static void load_rule(struct rk_policy_row *p, json_t *o)
{
    struct rk_rule *r = rows_rule(p, protocol_of(text_or(o, "proto", "")),
                                  json_is_true(json_object_get(o, "bidir")));
    json_t *v;
    size_t i;

    (void)rk_str_copy(rk_str(text_or(o, "id", "")), r->id, sizeof(r->id));
    if (strcmp(text_or(o, "action", "accept"), "drop") == 0)
        r->action = RK_RULE_DROP;
    json_array_foreach(json_object_get(o, "src"), i, v) rows_source(r, json_string_value(v));
    json_array_foreach(json_object_get(o, "dst"), i, v) rows_destination(r, json_string_value(v));
    json_array_foreach(json_object_get(o, "ports"), i, v) rows_port(r, json_string_value(v));
    json_array_foreach(json_object_get(o, "ranges"), i, v)
        rows_range(r, (uint16_t)json_integer_value(json_array_get(v, 0)),
                   (uint16_t)json_integer_value(json_array_get(v, 1)));
}

static struct rk_snapshot *load_account(json_t *in)
{
    struct rk_delta *d = rows_full(7);
    struct rk_account_row *a = rows_account();
    struct rk_group_row *all = rows_group("gAll", "All");
    const char *id;
    json_t *o, *v;
    unsigned n = 0;
    size_t i, k;

    if (json_object_get(in, "net6")) {
        char text[INET6_ADDRSTRLEN];

        (void)rk_str_copy(rk_strn(text_or(in, "net6", ""), strcspn(text_or(in, "net6", ""), "/")),
                          text, sizeof(text));
        a->has_net6 = true;
        assert_int_equal(inet_pton(AF_INET6, text, a->net6), 1);
    }
    rows_add_account(d, a);
    json_object_foreach(json_object_get(in, "peers"), id, o)
    {
        load_peer(d, id, o, ++n, json_object_get(in, "unapproved"));
        rows_member(all, id);
    }
    rows_add_group(d, all);
    json_object_foreach(json_object_get(in, "groups"), id, o)
    {
        struct rk_group_row *g = rows_group(id, id);

        json_array_foreach(o, i, v) rows_member(g, json_string_value(v));
        rows_add_group(d, g);
    }
    json_array_foreach(json_object_get(in, "policies"), i, o)
    {
        struct rk_policy_row *p = rows_policy(text_or(o, "id", ""));

        json_array_foreach(json_object_get(o, "rules"), k, v) load_rule(p, v);
        rows_add_policy(d, p);
    }
    return rows_apply(NULL, d);
}

/* --- worked examples: the map as JSON of the same form
 * --------------------------------------------------------------- */

static int text_order(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;

    return strcmp(json_string_value(*x), json_string_value(*y));
}

/* Sorted copy of a list of strings (takes neither). */
static json_t *sorted(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **v = calloc(n + 1, sizeof(*v)), *out = json_array();

    for (size_t i = 0; i < n; i++)
        v[i] = json_array_get(list, i);
    qsort(v, n, sizeof(*v), text_order);
    for (size_t i = 0; i < n; i++)
        json_array_append(out, v[i]);
    free(v);
    return out;
}

static void assert_lists_equal(const char *who, const char *what, json_t *want, json_t *got)
{
    json_t *a = sorted(want), *b = sorted(got);

    if (!json_equal(a, b)) {
        char *x = json_dumps(a, 0), *y = json_dumps(b, 0);

        fail_msg("%s %s: want %s, got %s", who, what, x, y);
    }
    json_decref(a);
    json_decref(b);
}

static json_t *remotes_json(const struct rk_snapshot *s, Management__RemotePeerConfig **v, size_t n)
{
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++) {
        uint8_t key[RK_KEY_LEN];
        const struct rk_peer_row *p;
        rk_auto(rk_buf_done) struct rk_buf line;
        size_t index, key_n;

        assert_true(rk_b64_decode(rk_str(v[i]->wgpubkey), key, sizeof(key), &key_n));
        index = rk_snapshot_find_key(s, key);
        p = rk_snapshot_peer(s, index);
        assert_non_null(p);
        assert_string_equal(v[i]->agentversion, p->version);
        assert_non_null(v[i]->sshconfig);
        assert_false(v[i]->sshconfig->sshenabled);
        assert_int_equal(v[i]->sshconfig->sshpubkey.len, strlen(p->ssh_key));
        assert_true(rk_str_starts(rk_str(v[i]->fqdn), rk_str(p->dns_label)));
        assert_true(rk_str_ends(rk_str(v[i]->fqdn), RK_STR(".nb.test")));
        rk_buf_init(&line, 4096);
        rk_buf_printf(&line, "%s", p->id);
        for (size_t k = 0; k < v[i]->n_allowedips; k++)
            rk_buf_printf(&line, " %s", v[i]->allowedips[k]);
        json_array_append_new(out, json_stringn((char *)line.p, line.n));
    }
    return out;
}

static json_t *remotes_wanted(json_t *list)
{
    json_t *out = json_array(), *o, *ip;
    size_t i, k;

    json_array_foreach(list, i, o)
    {
        rk_auto(rk_buf_done) struct rk_buf line;

        rk_buf_init(&line, 4096);
        rk_buf_printf(&line, "%s", text_or(o, "p", ""));
        json_array_foreach(json_object_get(o, "ips"), k, ip)
            rk_buf_printf(&line, " %s", json_string_value(ip));
        json_array_append_new(out, json_stringn((char *)line.p, line.n));
    }
    return out;
}

static void check_prefix(const Management__FirewallRule *r)
{
    uint8_t want[17];
    size_t n = strchr(r->peerip, ':') ? 16 : 4;

    assert_int_equal(inet_pton(n == 16 ? AF_INET6 : AF_INET, r->peerip, want), 1);
    want[n] = (uint8_t)(n * 8);
    assert_int_equal(r->n_sourceprefixes, 1);
    assert_int_equal(r->sourceprefixes[0].len, n + 1);
    assert_memory_equal(r->sourceprefixes[0].data, want, n + 1);
}

static json_t *firewall_json(Management__NetworkMap *m)
{
    static const char *const protocols[] = { "?", "ALL", "TCP", "UDP", "ICMP", "?", "?" };
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_firewallrules; i++) {
        const Management__FirewallRule *r = m->firewallrules[i];
        bool ported = r->protocol == MANAGEMENT__RULE_PROTOCOL__TCP ||
                      r->protocol == MANAGEMENT__RULE_PROTOCOL__UDP;
        rk_auto(rk_buf_done) struct rk_buf line;

        rk_buf_init(&line, 4096);
        rk_buf_printf(&line, "%s %s %s %s ", r->direction ? "OUT" : "IN", r->peerip,
                      r->action ? "DROP" : "ACCEPT", protocols[r->protocol]);
        assert_int_equal(r->portinfo != NULL, ported && !r->port[0]);
        if (r->port[0]) {
            rk_buf_printf(&line, "p:%s", r->port);
        } else if (r->portinfo) {
            assert_int_equal(r->portinfo->port_selection_case,
                             MANAGEMENT__PORT_INFO__PORT_SELECTION_RANGE);
            if (r->portinfo->range->end)
                rk_buf_printf(&line, "r:%u-%u", r->portinfo->range->start, r->portinfo->range->end);
            else
                rk_buf_put_c(&line, "-");
        } else {
            rk_buf_put_c(&line, "-");
        }
        rk_buf_printf(&line, " %.*s", (int)r->policyid.len, (const char *)r->policyid.data);
        check_prefix(r);
        json_array_append_new(out, json_stringn((char *)line.p, line.n));
    }
    return out;
}

static void check_dns(const char *id, Management__DNSConfig *d, json_t *want)
{
    json_t *zones = json_object_get(want, "zones"), *got = json_array();
    json_t *port = json_object_get(want, "port");

    assert_true(d->serviceenable);
    assert_int_equal(d->n_nameservergroups, 0);
    assert_int_equal(d->forwarderport, port ? json_integer_value(port) : 22054);
    assert_int_equal(d->n_customzones, json_array_size(zones));
    for (size_t i = 0; i < d->n_customzones; i++) {
        Management__CustomZone *z = d->customzones[i];

        assert_string_equal(z->domain, text_or(json_array_get(zones, i), "domain", ""));
        assert_false(z->searchdomaindisabled);
        assert_false(z->nonauthoritative);
        for (size_t k = 0; k < z->n_records; k++) {
            Management__SimpleRecord *r = z->records[k];

            assert_string_equal(r->class_, "IN");
            json_array_append_new(got, json_sprintf("%s %s %d %s", r->name,
                                                    r->type == 1    ? "A"
                                                    : r->type == 28 ? "AAAA"
                                                                    : "?",
                                                    (int)r->ttl, r->rdata));
        }
        assert_lists_equal(id, "records", json_object_get(json_array_get(zones, i), "rec"), got);
    }
    json_decref(got);
}

static void check_address6(const Management__PeerConfig *c, const char *want)
{
    uint8_t bytes[17];
    char text[INET6_ADDRSTRLEN];

    if (!want) {
        assert_int_equal(c->address_v6.len, 0);
        return;
    }
    (void)rk_str_copy(rk_strn(want, strcspn(want, "/")), text, sizeof(text));
    assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
    bytes[16] = 64;
    assert_int_equal(c->address_v6.len, 17);
    assert_memory_equal(c->address_v6.data, bytes, 17);
}

/* Both copies of PeerConfig are the same bytes. */
static void check_config(Management__SyncResponse *m, const char *id, json_t *want)
{
    Management__PeerConfig *c = m->networkmap->peerconfig;
    uint8_t a[512], b[512];
    char fqdn[64];

    assert_non_null(m->peerconfig);
    assert_non_null(c);
    assert_int_equal(management__peer_config__pack(c, a),
                     management__peer_config__pack(m->peerconfig, b));
    assert_memory_equal(a, b, management__peer_config__get_packed_size(c));
    (void)snprintf(fqdn, sizeof(fqdn), "%c.nb.test", tolower((unsigned char)id[0]));
    assert_string_equal(c->fqdn, fqdn);
    assert_non_null(c->sshconfig);
    assert_null(c->sshconfig->jwtconfig);
    assert_string_equal(c->autoupdate->version, "disabled");
    assert_false(c->autoupdate->alwaysupdate);
    assert_true(c->routingpeerdnsresolutionenabled);
    assert_true(c->lazyconnectionenabled);
    assert_string_equal(c->dns, "");
    assert_int_equal(c->mtu, 0);
    if (!want)
        return;
    assert_string_equal(c->address, text_or(want, "addr", ""));
    assert_int_equal(c->sshconfig->sshenabled, json_is_true(json_object_get(want, "ssh")));
    check_address6(c, json_string_value(json_object_get(want, "addr6")));
}

static void check_map(const struct rk_snapshot *s, const char *id, json_t *want)
{
    Management__SyncResponse *m = compile(s, id);
    Management__NetworkMap *n = m->networkmap;
    json_t *got, *list;

    assert_int_equal(n->serial, 7);
    assert_null(m->netbirdconfig);
    assert_int_equal(m->n_checks, 0);
    assert_int_equal(m->version, 0);
    assert_non_null(m->sessionexpiresat);
    check_config(m, id, json_is_string(want) ? NULL : want);
    if (json_is_string(want)) {
        assert_string_equal(json_string_value(want), "EMPTY");
        check_empty(m);
        done(m);
        return;
    }
    got = remotes_json(s, n->remotepeers, n->n_remotepeers);
    list = remotes_wanted(json_object_get(want, "remote"));
    assert_lists_equal(id, "remote", list, got);
    json_decref(got);
    json_decref(list);
    got = remotes_json(s, n->offlinepeers, n->n_offlinepeers);
    list = remotes_wanted(json_object_get(want, "offline"));
    assert_lists_equal(id, "offline", list, got);
    json_decref(got);
    json_decref(list);
    got = firewall_json(n);
    assert_lists_equal(id, "fw", json_object_get(want, "fw"), got);
    json_decref(got);
    check_dns(id, n->dnsconfig, json_object_get(want, "dns"));
    assert_int_equal(n->remotepeersisempty, n->n_remotepeers == 0);
    assert_int_equal(m->remotepeersisempty, n->n_remotepeers == 0);
    assert_int_equal(m->n_remotepeers, 0);
    assert_int_equal(n->firewallrulesisempty, n->n_firewallrules == 0);
    assert_true(n->routesfirewallrulesisempty);
    assert_int_equal(n->n_routes + n->n_routesfirewallrules + n->n_forwardingrules, 0);
    assert_non_null(n->sshauth);
    assert_string_equal(n->sshauth->useridclaim, "sub");
    done(m);
}

static void example(const char *name)
{
    char path[512];
    json_error_t err;
    json_t *doc, *want;
    const char *id;
    struct rk_snapshot *s;
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/tests/unit/account/maps/%s.json", RK_SOURCE_DIR, name);
    doc = json_load_file(path, 0, &err);
    if (!doc)
        fail_msg("%s:%d: %s", path, err.line, err.text);
    s = load_account(json_object_get(doc, "in"));
    json_object_foreach(json_object_get(doc, "out"), id, want)
    {
        check_map(s, id, want);
        n++;
    }
    assert_int_equal(n, rk_snapshot_peers(s));
    rk_snapshot_unref(s);
    json_decref(doc);
}

#define EXAMPLE(test, file)                                                                        \
    static void test(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        example(file);                                                                             \
    }
EXAMPLE(map_6_1_default_policy_gives_every_pair_one_in_and_one_out_rule, "default_policy")
EXAMPLE(map_6_2_the_server_gets_in_the_client_out_and_a_stranger_only_itself, "unidirectional")
EXAMPLE(map_6_3_an_agent_before_0_48_keeps_only_single_port_ranges, "port_ranges")
EXAMPLE(map_6_11_a_login_expired_peer_is_offline_for_the_others, "login_expired")
EXAMPLE(map_6_13_tcp_22_gains_22022_only_where_the_agents_own_ssh_runs, "implicit_ssh")
EXAMPLE(map_6_14_an_owner_of_ipv6_without_the_capability_gets_nothing_of_it, "ipv6")
EXAMPLE(map_6_15_a_drop_rule_stands_next_to_the_accept_rule, "drop")
EXAMPLE(map_6_16_an_unapproved_peer_gets_the_empty_map_and_is_seen_by_nobody, "unapproved")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_6_1_default_policy_gives_every_pair_one_in_and_one_out_rule),
        cmocka_unit_test(map_6_2_the_server_gets_in_the_client_out_and_a_stranger_only_itself),
        cmocka_unit_test(map_6_3_an_agent_before_0_48_keeps_only_single_port_ranges),
        cmocka_unit_test(map_6_11_a_login_expired_peer_is_offline_for_the_others),
        cmocka_unit_test(map_6_13_tcp_22_gains_22022_only_where_the_agents_own_ssh_runs),
        cmocka_unit_test(map_6_14_an_owner_of_ipv6_without_the_capability_gets_nothing_of_it),
        cmocka_unit_test(map_6_15_a_drop_rule_stands_next_to_the_accept_rule),
        cmocka_unit_test(map_6_16_an_unapproved_peer_gets_the_empty_map_and_is_seen_by_nobody),
    };

    return RUN_TESTS(tests);
}
