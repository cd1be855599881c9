#include "services/dashboard-api/oauth/refresh_token.h"
#include "tests/support/test.h"

static const uint8_t family[REFRESH_ID_LEN] = "0123456789abcde";
static const uint8_t key[REFRESH_KEY_LEN] = "a key of thirty-two bytes, or so";

static void every_number_of_a_family_is_known_by_its_key(void **state)
{
    static const uint64_t numbers[] = { 0, 1, 255, 256, UINT64_MAX };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(numbers); i++) {
        char text[REFRESH_TOKEN_LEN + 1];
        struct refresh_token t;
        uint8_t other[REFRESH_KEY_LEN];

        refresh_token_write(family, numbers[i], key, text);
        assert_int_equal(strlen(text), REFRESH_TOKEN_LEN);
        assert_true(refresh_token_read(rk_str(text), &t));
        assert_memory_equal(t.family, family, REFRESH_ID_LEN);
        assert_true(t.generation == numbers[i]);
        assert_true(refresh_token_genuine(&t, key));
        memcpy(other, key, sizeof(other));
        other[31] ^= 1;
        assert_false(refresh_token_genuine(&t, other));
        t.generation++;
        assert_false(refresh_token_genuine(&t, key));
    }
}

static void a_changed_character_is_noticed(void **state)
{
    char text[REFRESH_TOKEN_LEN + 1];
    struct refresh_token t;

    (void)state;
    refresh_token_write(family, 7, key, text);
    for (size_t i = 0; i < REFRESH_TOKEN_LEN; i++) {
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        assert_false(refresh_token_read(rk_str(text), &t) && refresh_token_genuine(&t, key));
        text[i] = was;
    }
    assert_false(refresh_token_read(RK_STR(""), &t));
    assert_false(refresh_token_read(rk_strn(text, REFRESH_TOKEN_LEN - 1), &t));
}

static void the_newest_rotates_the_one_before_repeats_for_a_while_others_are_stolen(void **state)
{
    (void)state;
    assert_int_equal(refresh_judge(5, 5, 0), REFRESH_ROTATE);
    assert_int_equal(refresh_judge(5, 5, INT64_MAX), REFRESH_ROTATE);
    assert_int_equal(refresh_judge(4, 5, REFRESH_GRACE_MS - 1), REFRESH_REPEAT);
    assert_int_equal(refresh_judge(4, 5, REFRESH_GRACE_MS), REFRESH_REUSED);
    assert_int_equal(refresh_judge(3, 5, 0), REFRESH_REUSED);
    assert_int_equal(refresh_judge(6, 5, 0), REFRESH_REUSED);
    assert_int_equal(refresh_judge(UINT64_MAX, 0, 0), REFRESH_REUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_a_family_is_known_by_its_key),
        cmocka_unit_test(a_changed_character_is_noticed),
        cmocka_unit_test(the_newest_rotates_the_one_before_repeats_for_a_while_others_are_stolen),
    };

    return RUN_TESTS(tests);
}
