#include "services/dashboard-api/page/html.h"
#include "tests/support/test.h"

static void expect(struct html *h, const char *want)
{
    rk_buf_put_u8(h->out, 0);
    assert_string_equal((const char *)h->out->p, want);
    rk_buf_clear(h->out);
}

static void what_is_written_cannot_leave_its_place(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    struct html h;

    (void)state;
    rk_buf_init(&out, 4096);
    html_init(&h, &out);
    html_leaf(&h, "p", "<script>alert('x')</script> & \"y\"", NULL);
    expect(&h, "<p>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;</p>");
    html_void(&h, "input", "value", "\"><img src=x onerror=alert(1)>", NULL);
    expect(&h, "<input value=\"&quot;&gt;&lt;img src=x onerror=alert(1)&gt;\">");
}

static void bytes_that_are_no_text_become_a_replacement_character(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    struct html h;

    (void)state;
    rk_buf_init(&out, 4096);
    html_init(&h, &out);
    html_text(&h, "a\xff\x01z\xc3\xa4\xe2\x82");
    expect(&h, "a\xef\xbf\xbd\xef\xbf\xbdz\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
}

static void an_address_leads_to_the_web_or_to_ourselves(void **state)
{
    static const struct {
        const char *address, *want;
    } cases[] = {
        { "/oauth2/auth?a=1&b=2", "/oauth2/auth?a=1&amp;b=2" },
        { "https://d.test/", "https://d.test/" },
        { "http://localhost:53000/", "http://localhost:53000/" },
        { "javascript:alert(1)", "#" },
        { "JaVaScRiPt:alert(1)", "#" },
        { " javascript:alert(1)", "#" },
        { "data:text/html,<script>", "#" },
        { "//evil.test/", "#" },
        { "/\\evil.test/", "#" },
        { "evil", "#" },
    };
    rk_auto(rk_buf_done) struct rk_buf out;
    struct html h;
    char want[128];

    (void)state;
    rk_buf_init(&out, 4096);
    html_init(&h, &out);
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        html_leaf(&h, "a", "x", "href", cases[i].address, NULL);
        (void)snprintf(want, sizeof(want), "<a href=\"%s\">x</a>", cases[i].want);
        expect(&h, want);
    }
}

static void elements_close_in_the_order_they_opened_in(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf out;
    struct html h;

    (void)state;
    rk_buf_init(&out, 4096);
    html_init(&h, &out);
    html_open(&h, "ul", "class", NULL, NULL);
    html_open(&h, "li", NULL);
    html_void(&h, "input", "required", "", "value", "", "hidden", NULL, NULL);
    html_close(&h);
    html_close(&h);
    expect(&h, "<ul><li><input required value=\"\"></li></ul>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_cannot_leave_its_place),
        cmocka_unit_test(bytes_that_are_no_text_become_a_replacement_character),
        cmocka_unit_test(an_address_leads_to_the_web_or_to_ourselves),
        cmocka_unit_test(elements_close_in_the_order_they_opened_in),
    };

    return RUN_TESTS(tests);
}
