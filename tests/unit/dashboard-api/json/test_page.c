/* Paging, searching and sorting of lists. */

#include "tests/support/test.h"

#include "services/dashboard-api/json/page.h"

#define PEERS                                                                                      \
    "[{\"name\":\"p10\",\"n\":10,\"on\":true,\"at\":\"2026-01-01T00:00:00.5Z\"},"                  \
    "{\"name\":\"p2\",\"n\":-2.5,\"on\":false,\"at\":\"2026-01-01T00:00:00Z\"},"                   \
    "{\"name\":\"P1\",\"n\":1,\"on\":true,\"at\":\"2026-01-01T00:00:00.51Z\",\"in\":{\"a\":["      \
    "\"x\","                                                                                       \
    "{\"q\":\"Deep\"}]}},"                                                                         \
    "{\"name\":\"p\\\"],\\\\\",\"n\":null}]"

/* What is left of the list, and how many of it there are on all pages. */
static const char *
paged(struct rk_arena *a, const char *list, const char *query, uint64_t *out_total)
{
    rk_auto(rk_buf_done) struct rk_buf b = { 0 };
    struct rk_err err = { 0 };
    struct page p;
    uint64_t total = 0;

    rk_buf_init(&b, 1 << 20);
    rk_buf_put_c(&b, list);
    assert_int_equal(page_parse(rk_str(query), a, &p, &err), 0);
    assert_true(p.asked);
    assert_int_equal(page_apply(&p, a, &b, &total, &err), 0);
    if (out_total)
        *out_total = total;
    return rk_arena_strn(a, rk_buf_str(&b));
}

/* The names in their order, each followed by a space. */
static const char *names(struct rk_arena *a, const char *query)
{
    struct rk_str rest = rk_str(paged(a, PEERS, query, NULL));
    rk_auto(rk_buf_done) struct rk_buf b = { 0 };
    const char *at = rest.p;

    rk_buf_init(&b, 1024);
    while ((at = strstr(at, "{\"name\":\"")) != NULL) {
        at += strlen("{\"name\":\"");
        rk_buf_put(&b, at, strcspn(at, "\"\\"));
        rk_buf_put_c(&b, " ");
    }
    return rk_arena_strn(a, rk_buf_str(&b));
}

static void without_parameters_nothing_is_asked(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_err err = { 0 };
    struct page p;

    (void)state;
    assert_int_equal(page_parse(RK_STR("account=x&name=page&pages=2&Q=1"), a, &p, &err), 0);
    assert_false(p.asked);
    assert_int_equal(page_parse((struct rk_str){ NULL, 0 }, a, &p, &err), 0);
    assert_false(p.asked);
}

static void a_page_is_a_run_of_elements_as_they_were(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    uint64_t total;

    (void)state;
    assert_string_equal(paged(a, "[1,\"a,]\",{\"b\":[2,{}]},null]", "page=2&per_page=2", &total),
                        "[{\"b\":[2,{}]},null]");
    assert_int_equal(total, 4);
    assert_string_equal(paged(a, "[1,2,3]", "page=2&per_page=2", &total), "[3]");
    assert_string_equal(paged(a, "[1,2,3]", "page=3&per_page=2", &total), "[]");
    assert_int_equal(total, 3);
    assert_string_equal(paged(a, "[1,2,3]", "page=4294967295&per_page=1000", &total), "[]");
    assert_string_equal(paged(a, "[1,2,3]", "page=1", &total), "[1,2,3]");
    assert_string_equal(paged(a, "[]", "page=1", &total), "[]");
    assert_int_equal(total, 0);
    assert_string_equal(paged(a, PEERS, "page=1&per_page=4", &total), PEERS);
}

static void a_search_looks_into_every_text_and_not_into_names(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    assert_string_equal(names(a, "q=P1"), "p10 P1 ");
    assert_string_equal(names(a, "q=dEEp"), "P1 ");
    assert_string_equal(names(a, "q=name"), "");
    assert_string_equal(names(a, "q=%22%5D"), "p "); /* "] */
    assert_string_equal(names(a, "q=%5C"), "p ");    /* \ */
    assert_string_equal(names(a, "q="), "p10 p2 P1 p ");
    assert_string_equal(names(a, "q=nowhere"), "");
    /* The n of an escape is no n. */
    assert_string_equal(paged(a, "[\"a\\nb\"]", "q=nb", NULL), "[]");
    assert_string_equal(paged(a, "[\"a\\nb\"]", "q=%0Ab", NULL), "[\"a\\nb\"]");
}

static void elements_are_ordered_by_members(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    assert_string_equal(names(a, "sort=name"), "P1 p2 p10 p ");
    assert_string_equal(names(a, "sort=-name"), "p p10 p2 P1 ");
    assert_string_equal(names(a, "sort=n"), "p2 P1 p10 p ");
    assert_string_equal(names(a, "sort=-n"), "p10 P1 p2 p "); /* null stays last */
    assert_string_equal(names(a, "sort=at"), "p2 p10 P1 p ");
    assert_string_equal(names(a, "sort=-on,name"), "P1 p10 p2 p ");
    assert_string_equal(names(a, "sort=in"), "p10 p2 P1 p "); /* as they were */
    assert_string_equal(names(a, "sort=name&page=2&per_page=3"), "p ");
}

static void addresses_are_ordered_by_their_numbers(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    assert_string_equal(
        paged(a, "[{\"ip\":\"100.64.10.2\"},{\"ip\":\"100.64.9.200\"},{\"ip\":\"100.64.9.30\"}]",
              "sort=ip", NULL),
        "[{\"ip\":\"100.64.9.30\"},{\"ip\":\"100.64.9.200\"},{\"ip\":\"100.64.10.2\"}]");
}

static void bad_parameters_are_named(void **state)
{
    static const struct {
        const char *query, *message;
    } rows[] = {
        { "page=0", "page must be a number from 1 to 4294967295" },
        { "page=x", "page must be a number from 1 to 4294967295" },
        { "page=", "page must be a number from 1 to 4294967295" },
        { "page", "page must be a number from 1 to 4294967295" },
        { "page=-1", "page must be a number from 1 to 4294967295" },
        { "page=4294967296", "page must be a number from 1 to 4294967295" },
        { "per_page=0", "per_page must be a number from 1 to 1000" },
        { "per_page=1001", "per_page must be a number from 1 to 1000" },
        { "per_page=99999999999999999999", "per_page must be a number from 1 to 1000" },
        { "sort=a,b,c,d,e", "sort must name up to 4 members, separated by commas, each with a "
                            "minus sign before it to turn its order" },
        { "sort=a.b", "sort must name up to 4 members, separated by commas, each with a minus sign "
                      "before it to turn its order" },
        { "sort=-", "sort must name up to 4 members, separated by commas, each with a minus sign "
                    "before it to turn its order" },
    };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_err err;
    struct page p;
    char longest[PAGE_MAX_Q + 8] = "q=";

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        assert_int_equal(page_parse(rk_str(rows[i].query), a, &p, &err), RK_INVALID);
        assert_string_equal(err.msg, rows[i].message);
        assert_false(p.asked);
    }
    memset(longest + 2, 'a', PAGE_MAX_Q + 1);
    assert_int_equal(page_parse(rk_str(longest), a, &p, &err), RK_INVALID);
    longest[2 + PAGE_MAX_Q] = '\0';
    assert_int_equal(page_parse(rk_str(longest), a, &p, &err), 0);
}

static const char *link_of(struct rk_arena *a, const char *query, uint64_t total)
{
    struct rk_err err = { 0 };
    struct page p;

    assert_int_equal(page_parse(rk_str(query), a, &p, &err), 0);
    return page_link(&p, rk_str(query), total, a);
}

static void links_lead_to_the_other_pages(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    char longest[600] = "page=1&q=";

    (void)state;
    assert_string_equal(link_of(a, "q=a%20b&page=2&per_page=10", 35),
                        "<?q=a%20b&page=1&per_page=10>; rel=\"first\", "
                        "<?q=a%20b&page=1&per_page=10>; rel=\"prev\", "
                        "<?q=a%20b&page=3&per_page=10>; rel=\"next\", "
                        "<?q=a%20b&page=4&per_page=10>; rel=\"last\"");
    assert_string_equal(link_of(a, "page=1", 100), "<?page=1&per_page=100>; rel=\"first\", "
                                                   "<?page=1&per_page=100>; rel=\"last\"");
    assert_string_equal(link_of(a, "page=9&per_page=1", 2),
                        "<?page=1&per_page=1>; rel=\"first\", <?page=2&per_page=1>; rel=\"prev\", "
                        "<?page=2&per_page=1>; rel=\"last\"");
    assert_string_equal(link_of(a, "q=<\">&per_page=1", 1),
                        "<?q=%3C%22%3E&page=1&per_page=1>; rel=\"first\", "
                        "<?q=%3C%22%3E&page=1&per_page=1>; rel=\"last\"");
    assert_string_equal(link_of(a, "q=a", 35), "");
    memset(longest + 9, '%', 500);
    assert_string_equal(page_link(&(struct page){ .page = 1, .per = 1 }, rk_str(longest), 1, a),
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_parameters_nothing_is_asked),
        cmocka_unit_test(a_page_is_a_run_of_elements_as_they_were),
        cmocka_unit_test(a_search_looks_into_every_text_and_not_into_names),
        cmocka_unit_test(elements_are_ordered_by_members),
        cmocka_unit_test(addresses_are_ordered_by_their_numbers),
        cmocka_unit_test(bad_parameters_are_named),
        cmocka_unit_test(links_lead_to_the_other_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
