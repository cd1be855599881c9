/* Codes of the audit trail. */

#include "tests/support/test.h"

#include "services/dashboard-api/api/activity.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_has_a_sentence_or_speaks_for_itself),
        cmocka_unit_test(a_kind_is_the_object_and_not_the_first_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
