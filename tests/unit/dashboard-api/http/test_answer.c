#include "services/dashboard-api/http/answer.h"
#include "tests/support/test.h"

static void
expect_kind(enum route_kind kind, int code, const char *message, unsigned status, const char *body)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    struct rk_err err = { .code = code };

    rk_buf_init(&out, 4096);
    (void)rk_str_copy(rk_str(message), err.msg, sizeof(err.msg));
    assert_int_equal(answer_error(kind, &err, "", &out), status);
    rk_buf_put_u8(&out, 0);
    assert_string_equal((const char *)out.p, body);
}

static void expect(int code, const char *message, unsigned status, const char *body)
{
    expect_kind(ROUTE_REST, code, message, status, body);
}

static void each_kind_has_its_status_and_its_words_in_lower_case(void **state)
{
    (void)state;
    expect(RK_INVALID, "Group With Name X", 422,
           "{\"message\":\"group with name x\",\"code\":422}\n");
    expect(RK_NOT_FOUND, "group: X not found", 404,
           "{\"message\":\"group: x not found\",\"code\":404}\n");
    expect(RK_EXISTS, "there", 409, "{\"message\":\"there\",\"code\":409}\n");
    expect(RK_DENIED, "permission denied", 403,
           "{\"message\":\"permission denied\",\"code\":403}\n");
    expect(RK_PRECONDITION, "no", 412, "{\"message\":\"no\",\"code\":412}\n");
    expect(RK_UNAUTHENTICATED, "token invalid", 401,
           "{\"message\":\"token invalid\",\"code\":401}\n");
}

static void a_bad_request_keeps_its_capitals(void **state)
{
    (void)state;
    expect(RK_BAD_REQUEST, "couldn't parse JSON request", 400,
           "{\"message\":\"couldn't parse JSON request\",\"code\":400}\n");
}

static void what_went_wrong_inside_stays_inside(void **state)
{
    (void)state;
    expect(RK_INTERNAL, "column x of relation y", 500,
           "{\"message\":\"internal server error\",\"code\":500}\n");
    expect(RK_UNAVAILABLE, "host 10.0.0.1", 503,
           "{\"message\":\"service temporarily unavailable, try again\",\"code\":503}\n");
    expect(-12345, "?", 500, "{\"message\":\"internal server error\",\"code\":500}\n");
}

static void a_message_is_escaped(void **state)
{
    (void)state;
    expect(RK_INVALID, "a\"b\n", 422, "{\"message\":\"a\\\"b\\n\",\"code\":422}\n");
}

static void each_kind_of_route_has_its_form(void **state)
{
    (void)state;
    expect_kind(ROUTE_OAUTH, RK_UNAVAILABLE, "postgres: x", 503,
                "{\"error\":\"temporarily_unavailable\",\"error_description\":"
                "\"service temporarily unavailable, try again\"}\n");
    expect_kind(ROUTE_OAUTH, RK_INTERNAL, "secret", 500,
                "{\"error\":\"server_error\",\"error_description\":"
                "\"internal server error\"}\n");
    expect_kind(ROUTE_OAUTH, RK_BAD_REQUEST, "Two codes", 400,
                "{\"error\":\"invalid_request\",\"error_description\":\"Two codes\"}\n");
    expect_kind(ROUTE_SCIM, RK_NOT_FOUND, "no User X", 404,
                "{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:Error\"],"
                "\"status\":\"404\",\"detail\":\"no User X\"}\n");
}

static void people_get_a_page_that_keeps_what_went_wrong_to_itself(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    struct rk_err err = { .code = RK_INTERNAL, .msg = "<b>column x" };

    (void)state;
    rk_buf_init(&out, 4096);
    assert_int_equal(answer_error(ROUTE_PAGE, &err, "de", &out), 500);
    assert_false(out.overflow);
    rk_buf_put_u8(&out, 0);
    assert_non_null(strstr((const char *)out.p, "<html lang=\"de\">"));
    assert_non_null(strstr((const char *)out.p, "role=\"alert\""));
    assert_null(strstr((const char *)out.p, "column"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_status_and_its_words_in_lower_case),
        cmocka_unit_test(each_kind_of_route_has_its_form),
        cmocka_unit_test(people_get_a_page_that_keeps_what_went_wrong_to_itself),
        cmocka_unit_test(a_bad_request_keeps_its_capitals),
        cmocka_unit_test(what_went_wrong_inside_stays_inside),
        cmocka_unit_test(a_message_is_escaped),
    };

    return RUN_TESTS(tests);
}
