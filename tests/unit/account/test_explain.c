/* What an administrator is told about two ends, against small accounts. */

#include "libcommon/account/explain/explain.h"
#include "tests/support/account_maps.h"

struct world {
    struct rk_delta *d;
    struct rk_snapshot *s;
    struct rk_arena *arena;
};

static struct world *world_new(void)
{
    struct world *w = rk_new(struct world);
    static const char *const peers[] = { "A", "B", "C" };

    w->arena = rk_arena_new(16 * 1024 * 1024);
    w->d = rk_delta_new(ROWS_ACCOUNT, 1);
    w->d->full = true;
    rows_add_account(w->d, rows_account());
    for (unsigned i = 0; i < RK_COUNT(peers); i++)
        rows_add_peer(w->d, rows_peer(peers[i], i + 1));
    return w;
}

static struct rk_group_row *group(struct world *w, const char *id, const char *peer)
{
    struct rk_group_row *g = rows_group(id, id);

    rows_member(g, peer);
    rows_add_group(w->d, g);
    return g;
}

/* gA -> gB */
static struct rk_policy_row *
policy(struct world *w, const char *id, enum rk_rule_protocol protocol, const char *port)
{
    struct rk_policy_row *p = rows_policy(id);
    struct rk_rule *r = rows_rule(p, protocol, false);

    rows_source(r, "gA");
    rows_destination(r, "gB");
    if (port)
        rows_port(r, port);
    rows_add_policy(w->d, p);
    return p;
}

static struct rk_explanation ask(struct world *w,
                                 const char *from,
                                 const char *to,
                                 enum rk_rule_protocol protocol,
                                 uint16_t port)
{
    struct rk_explain_query q = { .target = RK_EXPLAIN_PEER, .protocol = protocol, .port = port };
    struct rk_explanation e;

    if (!w->s)
        w->s = rk_snapshot_apply(NULL, w->d);
    q.from = rk_snapshot_find_id(w->s, rk_str(from));
    q.peer = rk_snapshot_find_id(w->s, rk_str(to));
    rk_explain(w->s, &q, NOW_US, w->arena, &e);
    return e;
}

static void world_free(struct world *w)
{
    rk_snapshot_unref(w->s);
    rk_delta_free(w->d);
    rk_arena_free(w->arena);
    rk_free(w);
}

static struct world *pair(void)
{
    struct world *w = world_new();

    (void)group(w, "gA", "A");
    (void)group(w, "gB", "B");
    return w;
}

static void a_rule_that_lets_in_is_named_with_its_groups(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_TCP, "443");
    e = ask(w, "A", "B", RK_PROTO_TCP, 443);
    assert_true(e.allowed);
    assert_int_equal(e.why, RK_WHY_ALLOWED);
    assert_int_equal(e.ways_n, 1);
    assert_int_equal(e.ways[0].router, RK_NO_PEER);
    assert_int_equal(e.ways[0].rules_n, 1);
    assert_string_equal(e.ways[0].rules[0].policy, "pol");
    assert_true(e.ways[0].rules[0].whole);
    assert_int_equal(e.ways[0].rules[0].first_port, 443);
    assert_int_equal(e.policies_n, 1);
    assert_int_equal(e.policies[0].faults, 0);
    assert_string_equal(e.policies[0].sources[0], "gA");
    assert_string_equal(e.policies[0].destinations[0], "gB");
    world_free(w);
}

static void without_a_port_a_rule_for_one_port_lets_some_in(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_TCP, "443");
    e = ask(w, "A", "B", RK_PROTO_ALL, 0);
    assert_true(e.allowed);
    assert_false(e.ways[0].rules[0].whole);
    world_free(w);
}

static void another_port_protocol_or_direction_is_said(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_TCP, "443");
    e = ask(w, "A", "B", RK_PROTO_TCP, 80);
    assert_false(e.allowed);
    assert_int_equal(e.why, RK_WHY_NO_RULE);
    assert_int_equal(e.policies[0].faults, RK_FAULT_PORT);
    e = ask(w, "A", "B", RK_PROTO_UDP, 443);
    assert_false(e.allowed);
    assert_int_equal(e.policies[0].faults, RK_FAULT_PROTOCOL);
    e = ask(w, "B", "A", RK_PROTO_TCP, 443);
    assert_false(e.allowed);
    assert_int_equal(e.policies[0].faults, RK_FAULT_DIRECTION);
    world_free(w);
}

static void no_policy_means_no_connection(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_ALL, NULL);
    e = ask(w, "A", "C", RK_PROTO_ALL, 0);
    assert_false(e.allowed);
    assert_int_equal(e.why, RK_WHY_NOT_CONNECTED);
    assert_int_equal(e.policies_n, 0);
    world_free(w);
}

static void drop_beats_accept(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_ALL, NULL);
    policy(w, "pox", RK_PROTO_TCP, "23")->rules[0].action = RK_RULE_DROP;
    e = ask(w, "A", "B", RK_PROTO_TCP, 23);
    assert_false(e.allowed);
    assert_int_equal(e.why, RK_WHY_DROPPED);
    assert_int_equal(e.ways[0].rules_n, 2);
    assert_true(ask(w, "A", "B", RK_PROTO_TCP, 24).allowed);
    assert_true(ask(w, "A", "B", RK_PROTO_ALL, 0).allowed);
    world_free(w);
}

static void a_disabled_policy_or_rule_is_said(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    policy(w, "pol", RK_PROTO_ALL, NULL)->enabled = false;
    policy(w, "pox", RK_PROTO_ALL, NULL)->rules[0].enabled = false;
    e = ask(w, "A", "B", RK_PROTO_ALL, 0);
    assert_false(e.allowed);
    assert_int_equal(e.why, RK_WHY_NOT_CONNECTED);
    assert_int_equal(e.policies_n, 2);
    assert_int_equal(e.policies[0].faults, RK_FAULT_POLICY_DISABLED);
    assert_int_equal(e.policies[1].faults, RK_FAULT_RULE_DISABLED);
    world_free(w);
}

static void a_peer_that_waits_for_approval_is_said(void **state)
{
    struct world *w = world_new();
    struct rk_peer_row *d = rows_peer("D", 4);
    struct rk_explanation e;

    (void)state;
    d->requires_approval = true;
    rows_add_peer(w->d, d);
    (void)group(w, "gA", "A");
    (void)group(w, "gB", "D");
    (void)policy(w, "pol", RK_PROTO_ALL, NULL);
    e = ask(w, "A", "D", RK_PROTO_ALL, 0);
    assert_false(e.allowed);
    assert_int_equal(e.policies[0].faults, RK_FAULT_APPROVAL);
    world_free(w);
}

static void an_expired_login_is_said(void **state)
{
    struct world *w = world_new();
    struct rk_peer_row *d = rows_peer("D", 4);

    (void)state;
    d->login_expired = true;
    rows_add_peer(w->d, d);
    (void)group(w, "gA", "A");
    (void)group(w, "gB", "D");
    (void)policy(w, "pol", RK_PROTO_ALL, NULL);
    assert_int_equal(ask(w, "A", "D", RK_PROTO_ALL, 0).why, RK_WHY_EXPIRED);
    world_free(w);
}

/* A posture check of the policy that nobody passes. */
static void let_nobody_pass(struct world *w, struct rk_policy_row *p)
{
    struct rk_posture_row *check =
        (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, "check");

    check->has_nb_version = true;
    check->nb_min = rk_strdup("99.0.0");
    rows_add_object(w->d, &check->row);
    rows_ids_add(&p->posture_checks.v, &p->posture_checks.n, "check");
}

static void a_failed_posture_check_is_said(void **state)
{
    struct world *w = pair();
    struct rk_policy_row *p = policy(w, "pol", RK_PROTO_ALL, NULL);
    struct rk_explanation e;

    (void)state;
    let_nobody_pass(w, p);
    e = ask(w, "A", "B", RK_PROTO_ALL, 0);
    assert_false(e.allowed);
    assert_int_equal(e.why, RK_WHY_NOT_CONNECTED);
    assert_int_equal(e.policies[0].faults, RK_FAULT_POSTURE);
    assert_int_equal(e.policies[0].checks_n, 1);
    assert_string_equal(e.policies[0].checks[0].id, "check");
    assert_false(e.policies[0].checks[0].passed);
    world_free(w);
}

static void a_peer_reaches_itself(void **state)
{
    struct world *w = pair();

    (void)state;
    assert_true(ask(w, "A", "A", RK_PROTO_ALL, 0).allowed);
    world_free(w);
}

static struct rk_explanation ask_for(struct world *w, const char *from, struct rk_explain_query q)
{
    struct rk_explanation e;

    if (!w->s)
        w->s = rk_snapshot_apply(NULL, w->d);
    q.from = rk_snapshot_find_id(w->s, rk_str(from));
    rk_explain(w->s, &q, NOW_US, w->arena, &e);
    return e;
}

/* B routes 10.0.0.0/8 to A's group, and lets in what gA may send to gAcl. */
static void add_route(struct world *w, const char *id, const char *network, const char *acl)
{
    struct rk_route_row *r = (struct rk_route_row *)rk_row_new(RK_OBJ_ROUTE, id);

    r->description = rk_strdup("");
    r->net_id = rk_strdup(id);
    r->type = RK_NET_IPV4;
    assert_true(rk_prefix_parse(rk_str(network), &r->network));
    memcpy(r->peer, "B", 2);
    rows_ids_add(&r->groups.v, &r->groups.n, "gA");
    if (acl)
        rows_ids_add(&r->access_groups.v, &r->access_groups.n, acl);
    r->metric = 100;
    r->enabled = true;
    rows_add_object(w->d, &r->row);
}

static struct rk_explain_query
address(const char *text, enum rk_rule_protocol protocol, uint16_t port)
{
    struct rk_explain_query q = { .target = RK_EXPLAIN_ADDRESS,
                                  .protocol = protocol,
                                  .port = port };

    assert_true(rk_prefix_parse(rk_str(text), &q.address));
    return q;
}

static void an_address_behind_a_route_goes_by_the_narrowest(void **state)
{
    struct world *w = pair();
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_ICMP, NULL); /* so that A and B connect */
    add_route(w, "wide", "10.0.0.0/8", NULL);
    add_route(w, "narrow", "10.1.0.0/16", "gAcl");
    rows_add_group(w->d, rows_group("gAcl", "gAcl"));
    e = ask_for(w, "A", address("10.2.3.4", RK_PROTO_TCP, 80));
    assert_true(e.allowed);
    assert_int_equal(e.ways_n, 1);
    assert_string_equal(e.ways[0].route, "wide");
    assert_int_equal(e.ways[0].router, rk_snapshot_find_id(w->s, RK_STR("B")));
    assert_string_equal(e.ways[0].rules[0].policy, ""); /* no access control groups: everyone */
    e = ask_for(w, "A", address("10.1.3.4", RK_PROTO_TCP, 80));
    assert_false(e.allowed);
    assert_string_equal(e.ways[0].route, "narrow");
    assert_int_equal(e.why, RK_WHY_NO_RULE);
    e = ask_for(w, "A", address("192.168.0.1", RK_PROTO_TCP, 80));
    assert_int_equal(e.why, RK_WHY_NO_ROUTE);
    e = ask_for(w, "C", address("10.2.3.4", RK_PROTO_TCP, 80));
    assert_int_equal(e.why, RK_WHY_NO_ROUTE);
    e = ask_for(w, "B", address("10.2.3.4", RK_PROTO_TCP, 80));
    assert_int_equal(e.why, RK_WHY_SELF);
    world_free(w);
}

static void a_check_counts_for_one_peer_only_where_it_is_let_out(void **state)
{
    struct world *w = pair();
    struct rk_policy_row *p = rows_policy("pon");
    struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, false);
    struct rk_explanation e;

    (void)state;
    let_nobody_pass(w, p);
    memcpy(r->source_peer, "A", 2);
    rows_destination(r, "gAcl");
    rows_add_policy(w->d, p);
    (void)policy(w, "pol", RK_PROTO_ICMP, NULL); /* so that A and B connect */
    add_route(w, "rt", "10.1.0.0/16", "gAcl");
    rows_add_group(w->d, rows_group("gAcl", "gAcl"));
    e = ask_for(w, "A", address("10.1.3.4", RK_PROTO_TCP, 80));
    assert_false(e.allowed);
    assert_int_equal(e.policies_n, 1);
    assert_int_equal(e.policies[0].faults, RK_FAULT_POSTURE);
    world_free(w);
}

static void a_policy_on_a_routes_access_group_is_named(void **state)
{
    struct world *w = pair();
    struct rk_policy_row *p = rows_policy("pon");
    struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, false);
    struct rk_explanation e;

    (void)state;
    (void)policy(w, "pol", RK_PROTO_ICMP, NULL);
    add_route(w, "narrow", "10.1.0.0/16", "gAcl");
    rows_add_group(w->d, rows_group("gAcl", "gAcl"));
    rows_source(r, "gA");
    rows_destination(r, "gAcl");
    rows_port(r, "5432");
    rows_add_policy(w->d, p);
    e = ask_for(w, "A", address("10.1.3.4", RK_PROTO_TCP, 5432));
    assert_true(e.allowed);
    assert_string_equal(e.ways[0].rules[0].policy, "pon");
    assert_int_equal(e.policies_n, 1);
    assert_int_equal(e.policies[0].faults, 0);
    assert_string_equal(e.policies[0].destinations[0], "gAcl");
    e = ask_for(w, "A", address("10.1.3.4", RK_PROTO_TCP, 22));
    assert_false(e.allowed);
    assert_int_equal(e.policies[0].faults, RK_FAULT_PORT);
    world_free(w);
}

static void a_resource_is_reached_through_its_router(void **state)
{
    struct world *w = pair();
    struct rk_network_row *net = (struct rk_network_row *)rk_row_new(RK_OBJ_NETWORK, "net");
    struct rk_resource_row *res = (struct rk_resource_row *)rk_row_new(RK_OBJ_RESOURCE, "res");
    struct rk_router_row *rtr = (struct rk_router_row *)rk_row_new(RK_OBJ_ROUTER, "rtr");
    struct rk_policy_row *p = rows_policy("pon");
    struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, false);
    struct rk_explain_query q = {
        .target = RK_EXPLAIN_RESOURCE, .resource = "res", .protocol = RK_PROTO_TCP, .port = 443
    };
    struct rk_explanation e;

    (void)state;
    net->name = rk_strdup("net");
    memcpy(res->network, "net", 4);
    res->name = rk_strdup("wiki");
    res->description = rk_strdup("");
    res->domain = rk_strdup("wiki.corp.example");
    res->type = RK_RESOURCE_DOMAIN;
    res->enabled = true;
    memcpy(rtr->network, "net", 4);
    memcpy(rtr->peer, "B", 2);
    rtr->metric = 100;
    rtr->enabled = true;
    rows_add_object(w->d, &net->row);
    rows_add_object(w->d, &res->row);
    rows_add_object(w->d, &rtr->row);
    rows_source(r, "gA");
    memcpy(r->destination_resource, "res", 4);
    rows_add_policy(w->d, p);
    e = ask_for(w, "A", q);
    assert_true(e.allowed);
    assert_int_equal(e.ways[0].router, rk_snapshot_find_id(w->s, RK_STR("B")));
    assert_string_equal(e.ways[0].network, "wiki.corp.example");
    assert_string_equal(e.ways[0].rules[0].policy, "pon");
    assert_int_equal(e.policies_n, 1);
    assert_int_equal(e.policies[0].faults, 0);
    q.target = RK_EXPLAIN_DOMAIN;
    q.domain = "wiki.corp.example";
    assert_true(ask_for(w, "A", q).allowed);
    q.domain = "other.corp.example";
    assert_int_equal(ask_for(w, "A", q).why, RK_WHY_NO_ROUTE);
    q.target = RK_EXPLAIN_RESOURCE;
    assert_int_equal(ask_for(w, "C", q).why, RK_WHY_NO_ROUTE);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_lets_in_is_named_with_its_groups),
        cmocka_unit_test(without_a_port_a_rule_for_one_port_lets_some_in),
        cmocka_unit_test(another_port_protocol_or_direction_is_said),
        cmocka_unit_test(no_policy_means_no_connection),
        cmocka_unit_test(drop_beats_accept),
        cmocka_unit_test(a_disabled_policy_or_rule_is_said),
        cmocka_unit_test(a_peer_that_waits_for_approval_is_said),
        cmocka_unit_test(an_expired_login_is_said),
        cmocka_unit_test(a_failed_posture_check_is_said),
        cmocka_unit_test(a_peer_reaches_itself),
        cmocka_unit_test(an_address_behind_a_route_goes_by_the_narrowest),
        cmocka_unit_test(a_check_counts_for_one_peer_only_where_it_is_let_out),
        cmocka_unit_test(a_policy_on_a_routes_access_group_is_named),
        cmocka_unit_test(a_resource_is_reached_through_its_router),
    };

    return RUN_TESTS(tests);
}
