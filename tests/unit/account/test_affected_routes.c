#include "tests/support/test.h"

/*
 * Whom a change of routes, network resources or what leads to them concerns, case by case: an
 * account before and after, in the form of the worked examples (golden/README.md).
 */

#include "tests/support/golden_account.h"

/* The ids of the affected, in order and with blanks between them. */
static void expect(const char *before, const char *after, const char *want)
{
    json_t *x = golden_parse(before), *y = golden_parse(after);
    rk_auto(rk_delta_free) struct rk_delta *d = golden_delta(y);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = golden_account(x), *now = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_bitmap_init(&hit);
    rk_buf_init(&b, 1024);
    now = rk_snapshot_apply(was, d);
    rk_snapshot_affected(was, now, &hit);
    for (size_t i = rk_bitmap_next(&hit, 0); i != SIZE_MAX; i = rk_bitmap_next(&hit, i + 1))
        rk_buf_printf(&b, b.n ? " %s" : "%s", rk_snapshot_peer(now, i)->id);
    rk_buf_put_u8(&b, 0);
    assert_string_equal((char *)b.p, want);
    json_decref(x);
    json_decref(y);
}

/*
 * Clients C D, routers A B, E with nothing to do with them; F may enter by group gF. Who may ping
 * whom does not matter here, so nobody may.
 */
#define WORLD(groups, policies, rest)                                                              \
    "{'peers':{'A':{},'B':{},'C':{},'D':{},'E':{},'F':{}},'groups':{'gL':[]," groups               \
    "},'policies':[" policies "]," rest "}"
#define GROUPS "'gR':['A','B'],'gC':['C','D'],'gF':['F']"
#define RULE(ports)                                                                                \
    "{'id':'x','rules':[{'id':'x','proto':'tcp','src':['gC'],'dst':['gL'],'ports':[" ports "]}]}"

#define ROUTE(more)                                                                                \
    "'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8','peerGroups':['gR']," more "}]"
#define GUARD                                                                                      \
    "'routes':[{'id':'r','netid':'n','network':'10.7.0.0/16','peer':'A','groups':['gR'],"          \
    "'acg':['gL']}]"
#define ADMIT "{'id':'y','rules':[{'id':'y','proto':'all','src':['gR'],'dst':['gL']}]}"
#define OPEN ROUTE("'groups':['gC']")
#define GUARDED ROUTE("'groups':['gC'],'acg':['gL']")

static void a_route_that_comes_changes_or_goes_wakes_its_routers_and_its_receivers(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, "", "'routes':[]"), WORLD(GROUPS, "", OPEN), "A B C D");
    expect(WORLD(GROUPS, "", OPEN), WORLD(GROUPS, "", "'routes':[]"), "A B C D");
    /* Nobody is connected, so nobody but the routers themselves has it. */
    expect(WORLD(GROUPS, "", OPEN), WORLD(GROUPS, "", ROUTE("'groups':['gC'],'metric':9")), "A B");
    expect(WORLD(GROUPS, "", OPEN), WORLD(GROUPS, "", ROUTE("'groups':['gC'],'off':true")),
           "A B C D");
    expect(WORLD(GROUPS, "", OPEN), WORLD(GROUPS, "", OPEN), "");
}

static void a_route_that_is_off_wakes_its_routers_alone(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, "", "'routes':[]"), WORLD(GROUPS, "", ROUTE("'groups':['gC'],'off':true")),
           "A B");
}

static void a_new_receiver_of_an_open_route_wakes_itself_alone(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, "", OPEN), WORLD("'gR':['A','B'],'gC':['C','D','E'],'gF':['F']", "", OPEN),
           "E");
    expect(WORLD(GROUPS, "", OPEN), WORLD(GROUPS, "", ROUTE("'groups':['gC','gF']")), "F");
}

static void a_new_receiver_of_a_guarded_route_wakes_the_routers_too(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, RULE("'80'"), GUARDED),
           WORLD("'gR':['A','B'],'gC':['C','D','E'],'gF':['F']", RULE("'80'"), GUARDED), "A B E");
}

static void a_new_router_wakes_all_who_have_the_route(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, "", OPEN), WORLD("'gR':['A','B','E'],'gC':['C','D'],'gF':['F']", "", OPEN),
           "A B C D E");
}

static void a_policy_of_an_access_group_wakes_the_routers(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, "", GUARDED), WORLD(GROUPS, RULE("'80'"), GUARDED), "A B");
    expect(WORLD(GROUPS, RULE("'80'"), GUARDED), WORLD(GROUPS, RULE("'81'"), GUARDED), "A B");
    expect(WORLD(GROUPS, RULE("'80'"), GUARDED), WORLD(GROUPS, "", GUARDED), "A B");
    expect(WORLD(GROUPS, RULE("'80'"), OPEN), WORLD(GROUPS, RULE("'81'"), OPEN), "");
}

static void a_client_that_looks_different_wakes_the_routers_that_name_its_address(void **state)
{
    static const char before[] =
        "{'net6':'fd00::/64','peers':{'A':{},'C':{'caps':[1]},'E':{}},'groups':{'gC':['C'],"
        "'gL':[]},'policies':[" RULE(
            "'80'") "],'routes':[{'id':'r','netid':'n','network':'0.0.0.0/0',"
                    "'peer':'A','groups':['gC'],'acg':['gL']}]}";
    static const char after[] =
        "{'net6':'fd00::/64','peers':{'A':{},'C':{'caps':[1],'ip6':'fd00::c'},'E':{}},"
        "'groups':{'gC':['C'],'gL':[]},'policies':[" RULE(
            "'80'") "],'routes':[{'id':'r','netid':'n',"
                    "'network':'0.0.0.0/0','peer':'A','groups':['gC'],'acg':['gL']}]}";

    (void)state;
    expect(before, after, "A C");
}

#define RES "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}]"
#define ROUTERS "'routers':[{'id':'t','net':'m','groups':['gR'],'metric':1}]"
#define TO_RES(ports)                                                                              \
    "{'id':'x','rules':[{'id':'x','proto':'tcp','src':['gC'],'dstRes':['subnet','s'],'ports':"     \
    "[" ports "]}]}"
#define NET WORLD(GROUPS, TO_RES("'80'"), RES "," ROUTERS)

static void a_resource_that_comes_changes_or_goes_wakes_its_routers_and_clients(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, TO_RES("'80'"), ROUTERS), NET, "A B C D");
    expect(NET, WORLD(GROUPS, TO_RES("'80'"), ROUTERS), "A B C D");
    expect(
        NET,
        WORLD(GROUPS, TO_RES("'80'"),
              "'resources':[{'id':'s','net':'m','name':'other','prefix':'10.0.0.0/8'}]," ROUTERS),
        "A B C D");
    expect(NET, NET, "");
}

static void a_rule_to_a_resource_wakes_the_routers_and_whom_it_admits(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, "", RES "," ROUTERS), NET, "A B C D");
    expect(NET, WORLD(GROUPS, TO_RES("'81'"), RES "," ROUTERS), "A B");
    expect(NET,
           WORLD("'gR':['A','B'],'gC':['C','D','E'],'gF':['F']", TO_RES("'80'"), RES "," ROUTERS),
           "A B E");
}

static void a_group_that_takes_up_a_resource_opens_it(void **state)
{
    (void)state;
    expect(WORLD(GROUPS ",'gN':{'peers':[],'res':[]}",
                 "{'id':'x','rules':[{'id':'x','proto':'tcp','src':['gC'],'dst':['gN']}]}",
                 RES "," ROUTERS),
           WORLD(GROUPS ",'gN':{'peers':[],'res':['s']}",
                 "{'id':'x','rules':[{'id':'x','proto':'tcp','src':['gC'],'dst':['gN']}]}",
                 RES "," ROUTERS),
           "A B C D");
}

static void a_new_router_of_a_network_wakes_itself_and_the_clients(void **state)
{
    (void)state;
    expect(NET,
           WORLD("'gR':['A','B','E'],'gC':['C','D'],'gF':['F']", TO_RES("'80'"), RES "," ROUTERS),
           "C D E");
    expect(NET,
           WORLD(GROUPS, TO_RES("'80'"),
                 RES ",'routers':[{'id':'t','net':'m','groups':['gR'],'metric':2}]"),
           "A B C D");
}

static void a_new_router_of_a_network_wakes_those_that_guard_a_route(void **state)
{
    (void)state;
    expect(WORLD(GROUPS, ADMIT,
                 GUARD "," RES ",'routers':[{'id':'t','net':'m','peer':'A'},{'id':'u','net':'m',"
                       "'peer':'B','off':true}]"),
           WORLD(GROUPS, ADMIT,
                 GUARD "," RES ",'routers':[{'id':'t','net':'m','peer':'A'},{'id':'u','net':'m',"
                       "'peer':'B'}]"),
           "A"); /* there is no rule to the resource: B gets nothing by it */
}

/* C is named as the source of a rule, and its version is checked. */
#define CHECKED(version)                                                                           \
    "{'peers':{'A':{},'C':{'version':'" version "'}},'groups':{'gC':['C'],'gA':['A'],'gL':[]},"    \
    "'posture':{'v':{'nbMinVersion':'0.70.0'}},'policies':[{'id':'p','rules':[{'id':'p',"          \
    "'proto':'icmp','src':['gC'],'dst':['gA']}]},{'id':'x','checks':['v'],'rules':[{'id':'x',"     \
    "'proto':'all','srcRes':['peer','C'],'dst':['gL']}]}],'routes':[{'id':'r','netid':'n',"        \
    "'network':'10.0.0.0/8','peer':'A','groups':['gC'],'acg':['gL']}]}"

static void a_peer_named_directly_that_fails_a_check_wakes_the_router(void **state)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;
    json_t *x = golden_parse(CHECKED("0.77.1"));
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = golden_account(x), *now = NULL;
    rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, GOLDEN_SERIAL + 1);
    struct rk_posture_row *p = (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, "v");

    (void)state;
    p->has_nb_version = true;
    p->nb_min = rk_strdup("0.78.0"); /* only the check moves: C looks what it looked */
    rows_add_object(d, &p->row);
    rk_bitmap_init(&hit);
    now = rk_snapshot_apply(was, d);
    rk_snapshot_affected(was, now, &hit);
    assert_true(rk_bitmap_test(&hit, rk_snapshot_find_id(now, RK_STR("A"))));
    json_decref(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_that_comes_changes_or_goes_wakes_its_routers_and_its_receivers),
        cmocka_unit_test(a_route_that_is_off_wakes_its_routers_alone),
        cmocka_unit_test(a_new_receiver_of_an_open_route_wakes_itself_alone),
        cmocka_unit_test(a_new_receiver_of_a_guarded_route_wakes_the_routers_too),
        cmocka_unit_test(a_new_router_wakes_all_who_have_the_route),
        cmocka_unit_test(a_policy_of_an_access_group_wakes_the_routers),
        cmocka_unit_test(a_client_that_looks_different_wakes_the_routers_that_name_its_address),
        cmocka_unit_test(a_resource_that_comes_changes_or_goes_wakes_its_routers_and_clients),
        cmocka_unit_test(a_rule_to_a_resource_wakes_the_routers_and_whom_it_admits),
        cmocka_unit_test(a_group_that_takes_up_a_resource_opens_it),
        cmocka_unit_test(a_new_router_of_a_network_wakes_itself_and_the_clients),
        cmocka_unit_test(a_new_router_of_a_network_wakes_those_that_guard_a_route),
        cmocka_unit_test(a_peer_named_directly_that_fails_a_check_wakes_the_router),
    };

    return RUN_TESTS(tests);
}
