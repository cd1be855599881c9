#include "tests/support/test.h"

/* DNS configuration: forms that the worked examples do not have. */

#include "tests/support/account_maps.h"

static struct rk_zone_row *zone(const char *id, const char *domain, const char *group)
{
    struct rk_zone_row *z = (struct rk_zone_row *)rk_row_new(RK_OBJ_ZONE, id);

    z->domain = rk_strdup(domain);
    z->enabled = true;
    rows_ids_add(&z->groups.v, &z->groups.n, group);
    return z;
}

static void record(struct rk_zone_row *z, const char *name, uint32_t type, const char *content)
{
    z->records = rk_realloc(z->records, (z->records_n + 1) * sizeof(*z->records));
    z->records[z->records_n++] =
        (struct rk_zone_record){ rk_strdup(name), rk_strdup(content), type, 60 };
}

static struct rk_nsgroup_row *nsgroup(const char *id, const char *ip, const char *group)
{
    struct rk_nsgroup_row *g = (struct rk_nsgroup_row *)rk_row_new(RK_OBJ_NAMESERVER_GROUP, id);

    g->servers = rk_new_array(struct rk_nameserver, 1);
    g->servers[0].ip = rk_strdup(ip);
    g->servers[0].port = 5353;
    g->servers_n = 1;
    g->enabled = true;
    rows_ids_add(&g->groups.v, &g->groups.n, group);
    return g;
}

/* Peers a (100.64.0.1) and b; both in g, only b in other. */
static struct rk_delta *world(struct rk_account_row *account)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *g = rows_group("g", "g"), *other = rows_group("other", "other");

    rows_add_account(d, account);
    rows_add_peer(d, rows_peer("a", 1));
    rows_add_peer(d, rows_peer("b", 2));
    rows_member(g, "a");
    rows_member(g, "b");
    rows_member(other, "b");
    rows_add_group(d, g);
    rows_add_group(d, other);
    return d;
}

static void a_zone_has_dots_at_the_ends_and_every_kind_of_record(void **state)
{
    struct rk_delta *d = world(rows_account());
    struct rk_zone_row *z = zone("z", "int.test", "g");
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;
    Management__CustomZone *got;

    (void)state;
    z->search_domain = true;
    record(z, "a.int.test", 1, "10.0.0.1");
    record(z, "*.int.test.", 28, "fd00::1");
    record(z, "c.int.test", 5, "a.int.test");
    rows_add_object(d, &z->row);
    s = rows_apply(NULL, d);
    m = compile(s, "a");
    assert_int_equal(m->networkmap->dnsconfig->n_customzones, 2);
    got = m->networkmap->dnsconfig->customzones[1];
    assert_string_equal(got->domain, "int.test.");
    assert_false(got->searchdomaindisabled);
    assert_true(got->nonauthoritative);
    assert_int_equal(got->n_records, 3);
    assert_string_equal(got->records[0]->name, "a.int.test.");
    assert_string_equal(got->records[0]->rdata, "10.0.0.1");
    assert_int_equal(got->records[0]->ttl, 60);
    assert_string_equal(got->records[0]->class_, "IN");
    assert_string_equal(got->records[1]->name, "*.int.test.");
    assert_int_equal(got->records[1]->type, 28);
    assert_int_equal(got->records[2]->type, 5);
    assert_string_equal(got->records[2]->rdata, "a.int.test.");
    done(m);
}

static void zones_disabled_or_empty_or_of_others_are_not_sent(void **state)
{
    struct rk_delta *d = world(rows_account());
    struct rk_zone_row *off = zone("z1", "off.test", "g"), *others = zone("z3", "b.test", "other");
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    off->enabled = false;
    record(off, "x.off.test", 1, "10.0.0.1");
    record(others, "x.b.test", 1, "10.0.0.1");
    rows_add_object(d, &off->row);
    rows_add_object(d, &zone("z2", "empty.test", "g")->row);
    rows_add_object(d, &others->row);
    s = rows_apply(NULL, d);
    m = compile(s, "a");
    assert_int_equal(m->networkmap->dnsconfig->n_customzones, 1); /* the peers' */
    done(m);
    m = compile(s, "b");
    assert_int_equal(m->networkmap->dnsconfig->n_customzones, 2);
    assert_string_equal(m->networkmap->dnsconfig->customzones[1]->domain, "b.test.");
    done(m);
}

static void nameservers_come_in_full_and_never_to_themselves(void **state)
{
    struct rk_delta *d = world(rows_account());
    struct rk_nsgroup_row *own = nsgroup("n1", "100.64.0.1", "g"),
                          *off = nsgroup("n2", "9.9.9.9", "g");
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;
    Management__NameServerGroup *got;

    (void)state;
    rows_string(&own->domains, "corp.test");
    own->search_domains = true;
    off->enabled = false;
    rows_add_object(d, &own->row);
    rows_add_object(d, &off->row);
    s = rows_apply(NULL, d);
    m = compile(s, "a");
    assert_int_equal(m->networkmap->dnsconfig->n_nameservergroups, 0);
    done(m);
    m = compile(s, "b");
    assert_int_equal(m->networkmap->dnsconfig->n_nameservergroups, 1);
    got = m->networkmap->dnsconfig->nameservergroups[0];
    assert_string_equal(got->nameservers[0]->ip, "100.64.0.1");
    assert_int_equal(got->nameservers[0]->nstype, 1);
    assert_int_equal(got->nameservers[0]->port, 5353);
    assert_false(got->primary);
    assert_true(got->searchdomainsenabled);
    assert_string_equal(got->domains[0], "corp.test");
    done(m);
}

static void without_a_domain_there_is_no_peers_zone(void **state)
{
    struct rk_account_row *a = rows_account();
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    rows_set(&a->dns_domain, "");
    s = rows_apply(NULL, world(a));
    m = compile(s, "a");
    assert_true(m->networkmap->dnsconfig->serviceenable);
    assert_int_equal(m->networkmap->dnsconfig->n_customzones, 0);
    done(m);
}

static void the_forwarder_port_follows_the_oldest_agent_as_it_comes_and_goes(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(rows_account()));
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    struct rk_peer_row *old = rows_peer("b", 2);

    (void)state;
    assert_int_equal(rk_compile_forwarder_port(s), 22054);
    rows_set(&old->version, "0.58.9");
    rows_add_peer(d, old);
    s = rows_apply(rk_steal(s), d);
    assert_int_equal(rk_compile_forwarder_port(s), 5353);
    d = rk_delta_new(ROWS_ACCOUNT, 3);
    (void)rk_delta_add(d, RK_OBJ_PEER, "b");
    s = rows_apply(rk_steal(s), d);
    assert_int_equal(rk_compile_forwarder_port(s), 22054);
    d = rk_delta_new(ROWS_ACCOUNT, 4);
    (void)rk_delta_add(d, RK_OBJ_PEER, "a");
    s = rows_apply(rk_steal(s), d);
    assert_int_equal(rk_compile_forwarder_port(s), 5353); /* nobody there understands the new one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zone_has_dots_at_the_ends_and_every_kind_of_record),
        cmocka_unit_test(zones_disabled_or_empty_or_of_others_are_not_sent),
        cmocka_unit_test(nameservers_come_in_full_and_never_to_themselves),
        cmocka_unit_test(without_a_domain_there_is_no_peers_zone),
        cmocka_unit_test(the_forwarder_port_follows_the_oldest_agent_as_it_comes_and_goes),
    };

    return RUN_TESTS(tests);
}
