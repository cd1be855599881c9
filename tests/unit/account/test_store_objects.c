#include "tests/support/test.h"

/* Loading of every kind of object from a real server: field by field, alone and gone. */

#include <sys/socket.h>
#include <arpa/inet.h>
#include <string.h>

#include "libcommon/account/store/store.h"
#include "tests/support/account_rules.h"

/* Runs SQL with the account's id in place of "@". */
static void sql(const char *text)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    const char *at = strchr(text, '@');

    assert_non_null(at);
    rk_buf_init(&b, 4096);
    (void)rk_buf_put(&b, text, (size_t)(at - text));
    (void)rk_buf_put_c(&b, acc.account_id);
    (void)rk_buf_put(&b, at + 1, strlen(at)); /* with its NUL */
    assert_false(b.overflow);
    pg_must(pg, (const char *)b.p);
}

static struct rk_delta *load(uint64_t since)
{
    struct rk_delta *d = NULL;
    struct rk_err err = { 0 };

    if (rk_store_load(pg, acc.account_id, since, "default.test", &d, &err) < 0)
        fail_msg("%s", err.msg);
    return d;
}

static const struct rk_delta_item *
item(const struct rk_delta *d, enum rk_object_kind kind, const char *id)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->items[i].kind == kind && strcmp(d->items[i].id, id) == 0)
            return &d->items[i];
    fail_msg("no %s of kind %d", id, kind);
    return NULL;
}

static const void *row(const struct rk_delta *d, enum rk_object_kind kind, const char *id)
{
    const struct rk_delta_item *it = item(d, kind, id);

    assert_true(it->present);
    assert_int_equal(it->row.object->kind, kind);
    assert_string_equal(it->row.object->id, id);
    return it->row.object;
}

static void assert_ids(const struct rk_ids *ids, const char *first, const char *second)
{
    assert_int_equal(ids->n, second ? 2 : first ? 1 : 0);
    if (first)
        assert_string_equal(ids->v[0], first);
    if (second)
        assert_string_equal(ids->v[1], second);
}

static void assert_prefix(const struct rk_prefix *p, const char *want)
{
    char text[RK_PREFIX_LEN];

    rk_prefix_format(p, text);
    assert_string_equal(text, want);
}

static void users_are_active_unless_blocked_or_servants(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_user_row *u;

    (void)state;
    sql("INSERT INTO users (id, account_id, role, auto_groups) VALUES "
        "('auth0|x y', '@', 'user', '{g1,g2}')");
    sql("INSERT INTO users (id, account_id, role, blocked) VALUES ('blocked', '@', 'user', true)");
    sql("INSERT INTO users (id, account_id, role, is_service_user) VALUES ('bot', '@', 'user', "
        "true)");
    d = load(0);
    u = row(d, RK_OBJ_USER, "auth0|x y");
    assert_true(u->active);
    assert_ids(&u->auto_groups, "g1", "g2");
    u = row(d, RK_OBJ_USER, "blocked");
    assert_false(u->active);
    assert_ids(&u->auto_groups, NULL, NULL);
    u = row(d, RK_OBJ_USER, "bot");
    assert_false(u->active);
    u = row(d, RK_OBJ_USER, acc.user_id);
    assert_true(u->active);
}

static void posture_checks_have_the_parts_that_are_there(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_posture_row *p;

    (void)state;
    sql("INSERT INTO posture_check (id, public_id, account_id, name, checks) VALUES ('all', "
        "'Pall', "
        "'@', 'a', '{\"nb_version_check\": {\"min_version\": \"0.60.0\"}, "
        "\"os_version_check\": {\"darwin\": {\"min_version\": \"14\"}, \"linux\": "
        "{\"min_kernel_version\": \"6.1\"}}, "
        "\"geo_location_check\": {\"action\": \"allow\", \"locations\": [{\"country_code\": "
        "\"DE\", "
        "\"city_name\": \"Berlin\"}, {\"country_code\": \"FR\"}]}, "
        "\"peer_network_range_check\": {\"action\": \"deny\", \"ranges\": [\"10.0.0.0/8\", "
        "\"fd00::/8\"]}, "
        "\"process_check\": {\"processes\": [{\"linux_path\": \"/bin/a\", \"windows_path\": "
        "\"C:\\\\a\"}]}}')");
    sql("INSERT INTO posture_check (id, public_id, account_id, name, checks) VALUES ('none', "
        "'Pnone', '@', 'n', '{}')");
    d = load(0);
    p = row(d, RK_OBJ_POSTURE_CHECK, "all");
    assert_string_equal(p->public_id, "Pall");
    assert_true(p->has_nb_version && p->has_os_version && p->has_geo && p->has_ranges &&
                p->has_processes);
    assert_string_equal(p->nb_min, "0.60.0");
    assert_string_equal(p->os_min[RK_OS_DARWIN], "14");
    assert_string_equal(p->os_min[RK_OS_LINUX], "6.1");
    assert_null(p->os_min[RK_OS_WINDOWS]);
    assert_null(p->os_min[RK_OS_IOS]);
    assert_true(p->geo_allow);
    assert_int_equal(p->locations_n, 2);
    assert_string_equal(p->locations[0].country, "DE");
    assert_string_equal(p->locations[0].city, "Berlin");
    assert_string_equal(p->locations[1].country, "FR");
    assert_string_equal(p->locations[1].city, "");
    assert_false(p->ranges_allow);
    assert_int_equal(p->ranges_n, 2);
    assert_prefix(&p->ranges[0], "10.0.0.0/8");
    assert_prefix(&p->ranges[1], "fd00::/8");
    assert_int_equal(p->processes_n, 1);
    assert_string_equal(p->processes[0].linux_path, "/bin/a");
    assert_string_equal(p->processes[0].mac_path, "");
    assert_string_equal(p->processes[0].windows_path, "C:\\a");
    p = row(d, RK_OBJ_POSTURE_CHECK, "none");
    assert_false(p->has_nb_version || p->has_os_version || p->has_geo || p->has_ranges ||
                 p->has_processes);
}

static void routes_lead_to_networks_or_domains(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_route_row *r;

    (void)state;
    sql("INSERT INTO route (id, public_id, account_id, net_id, description, network, peer_id, "
        "groups, "
        "access_control_groups, metric, masquerade, keep_route, skip_auto_apply, enabled) VALUES "
        "('r4', 'Pr4', '@', 'lan', 'text', '10.1.0.0/16', 'p1', '{g1,g2}', '{a1}', 300, true, "
        "true, true, true)");
    sql("INSERT INTO route (id, public_id, account_id, net_id, network, peer_groups, groups, "
        "metric, "
        "masquerade, enabled) VALUES ('r6', 'Pr6', '@', 'six', 'fd77::/64', '{g3}', '{g1}', 9999, "
        "false, false)");
    sql("INSERT INTO route (id, public_id, account_id, net_id, domains, peer_id, groups, metric, "
        "masquerade, enabled) VALUES ('rd', 'Prd', '@', 'dom', '{*.corp.test,db.test}', 'p1', "
        "'{g1}', 1, false, true)");
    d = load(0);
    r = row(d, RK_OBJ_ROUTE, "r4");
    assert_string_equal(r->public_id, "Pr4");
    assert_string_equal(r->net_id, "lan");
    assert_string_equal(r->description, "text");
    assert_int_equal(r->type, RK_NET_IPV4);
    assert_prefix(&r->network, "10.1.0.0/16");
    assert_string_equal(r->peer, "p1");
    assert_ids(&r->peer_groups, NULL, NULL);
    assert_ids(&r->groups, "g1", "g2");
    assert_ids(&r->access_groups, "a1", NULL);
    assert_int_equal(r->metric, 300);
    assert_true(r->masquerade && r->keep_route && r->skip_auto_apply && r->enabled);
    r = row(d, RK_OBJ_ROUTE, "r6");
    assert_int_equal(r->type, RK_NET_IPV6);
    assert_prefix(&r->network, "fd77::/64");
    assert_string_equal(r->peer, "");
    assert_ids(&r->peer_groups, "g3", NULL);
    assert_false(r->masquerade || r->keep_route || r->skip_auto_apply || r->enabled);
    r = row(d, RK_OBJ_ROUTE, "rd");
    assert_int_equal(r->type, RK_NET_DOMAIN);
    assert_prefix(&r->network, "192.0.2.0/32");
    assert_int_equal(r->domains.n, 2);
    assert_string_equal(r->domains.v[0], "*.corp.test");
    assert_string_equal(r->domains.v[1], "db.test");
}

static void insert_network(void)
{
    sql("INSERT INTO network (id, public_id, account_id, name) VALUES ('n1', 'Pn1', '@', "
        "'office')");
    sql("INSERT INTO network_resource (id, public_id, account_id, network_id, name, description, "
        "type, prefix, enabled) VALUES ('host', 'Phost', '@', 'n1', 'printer', 'text', 'host', "
        "'10.0.0.9/32', true)");
    sql("INSERT INTO network_resource (id, public_id, account_id, network_id, name, type, prefix, "
        "enabled) VALUES ('subnet', 'Psubnet', '@', 'n1', 'lan', 'subnet', '10.0.0.9/24', false)");
    sql("INSERT INTO network_resource (id, public_id, account_id, network_id, name, type, domain, "
        "enabled) VALUES ('domain', 'Pdomain', '@', 'n1', 'wiki', 'domain', '*.corp.test', true)");
    sql("INSERT INTO network_router (id, public_id, account_id, network_id, peer_groups, metric, "
        "masquerade, enabled) VALUES ('rtr', 'Prtr', '@', 'n1', '{g1}', 77, true, true)");
}

static void networks_come_with_resources_and_routers(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_network_row *n;
    const struct rk_resource_row *r;
    const struct rk_router_row *t;

    (void)state;
    insert_network();
    d = load(0);
    n = row(d, RK_OBJ_NETWORK, "n1");
    assert_string_equal(n->public_id, "Pn1");
    assert_string_equal(n->name, "office");
    r = row(d, RK_OBJ_RESOURCE, "host");
    assert_string_equal(r->public_id, "Phost");
    assert_string_equal(r->network, "n1");
    assert_string_equal(r->name, "printer");
    assert_string_equal(r->description, "text");
    assert_int_equal(r->type, RK_RESOURCE_HOST);
    assert_prefix(&r->prefix, "10.0.0.9/32");
    assert_true(r->enabled);
    r = row(d, RK_OBJ_RESOURCE, "subnet");
    assert_int_equal(r->type, RK_RESOURCE_SUBNET);
    assert_prefix(&r->prefix, "10.0.0.9/24"); /* not masked */
    assert_false(r->enabled);
    r = row(d, RK_OBJ_RESOURCE, "domain");
    assert_int_equal(r->type, RK_RESOURCE_DOMAIN);
    assert_int_equal(r->prefix.family, 0);
    assert_string_equal(r->domain, "*.corp.test");
    t = row(d, RK_OBJ_ROUTER, "rtr");
    assert_string_equal(t->public_id, "Prtr");
    assert_string_equal(t->network, "n1");
    assert_string_equal(t->peer, "");
    assert_ids(&t->peer_groups, "g1", NULL);
    assert_int_equal(t->metric, 77);
    assert_true(t->masquerade && t->enabled);
}

static void insert_dns(void)
{
    sql("INSERT INTO nameserver_group (id, public_id, account_id, name, nameservers, groups, "
        "domains, "
        "is_primary, search_domains_enabled, enabled) VALUES ('ns', 'Pns', '@', 'n', '[{\"ip\": "
        "\"9.9.9.9\", \"ns_type\": \"udp\", \"port\": 53}, {\"ip\": \"fd00::1\", \"ns_type\": "
        "\"udp\", \"port\": 5353}]', '{g1}', '{corp.test}', false, true, true)");
    sql("INSERT INTO zone (id, account_id, name, domain, enabled, enable_search_domain, "
        "distribution_groups) VALUES ('z1', '@', 'z', 'int.test', true, true, '{g1,g2}')");
    sql("INSERT INTO zone (id, account_id, name, domain, enabled, enable_search_domain, "
        "distribution_groups) VALUES ('z2', '@', 'z', 'empty.test', false, false, '{g1}')");
    pg_must(pg, "INSERT INTO zone_record (id, zone_id, name, type, content, ttl) VALUES "
                "('zr1', 'z1', 'a.int.test', 'A', '10.0.0.1', 60), "
                "('zr2', 'z1', '*.int.test', 'AAAA', 'fd00::1', 0), "
                "('zr3', 'z1', 'c.int.test', 'CNAME', 'a.int.test', 3600)");
}

static void nameserver_groups_and_zones_come_in_full(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_nsgroup_row *g;
    const struct rk_zone_row *z;

    (void)state;
    insert_dns();
    d = load(0);
    g = row(d, RK_OBJ_NAMESERVER_GROUP, "ns");
    assert_string_equal(g->public_id, "Pns");
    assert_int_equal(g->servers_n, 2);
    assert_string_equal(g->servers[0].ip, "9.9.9.9");
    assert_int_equal(g->servers[0].port, 53);
    assert_string_equal(g->servers[1].ip, "fd00::1");
    assert_int_equal(g->servers[1].port, 5353);
    assert_ids(&g->groups, "g1", NULL);
    assert_int_equal(g->domains.n, 1);
    assert_string_equal(g->domains.v[0], "corp.test");
    assert_true(!g->primary && g->search_domains && g->enabled);
    z = row(d, RK_OBJ_ZONE, "z1");
    assert_string_equal(z->domain, "int.test");
    assert_true(z->enabled && z->search_domain);
    assert_ids(&z->groups, "g1", "g2");
    assert_int_equal(z->records_n, 3);
    assert_string_equal(z->records[0].name, "a.int.test");
    assert_int_equal(z->records[0].type, 1);
    assert_string_equal(z->records[0].content, "10.0.0.1");
    assert_int_equal(z->records[0].ttl, 60);
    assert_int_equal(z->records[1].type, 28);
    assert_int_equal(z->records[1].ttl, 0);
    assert_int_equal(z->records[2].type, 5);
    assert_int_equal(z->records[2].ttl, 3600);
    z = row(d, RK_OBJ_ZONE, "z2");
    assert_true(!z->enabled && !z->search_domain);
    assert_int_equal(z->records_n, 0);
}

static void a_rule_has_its_resource_its_checks_and_its_users(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_policy_row *p;
    const struct rk_rule *r;

    (void)state;
    sql("INSERT INTO policy (id, public_id, account_id, name, enabled, source_posture_checks) "
        "VALUES "
        "('pol', 'Ppol', '@', 'p', true, '{c1,c2}')");
    pg_must(pg,
            "INSERT INTO policy_rule (policy_id, position, id, enabled, action, protocol, "
            "bidirectional, sources, destination_resource_type, destination_resource_id, ports, "
            "authorized_groups, authorized_user) VALUES ('pol', 0, 'pol', true, 'accept', "
            "'netbird-ssh', false, '{g1}', 'subnet', 'res1', '{22}', "
            "'{\"g1\": [\"root\", \"deploy\"], \"g2\": []}', 'auth0|x')");
    d = load(0);
    p = item(d, RK_OBJ_POLICY, "pol")->row.policy;
    assert_ids(&p->posture_checks, "c1", "c2");
    assert_int_equal(p->rules_n, 1);
    r = &p->rules[0];
    assert_string_equal(r->destination_resource, "res1");
    assert_string_equal(r->destination_peer, "");
    assert_string_equal(r->authorized_user, "auth0|x");
    assert_int_equal(r->authorized_n, 2);
    assert_string_equal(r->authorized[0].group, "g1");
    assert_int_equal(r->authorized[0].local_users.n, 2);
    assert_string_equal(r->authorized[0].local_users.v[0], "root");
    assert_string_equal(r->authorized[0].local_users.v[1], "deploy");
    assert_string_equal(r->authorized[1].group, "g2");
    assert_int_equal(r->authorized[1].local_users.n, 0);
}

static void groups_hold_resources_and_may_be_without_dns(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_account_row *a;

    (void)state;
    insert_network();
    sql("INSERT INTO account_group (id, public_id, account_id, name, issued) VALUES ('g1', 'Pg1', "
        "'@', 'g', 'api')");
    pg_must(pg, "INSERT INTO group_resource VALUES ('g1', 'subnet', 'subnet'), ('g1', 'host', "
                "'host')");
    sql("UPDATE account SET dns_disabled_groups = '{g1}' WHERE id = '@'");
    d = load(0);
    assert_ids(&item(d, RK_OBJ_GROUP, "g1")->row.group->resources, "host", "subnet");
    a = item(d, RK_OBJ_ACCOUNT, acc.account_id)->row.account;
    assert_ids(&a->dns_disabled_groups, "g1", NULL);
}

static void what_posture_looks_at_comes_with_the_peer(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    const struct rk_peer_row *p;

    (void)state;
    sql("INSERT INTO peer (id, account_id, key, ip, name, dns_label, meta, location_ip, "
        "country_code, "
        "city_name) VALUES ('p1', '@', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=', "
        "'100.64.0.9', 'p', 'p', '{\"netbirdVersion\": \"0.77.1\", \"goOS\": \"linux\", "
        "\"OSVersion\": \"12\", \"kernelVersion\": \"6.1.0\", \"networkAddresses\": [{\"netIP\": "
        "\"192.168.1.2/24\", \"mac\": \"x\"}, {\"netIP\": \"fd00::2/64\"}], \"files\": [{\"path\": "
        "\"/bin/a\", \"exist\": true, \"processIsRunning\": true}, {\"path\": \"/bin/b\", "
        "\"processIsRunning\": false}]}', '198.51.100.7', 'DE', 'Berlin')");
    d = load(0);
    p = item(d, RK_OBJ_PEER, "p1")->row.peer_row;
    assert_string_equal(p->goos, "linux");
    assert_string_equal(p->os_version, "12");
    assert_string_equal(p->kernel_version, "6.1.0");
    assert_int_equal(p->networks.n, 2);
    assert_string_equal(p->networks.v[0], "192.168.1.2/24");
    assert_string_equal(p->networks.v[1], "fd00::2/64");
    assert_int_equal(p->processes.n, 1);
    assert_string_equal(p->processes.v[0], "/bin/a");
    assert_string_equal(p->location_ip, "198.51.100.7");
    assert_string_equal(p->country_code, "DE");
    assert_string_equal(p->city_name, "Berlin");
}

/* --- changes -------------------------------------------------------------------------------- */

static const struct {
    enum rk_object_kind kind;
    const char *id, *remove;
} kinds[] = {
    { RK_OBJ_USER, "u1", "DELETE FROM users WHERE id = 'u1'" },
    { RK_OBJ_POSTURE_CHECK, "pc", "DELETE FROM posture_check" },
    { RK_OBJ_ROUTE, "r1", "DELETE FROM route" },
    { RK_OBJ_ROUTER, "rtr", "DELETE FROM network_router" },
    { RK_OBJ_RESOURCE, "host", "DELETE FROM network_resource WHERE id = 'host'" },
    { RK_OBJ_NETWORK, "n1", "DELETE FROM network" },
    { RK_OBJ_NAMESERVER_GROUP, "ns", "DELETE FROM nameserver_group" },
    { RK_OBJ_ZONE, "z1", "DELETE FROM zone WHERE id = 'z1'" },
};

/* One change that names the object; what a load then brings. */
static struct rk_delta *after_touching(enum rk_object_kind kind, const char *id)
{
    struct rk_err err = { 0 };
    struct rk_change *ch = NULL;
    uint64_t before = (uint64_t)serial(), after = 0;

    if (rk_change_begin(pg, acc.account_id, &ch, &err) < 0 ||
        rk_change_touch(ch, kind, id, &err) < 0 || rk_change_commit(&ch, &after, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(after > before);
    return load(before);
}

static void each_kind_is_read_alone_when_it_changes_and_missed_when_it_is_gone(void **state)
{
    struct rk_err err = { 0 };
    struct rk_change *ch = NULL;
    uint64_t first = 0;

    (void)state;
    insert_network();
    insert_dns();
    sql("INSERT INTO users (id, account_id, role) VALUES ('u1', '@', 'user')");
    sql("INSERT INTO posture_check (id, public_id, account_id, name, checks) VALUES ('pc', 'Ppc', "
        "'@', 'n', '{}')");
    sql("INSERT INTO route (id, public_id, account_id, net_id, network, peer_id, groups, metric, "
        "masquerade, enabled) VALUES ('r1', 'Pr1', '@', 'lan', '10.1.0.0/16', 'p1', '{g1}', 1, "
        "true, true)");
    /* A first serial: 0 means everything. */
    if (rk_change_begin(pg, acc.account_id, &ch, &err) < 0 ||
        rk_change_touch(ch, RK_OBJ_ACCOUNT, acc.account_id, &err) < 0 ||
        rk_change_commit(&ch, &first, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < RK_COUNT(kinds); i++) {
        struct rk_delta *d = after_touching(kinds[i].kind, kinds[i].id);

        assert_false(d->full);
        assert_int_equal(d->n, 1);
        assert_non_null(row(d, kinds[i].kind, kinds[i].id));
        rk_delta_free(d);
        pg_must(pg, kinds[i].remove);
        d = after_touching(kinds[i].kind, kinds[i].id);
        assert_false(d->full);
        assert_int_equal(d->n, 1);
        assert_false(item(d, kinds[i].kind, kinds[i].id)->present);
        rk_delta_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(users_are_active_unless_blocked_or_servants, account_fresh),
        cmocka_unit_test_setup(posture_checks_have_the_parts_that_are_there, account_fresh),
        cmocka_unit_test_setup(routes_lead_to_networks_or_domains, account_fresh),
        cmocka_unit_test_setup(networks_come_with_resources_and_routers, account_fresh),
        cmocka_unit_test_setup(nameserver_groups_and_zones_come_in_full, account_fresh),
        cmocka_unit_test_setup(a_rule_has_its_resource_its_checks_and_its_users, account_fresh),
        cmocka_unit_test_setup(groups_hold_resources_and_may_be_without_dns, account_fresh),
        cmocka_unit_test_setup(what_posture_looks_at_comes_with_the_peer, account_fresh),
        cmocka_unit_test_setup(each_kind_is_read_alone_when_it_changes_and_missed_when_it_is_gone,
                               account_fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
