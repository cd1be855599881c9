#include "tests/support/test.h"

/* Posture checks, a table for each kind. */

#include "libcommon/account/model/posture.h"
#include "tests/support/account_rows.h"

static struct rk_peer_row *peer(void)
{
    return rows_peer("p", 1);
}

static struct rk_posture_row *posture(void)
{
    struct rk_posture_row *c = (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, "pc");

    c->nb_min = rk_strdup("");
    return c;
}

static void done(struct rk_posture_row *c, struct rk_peer_row *p)
{
    rk_row_unref(&c->row);
    rk_peer_row_unref(p);
}

static void a_check_without_parts_passes_everyone(void **state)
{
    struct rk_posture_row *c = posture();
    struct rk_peer_row *p = peer();

    (void)state;
    assert_true(rk_posture_passes(c, p));
    done(c, p);
}

static void the_agents_version_is_cut_and_development_fails(void **state)
{
    static const struct {
        const char *version, *min;
        bool passes;
    } rows[] = {
        { "0.60.1", "0.30.0", true },
        { "0.29.0", "0.30.0", false },
        { "0.30.0", "0.30.0", true },
        { "0.60.0-rc1", "0.60.0", true },
        { "0.60.0rc1", "0.60.0", false },
        { "0.60.0", "0.60.0-rc1", true },
        { "development", "0.0.1", false },
        { "ci-8f3c2a", "0.0.1", false },
        { "dev-8f3c2a", "0.0.1", false },
        { "8f3c2a1b", "0.0.1", false },
        { "", "0.0.1", false },
        { "0.60.0", "", false },
        { "v0.60.0", "0.60", true },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_posture_row *c = posture();
        struct rk_peer_row *p = peer();

        c->has_nb_version = true;
        rows_set(&c->nb_min, rows[i].min);
        rows_set(&p->version, rows[i].version);
        if (rk_posture_passes(c, p) != rows[i].passes)
            fail_msg("%s against %s", rows[i].version, rows[i].min);
        if (!rows[i].passes)
            assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_NB_VERSION);
        done(c, p);
    }
}

static void each_system_has_its_own_version_to_look_at(void **state)
{
    static const struct {
        const char *goos, *os_version, *kernel_version;
        bool passes;
    } rows[] = {
        { "android", "13", "x", true },
        { "android", "12.9", "99", false },
        { "darwin", "14.2.1", "x", true },
        { "darwin", "13.9", "x", false },
        { "darwin", "14.5-beta", "x", false },
        { "linux", "x", "6.1.0-18-amd64", true }, /* cut */
        { "linux", "99", "6.0.9-arch", false },
        { "linux", "99", "unknown", false },
        { "windows", "x", "10.0.19045.3448", true },
        { "windows", "x", "10.0.19045-1", false }, /* not cut: a pre-release */
        { "windows", "x", "10.0.19044", false },
        { "ios", "99", "99", false },  /* nothing configured for it */
        { "freebsd", "1", "1", true }, /* cannot be configured */
        { "", "", "", true },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_posture_row *c = posture();
        struct rk_peer_row *p = peer();

        c->has_os_version = true;
        c->os_min[RK_OS_ANDROID] = rk_strdup("13");
        c->os_min[RK_OS_DARWIN] = rk_strdup("14.0");
        c->os_min[RK_OS_LINUX] = rk_strdup("6.1");
        c->os_min[RK_OS_WINDOWS] = rk_strdup("10.0.19045");
        rows_set(&p->goos, rows[i].goos);
        rows_set(&p->os_version, rows[i].os_version);
        rows_set(&p->kernel_version, rows[i].kernel_version);
        if (rk_posture_passes(c, p) != rows[i].passes)
            fail_msg("%s %s %s", rows[i].goos, rows[i].os_version, rows[i].kernel_version);
        if (!rows[i].passes)
            assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_OS_VERSION);
        done(c, p);
    }
}

static void the_first_location_that_matches_decides(void **state)
{
    static const struct {
        const char *country, *city;
        bool allowed, denied; /* with action allow, with action deny */
    } rows[] = {
        { "DE", "Berlin", true, false }, { "DE", "Bonn", false, true },
        { "FR", "", true, false },       { "FR", "Paris", true, false },
        { "US", "Boston", false, true }, { "de", "Berlin", false, true }, /* case counts */
        { "", "", false, false },        { "", "Berlin", false, true },
        { "DE", "berlin", false, true },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        for (int allow = 0; allow < 2; allow++) {
            struct rk_posture_row *c = posture();
            struct rk_peer_row *p = peer();
            bool want = allow ? rows[i].allowed : rows[i].denied;

            c->has_geo = true;
            c->geo_allow = allow;
            c->locations = rk_new_array(struct rk_geo_location, 2);
            c->locations[0] = (struct rk_geo_location){ rk_strdup("DE"), rk_strdup("Berlin") };
            c->locations[1] = (struct rk_geo_location){ rk_strdup("FR"), rk_strdup("") };
            c->locations_n = 2;
            rows_set(&p->country_code, rows[i].country);
            rows_set(&p->city_name, rows[i].city);
            if (rk_posture_passes(c, p) != want)
                fail_msg("%s/%s, allow %d", rows[i].country, rows[i].city, allow);
            if (!want)
                assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_GEO);
            done(c, p);
        }
    }
}

static void any_address_inside_any_range_decides(void **state)
{
    static const struct {
        const char *network, *other, *connection;
        bool allowed, denied;
    } rows[] = {
        { "192.168.1.5/24", NULL, "", true, false },
        { "192.168.0.0/15", NULL, "", false, true }, /* wider than the range */
        { "192.168.0.0/16", NULL, "", true, false }, /* the range itself */
        { "10.0.0.1/8", NULL, "", false, true },
        { "10.0.0.1/8", "192.168.1.5/24", "", true, false },
        { NULL, NULL, "192.168.3.4", true, false },
        { NULL, NULL, "::ffff:192.168.3.4", true, false },
        { NULL, NULL, "8.8.8.8", false, true },
        { "fd00:1::5/64", NULL, "", true, false },
        { "fd00:2::5/64", NULL, "", false, true },
        { "10.0.0.1/8", NULL, "fd00:1::9", true, false },
        { NULL, NULL, "", false, false }, /* nothing known */
        { "nonsense", NULL, "", false, false },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        for (int allow = 0; allow < 2; allow++) {
            struct rk_posture_row *c = posture();
            struct rk_peer_row *p = peer();
            bool want = allow ? rows[i].allowed : rows[i].denied;

            c->has_ranges = true;
            c->ranges_allow = allow;
            c->ranges = rk_new_array(struct rk_prefix, 2);
            c->ranges_n = 2;
            assert_true(rk_prefix_parse(RK_STR("192.168.7.7/16"), &c->ranges[0]));
            assert_true(rk_prefix_parse(RK_STR("fd00:1::/32"), &c->ranges[1]));
            if (rows[i].network)
                rows_string(&p->networks, rows[i].network);
            if (rows[i].other)
                rows_string(&p->networks, rows[i].other);
            rows_set(&p->location_ip, rows[i].connection);
            if (rk_posture_passes(c, p) != want)
                fail_msg("row %zu, allow %d", i, allow);
            if (!want)
                assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_NETWORK_RANGE);
            done(c, p);
        }
    }
}

static void every_process_must_run_under_the_path_of_the_system(void **state)
{
    static const struct {
        const char *goos, *first, *second;
        bool passes;
    } rows[] = {
        { "linux", "/bin/a", "/bin/b", true },    { "linux", "/bin/b", "/bin/a", true },
        { "linux", "/bin/a", NULL, false },       { "linux", NULL, NULL, false },
        { "linux", "/bin/A", "/bin/b", false },   { "darwin", "/App/a", "/App/b", true },
        { "windows", "C:\\a", "C:\\b", false }, /* the second has no path there */
        { "freebsd", "/bin/a", "/bin/b", false }, { "", "/bin/a", "/bin/b", false },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_posture_row *c = posture();
        struct rk_peer_row *p = peer();

        c->has_processes = true;
        c->processes = rk_new_array(struct rk_posture_process, 2);
        c->processes_n = 2;
        c->processes[0] = (struct rk_posture_process){ rk_strdup("/bin/a"), rk_strdup("/App/a"),
                                                       rk_strdup("C:\\a") };
        c->processes[1] =
            (struct rk_posture_process){ rk_strdup("/bin/b"), rk_strdup("/App/b"), rk_strdup("") };
        rows_set(&p->goos, rows[i].goos);
        if (rows[i].first)
            rows_string(&p->processes, rows[i].first);
        if (rows[i].second)
            rows_string(&p->processes, rows[i].second);
        if (rk_posture_passes(c, p) != rows[i].passes)
            fail_msg("row %zu", i);
        if (!rows[i].passes)
            assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_PROCESS);
        done(c, p);
    }
}

static void all_parts_must_pass(void **state)
{
    struct rk_posture_row *c = posture();
    struct rk_peer_row *p = peer();

    (void)state;
    c->has_nb_version = true;
    rows_set(&c->nb_min, "0.30.0");
    c->has_geo = true;
    c->geo_allow = false;
    rows_set(&p->country_code, "DE");
    assert_true(rk_posture_passes(c, p));
    rows_set(&p->version, "0.29.0");
    assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_NB_VERSION);
    rows_set(&p->version, "0.31.0");
    rows_set(&p->country_code, "");
    assert_int_equal(rk_posture_failing(c, p), RK_POSTURE_GEO);
    done(c, p);
}

static void peers_are_the_same_to_checks_until_something_they_look_at_differs(void **state)
{
    struct rk_peer_row *a = peer(), *b = peer();
    char **fields[] = { &b->version,     &b->goos,         &b->os_version, &b->kernel_version,
                        &b->location_ip, &b->country_code, &b->city_name };

    (void)state;
    rows_set(&b->ssh_key, "other");
    assert_true(rk_posture_same_peer(a, b));
    for (size_t i = 0; i < RK_COUNT(fields); i++) {
        char *was = rk_strdup(*fields[i]);

        rows_set(fields[i], "changed");
        assert_false(rk_posture_same_peer(a, b));
        rows_set(fields[i], was);
        free(was);
    }
    rows_string(&b->networks, "10.0.0.1/8");
    assert_false(rk_posture_same_peer(a, b));
    rows_string(&a->networks, "10.0.0.1/8");
    rows_string(&a->processes, "/bin/a");
    assert_false(rk_posture_same_peer(a, b));
    rows_string(&b->processes, "/bin/b");
    assert_false(rk_posture_same_peer(a, b));
    rk_peer_row_unref(a);
    rk_peer_row_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_without_parts_passes_everyone),
        cmocka_unit_test(the_agents_version_is_cut_and_development_fails),
        cmocka_unit_test(each_system_has_its_own_version_to_look_at),
        cmocka_unit_test(the_first_location_that_matches_decides),
        cmocka_unit_test(any_address_inside_any_range_decides),
        cmocka_unit_test(every_process_must_run_under_the_path_of_the_system),
        cmocka_unit_test(all_parts_must_pass),
        cmocka_unit_test(peers_are_the_same_to_checks_until_something_they_look_at_differs),
    };

    return RUN_TESTS(tests);
}
