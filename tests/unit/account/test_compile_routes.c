#include "tests/support/test.h"

/*
 * Routes, network resources and what routing peers let through, rule by rule. Accounts are written
 * in the form of the worked examples (golden/README.md), and so are the maps; of a map only what
 * the case is about is compared.
 */

#include "libcommon/account/compile/compile.h"
#include "tests/support/account_maps.h"
#include "tests/support/golden_map.h"

/* What the peer's map has under `part` is `want`, both with all defaults and sorted. */
static void expect(const char *account, const char *peer, const char *part, const char *want)
{
    json_t *in = golden_parse(account), *got, *all = json_pack("{s:{}}", "dns");
    struct rk_snapshot *s = golden_account(in);
    Management__SyncResponse *m = compile(s, peer);

    got = golden_map(s, m);
    golden_fill(got);
    json_object_set_new(all, part, golden_parse(want));
    golden_fill(all);
    if (!json_equal(json_object_get(all, part), json_object_get(got, part)))
        fail_msg("%s of %s: want %s, got %s", part, peer,
                 json_dumps(json_object_get(all, part), JSON_SORT_KEYS),
                 json_dumps(json_object_get(got, part), JSON_SORT_KEYS));
    json_decref(in);
    json_decref(got);
    json_decref(all);
    done(m);
    rk_snapshot_unref(s);
}

/* The values of one field in a list of the map, in the order of the wire. */
static void expect_each(
    const char *account, const char *peer, const char *part, const char *field, const char *want)
{
    json_t *in = golden_parse(account), *got, *o;
    struct rk_snapshot *s = golden_account(in);
    Management__SyncResponse *m = compile(s, peer);
    struct rk_buf line;
    size_t i;

    rk_buf_init(&line, 4096);
    got = golden_map(s, m);
    json_array_foreach(json_object_get(got, part), i, o)
    {
        char *text = json_dumps(json_object_get(o, field), JSON_ENCODE_ANY);

        rk_buf_printf(&line, "%s%s", i > 0 ? " " : "", text);
        free(text);
    }
    rk_buf_put_u8(&line, 0);
    for (char *c = (char *)line.p; *c; c++)
        *c = (char)(*c == '"' ? '\'' : *c);
    assert_string_equal((char *)line.p, want);
    rk_buf_done(&line);
    json_decref(in);
    json_decref(got);
    done(m);
    rk_snapshot_unref(s);
}

static void expect_ids(const char *account, const char *peer, const char *want)
{
    expect_each(account, peer, "routes", "id", want);
}

static void expect_remotes(const char *account, const char *peer, const char *want)
{
    expect_each(account, peer, "remote", "p", want);
}

/* Everyone of gAll may ping everyone. */
#define PING                                                                                       \
    "'policies':[{'id':'ping','rules':[{'id':'ping','proto':'icmp','bidir':true,"                  \
    "'src':['gAll'],'dst':['gAll']}]}"
#define PEERS "'peers':{'A':{},'B':{},'C':{},'D':{}}"
#define PEERS6                                                                                     \
    "'net6':'fd00:1:2:3::/64','peers':{'A':{'caps':[1,2],'ip6':'fd00:1:2:3::a'},"                  \
    "'B':{'caps':[1,2],'ip6':'fd00:1:2:3::b'},'C':{}}"

/* --- who gets which route ------------------------------------------------------------------- */

static void a_route_comes_only_from_routers_that_the_peer_is_connected_to(void **state)
{
    static const char account[] =
        "{" PEERS ",'groups':{'gR':['A','B'],'gC':['C'],'gA':['A']},'policies':[{'id':'p','rules':"
        "[{'id':'p','proto':'icmp','bidir':false,'src':['gC'],'dst':['gA']}]}],"
        "'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8','peerGroups':['gR'],"
        "'groups':['gC']}]}";

    (void)state;
    expect_ids(account, "C", "'r:A'");
    expect_ids(account, "B", "'r:B'");
    expect_ids(account, "D", "");
    /* But the names of all that advertise it are known to whom it concerns. */
    expect(account, "C", "dns",
           "{'zones':[{'domain':'nb.test.','rec':['a.nb.test A 300 100.64.0.1',"
           "'b.nb.test A 300 100.64.0.2','c.nb.test A 300 100.64.0.3']}]}");
    expect(account, "B", "dns",
           "{'zones':[{'domain':'nb.test.','rec':['a.nb.test A 300 100.64.0.1',"
           "'b.nb.test A 300 100.64.0.2']}]}");
}

static void
an_advertiser_gets_no_copy_of_those_that_back_it_up_even_when_its_own_is_off(void **state)
{
    static const char account[] =
        "{" PEERS "," PING "],'routes':["
        "{'id':'r1','netid':'n','network':'10.0.0.0/8','peer':'A','groups':['gAll'],'off':true},"
        "{'id':'r2','netid':'n','network':'10.0.0.0/8','peer':'B','groups':['gAll']},"
        "{'id':'r3','netid':'other','network':'10.0.0.0/8','peer':'B','groups':['gAll']}]}";

    (void)state;
    expect_ids(account, "A", "'r3'");
    expect_ids(account, "B", "'r2' 'r3'");
    expect_ids(account, "C", "'r2' 'r3'");
}

static void domains_tell_apart_what_backs_up_what(void **state)
{
    static const char account[] =
        "{" PEERS "," PING "],'routes':["
        "{'id':'r1','netid':'n','domains':['a.test','b.test'],'peer':'A','groups':['gAll']},"
        "{'id':'r2','netid':'n','domains':['a.test'],'peer':'B','groups':['gAll']},"
        "{'id':'r3','netid':'n','domains':['a.test','b.test'],'peer':'C','groups':['gAll']}]}";

    (void)state;
    expect_ids(account, "A", "'r1' 'r2'");
    expect_ids(account, "B", "'r1' 'r2' 'r3'");
    expect(account, "D", "routes",
           "[{'id':'r1','netId':'n','network':'192.0.2.0/32','type':3,'peer':'A','metric':0,"
           "'domains':['a.test','b.test']},"
           "{'id':'r2','netId':'n','network':'192.0.2.0/32','type':3,'peer':'B','metric':0,"
           "'domains':['a.test']},"
           "{'id':'r3','netId':'n','network':'192.0.2.0/32','type':3,'peer':'C','metric':0,"
           "'domains':['a.test','b.test']}]");
}

static void an_expired_router_has_no_routes_for_others(void **state)
{
    static const char account[] =
        "{'peers':{'A':{'userId':'u','loginExpirationEnabled':true,'lastLoginAgeHours':30},"
        "'B':{}}," PING "],'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8','peer':'A',"
        "'groups':['gAll']}]}";

    (void)state;
    expect_ids(account, "B", "");
    expect_ids(account, "A", "'r'");
}

static void an_unapproved_router_has_no_routes_and_no_name(void **state)
{
    static const char account[] =
        "{" PEERS ",'unapproved':['A']," PING "],'routes':[{'id':'r','netid':'n',"
        "'network':'10.0.0.0/8','peer':'A','groups':['gAll']}]}";

    (void)state;
    expect_ids(account, "B", "");
    expect_remotes(account, "B", "'C' 'D'");
}

static void ipv6_networks_are_for_those_with_ipv6(void **state)
{
    static const char account[] =
        "{" PEERS6 "," PING "],'routes':["
        "{'id':'r4','netid':'n','network':'10.0.0.0/8','peer':'C','groups':['gAll']},"
        "{'id':'r6','netid':'n','network':'fd77::/64','peer':'A','groups':['gAll']},"
        "{'id':'r7','netid':'m','network':'fd78::/64','peer':'C','groups':['gAll']}]}";

    (void)state;
    expect_ids(account, "A", "'r4' 'r6' 'r7'");
    expect_ids(account, "B", "'r4' 'r6' 'r7'");
    expect_ids(account, "C", "'r4'");
    expect(account, "A", "rfw",
           "[{'route':'r6','src':['::/0'],'action':'accept','dst':'fd77::/64','proto':'all'}]");
    expect(account, "C", "rfw",
           "[{'route':'r4','src':['0.0.0.0/0'],'action':'accept','dst':'10.0.0.0/8',"
           "'proto':'all'}]");
}

static void routes_are_in_the_order_of_their_ids_and_then_of_their_routers(void **state)
{
    static const char account[] =
        "{'peers':{'D':{},'B':{},'C':{},'A':{}},'groups':{'gR':['C','B','A']}," PING
        "],'routes':[{'id':'r2','netid':'m','network':'10.2.0.0/16','peerGroups':['gR'],"
        "'groups':['gAll']},{'id':'r1','netid':'n','network':'10.1.0.0/16','peer':'C',"
        "'groups':['gAll']}]}";

    (void)state;
    expect_ids(account, "D", "'r1' 'r2:A' 'r2:B' 'r2:C'");
}

static void what_is_not_there_is_ignored(void **state)
{
    static const char account[] =
        "{" PEERS "," PING "],'routes':["
        "{'id':'r1','netid':'n','network':'10.0.0.0/8','peer':'gone','groups':['gone','gAll']},"
        "{'id':'r2','netid':'n','network':'10.0.0.0/8','peerGroups':['gone'],'groups':['gAll']},"
        "{'id':'r3','netid':'m','network':'10.0.0.0/8','peer':'A','groups':['gone'],"
        "'acg':['gone']}],"
        "'routers':[{'id':'t','net':'n','groups':['gone']}]}";

    (void)state;
    expect_ids(account, "B", "");
    expect_ids(account, "A", "'r3'");
    expect(account, "A", "rfw", "[]");
}

/* --- what a router of a route lets through -------------------------------------------------- */

static void a_domain_route_without_access_groups_lets_both_families_through(void **state)
{
    static const char account[] =
        "{" PEERS6 "," PING "],'routes':[{'id':'r','netid':'n','domains':['a.test'],'peer':'A',"
        "'groups':['gAll']},{'id':'s','netid':'m','domains':['b.test'],'peer':'C',"
        "'groups':['gAll']}]}";

    (void)state;
    expect(account, "A", "rfw",
           "[{'route':'r','src':['0.0.0.0/0'],'action':'accept','dst':'192.0.2.0/32',"
           "'proto':'all','dyn':true,'domains':['a.test']},"
           "{'route':'r','src':['::/0'],'action':'accept','dst':'192.0.2.0/32','proto':'all',"
           "'dyn':true,'domains':['a.test']}]");
    expect(account, "C", "rfw",
           "[{'route':'s','src':['0.0.0.0/0'],'action':'accept','dst':'192.0.2.0/32',"
           "'proto':'all','dyn':true,'domains':['b.test']}]");
}

/* Route r through A to gC = C D; access by policy x to gL. */
#define GATED(rule)                                                                                \
    "{" PEERS ",'groups':{'gC':['C','D'],'gB':['B','C'],'gL':[]}," PING                            \
    ",{'id':'x','rules':[" rule "]}],'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8',"      \
    "'peer':'A','groups':['gC'],'acg':['gL']}]}"

static void a_source_must_be_in_the_distribution_groups(void **state)
{
    (void)state;
    expect(GATED("{'id':'x','proto':'udp','src':['gB'],'dst':['gL'],'ports':['53','053','54']}"),
           "A", "rfw",
           "[{'policy':'x','route':'r','src':['100.64.0.3/32'],'action':'accept',"
           "'dst':'10.0.0.0/8','proto':'udp','port':53},"
           "{'policy':'x','route':'r','src':['100.64.0.3/32'],'action':'accept',"
           "'dst':'10.0.0.0/8','proto':'udp','port':54}]");
}

static void a_rule_that_admits_nobody_is_sent_without_sources(void **state)
{
    (void)state;
    expect(GATED("{'id':'x','proto':'icmp','src':['gL'],'dst':['gL'],'action':'drop'}"), "A", "rfw",
           "[{'policy':'x','route':'r','src':[],'action':'drop','dst':'10.0.0.0/8',"
           "'proto':'icmp'}]");
}

static void a_range_is_sent_as_one_whatever_the_agents_version(void **state)
{
    (void)state;
    expect(GATED("{'id':'x','proto':'tcp','src':['gC'],'dst':['gL'],'ranges':[[80,90],[443,443]]}"),
           "A", "rfw",
           "[{'policy':'x','route':'r','src':['100.64.0.3/32','100.64.0.4/32'],"
           "'action':'accept','dst':'10.0.0.0/8','proto':'tcp','range':[80,90]},"
           "{'policy':'x','route':'r','src':['100.64.0.3/32','100.64.0.4/32'],"
           "'action':'accept','dst':'10.0.0.0/8','proto':'tcp','range':[443,443]}]");
}

static void an_ssh_rule_a_rule_that_is_off_and_a_policy_that_is_off_let_nobody_through(void **state)
{
    (void)state;
    expect(GATED("{'id':'x','proto':'netbird-ssh','src':['gC'],'dst':['gL']}"), "A", "rfw", "[]");
    expect(GATED("{'id':'x','proto':'all','src':['gC'],'dst':['gL'],'off':true}"), "A", "rfw",
           "[]");
    expect("{" PEERS ",'groups':{'gL':[]}," PING ",{'id':'x','off':true,'rules':[{'id':'x',"
           "'proto':'all','src':['gAll'],'dst':['gL']}]}],'routes':[{'id':'r','netid':'n',"
           "'network':'10.0.0.0/8','peer':'A','groups':['gAll'],'acg':['gL']}]}",
           "A", "rfw", "[]");
}

static void only_the_rule_that_names_the_access_group_counts(void **state)
{
    (void)state;
    expect(GATED("{'id':'x','proto':'tcp','src':['gC'],'dst':['gL'],'ports':['80']},"
                 "{'id':'y','proto':'tcp','src':['gC'],'dst':['gB'],'ports':['22']}"),
           "A", "rfw",
           "[{'policy':'x','route':'r','src':['100.64.0.3/32','100.64.0.4/32'],"
           "'action':'accept','dst':'10.0.0.0/8','proto':'tcp','port':80}]");
}

static void a_peer_named_directly_is_a_source(void **state)
{
    (void)state;
    expect(GATED("{'id':'x','proto':'all','srcRes':['peer','D'],'dst':['gL']}"), "A", "rfw",
           "[{'policy':'x','route':'r','src':['100.64.0.4/32'],'action':'accept',"
           "'dst':'10.0.0.0/8','proto':'all'}]");
}

static void whom_the_router_cannot_see_it_does_not_admit(void **state)
{
    static const char account[] =
        "{" PEERS ",'groups':{'gC':['C','D'],'gA':['A'],'gD':['D'],'gL':[]},'policies':["
        "{'id':'x','rules':[{'id':'x','proto':'all','src':['gC'],'dst':['gL']}]},"
        "{'id':'y','rules':[{'id':'y','proto':'icmp','src':['gD'],'dst':['gA']}]}],"
        "'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8','peer':'A','groups':['gC'],"
        "'acg':['gL']}]}";

    (void)state;
    expect_each(account, "A", "rfw", "src", "['100.64.0.4/32']");
}

static void the_router_of_a_network_sees_the_others_when_it_guards_a_route(void **state)
{
    static const char account[] =
        "{" PEERS ",'groups':{'gR':['A','B'],'gL':[]},'policies':["
        "{'id':'x','rules':[{'id':'x','proto':'all','src':['gR'],'dst':['gL']}]}],"
        "'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8','peer':'A','groups':['gR'],"
        "'acg':['gL']}],'resources':[{'id':'s','net':'m','name':'s','prefix':'10.9.0.0/16'}],"
        "'routers':[{'id':'t','net':'m','groups':['gR']}]}";

    (void)state;
    expect_each(account, "A", "rfw", "src", "['100.64.0.2/32']");
    expect_remotes(account, "A", "");
}

static void an_ipv6_network_has_ipv6_sources_and_an_exit_node_both(void **state)
{
    static const char account[] =
        "{" PEERS6 ",'groups':{'gL':[]}," PING ",{'id':'x','rules':[{'id':'x','proto':'udp',"
        "'src':['gAll'],'dst':['gL'],'ports':['53']}]}],'routes':["
        "{'id':'r','netid':'n','network':'fd77::/64','peer':'A','groups':['gAll'],'acg':['gL']},"
        "{'id':'s','netid':'m','network':'0.0.0.0/0','peer':'A','groups':['gAll'],'acg':['gL']},"
        "{'id':'t','netid':'m','network':'0.0.0.0/0','peer':'C','groups':['gAll'],"
        "'acg':['gL']}]}";

    (void)state;
    expect(account, "A", "rfw",
           "[{'policy':'x','route':'r','src':['fd00:1:2:3::b/128'],'action':'accept',"
           "'dst':'fd77::/64','proto':'udp','port':53},"
           "{'policy':'x','route':'s','src':['100.64.0.2/32','100.64.0.3/32'],"
           "'action':'accept','dst':'0.0.0.0/0','proto':'udp','port':53},"
           "{'policy':'x','route':'s-v6-default','src':['fd00:1:2:3::b/128'],"
           "'action':'accept','dst':'::/0','proto':'udp','port':53}]");
    expect(account, "C", "rfw",
           "[{'policy':'x','route':'t','src':['100.64.0.1/32','100.64.0.2/32'],"
           "'action':'accept','dst':'0.0.0.0/0','proto':'udp','port':53}]");
}

/* A is a router for two; of the policy's one source, D, the check fails. */
#define FAILS(more, rule)                                                                          \
    "{'peers':{'A':{},'C':{},'D':{'version':'0.20.0'}},'posture':{'v':{'nbMinVersion':'0.30.0'}}," \
    "'groups':{'gC':['C','D'],'gL':[]}," PING ",{'id':'x','checks':['v'],'rules':["                \
    "{'id':'x','proto':'all','srcRes':['peer','D'],'action':" rule "}]}]," more "}"
#define FAILS_ROUTE                                                                                \
    "'routes':[{'id':'r','netid':'n','network':'10.0.0.0/8','peer':'A','groups':['gC'],"           \
    "'acg':['gL']}]"
#define FAILS_RESOURCE                                                                             \
    "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}],"                       \
    "'routers':[{'id':'t','net':'m','peer':'A'}]"

static void a_failed_check_of_one_peer_opens_nothing_and_leaves_dropped_what_is_dropped(void **s)
{
    static const char accept[] = FAILS(FAILS_ROUTE, "'accept','dst':['gL']");
    static const char drop[] = FAILS(FAILS_ROUTE, "'drop','dst':['gL']");
    static const char to[] = FAILS(FAILS_RESOURCE, "'accept','dstRes':['subnet','s']");
    static const char from[] = FAILS(FAILS_RESOURCE, "'drop','dstRes':['subnet','s']");

    (void)s;
    expect_each(accept, "A", "rfw", "src", "[]");
    expect_each(drop, "A", "rfw", "src", "['100.64.0.3/32']");
    expect_each(to, "A", "rfw", "src", "");
    expect_each(from, "A", "rfw", "src", "");
    expect_ids(from, "D", "");
}

/* --- network resources ---------------------------------------------------------------------- */

#define RESOURCE(routers, rules)                                                                   \
    "{" PEERS ",'groups':{'gR':['A','B'],'gC':['C'],'gN':{'peers':[],'res':['s']}},"               \
    "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}],"                       \
    "'routers':[" routers "],'policies':[{'id':'x','rules':[" rules "]}]}"
#define R_GROUP "{'id':'t1','net':'m','groups':['gR'],'metric':100}"
#define X_RULE "{'id':'x','proto':'all','src':['gC'],'dst':['gN']}"

static void of_two_routers_that_name_a_peer_the_later_counts(void **state)
{
    static const char account[] =
        RESOURCE(R_GROUP ",{'id':'t2','net':'m','peer':'A','metric':200,'masq':true}", X_RULE);

    (void)state;
    expect(account, "C", "routes",
           "[{'id':'s:A','netId':'lan','network':'10.0.0.0/8','type':1,'peer':'A','metric':200,"
           "'masq':true,'keep':true},{'id':'s:B','netId':'lan','network':'10.0.0.0/8','type':1,"
           "'peer':'B','metric':100,'keep':true}]");
    expect(account, "A", "routes",
           "[{'id':'s:A','netId':'lan','network':'10.0.0.0/8','type':1,'peer':'A','metric':200,"
           "'masq':true,'keep':true}]");
}

static void a_router_is_never_a_client_of_its_network(void **state)
{
    static const char account[] =
        RESOURCE(R_GROUP, "{'id':'x','proto':'all','src':['gAll'],'dst':['gN']}");

    (void)state;
    expect_ids(account, "A", "'s:A'");
    expect_each(account, "A", "rfw", "src", "['100.64.0.2/32', '100.64.0.3/32', '100.64.0.4/32']");
    expect_remotes(account, "A", "'B' 'C' 'D'");
    expect_ids(account, "C", "'s:A' 's:B'");
    expect_remotes(account, "C", "'A' 'B'");
    expect(account, "C", "fw", "[]");
    expect(account, "A", "fw", "[]");
}

static void without_a_rule_a_resource_is_nowhere(void **state)
{
    static const char none[] =
        RESOURCE(R_GROUP, "{'id':'x','proto':'all','src':['gC'],'dst':['gC']}");
    static const char off[] =
        RESOURCE(R_GROUP, "{'id':'x','proto':'all','src':['gC'],'dst':['gN'],'off':true}");

    (void)state;
    expect_ids(none, "A", "");
    expect_ids(none, "C", "");
    expect_ids(off, "A", "");
    expect_ids(off, "C", "");
    expect_remotes(off, "A", "");
}

static void a_router_or_a_resource_that_is_off_is_not_there(void **state)
{
    static const char router[] =
        RESOURCE("{'id':'t1','net':'m','groups':['gR'],'off':true}", X_RULE);
    static const char resource[] =
        "{" PEERS ",'groups':{'gN':{'peers':[],'res':['s']}},'resources':[{'id':'s','net':'m',"
        "'name':'lan','prefix':'10.0.0.0/8','off':true}],'routers':[{'id':'t','net':'m',"
        "'peer':'A'}],'policies':[{'id':'x','rules':[{'id':'x','proto':'all','src':['gAll'],"
        "'dst':['gN']},{'id':'y','proto':'all','src':['gAll'],'dstRes':['subnet','s']}]}]}";

    (void)state;
    expect_ids(router, "A", "");
    expect_ids(router, "C", "");
    expect_ids(resource, "A", "");
    expect_remotes(resource, "C", "");
}

static void a_rule_may_name_the_resource_and_a_peer(void **state)
{
    static const char account[] = RESOURCE(
        R_GROUP,
        "{'id':'x','proto':'udp','srcRes':['peer','D'],'dstRes':['subnet','s'],'ports':['53']}");

    (void)state;
    expect_ids(account, "D", "'s:A' 's:B'");
    expect_ids(account, "C", "");
    expect(account, "B", "rfw",
           "[{'policy':'x','route':'s:B','src':['100.64.0.4/32'],'action':'accept',"
           "'dst':'10.0.0.0/8','proto':'udp','port':53}]");
}

static void posture_counts_for_a_peer_named_directly_too(void **state)
{
    static const char account[] =
        "{'peers':{'A':{},'C':{'version':'0.20.0'}},'posture':{'v':{'nbMinVersion':'0.30.0'}},"
        "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}],"
        "'routers':[{'id':'t','net':'m','peer':'A'}],'policies':[{'id':'x','checks':['v'],"
        "'rules':[{'id':'x','proto':'all','srcRes':['peer','C'],'dstRes':['subnet','s']}]}]}";

    (void)state;
    expect_ids(account, "A", "'s:A'");
    expect(account, "A", "rfw", "[]");
    expect_ids(account, "C", "");
    expect_remotes(account, "A", "");
}

static void ssh_to_a_resource_leads_there_but_lets_nobody_through(void **state)
{
    static const char account[] =
        RESOURCE(R_GROUP, "{'id':'x','proto':'netbird-ssh','src':['gC'],'dst':['gN']}");

    (void)state;
    expect_ids(account, "C", "'s:A' 's:B'");
    expect(account, "A", "rfw", "[]");
}

static void a_resource_rule_without_sources_is_not_sent(void **state)
{
    static const char account[] = RESOURCE("{'id':'t1','net':'m','peer':'A'}",
                                           "{'id':'x','proto':'all','src':['gone'],'dst':['gN']}");

    (void)state;
    expect_ids(account, "A", "'s:A'");
    expect(account, "A", "rfw", "[]");
}

static void the_whole_internet_as_a_resource_has_its_twin(void **state)
{
    static const char account[] =
        "{" PEERS6 ",'resources':[{'id':'s','net':'m','name':'out','prefix':'0.0.0.0/0'}],"
        "'routers':[{'id':'t','net':'m','peer':'A','metric':5}],'policies':[{'id':'x','rules':["
        "{'id':'x','proto':'all','src':['gAll'],'dstRes':['subnet','s']}]}]}";

    (void)state;
    expect_ids(account, "B", "'s:A' 's:A-v6-default'");
    expect_ids(account, "C", "'s:A'");
    expect(account, "A", "rfw",
           "[{'policy':'x','route':'s:A','src':['100.64.0.2/32','100.64.0.3/32'],"
           "'action':'accept','dst':'0.0.0.0/0','proto':'all'},"
           "{'policy':'x','route':'s:A-v6-default','src':['fd00:1:2:3::b/128'],"
           "'action':'accept','dst':'::/0','proto':'all'}]");
}

static void who_waits_for_approval_is_neither_router_nor_client(void **state)
{
    static const char account[] =
        "{" PEERS ",'unapproved':['B','D'],'groups':{'gR':['A','B']},"
        "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}],"
        "'routers':[{'id':'t','net':'m','groups':['gR']}],'policies':[{'id':'x','rules':["
        "{'id':'x','proto':'all','src':['gAll'],'dstRes':['subnet','s']}]}]}";

    (void)state;
    expect_ids(account, "C", "'s:A'");
    expect_remotes(account, "C", "'A'");
    expect_remotes(account, "A", "'C'");
    expect_each(account, "A", "rfw", "src", "['100.64.0.3/32']");
}

/* --- the list of peers ---------------------------------------------------------------------- */

#define EXPIRED "{'userId':'u','loginExpirationEnabled':true,'lastLoginAgeHours':30}"

static void
whom_only_a_resource_needs_is_online_and_whom_a_policy_shows_expired_is_not(void **state)
{
    static const char needed[] =
        "{'peers':{'A':{},'B':" EXPIRED "},'resources':[{'id':'s','net':'m','name':'lan',"
        "'prefix':'10.0.0.0/8'}],'routers':[{'id':'t','net':'m','peer':'A'}],'policies':["
        "{'id':'x','rules':[{'id':'x','proto':'all','srcRes':['peer','B'],"
        "'dstRes':['subnet','s']}]}]}";
    static const char shown[] =
        "{'peers':{'A':{},'B':" EXPIRED "},'resources':[{'id':'s','net':'m','name':'lan',"
        "'prefix':'10.0.0.0/8'}],'routers':[{'id':'t','net':'m','peer':'A'}]," PING
        ",{'id':'x','rules':[{'id':'x','proto':'all','srcRes':['peer','B'],"
        "'dstRes':['subnet','s']}]}]}";

    (void)state;
    expect_remotes(needed, "A", "'B'");
    expect(needed, "A", "offline", "[]");
    expect_remotes(shown, "A", "");
    expect(shown, "A", "offline", "[{'p':'B','ips':['100.64.0.2/32']}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_comes_only_from_routers_that_the_peer_is_connected_to),
        cmocka_unit_test(
            an_advertiser_gets_no_copy_of_those_that_back_it_up_even_when_its_own_is_off),
        cmocka_unit_test(domains_tell_apart_what_backs_up_what),
        cmocka_unit_test(an_expired_router_has_no_routes_for_others),
        cmocka_unit_test(an_unapproved_router_has_no_routes_and_no_name),
        cmocka_unit_test(ipv6_networks_are_for_those_with_ipv6),
        cmocka_unit_test(routes_are_in_the_order_of_their_ids_and_then_of_their_routers),
        cmocka_unit_test(what_is_not_there_is_ignored),
        cmocka_unit_test(a_domain_route_without_access_groups_lets_both_families_through),
        cmocka_unit_test(a_source_must_be_in_the_distribution_groups),
        cmocka_unit_test(a_rule_that_admits_nobody_is_sent_without_sources),
        cmocka_unit_test(a_range_is_sent_as_one_whatever_the_agents_version),
        cmocka_unit_test(
            an_ssh_rule_a_rule_that_is_off_and_a_policy_that_is_off_let_nobody_through),
        cmocka_unit_test(only_the_rule_that_names_the_access_group_counts),
        cmocka_unit_test(a_peer_named_directly_is_a_source),
        cmocka_unit_test(
            a_failed_check_of_one_peer_opens_nothing_and_leaves_dropped_what_is_dropped),
        cmocka_unit_test(whom_the_router_cannot_see_it_does_not_admit),
        cmocka_unit_test(the_router_of_a_network_sees_the_others_when_it_guards_a_route),
        cmocka_unit_test(an_ipv6_network_has_ipv6_sources_and_an_exit_node_both),
        cmocka_unit_test(of_two_routers_that_name_a_peer_the_later_counts),
        cmocka_unit_test(a_router_is_never_a_client_of_its_network),
        cmocka_unit_test(without_a_rule_a_resource_is_nowhere),
        cmocka_unit_test(a_router_or_a_resource_that_is_off_is_not_there),
        cmocka_unit_test(a_rule_may_name_the_resource_and_a_peer),
        cmocka_unit_test(posture_counts_for_a_peer_named_directly_too),
        cmocka_unit_test(ssh_to_a_resource_leads_there_but_lets_nobody_through),
        cmocka_unit_test(a_resource_rule_without_sources_is_not_sent),
        cmocka_unit_test(the_whole_internet_as_a_resource_has_its_twin),
        cmocka_unit_test(who_waits_for_approval_is_neither_router_nor_client),
        cmocka_unit_test(
            whom_only_a_resource_needs_is_online_and_whom_a_policy_shows_expired_is_not),
    };

    return RUN_TESTS(tests);
}
