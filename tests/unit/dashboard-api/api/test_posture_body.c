#include "services/dashboard-api/api/posture_body.h"
#include "tests/support/test.h"

struct decoded {
    struct rk_arena *arena;
    struct body body;
    struct rk_posture_input in;
};

static int decode(struct decoded *d, const char *text)
{
    struct rk_err err = { 0 };

    d->arena = rk_arena_new(1 << 20);
    d->body = (struct body){ 0 };
    return posture_body_decode(rk_str(text), d->arena, &d->body, &d->in, &err);
}

static void decoded_done(struct decoded *d)
{
    body_done(&d->body);
    rk_arena_free(d->arena);
}

static void what_is_null_or_missing_is_no_check(void **state)
{
    static const char *const texts[] = {
        "{}", "{\"checks\":null}", "{\"checks\":{}}",
        ("{\"checks\":{\"nb_version_check\":null,\"os_version_check\":null,\"geo_location_check\":"
         "null,\"peer_network_range_check\":null,\"process_check\":null}}")
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(texts); i++) {
        struct decoded d;

        assert_int_equal(decode(&d, texts[i]), 0);
        assert_null(d.in.nb_min);
        assert_false(d.in.has_os || d.in.has_geo || d.in.has_ranges || d.in.has_processes);
        assert_string_equal(d.in.name, "");
        decoded_done(&d);
    }
}

static void an_empty_check_is_one(void **state)
{
    struct decoded d;

    (void)state;
    assert_int_equal(decode(&d, "{\"checks\":{\"nb_version_check\":{},\"os_version_check\":{"
                                "\"linux\":{}},\"geo_location_check\":{},"
                                "\"peer_network_range_check\":{},\"process_check\":{}}}"),
                     0);
    assert_string_equal(d.in.nb_min, "");
    assert_string_equal(d.in.os_min[RK_OS_LINUX], "");
    assert_null(d.in.os_min[RK_OS_IOS]);
    assert_true(d.in.has_os && d.in.has_geo && d.in.has_ranges && d.in.has_processes);
    assert_string_equal(d.in.geo_action, "");
    assert_int_equal(d.in.places_n + d.in.ranges_n + d.in.processes_n, 0);
    decoded_done(&d);
}

static void everything_finds_its_place(void **state)
{
    struct decoded d;

    (void)state;
    assert_int_equal(
        decode(&d, "{\"NAME\":\"n\",\"description\":\"d\",\"checks\":{\"os_version_check\":{"
                   "\"android\":{\"min_version\":\"1\"},\"darwin\":{\"min_version\":\"2\"},"
                   "\"ios\":{\"min_version\":\"3\"},\"linux\":{\"min_kernel_version\":\"4\"},"
                   "\"windows\":{\"min_kernel_version\":\"5\"}},\"geo_location_check\":{\"action\":"
                   "\"deny\",\"locations\":[{\"country_code\":\"DE\"},{\"country_code\":\"AT\","
                   "\"city_name\":\"Wien\"},null]},\"peer_network_range_check\":{\"action\":"
                   "\"allow\",\"ranges\":[\"b\",\"a\"]},\"process_check\":{\"processes\":[{"
                   "\"mac_path\":\"/m\"}]}}}"),
        0);
    assert_string_equal(d.in.name, "n");
    assert_string_equal(d.in.os_min[RK_OS_ANDROID], "1");
    assert_string_equal(d.in.os_min[RK_OS_DARWIN], "2");
    assert_string_equal(d.in.os_min[RK_OS_IOS], "3");
    assert_string_equal(d.in.os_min[RK_OS_LINUX], "4");
    assert_string_equal(d.in.os_min[RK_OS_WINDOWS], "5");
    assert_int_equal(d.in.places_n, 3);
    assert_string_equal(d.in.places[0].city, "");
    assert_string_equal(d.in.places[1].city, "Wien");
    assert_string_equal(d.in.places[2].country, "");
    assert_string_equal(d.in.ranges_action, "allow");
    assert_true(rk_str_eq(d.in.ranges[0], RK_STR("b")));
    assert_string_equal(d.in.processes[0].mac_path, "/m");
    assert_string_equal(d.in.processes[0].linux_path, "");
    decoded_done(&d);
}

static void wrong_types_are_unreadable(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{\"name\":7}",
        "{\"checks\":[]}",
        "{\"checks\":{\"nb_version_check\":\"1\"}}",
        "{\"checks\":{\"nb_version_check\":{\"min_version\":1}}}",
        "{\"checks\":{\"os_version_check\":{\"linux\":\"5\"}}}",
        "{\"checks\":{\"geo_location_check\":{\"locations\":{}}}}",
        "{\"checks\":{\"geo_location_check\":{\"locations\":[\"DE\"]}}}",
        "{\"checks\":{\"peer_network_range_check\":{\"ranges\":[1]}}}",
        "{\"checks\":{\"process_check\":{\"processes\":[[]]}}}",
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(texts); i++) {
        struct decoded d;

        if (decode(&d, texts[i]) != RK_BAD_REQUEST)
            fail_msg("%s", texts[i]);
        decoded_done(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_null_or_missing_is_no_check),
        cmocka_unit_test(an_empty_check_is_one),
        cmocka_unit_test(everything_finds_its_place),
        cmocka_unit_test(wrong_types_are_unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
