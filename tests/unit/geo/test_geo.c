/* Looking addresses up, the lists, and a file that changes under us. */

#include "tests/support/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "libcommon/geo/geo.h"
#include "tests/support/mmdb.h"

static const struct mmdb_row rows[] = {
    { "192.0.2.0/25", "DE", "Germany", "Berlin", 2950159, 52.5244, 13.4105 },
    { "192.0.2.128/25", "DE", "Germany", "Aachen", 3247449, 0, 0 },
    { "198.51.100.0/24", "AT", "Austria", NULL, 0, 0, 0 },
    { "203.0.113.0/24", NULL, NULL, "Nowhere", 7, 91, 0 },
    { "203.0.112.0/24", "DE", "Germany", "Berlin", 2950159, 0, 0 }, /* the same place again */
    { "203.0.111.0/24", "DE", "Germany", "Berlin", 6547539, 0, 0 }, /* another of that name */
    { "203.0.110.0/24", "x1", "Neverland", "Lost", 8, 0, 0 },       /* a code that is none */
    { "2001:db8::/32", "CH", "Switzerland", "Z\xc3\xbcrich", 2657896, 0, 0 },
};

static char dir[] = "/tmp/geo-XXXXXX";
static char path[64];

static int start(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/city.mmdb", dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void put(size_t n, uint32_t built)
{
    struct rk_buf b;

    mmdb_make(rows, n, built, &b);
    mmdb_replace(path, rk_buf_str(&b));
    rk_buf_done(&b);
}

static struct rk_geo *loaded(bool lists)
{
    struct rk_geo *g;
    struct rk_err err = { 0 };

    put(RK_COUNT(rows), 1000);
    g = rk_geo_new(path, lists);
    if (rk_geo_refresh(g, &err) != RK_GEO_LOADED)
        fail_msg("%s", err.msg);
    return g;
}

static void without_a_file_nothing_is_known(void **state)
{
    static const char *const none[] = { NULL, "" };
    struct rk_geo_place at;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(none); i++) {
        rk_auto(rk_geo_free) struct rk_geo *g = rk_geo_new(none[i], true);

        assert_int_equal(rk_geo_refresh(g, NULL), RK_GEO_SAME);
        assert_false(rk_geo_loaded(g));
        assert_false(rk_geo_lookup(g, "192.0.2.1", &at));
        assert_string_equal(at.country, "");
        assert_null(rk_geo_lists_ref(g));
        assert_int_equal(rk_geo_built_s(g), 0);
    }
}

static void addresses_of_both_families_are_found(void **state)
{
    static const struct {
        const char *ip, *country, *city;
        uint32_t id;
    } cases[] = {
        { "192.0.2.7", "DE", "Berlin", 2950159 },
        { "::ffff:192.0.2.200", "DE", "Aachen", 3247449 },
        { "198.51.100.255", "AT", "", 0 },
        { "203.0.113.1", "", "Nowhere", 7 },
        { "203.0.110.1", "", "Lost", 8 },
        { "2001:db8:1::5", "CH", "Z\xc3\xbcrich", 2657896 },
    };
    rk_auto(rk_geo_free) struct rk_geo *g = loaded(false);
    struct rk_geo_place at;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        assert_true(rk_geo_lookup(g, cases[i].ip, &at));
        assert_string_equal(at.country, cases[i].country);
        assert_string_equal(at.city, cases[i].city);
        assert_string_equal(at.continent, "EU");
        assert_int_equal(at.geoname_id, cases[i].id);
    }
    assert_true(rk_geo_lookup(g, "192.0.2.7", &at));
    assert_true(at.located);
    assert_int_equal((int)(at.latitude * 10000), 525244);
    assert_int_equal((int)(at.longitude * 10000), 134105);
    assert_true(rk_geo_lookup(g, "203.0.113.1", &at)); /* at 91 degrees */
    assert_false(at.located);
    assert_true(rk_geo_lookup(g, "198.51.100.255", &at));
    assert_false(at.located);
    assert_false(rk_geo_lookup(g, "10.0.0.1", &at));
    assert_false(rk_geo_lookup(g, "2001:db9::1", &at));
    assert_false(rk_geo_lookup(g, "", &at));
    assert_false(rk_geo_lookup(g, "192.0.2.7:80", &at));
    assert_null(rk_geo_lists_ref(g));
}

static void countries_and_cities_are_listed_by_name_each_once(void **state)
{
    rk_auto(rk_geo_free) struct rk_geo *g = loaded(true);
    rk_auto(rk_geo_lists_unref) struct rk_geo_lists *l = rk_geo_lists_ref(g);
    const struct rk_geo_country *c;
    size_t n;

    (void)state;
    assert_non_null(l);
    c = rk_geo_countries(l, &n);
    assert_int_equal(n, 3);
    assert_string_equal(c[0].name, "Austria");
    assert_int_equal(c[0].cities_n, 0);
    assert_string_equal(c[1].name, "Germany");
    assert_string_equal(c[1].code, "DE");
    assert_int_equal(c[1].cities_n, 3);
    assert_string_equal(c[1].cities[0].name, "Aachen");
    assert_string_equal(c[1].cities[1].name, "Berlin");
    assert_int_equal(c[1].cities[1].geoname_id, 2950159);
    assert_int_equal(c[1].cities[2].geoname_id, 6547539);
    assert_string_equal(c[2].name, "Switzerland");
    assert_ptr_equal(rk_geo_country_find(l, RK_STR("DE")), &c[1]);
    assert_ptr_equal(rk_geo_country_find(l, RK_STR("de")), &c[1]);
    assert_null(rk_geo_country_find(l, RK_STR("FR")));
}

static void lists_outlive_the_database_they_came_from(void **state)
{
    rk_auto(rk_geo_free) struct rk_geo *g = loaded(true);
    rk_auto(rk_geo_lists_unref) struct rk_geo_lists *l = rk_geo_lists_ref(g);
    struct rk_err err = { 0 };
    size_t n;

    (void)state;
    put(1, 2000);
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_LOADED);
    (void)rk_geo_countries(l, &n);
    assert_int_equal(n, 3);
}

static void another_file_takes_over_and_the_same_does_not(void **state)
{
    rk_auto(rk_geo_free) struct rk_geo *g = loaded(false);
    struct rk_geo_place at;
    struct rk_err err = { 0 };
    struct rk_buf b;

    (void)state;
    assert_int_equal(rk_geo_built_s(g), 1000);
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_SAME);
    put(1, 2000);
    assert_int_equal(rk_geo_built_s(g), 1000);
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_LOADED);
    assert_int_equal(rk_geo_built_s(g), 2000);
    assert_true(rk_geo_lookup(g, "192.0.2.1", &at));
    assert_false(rk_geo_lookup(g, "198.51.100.1", &at));
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_SAME);

    /* Overwritten in place, which would pull the ground from under a mapping. */
    mmdb_save(path, RK_STR("short"));
    assert_true(rk_geo_lookup(g, "192.0.2.1", &at));
    assert_int_equal(rk_geo_refresh(g, &err), RK_INVALID);
    mmdb_make(rows, RK_COUNT(rows), 3000, &b);
    mmdb_save(path, rk_buf_str(&b));
    rk_buf_done(&b);
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_LOADED);
    assert_int_equal(rk_geo_built_s(g), 3000);
}

static void a_broken_or_missing_file_is_said_once_and_the_old_one_stays(void **state)
{
    rk_auto(rk_geo_free) struct rk_geo *g = loaded(true);
    struct rk_geo_place at;
    struct rk_err err = { 0 };
    struct rk_buf b;

    (void)state;
    mmdb_replace(path, RK_STR("<html>not what you asked for</html>"));
    assert_int_equal(rk_geo_refresh(g, &err), RK_INVALID);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_SAME);
    assert_true(rk_geo_lookup(g, "192.0.2.1", &at));

    assert_int_equal(unlink(path), 0);
    assert_int_equal(rk_geo_refresh(g, &err), RK_NOT_FOUND);
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_SAME);
    assert_true(rk_geo_lookup(g, "192.0.2.1", &at));

    /* Cut short, as a copy that did not finish. */
    mmdb_make(rows, RK_COUNT(rows), 2000, &b);
    mmdb_replace(path, rk_strn(b.p, b.n / 2));
    assert_int_equal(rk_geo_refresh(g, &err), RK_INVALID);
    /* Records of the tree that point past its end. */
    memset(b.p, 0xff, 6);
    mmdb_replace(path, rk_buf_str(&b));
    assert_int_equal(rk_geo_refresh(g, &err), RK_INVALID);
    rk_buf_done(&b);
    assert_int_equal(rk_geo_built_s(g), 1000);
    put(RK_COUNT(rows), 4000);
    assert_int_equal(rk_geo_refresh(g, &err), RK_GEO_LOADED);
    assert_int_equal(rk_geo_built_s(g), 4000);
}

/* Whatever is in the file, reading it ends, and ends well. */
static void flipped_bytes_do_no_harm(void **state)
{
    struct rk_buf b;
    uint32_t seed = 1;

    (void)state;
    mmdb_make(rows, RK_COUNT(rows), 1000, &b);
    for (int round = 0; round < 300; round++) {
        rk_auto(rk_geo_free) struct rk_geo *g = rk_geo_new(path, true);
        struct rk_geo_place at;
        uint8_t was[4];
        size_t where[4];

        for (size_t i = 0; i < RK_COUNT(was); i++) {
            seed = seed * 1664525 + 1013904223;
            where[i] = seed % b.n;
            was[i] = b.p[where[i]];
            b.p[where[i]] = (uint8_t)(seed >> 24);
        }
        mmdb_replace(path, rk_buf_str(&b));
        if (rk_geo_refresh(g, NULL) == RK_GEO_LOADED)
            for (size_t i = 0; i < RK_COUNT(rows); i++) {
                struct rk_prefix p;
                char ip[INET6_ADDRSTRLEN];

                assert_true(rk_prefix_parse(rk_str(rows[i].prefix), &p));
                assert_non_null(inet_ntop(p.family, p.addr, ip, sizeof(ip)));
                (void)rk_geo_lookup(g, ip, &at);
                assert_true(strlen(at.country) == 0 || strlen(at.country) == 2);
            }
        for (size_t i = RK_COUNT(was); i-- > 0;)
            b.p[where[i]] = was[i];
    }
    rk_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_nothing_is_known),
        cmocka_unit_test(addresses_of_both_families_are_found),
        cmocka_unit_test(countries_and_cities_are_listed_by_name_each_once),
        cmocka_unit_test(lists_outlive_the_database_they_came_from),
        cmocka_unit_test(another_file_takes_over_and_the_same_does_not),
        cmocka_unit_test(a_broken_or_missing_file_is_said_once_and_the_old_one_stays),
        cmocka_unit_test(flipped_bytes_do_no_harm),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
