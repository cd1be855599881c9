#include "tests/support/test.h"

/* Who may log in by SSH: each kind of rule. */

#include "tests/support/account_maps.h"

static void add_user(struct rk_delta *d, const char *id, bool active, const char *group)
{
    struct rk_user_row *u = (struct rk_user_row *)rk_row_new(RK_OBJ_USER, id);

    u->active = active;
    rows_ids_add(&u->auto_groups.v, &u->auto_groups.n, group);
    rows_add_object(d, &u->row);
}

/* Server "s" (SSH on, or not) and client "c"; users alice and bob in gDev, carol in gOps, eve
 * blocked. */
static struct rk_delta *world(struct rk_policy_row *p, bool ssh_enabled)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *servers = rows_group("gS", "gS"), *clients = rows_group("gC", "gC");
    struct rk_peer_row *s = rows_peer("s", 1);

    s->ssh_enabled = ssh_enabled;
    rows_add_account(d, rows_account());
    rows_add_peer(d, s);
    rows_add_peer(d, rows_peer("c", 2));
    rows_member(servers, "s");
    rows_member(clients, "c");
    rows_add_group(d, servers);
    rows_add_group(d, clients);
    rows_add_group(d, rows_group("gAll", "All"));
    add_user(d, "alice", true, "gDev");
    add_user(d, "bob", true, "gDev");
    add_user(d, "carol", true, "gOps");
    add_user(d, "eve", false, "gDev");
    rows_add_policy(d, p);
    return d;
}

static struct rk_rule *rule(struct rk_policy_row *p, enum rk_rule_protocol protocol)
{
    struct rk_rule *r = rows_rule(p, protocol, false);

    rows_source(r, "gC");
    rows_destination(r, "gS");
    return r;
}

static void authorize(struct rk_rule *r, const char *group, const char *local_user)
{
    struct rk_authorized *a;

    r->authorized = rk_realloc(r->authorized, (r->authorized_n + 1) * sizeof(*r->authorized));
    a = &r->authorized[r->authorized_n++];
    memset(a, 0, sizeof(*a));
    (void)rk_str_copy(rk_str(group), a->group, sizeof(a->group));
    if (local_user)
        rows_string(&a->local_users, local_user);
}

/* What `id` is told, as "<local user>=<number of users> ..." and whether its server runs. */
static void expect_at(const char *id, struct rk_delta *d, const char *want, bool runs)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, d);
    Management__SyncResponse *m = compile(s, id);
    Management__SSHAuth *a = m->networkmap->sshauth;
    char got[256] = "";
    struct rk_buf b;

    rk_buf_init(&b, sizeof(got));
    for (size_t i = 0; i < a->n_machine_users; i++)
        rk_buf_printf(&b, "%s%s=%zu", i ? " " : "", a->machine_users[i]->key,
                      a->machine_users[i]->value->n_indexes);
    assert_true(rk_str_copy(rk_buf_str(&b), got, sizeof(got)));
    rk_buf_done(&b);
    assert_string_equal(got, want);
    assert_int_equal(m->peerconfig->sshconfig->sshenabled, runs);
    assert_string_equal(a->useridclaim, "sub");
    done(m);
}

static void expect(struct rk_delta *d, const char *want, bool runs)
{
    expect_at("s", d, want, runs);
}

static void groups_let_in_their_active_users_as_whom_they_say(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rule(p, RK_PROTO_NETBIRD_SSH);

    (void)state;
    authorize(r, "gDev", "deploy");
    authorize(r, "gOps", NULL);
    authorize(r, "gNobody", "root");
    expect(world(p, false), "*=1 deploy=2", true);
}

static void the_group_of_everyone_is_every_active_user(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");

    (void)state;
    authorize(rule(p, RK_PROTO_NETBIRD_SSH), "gAll", NULL);
    expect(world(p, false), "*=3", true);
}

static void one_user_may_be_named_unless_blocked_or_unknown(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");

    (void)state;
    rows_set(&rule(p, RK_PROTO_NETBIRD_SSH)->authorized_user, "bob");
    expect(world(p, false), "*=1", true);
    p = rows_policy("pol");
    rows_set(&rule(p, RK_PROTO_NETBIRD_SSH)->authorized_user, "eve");
    expect(world(p, false), "", true);
    p = rows_policy("pol");
    rows_set(&rule(p, RK_PROTO_NETBIRD_SSH)->authorized_user, "who");
    expect(world(p, false), "", true);
}

static void a_rule_that_names_nobody_lets_in_everybody(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rule(p, RK_PROTO_NETBIRD_SSH);

    (void)state;
    r->action = RK_RULE_DROP; /* neither action nor sources matter */
    r->sources_n = 0;
    expect(world(p, false), "*=3", true);
}

static void ports_of_ssh_let_everybody_in_where_ssh_is_on(void **state)
{
    static const struct {
        enum rk_rule_protocol protocol;
        const char *port;
        uint16_t start, end;
        bool implied;
    } rows[] = {
        { RK_PROTO_ALL, NULL, 0, 0, true },         { RK_PROTO_TCP, "22", 0, 0, true },
        { RK_PROTO_TCP, "22022", 0, 0, true },      { RK_PROTO_TCP, NULL, 20, 30, true },
        { RK_PROTO_TCP, NULL, 22022, 22022, true }, { RK_PROTO_TCP, "2222", 0, 0, false },
        { RK_PROTO_TCP, NULL, 0, 0, false },        { RK_PROTO_UDP, "22", 0, 0, false },
        { RK_PROTO_ICMP, NULL, 0, 0, false },       { RK_PROTO_TCP, NULL, 23, 22021, false },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        for (int on = 0; on < 2; on++) {
            struct rk_policy_row *p = rows_policy("pol");
            struct rk_rule *r = rule(p, rows[i].protocol);

            if (rows[i].port)
                rows_port(r, rows[i].port);
            if (rows[i].end)
                rows_range(r, rows[i].start, rows[i].end);
            expect(world(p, on), rows[i].implied && on ? "*=3" : "", on);
        }
    }
}

static void a_source_is_told_nothing_of_it(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rule(p, RK_PROTO_NETBIRD_SSH);

    (void)state;
    r->bidirectional = true;
    expect_at("c", world(p, false), "", false);
}

static void a_rule_switched_off_lets_nobody_in(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");

    (void)state;
    rule(p, RK_PROTO_NETBIRD_SSH)->enabled = false;
    expect(world(p, false), "", false);
    p = rows_policy("pol");
    (void)rule(p, RK_PROTO_NETBIRD_SSH);
    p->enabled = false;
    expect(world(p, false), "", false);
}

static void rules_add_up(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");

    (void)state;
    authorize(rule(p, RK_PROTO_NETBIRD_SSH), "gDev", "deploy");
    authorize(rule(p, RK_PROTO_NETBIRD_SSH), "gOps", "deploy");
    expect(world(p, false), "deploy=3", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_let_in_their_active_users_as_whom_they_say),
        cmocka_unit_test(the_group_of_everyone_is_every_active_user),
        cmocka_unit_test(one_user_may_be_named_unless_blocked_or_unknown),
        cmocka_unit_test(a_rule_that_names_nobody_lets_in_everybody),
        cmocka_unit_test(ports_of_ssh_let_everybody_in_where_ssh_is_on),
        cmocka_unit_test(a_source_is_told_nothing_of_it),
        cmocka_unit_test(a_rule_switched_off_lets_nobody_in),
        cmocka_unit_test(rules_add_up),
    };

    return RUN_TESTS(tests);
}
