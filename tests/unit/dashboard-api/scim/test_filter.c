/* Filters and paths of RFC 7644. */

#include "tests/support/test.h"

#include "services/dashboard-api/scim/path.h"

/* The tree as text: every operator with brackets of its own. */
static const char *show(struct rk_arena *a, const struct scim_filter *f)
{
    static const char *const ops[] = { "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le" };
    const char *left = f->left ? show(a, f->left) : "", *right = f->right ? show(a, f->right) : "";
    const char *element = f->left ? rk_arena_printf(a, "[%s]", left) : "";
    const char *attr = rk_arena_printf(a, "%.*s%s%.*s%s%s%.*s", RK_STR_FMT(f->attr.urn),
                                       f->attr.urn.n ? ":" : "", RK_STR_FMT(f->attr.name), element,
                                       f->attr.sub.n ? "." : "", RK_STR_FMT(f->attr.sub));

    switch (f->kind) {
    case SCIM_FILTER_AND:
        return rk_arena_printf(a, "(%s & %s)", left, right);
    case SCIM_FILTER_OR:
        return rk_arena_printf(a, "(%s | %s)", left, right);
    case SCIM_FILTER_NOT:
        return rk_arena_printf(a, "!%s", left);
    case SCIM_FILTER_PRESENT:
        return rk_arena_printf(a, "%s?", attr);
    case SCIM_FILTER_COMPARE:
        return rk_arena_printf(a, "%s %s <%.*s>", attr, ops[f->op], RK_STR_FMT(f->value));
    case SCIM_FILTER_ELEMENT:
        return attr;
    }
    return "";
}

static void reads(const char *text, const char *want)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    const struct scim_filter *f;
    struct rk_err err = { 0 };

    if (scim_filter_parse(rk_str(text), a, &f, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(show(a, f), want);
}

/* RFC 7644, figure 2, and the grammar's order of operators. */
static void the_published_examples_are_read(void **state)
{
    (void)state;
    reads("userName eq \"bjensen\"", "userName eq <bjensen>");
    reads("name.familyName co \"O'Malley\"", "name.familyName co <O'Malley>");
    reads("userName sw \"J\"", "userName sw <J>");
    reads("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"",
          "urn:ietf:params:scim:schemas:core:2.0:User:userName sw <J>");
    reads("title pr", "title?");
    reads("meta.lastModified gt \"2011-05-13T04:42:34Z\"",
          "meta.lastModified gt <2011-05-13T04:42:34Z>");
    reads("meta.lastModified ge \"2011-05-13T04:42:34Z\"",
          "meta.lastModified ge <2011-05-13T04:42:34Z>");
    reads("meta.lastModified lt \"2011-05-13T04:42:34Z\"",
          "meta.lastModified lt <2011-05-13T04:42:34Z>");
    reads("meta.lastModified le \"2011-05-13T04:42:34Z\"",
          "meta.lastModified le <2011-05-13T04:42:34Z>");
    reads("title pr and userType eq \"Employee\"", "(title? & userType eq <Employee>)");
    reads("title pr or userType eq \"Intern\"", "(title? | userType eq <Intern>)");
    reads("schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"",
          "schemas eq <urn:ietf:params:scim:schemas:extension:enterprise:2.0:User>");
    reads("userType eq \"Employee\" and (emails co \"example.com\" or emails.value co "
          "\"example.org\")",
          "(userType eq <Employee> & (emails co <example.com> | emails.value co <example.org>))");
    reads("userType ne \"Employee\" and not (emails co \"example.com\" or emails.value co "
          "\"example.org\")",
          "(userType ne <Employee> & !(emails co <example.com> | emails.value co <example.org>))");
    reads("userType eq \"Employee\" and (emails.type eq \"work\")",
          "(userType eq <Employee> & emails.type eq <work>)");
    reads("userType eq \"Employee\" and emails[type eq \"work\" and value co \"@example.com\"]",
          "(userType eq <Employee> & emails[(type eq <work> & value co <@example.com>)])");
    reads("emails[type eq \"work\" and value co \"@example.com\"] or ims[type eq \"xmpp\" and "
          "value co \"@foo.com\"]",
          "(emails[(type eq <work> & value co <@example.com>)] | ims[(type eq <xmpp> & value co "
          "<@foo.com>)])");
}

static void operators_bind_as_published_and_case_does_not_matter(void **state)
{
    (void)state;
    reads("a pr or b pr and c pr", "(a? | (b? & c?))");
    reads("a pr and b pr or c pr and d pr", "((a? & b?) | (c? & d?))");
    reads("(a pr or b pr) and c pr", "((a? | b?) & c?)");
    reads("NOT (a PR) AND b Eq \"x\"", "(!a? & b eq <x>)");
    reads("not pr", "not?"); /* an attribute of that name */
    reads("active eq true", "active eq <true>");
    reads("a eq -1.5e3", "a eq <-1.5e3>");
    reads("userName eq bob@x.test", "userName eq <bob@x.test>");
    reads("emails[type eq \"work\"].value eq \"a@b.c\"", "emails[type eq <work>].value eq <a@b.c>");
    reads("  a  eq  \"\\\"\\u00e9]\\\\\"  ", "a eq <\"é]\\>");
    reads("members.$ref eq \"x\"", "members.$ref eq <x>");
}

static void refused(const char *text)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    const struct scim_filter *f;
    struct rk_err err = { 0 };

    if (scim_filter_parse(rk_str(text), a, &f, &err) == 0)
        fail_msg("%s is read", text);
    assert_int_equal(strncmp(err.msg, "invalidFilter: ", 15), 0);
}

static void what_the_grammar_does_not_have_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ",
        "userName eq \"a",
        "userName eq \"a\\\"",
        "userName eq \"\\x\"",
        "userName eq \"a\" and",
        "userName eq \"a\"and b pr",
        "userName eq \"a\" b pr",
        "userName eqq \"a\"",
        "userName is \"a\"",
        "userName pr \"a\"",
        "1a pr",
        "a. pr",
        "a.b.c pr",
        ".a pr",
        "(a pr",
        "a pr)",
        "a[b pr",
        "a[] pr",
        "a[b pr].c pr",
        "a[b pr]. eq \"x\"",
        "a.b[c pr].d eq \"x\"",
        "not a pr",
        "urn:x: pr",
        "a eq \"\xff\"",
    };
    char deep[256] = "";

    (void)state;
    for (size_t i = 0; i < RK_COUNT(texts); i++)
        refused(texts[i]);
    for (size_t i = 0; i < 40; i++)
        deep[i] = '(';
    refused(deep);
}

static size_t terms_of(const char *text, struct scim_term out[SCIM_TERMS_MAX], struct rk_arena *a)
{
    const struct scim_filter *f;
    struct rk_err err = { 0 };
    size_t n = 0;

    if (scim_filter_parse(rk_str(text), a, &f, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    if (scim_filter_terms(f, out, &n, &err) < 0) {
        assert_int_equal(strncmp(err.msg, "invalidFilter: ", 15), 0);
        return 0;
    }
    return n;
}

static void only_eq_and_and_are_answered(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct scim_term t[SCIM_TERMS_MAX];

    (void)state;
    assert_int_equal(terms_of("userName eq \"a\" and (active eq true and id eq x)", t, a), 3);
    assert_int_equal(terms_of("emails[type eq \"work\"].value eq \"x\"", t, a), 1);
    assert_true(rk_str_eq(t[0].name, RK_STR("emails")) && rk_str_eq(t[0].sub, RK_STR("value")) &&
                rk_str_eq(t[0].type, RK_STR("work")) && rk_str_eq(t[0].value, RK_STR("x")));
    assert_int_equal(terms_of("emails[value eq \"x\" and type eq \"home\"]", t, a), 1);
    assert_true(rk_str_eq(t[0].sub, RK_STR("value")) && rk_str_eq(t[0].type, RK_STR("home")) &&
                rk_str_eq(t[0].value, RK_STR("x")));
    assert_int_equal(terms_of("members[value eq \"x\"]", t, a), 1);
    assert_false(t[0].type.p);

    assert_int_equal(terms_of("userName co \"a\"", t, a), 0);
    assert_int_equal(terms_of("userName pr", t, a), 0);
    assert_int_equal(terms_of("a eq \"a\" or b eq \"b\"", t, a), 0);
    assert_int_equal(terms_of("not (a eq \"a\")", t, a), 0);
    assert_int_equal(terms_of("a eq null", t, a), 0);
    assert_int_equal(terms_of("emails[type eq \"work\"]", t, a), 0);
    assert_int_equal(terms_of("emails[primary eq true].value eq \"x\"", t, a), 0);
    assert_int_equal(terms_of("emails[value eq \"y\"].value eq \"x\"", t, a), 0);
    assert_int_equal(terms_of("a eq 1 and a eq 2 and a eq 3 and a eq 4 and a eq 5 and a eq 6 and "
                              "a eq 7 and a eq 8 and a eq 9",
                              t, a),
                     0);
}

static void path(const char *text, const char *urn, const char *name, bool filter, const char *sub)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_err err = { 0 };
    struct scim_path p;

    if (scim_path_parse(rk_str(text), a, &p, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_true(rk_str_eq(p.attr.urn, rk_str(urn)));
    assert_true(rk_str_eq(p.attr.name, rk_str(name)));
    assert_true(rk_str_eq(p.attr.sub, rk_str(sub)));
    assert_int_equal(p.filter != NULL, filter);
}

/* RFC 7644, 3.5.2, and what Entra sends. */
static void the_published_paths_are_read(void **state)
{
    (void)state;
    path("members", "", "members", false, "");
    path("name.familyName", "", "name", false, "familyName");
    path("addresses[type eq \"work\"]", "", "addresses", true, "");
    path("members[value eq \"2819c223-7f76-453a-919d-413861904646\"]", "", "members", true, "");
    path("members[value eq \"2819c223-7f76-453a-919d-413861904646\"].displayName", "", "members",
         true, "displayName");
    path("emails[type eq \"work\" and value eq \"a]b\"].value", "", "emails", true, "value");
    path("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName",
         "urn:ietf:params:scim:schemas:core:2.0:User", "name", false, "givenName");
    path("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
         "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "department", false, "");
    path("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
         "urn:ietf:params:scim:schemas:extension:enterprise:2.0", "User", false, "");
}

static void a_malformed_path_is_refused(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        { "", "invalidPath" },
        { ".", "invalidPath" },
        { "a.", "invalidPath" },
        { "a.b.c", "invalidPath" },
        { "a b", "invalidPath" },
        { "a.b[c eq \"x\"]", "invalidPath" },
        { "a[c eq \"x\"]x", "invalidPath" },
        { "a[c eq \"x\"].", "invalidPath" },
        { "a[c eq \"x\"].b.c", "invalidPath" },
        { "a[c eq \"x\"", "invalidFilter" },
        { "a[]", "invalidFilter" },
        { "a[c co \"x\"]", "invalidFilter" },
        { "a[c pr]", "invalidFilter" },
        { "a[c eq \"x\" or d eq \"y\"]", "invalidFilter" },
        { "a[not (c eq \"x\")]", "invalidFilter" },
        { "a[c.d eq \"x\"]", "invalidFilter" },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
        struct rk_err err = { 0 };
        struct scim_path p;

        if (scim_path_parse(rk_str(cases[i].text), a, &p, &err) == 0)
            fail_msg("%s is read", cases[i].text);
        if (strncmp(err.msg, cases[i].word, strlen(cases[i].word)) != 0)
            fail_msg("%s: %s", cases[i].text, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_are_read),
        cmocka_unit_test(operators_bind_as_published_and_case_does_not_matter),
        cmocka_unit_test(what_the_grammar_does_not_have_is_refused),
        cmocka_unit_test(only_eq_and_and_are_answered),
        cmocka_unit_test(the_published_paths_are_read),
        cmocka_unit_test(a_malformed_path_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
