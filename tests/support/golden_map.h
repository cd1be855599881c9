#pragma once

/*
 * A decoded map in the form of the worked examples (tests/unit/account/golden/README.md), every
 * default spelt out and every list sorted, so that two maps are equal exactly when their JSON is.
 */

#include "proto/management.pb-c.h"
#include "tests/support/golden_account.h"

/* --- sorting and defaults ------------------------------------------------------------------- */

struct golden_line {
    char *text;
    json_t *v;
};

static RK_UNUSED int golden_order(const void *a, const void *b)
{
    const struct golden_line *x = a, *y = b;

    return strcmp(x->text, y->text);
}

/* Takes the list. */
static RK_UNUSED json_t *golden_sorted(json_t *list)
{
    size_t n = json_array_size(list);
    struct golden_line *v = rk_new_array(struct golden_line, n + 1);
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++) {
        v[i].v = json_array_get(list, i);
        v[i].text = json_dumps(v[i].v, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    }
    qsort(v, n, sizeof(*v), golden_order);
    for (size_t i = 0; i < n; i++) {
        json_array_append(out, v[i].v);
        free(v[i].text);
    }
    free(v);
    json_decref(list);
    return out;
}

static RK_UNUSED void golden_default(json_t *o, const char *key, json_t *value)
{
    if (json_object_get(o, key))
        json_decref(value);
    else
        json_object_set_new(o, key, value);
}

static RK_UNUSED void golden_sort_member(json_t *o, const char *key)
{
    golden_default(o, key, json_array());
    json_object_set_new(o, key, golden_sorted(json_incref(json_object_get(o, key))));
}

static RK_UNUSED void golden_fill_dns(json_t *dns)
{
    json_t *o;
    size_t i;

    golden_default(dns, "on", json_true());
    golden_default(dns, "port", json_integer(22054));
    golden_default(dns, "zones", json_array());
    golden_default(dns, "ns", json_array());
    json_array_foreach(json_object_get(dns, "zones"), i, o)
    {
        golden_sort_member(o, "rec");
        golden_default(o, "searchOff", json_false());
        golden_default(o, "nonAuth", json_false());
    }
    json_array_foreach(json_object_get(dns, "ns"), i, o)
    {
        golden_sort_member(o, "servers");
        golden_sort_member(o, "domains");
    }
    golden_sort_member(dns, "ns"); /* zones keep their order: the peers' zone is the first */
}

/* User hashes in place of indexes. */
static RK_UNUSED void golden_fill_ssh(json_t *o)
{
    json_t *auth = json_object_get(o, "sshAuth"), *out = json_object(), *list, *v;
    const char *name;
    size_t i;

    json_object_foreach(json_object_get(auth, "machine"), name, list)
    {
        json_t *users = json_array();

        json_array_foreach(list, i, v) json_array_append(
            users, json_array_get(json_object_get(auth, "users"), (size_t)json_integer_value(v)));
        json_object_set_new(out, name, golden_sorted(users));
    }
    golden_default(out, "count",
                   json_integer((json_int_t)json_array_size(json_object_get(auth, "users"))));
    json_object_set_new(o, "sshAuth", out);
}

/* Changes the map in place. */
static RK_UNUSED void golden_fill(json_t *o)
{
    json_t *v;
    size_t i;

    golden_default(o, "ssh", json_false());
    golden_sort_member(o, "remote");
    golden_sort_member(o, "offline");
    golden_sort_member(o, "fw");
    golden_default(o, "routes", json_array());
    json_array_foreach(json_object_get(o, "routes"), i, v)
    {
        golden_default(v, "masq", json_false());
        golden_default(v, "keep", json_false());
        golden_default(v, "skip", json_false());
        golden_default(v, "domains", json_array());
    }
    golden_sort_member(o, "routes");
    golden_default(o, "rfw", json_array());
    json_array_foreach(json_object_get(o, "rfw"), i, v)
    {
        golden_default(v, "policy", json_string(""));
        golden_default(v, "dyn", json_false());
        golden_default(v, "domains", json_array());
        golden_sort_member(v, "src");
    }
    golden_sort_member(o, "rfw");
    golden_fill_dns(json_object_get(o, "dns"));
    golden_fill_ssh(o);
}

/* --- from the wire -------------------------------------------------------------------------- */

static RK_UNUSED const struct rk_peer_row *golden_of_key(const struct rk_snapshot *s,
                                                         const char *key_b64)
{
    const struct rk_peer_row *p;
    uint8_t key[RK_KEY_LEN];
    size_t n;

    assert_true(rk_b64_decode(rk_str(key_b64), key, sizeof(key), &n));
    p = rk_snapshot_peer(s, rk_snapshot_find_key(s, key));
    assert_non_null(p);
    return p;
}

static RK_UNUSED json_t *golden_list(char *const *v, size_t n)
{
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, json_string(v[i]));
    return out;
}

static RK_UNUSED json_t *
golden_remotes(const struct rk_snapshot *s, Management__RemotePeerConfig **v, size_t n)
{
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct rk_peer_row *p = golden_of_key(s, v[i]->wgpubkey);
        char fqdn[64];

        assert_string_equal(v[i]->agentversion, p->version);
        assert_non_null(v[i]->sshconfig);
        assert_false(v[i]->sshconfig->sshenabled);
        assert_int_equal(v[i]->sshconfig->sshpubkey.len, strlen(p->ssh_key));
        (void)snprintf(fqdn, sizeof(fqdn), "%s.nb.test", p->dns_label);
        assert_string_equal(v[i]->fqdn, fqdn);
        json_array_append_new(out, json_pack("{s:s, s:o}", "p", p->id, "ips",
                                             golden_list(v[i]->allowedips, v[i]->n_allowedips)));
    }
    return out;
}

static RK_UNUSED void golden_check_prefix(const Management__FirewallRule *r)
{
    uint8_t want[17];
    size_t n = strchr(r->peerip, ':') ? 16 : 4;

    assert_int_equal(inet_pton(n == 16 ? AF_INET6 : AF_INET, r->peerip, want), 1);
    want[n] = (uint8_t)(n * 8);
    assert_int_equal(r->n_sourceprefixes, 1);
    assert_int_equal(r->sourceprefixes[0].len, n + 1);
    assert_memory_equal(r->sourceprefixes[0].data, want, n + 1);
}

static RK_UNUSED json_t *golden_firewall(const Management__NetworkMap *m)
{
    static const char *const protocols[] = { "?", "ALL", "TCP", "UDP", "ICMP", "?", "?" };
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_firewallrules; i++) {
        const Management__FirewallRule *r = m->firewallrules[i];
        bool ported = r->protocol == MANAGEMENT__RULE_PROTOCOL__TCP ||
                      r->protocol == MANAGEMENT__RULE_PROTOCOL__UDP;
        char port[32] = "-";

        assert_int_equal(r->portinfo != NULL, ported && !r->port[0]);
        if (r->portinfo)
            assert_int_equal(r->portinfo->port_selection_case,
                             MANAGEMENT__PORT_INFO__PORT_SELECTION_RANGE);
        if (r->port[0])
            (void)snprintf(port, sizeof(port), "p:%s", r->port);
        else if (r->portinfo && r->portinfo->range->end)
            (void)snprintf(port, sizeof(port), "r:%u-%u", r->portinfo->range->start,
                           r->portinfo->range->end);
        golden_check_prefix(r);
        json_array_append_new(out, json_sprintf("%s %s %s %s %s %.*s", r->direction ? "OUT" : "IN",
                                                r->peerip, r->action ? "DROP" : "ACCEPT",
                                                protocols[r->protocol], port, (int)r->policyid.len,
                                                (const char *)r->policyid.data));
    }
    return out;
}

static RK_UNUSED json_t *golden_routes_of(const struct rk_snapshot *s,
                                          const Management__NetworkMap *m)
{
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_routes; i++) {
        const Management__Route *r = m->routes[i];

        json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:b, s:b, s:b, s:o}",
                                             "id", r->id, "netId", r->netid, "network", r->network,
                                             "type", (json_int_t)r->networktype, "peer",
                                             golden_of_key(s, r->peer)->id, "metric",
                                             (json_int_t)r->metric, "masq", r->masquerade, "keep",
                                             r->keeproute, "skip", r->skipautoapply, "domains",
                                             golden_list(r->domains, r->n_domains)));
    }
    return out;
}

static RK_UNUSED json_t *golden_route_rules(const Management__NetworkMap *m)
{
    static const char *const protocols[] = { "?", "all", "tcp", "udp", "icmp", "?", "netbird-ssh" };
    json_t *out = json_array();

    for (size_t i = 0; i < m->n_routesfirewallrules; i++) {
        const Management__RouteFirewallRule *r = m->routesfirewallrules[i];
        json_t *o = json_pack(
            "{s:s%, s:s, s:o, s:s, s:s, s:s, s:b, s:o}", "policy",
            r->policyid.len ? (const char *)r->policyid.data : "", r->policyid.len, "route",
            r->routeid, "src", golden_list(r->sourceranges, r->n_sourceranges), "action",
            r->action ? "drop" : "accept", "dst", r->destination, "proto", protocols[r->protocol],
            "dyn", r->isdynamic, "domains", golden_list(r->domains, r->n_domains));

        assert_non_null(r->portinfo); /* present even when empty */
        if (r->portinfo->port_selection_case == MANAGEMENT__PORT_INFO__PORT_SELECTION_PORT)
            json_object_set_new(o, "port", json_integer(r->portinfo->port));
        if (r->portinfo->port_selection_case == MANAGEMENT__PORT_INFO__PORT_SELECTION_RANGE)
            json_object_set_new(
                o, "range",
                json_pack("[i, i]", r->portinfo->range->start, r->portinfo->range->end));
        json_array_append_new(out, o);
    }
    return out;
}

static RK_UNUSED json_t *golden_zone_of(const Management__CustomZone *z)
{
    json_t *records = json_array();

    for (size_t i = 0; i < z->n_records; i++) {
        const Management__SimpleRecord *r = z->records[i];
        const char *type = r->type == 1    ? "A"
                           : r->type == 5  ? "CNAME"
                           : r->type == 28 ? "AAAA"
                                           : "?";

        assert_string_equal(r->class_, "IN");
        json_array_append_new(records,
                              json_sprintf("%s %s %d %s", r->name, type, (int)r->ttl, r->rdata));
    }
    return json_pack("{s:s, s:o, s:b, s:b}", "domain", z->domain, "rec", records, "searchOff",
                     z->searchdomaindisabled, "nonAuth", z->nonauthoritative);
}

static RK_UNUSED json_t *golden_dns(const Management__DNSConfig *d)
{
    json_t *zones = json_array(), *groups = json_array();

    for (size_t i = 0; i < d->n_customzones; i++)
        json_array_append_new(zones, golden_zone_of(d->customzones[i]));
    for (size_t i = 0; i < d->n_nameservergroups; i++) {
        const Management__NameServerGroup *g = d->nameservergroups[i];
        json_t *servers = json_array();

        for (size_t k = 0; k < g->n_nameservers; k++) {
            assert_int_equal(g->nameservers[k]->nstype, 1);
            json_array_append_new(servers, json_sprintf("%s:%d", g->nameservers[k]->ip,
                                                        (int)g->nameservers[k]->port));
        }
        json_array_append_new(groups, json_pack("{s:o, s:b, s:o, s:b}", "servers", servers,
                                                "primary", g->primary, "domains",
                                                golden_list(g->domains, g->n_domains), "search",
                                                g->searchdomainsenabled));
    }
    return json_pack("{s:b, s:I, s:o, s:o}", "on", d->serviceenable, "port",
                     (json_int_t)d->forwarderport, "zones", zones, "ns", groups);
}

static RK_UNUSED json_t *golden_ssh(const Management__SSHAuth *a)
{
    json_t *users = json_array(), *machine = json_object();

    assert_non_null(a);
    assert_string_equal(a->useridclaim, "sub");
    for (size_t i = 0; i < a->n_authorizedusers; i++) {
        char hex[33];

        assert_int_equal(a->authorizedusers[i].len, 16);
        rk_hex_encode(a->authorizedusers[i].data, 16, hex);
        json_array_append_new(users, json_string(hex));
    }
    for (size_t i = 0; i < a->n_machine_users; i++) {
        const Management__MachineUserIndexes *x = a->machine_users[i]->value;
        json_t *list = json_array();

        for (size_t k = 0; k < x->n_indexes; k++) {
            assert_true(x->indexes[k] < a->n_authorizedusers);
            json_array_append_new(list, json_integer(x->indexes[k]));
        }
        json_object_set_new(machine, a->machine_users[i]->key, list);
    }
    return json_pack("{s:o, s:o}", "users", users, "machine", machine);
}

/* What has no place in the examples' form but one right value is asserted. */
static RK_UNUSED json_t *golden_map(const struct rk_snapshot *s, const Management__SyncResponse *m)
{
    const Management__NetworkMap *n = m->networkmap;
    const Management__PeerConfig *c = n->peerconfig;
    json_t *out = json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "addr", c->address, "ssh",
        c->sshconfig->sshenabled, "remote", golden_remotes(s, n->remotepeers, n->n_remotepeers),
        "offline", golden_remotes(s, n->offlinepeers, n->n_offlinepeers), "fw", golden_firewall(n),
        "routes", golden_routes_of(s, n), "rfw", golden_route_rules(n), "dns",
        golden_dns(n->dnsconfig), "sshAuth", golden_ssh(n->sshauth));

    if (c->address_v6.len > 0) {
        char text[INET6_ADDRSTRLEN];

        assert_int_equal(c->address_v6.len, 17);
        (void)inet_ntop(AF_INET6, c->address_v6.data, text, sizeof(text));
        json_object_set_new(out, "addr6", json_sprintf("%s/%d", text, c->address_v6.data[16]));
    }
    assert_int_equal(n->remotepeersisempty, n->n_remotepeers == 0);
    assert_int_equal(m->remotepeersisempty, n->n_remotepeers == 0);
    assert_int_equal(n->firewallrulesisempty, n->n_firewallrules == 0);
    assert_int_equal(n->routesfirewallrulesisempty, n->n_routesfirewallrules == 0);
    assert_int_equal(n->n_forwardingrules, 0);
    return out;
}
