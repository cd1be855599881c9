#include "tests/support/test.h"

/* Which files an agent is told to look for: those of process checks that it may have to pass. */

#include "tests/support/account_maps.h"

static struct rk_row *check(const char *id, const char *linux_path, const char *windows_path)
{
    struct rk_posture_row *c = (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, id);

    c->nb_min = rk_strdup("");
    c->has_processes = true;
    c->processes = rk_new_array(struct rk_posture_process, 1);
    c->processes[0].linux_path = rk_strdup(linux_path);
    c->processes[0].mac_path = rk_strdup("");
    c->processes[0].windows_path = rk_strdup(windows_path);
    c->processes_n = 1;
    return &c->row;
}

/* From gC to gS, for those that pass the checks. */
static struct rk_policy_row *policy(const char *id, const char *check_id, const char *other)
{
    struct rk_policy_row *p = rows_policy(id);
    struct rk_rule *r = rows_rule(p, RK_PROTO_ALL, false);

    rows_ids_add(&p->posture_checks.v, &p->posture_checks.n, check_id);
    if (other)
        rows_ids_add(&p->posture_checks.v, &p->posture_checks.n, other);
    rows_source(r, "gC");
    rows_destination(r, "gS");
    return p;
}

/* "c" in gC, "s" in gS; nobody runs anything. */
static struct rk_delta *world(void)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *c = rows_group("gC", "gC"), *s = rows_group("gS", "gS");
    struct rk_posture_row *version =
        (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, "version");

    version->has_nb_version = true;
    version->nb_min = rk_strdup("0.1.0");
    rows_add_account(d, rows_account());
    rows_add_peer(d, rows_peer("c", 1));
    rows_add_peer(d, rows_peer("s", 2));
    rows_member(c, "c");
    rows_member(s, "s");
    rows_add_group(d, c);
    rows_add_group(d, s);
    rows_add_object(d, &version->row);
    rows_add_object(d, check("p1", "/bin/a", "C:\\a"));
    rows_add_object(d, check("p2", "/bin/b", ""));
    rows_add_object(d, check("p3", "", ""));
    return d;
}

/* The files of each entry, entries separated by ";". */
static void expect_text(Management__Checks **v, size_t n, const char *want)
{
    char got[256] = "";
    struct rk_buf b;

    rk_buf_init(&b, sizeof(got));
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < v[i]->n_files; k++)
            rk_buf_printf(&b, "%s%s", k ? " " : "", v[i]->files[k]);
        rk_buf_put_c(&b, ";");
    }
    assert_true(rk_str_copy(rk_buf_str(&b), got, sizeof(got)));
    rk_buf_done(&b);
    assert_string_equal(got, want);
}

/* At Login, and with every map. */
static void expect(const struct rk_snapshot *s, const char *id, const char *want)
{
    Management__SyncResponse *m = compile(s, id);
    Management__LoginResponse *login;
    struct rk_buf b;

    rk_buf_init(&b, 4096);
    rk_compile_checks(s, rk_snapshot_find_id(s, rk_str(id)), 3, &b);
    login = management__login_response__unpack(NULL, b.n, b.p);
    assert_non_null(login);
    expect_text(m->checks, m->n_checks, want);
    expect_text(login->checks, login->n_checks, want);
    management__login_response__free_unpacked(login, NULL);
    rk_buf_done(&b);
    done(m);
}

static void a_source_that_fails_is_told_what_to_look_for_and_others_are_not(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    struct rk_delta *d = world();

    (void)state;
    rows_add_policy(d, policy("pol1", "p1", "version"));
    s = rows_apply(NULL, d);
    expect(s, "c", "/bin/a C:\\a;"); /* of every system */
    expect(s, "s", "");
}

static void checks_come_once_each_and_those_without_files_not_at_all(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    struct rk_delta *d = world();

    (void)state;
    rows_add_policy(d, policy("pol1", "p2", "p1"));
    rows_add_policy(d, policy("pol2", "p1", "p3"));
    rows_add_policy(d, policy("pol3", "version", "gone"));
    s = rows_apply(NULL, d);
    expect(s, "c", "/bin/a C:\\a;/bin/b;");
}

static void what_is_switched_off_asks_for_nothing(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    struct rk_delta *d = world();
    struct rk_policy_row *off = policy("pol1", "p1", NULL), *rule_off = policy("pol2", "p2", NULL);

    (void)state;
    off->enabled = false;
    rule_off->rules[0].enabled = false;
    rows_add_policy(d, off);
    rows_add_policy(d, rule_off);
    s = rows_apply(NULL, d);
    expect(s, "c", "");
}

static void a_peer_named_directly_is_asked_for_nothing(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    struct rk_delta *d = world();
    struct rk_policy_row *p = policy("pol1", "p1", NULL);

    (void)state;
    p->rules[0].sources_n = 0;
    (void)rk_str_copy(RK_STR("c"), p->rules[0].source_peer, sizeof(p->rules[0].source_peer));
    rows_add_policy(d, p);
    s = rows_apply(NULL, d);
    expect(s, "c", "");
}

static void other_files_reach_the_sources_and_nobody_else(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL, *now = NULL;
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit = { NULL, 0 };
    struct rk_delta *first = world();

    (void)state;
    rows_add_policy(first, policy("pol1", "p1", NULL));
    s = rows_apply(NULL, first);
    d = rk_delta_new(ROWS_ACCOUNT, 2);
    rows_add_object(d, check("p1", "/bin/z", ""));
    now = rk_snapshot_apply(s, d);
    expect(now, "c", "/bin/z;");
    rk_snapshot_affected(s, now, &hit);
    assert_int_equal(rk_bitmap_count(&hit), 1);
    assert_true(rk_bitmap_test(&hit, rk_snapshot_find_id(now, RK_STR("c"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_that_fails_is_told_what_to_look_for_and_others_are_not),
        cmocka_unit_test(checks_come_once_each_and_those_without_files_not_at_all),
        cmocka_unit_test(what_is_switched_off_asks_for_nothing),
        cmocka_unit_test(a_peer_named_directly_is_asked_for_nothing),
        cmocka_unit_test(other_files_reach_the_sources_and_nobody_else),
    };

    return RUN_TESTS(tests);
}
