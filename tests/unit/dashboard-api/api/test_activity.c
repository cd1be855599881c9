/* Codes of the audit trail. */

#include "tests/support/test.h"

#include "services/dashboard-api/api/activity.h"

#include <jansson.h>

static void a_code_has_a_sentence_or_speaks_for_itself(void **state)
{
    (void)state;
    assert_string_equal(activity_label("group.add"), "Group created");
    assert_string_equal(activity_label("something.new"), "something.new");
    assert_true(activity_known(RK_STR("group.add")));
    assert_false(activity_known(RK_STR("group")));
    assert_false(activity_known(RK_STR("")));
}

static bool has(const char *kind, const char *code)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_str *codes;
    size_t n = activity_codes_of(rk_str(kind), a, &codes);

    for (size_t i = 0; i < n; i++)
        if (rk_str_eq(codes[i], rk_str(code)))
            return true;
    return false;
}

static void a_kind_is_the_object_and_not_the_first_word(void **state)
{
    (void)state;
    assert_true(has("peer", "user.peer.delete"));
    assert_true(has("peer", "peer.group.add"));
    assert_false(has("user", "user.peer.delete"));
    assert_true(has("user", "service.user.create"));
    assert_false(has("service", "service.user.create"));
    assert_true(has("service", "service.create"));
    assert_true(has("zone_record", "dns.zone.record.create"));
    assert_false(has("zone", "dns.zone.record.create"));
    assert_true(has("group", "resource.group.add"));
    assert_false(has("nothing", "group.add"));
    assert_false(has("", "group.add"));
}

/* A tool that was made from the description stops at a code that is not in it. */
static void the_description_has_every_code(void **state)
{
    json_t *doc = json_load_file(RK_SOURCE_DIR "/services/dashboard-api/openapi.json", 0, NULL);
    json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");
    json_t *event = json_object_get(json_object_get(schemas, "Event"), "properties");
    json_t *codes = json_object_get(json_object_get(event, "activity_code"), "enum"), *code;
    size_t at, n = 0;

    (void)state;
    for (const char *c = activity_code(0); c; c = activity_code(++n)) {
        bool found = false;

        json_array_foreach(codes, at, code) found |= strcmp(json_string_value(code), c) == 0;
        if (!found)
            fail_msg("%s is not in openapi.json", c);
    }
    assert_int_equal(json_array_size(codes), n);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_has_a_sentence_or_speaks_for_itself),
        cmocka_unit_test(a_kind_is_the_object_and_not_the_first_word),
        cmocka_unit_test(the_description_has_every_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
