/* Subjects: vectors of a stock server, long ids, and what other providers call their users. */

#include "tests/support/test.h"

#include "libcommon/account/rules/subject.h"
#include "libcommon/base/attr.h"

static void a_subject_is_that_of_a_stock_server(void **state)
{
    char out[RK_USER_ID_MAX], user[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX];

    (void)state;
    assert_true(rk_subject_encode("7aad8c05-3287-473f-b42a-365504bf25e7", "local", out));
    assert_string_equal(out, "CiQ3YWFkOGMwNS0zMjg3LTQ3M2YtYjQyYS0zNjU1MDRiZjI1ZTcSBWxvY2Fs");
    assert_true(rk_subject_decode(out, user, connector));
    assert_string_equal(user, "7aad8c05-3287-473f-b42a-365504bf25e7");
    assert_string_equal(connector, RK_CONNECTOR_LOCAL);
}

static void an_id_of_any_length_comes_back(void **state)
{
    char id[RK_SUBJECT_PART_MAX], out[RK_USER_ID_MAX], user[RK_SUBJECT_PART_MAX],
        connector[RK_SUBJECT_PART_MAX];

    (void)state;
    for (size_t n = 1; n <= 255; n++) {
        memset(id, '?', n);
        id[n] = '\0';
        assert_true(rk_subject_encode(id, "d1e2f3a4b5c6d7e8f9g0", out));
        assert_null(strpbrk(out, "+/="));
        assert_true(rk_subject_decode(out, user, connector));
        assert_string_equal(user, id);
        assert_string_equal(connector, "d1e2f3a4b5c6d7e8f9g0");
    }
    memset(id, 'x', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    assert_true(rk_subject_encode(id, "local", out));
    assert_false(rk_subject_encode(id, id, out));
}

/* The stock server's own encoder uses the other alphabet, and pads. */
static void either_alphabet_is_read_with_or_without_padding(void **state)
{
    char url[RK_USER_ID_MAX], user[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX];
    char std[RK_USER_ID_MAX + 4];
    size_t n;

    (void)state;
    assert_true(rk_subject_encode("~~~???\xc3\xbf", "oidc", url));
    assert_non_null(strpbrk(url, "-_"));
    for (n = 0; url[n]; n++)
        std[n] = (char)(url[n] == '-' ? '+' : url[n] == '_' ? '/' : url[n]);
    while (n % 4)
        std[n++] = '=';
    std[n] = '\0';
    assert_true(rk_subject_decode(std, user, connector));
    assert_string_equal(user, "~~~???\xc3\xbf");
    assert_string_equal(connector, "oidc");
}

static void what_is_none_of_ours_is_not_decoded(void **state)
{
    static const char *const others[] = {
        "",
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "7aad8c05-3287-473f-b42a-365504bf25e7",
        "CiQ3YWFk",         /* cut off */
        "Cg",               /* no length */
        "CgFhEg",           /* no second length */
        "CgFhEgA",          /* an empty connector */
        "EgVsb2NhbA",       /* no user */
        "CgFhEgVsb2NhbBgB", /* a field that is no string */
        "CgH_EgVsb2NhbA",   /* not UTF-8 */
        "CgEAEgVsb2NhbA",   /* a NUL */
        "Cv___38",          /* a length past the end */
        "====",
    };
    char user[RK_SUBJECT_PART_MAX] = "kept", connector[RK_SUBJECT_PART_MAX] = "kept";

    (void)state;
    for (size_t i = 0; i < RK_COUNT(others); i++)
        if (rk_subject_decode(others[i], user, connector))
            fail_msg("%s was decoded", others[i]);
    assert_string_equal(user, "kept");
    assert_string_equal(connector, "kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subject_is_that_of_a_stock_server),
        cmocka_unit_test(an_id_of_any_length_comes_back),
        cmocka_unit_test(either_alphabet_is_read_with_or_without_padding),
        cmocka_unit_test(what_is_none_of_ours_is_not_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
