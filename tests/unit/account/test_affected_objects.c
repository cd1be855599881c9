#include "tests/support/test.h"

/*
 * Who gets a new map when DNS, users, posture checks, or what a peer is, change: the places where
 * following links between groups would miss somebody among them.
 */

#include "tests/support/account_rows.h"

static void add_zone(struct rk_delta *d, const char *content, const char *group)
{
    struct rk_zone_row *z = (struct rk_zone_row *)rk_row_new(RK_OBJ_ZONE, "zone");

    z->domain = rk_strdup("int.test");
    z->enabled = true;
    rows_ids_add(&z->groups.v, &z->groups.n, group);
    z->records = rk_new_array(struct rk_zone_record, 1);
    z->records[z->records_n++] =
        (struct rk_zone_record){ rk_strdup("a.int.test"), rk_strdup(content), 1, 60 };
    rows_add_object(d, &z->row);
}

static void add_nsgroup(struct rk_delta *d, const char *ip, const char *group)
{
    struct rk_nsgroup_row *g = (struct rk_nsgroup_row *)rk_row_new(RK_OBJ_NAMESERVER_GROUP, "ns");

    g->servers = rk_new_array(struct rk_nameserver, 1);
    g->servers[g->servers_n++] = (struct rk_nameserver){ rk_strdup(ip), 53 };
    g->primary = true;
    g->enabled = true;
    rows_ids_add(&g->groups.v, &g->groups.n, group);
    rows_add_object(d, &g->row);
}

static void add_user(struct rk_delta *d, const char *id, bool active, const char *group)
{
    struct rk_user_row *u = (struct rk_user_row *)rk_row_new(RK_OBJ_USER, id);

    u->active = active;
    rows_ids_add(&u->auto_groups.v, &u->auto_groups.n, group);
    rows_add_object(d, &u->row);
}

static void add_policy(struct rk_delta *d,
                       const char *id,
                       enum rk_rule_protocol protocol,
                       const char *from,
                       const char *to,
                       const char *authorized)
{
    struct rk_policy_row *p = rows_policy(id);
    struct rk_rule *r = rows_rule(p, protocol, false);

    rows_source(r, from);
    rows_destination(r, to);
    if (authorized) {
        r->authorized = rk_new_array(struct rk_authorized, 1);
        (void)rk_str_copy(rk_str(authorized), r->authorized[r->authorized_n++].group,
                          RK_XID_LEN + 1);
    }
    rows_add_policy(d, p);
}

/*
 * c in gC reaches s in gS by ICMP. d1, d2 in gDns have a zone; n in gNs a nameserver group. h1 in
 * gH1 lets gDev in by SSH, h2 in gH2 every user, h3 in gH3 opens port 22 and has SSH on, h4 with it
 * has SSH off; nobody comes to any of them. v in gC has IPv6, as has s.
 */
static struct rk_snapshot *start(void)
{
    static const struct {
        const char *peer, *group;
    } rows[] = { { "c", "gC" },   { "d1", "gDns" }, { "d2", "gDns" }, { "h1", "gH1" },
                 { "h2", "gH2" }, { "h3", "gH3" },  { "h4", "gH3" },  { "n", "gNs" },
                 { "s", "gS" },   { "v", "gC" } };
    static const char *const groups[] = { "gC", "gDns", "gH1", "gH2", "gH3", "gNs", "gS", "gNone" };
    struct rk_delta *d = rows_full(1);
    struct rk_account_row *a = rows_account();

    a->has_net6 = true;
    rows_add_account(d, a);
    for (unsigned i = 0; i < RK_COUNT(rows); i++) {
        struct rk_peer_row *p = rows_peer(rows[i].peer, i + 1);

        p->ssh_enabled = strcmp(rows[i].peer, "h3") == 0;
        p->has_ip6 = strcmp(rows[i].peer, "v") == 0 || strcmp(rows[i].peer, "s") == 0;
        p->ip6[15] = (uint8_t)i;
        if (p->has_ip6)
            p->capabilities |= RK_CAP_IPV6;
        rows_add_peer(d, p);
    }
    for (unsigned i = 0; i < RK_COUNT(groups); i++) {
        struct rk_group_row *g = rows_group(groups[i], groups[i]);

        for (unsigned k = 0; k < RK_COUNT(rows); k++)
            if (strcmp(rows[k].group, groups[i]) == 0)
                rows_member(g, rows[k].peer);
        rows_add_group(d, g);
    }
    add_policy(d, "icmp", RK_PROTO_ICMP, "gC", "gS", NULL);
    add_policy(d, "ssh1", RK_PROTO_NETBIRD_SSH, "gNone", "gH1", "gDev");
    add_policy(d, "ssh2", RK_PROTO_NETBIRD_SSH, "gNone", "gH2", NULL);
    add_policy(d, "ssh3", RK_PROTO_ALL, "gNone", "gH3", NULL);
    add_user(d, "alice", true, "gDev");
    add_user(d, "bob", true, "gOps");
    add_zone(d, "10.0.0.1", "gDns");
    add_nsgroup(d, "9.9.9.9", "gNs");
    return rows_apply(NULL, d);
}

static struct rk_delta *delta(void)
{
    return rk_delta_new(ROWS_ACCOUNT, 2);
}

/* Ids of the affected, by index; takes the delta. */
static void expect(struct rk_delta *d, const char *want)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = start(), *now = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit = { NULL, 0 };
    char got[256] = "";
    struct rk_buf b;

    rk_buf_init(&b, sizeof(got));
    now = rk_snapshot_apply(was, d);
    rk_snapshot_affected(was, now, &hit);
    for (size_t i = rk_bitmap_next(&hit, 0); i != SIZE_MAX; i = rk_bitmap_next(&hit, i + 1))
        rk_buf_printf(&b, b.n ? " %s" : "%s", rk_snapshot_peer(now, i)->id);
    assert_true(rk_str_copy(rk_buf_str(&b), got, sizeof(got)));
    rk_buf_done(&b);
    rk_delta_free(d);
    assert_string_equal(got, want);
}

static void a_record_or_server_that_changed_reaches_its_group(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    add_zone(d, "10.0.0.2", "gDns");
    expect(d, "d1 d2");
    d = delta();
    add_nsgroup(d, "1.1.1.1", "gNs");
    expect(d, "n");
    d = delta();
    add_zone(d, "10.0.0.1", "gDns"); /* the same again */
    add_nsgroup(d, "9.9.9.9", "gNs");
    expect(d, "");
}

static void membership_of_a_group_that_only_dns_names_reaches_the_member(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_membership(d, "gDns", "d1", false);
    expect(d, "d1");
    d = delta();
    rows_add_membership(d, "gNs", "d1", true);
    expect(d, "d1");
}

static void another_distribution_group_reaches_who_gains_and_who_loses(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    add_zone(d, "10.0.0.1", "gNs");
    expect(d, "d1 d2 n");
    d = delta();
    (void)rk_delta_add(d, RK_OBJ_ZONE, "zone");
    expect(d, "d1 d2");
}

static void dns_switched_off_for_a_group_reaches_that_group(void **state)
{
    struct rk_delta *d = delta();
    struct rk_account_row *a = rows_account();

    (void)state;
    a->has_net6 = true;
    rows_ids_add(&a->dns_disabled_groups.v, &a->dns_disabled_groups.n, "gH1");
    rows_add_account(d, a);
    expect(d, "h1");
}

static void a_user_who_is_blocked_approved_or_deleted_reaches_the_ssh_servers(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    add_user(d, "alice", false, "gDev");
    expect(d, "h1 h2 h3");
    d = delta();
    add_user(d, "carol", true, "gNew");
    expect(d, "h2 h3");
    d = delta();
    (void)rk_delta_add(d, RK_OBJ_USER, "alice");
    expect(d, "h1 h2 h3");
    d = delta();
    (void)rk_delta_add(d, RK_OBJ_USER, "bob");
    expect(d, "h2 h3");
}

static void a_user_who_changes_groups_reaches_the_servers_of_those_groups(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    add_user(d, "bob", true, "gDev");
    expect(d, "h1");
    d = delta();
    add_user(d, "bob", true, "gElse");
    expect(d, "");
}

static void another_host_key_reaches_whoever_sees_the_peer(void **state)
{
    struct rk_delta *d = delta();
    struct rk_peer_row *s = rows_peer("s", 9);

    (void)state;
    s->has_ip6 = true;
    s->ip6[15] = 8;
    s->capabilities |= RK_CAP_IPV6;
    rows_set(&s->ssh_key, "ssh-ed25519 AAAA");
    rows_add_peer(d, s);
    expect(d, "c s v");
}

static void another_ipv6_address_reaches_whoever_sees_the_peer_and_has_ipv6(void **state)
{
    struct rk_delta *d = delta();
    struct rk_peer_row *s = rows_peer("s", 9);

    (void)state;
    s->has_ip6 = true;
    s->ip6[15] = 99;
    s->capabilities |= RK_CAP_IPV6;
    rows_add_peer(d, s);
    expect(d, "s v");
}

static void metadata_that_no_check_looks_at_reaches_nobody(void **state)
{
    struct rk_delta *d = delta();
    struct rk_peer_row *c = rows_peer("c", 1);

    (void)state;
    rows_set(&c->kernel_version, "6.1");
    rows_string(&c->networks, "192.168.1.2/24");
    rows_add_peer(d, c);
    expect(d, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_or_server_that_changed_reaches_its_group),
        cmocka_unit_test(membership_of_a_group_that_only_dns_names_reaches_the_member),
        cmocka_unit_test(another_distribution_group_reaches_who_gains_and_who_loses),
        cmocka_unit_test(dns_switched_off_for_a_group_reaches_that_group),
        cmocka_unit_test(a_user_who_is_blocked_approved_or_deleted_reaches_the_ssh_servers),
        cmocka_unit_test(a_user_who_changes_groups_reaches_the_servers_of_those_groups),
        cmocka_unit_test(another_host_key_reaches_whoever_sees_the_peer),
        cmocka_unit_test(another_ipv6_address_reaches_whoever_sees_the_peer_and_has_ipv6),
        cmocka_unit_test(metadata_that_no_check_looks_at_reaches_nobody),
    };

    return RUN_TESTS(tests);
}
