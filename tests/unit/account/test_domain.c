#include "libcommon/account/model/domain.h"
#include "libcommon/base/alloc.h"
#include "tests/support/test.h"

static void stored_as(const char *text, const char *want)
{
    char got[RK_DOMAIN_SIZE];

    if (!rk_domain_parse(rk_str(text), got))
        fail_msg("%s is refused", text);
    assert_string_equal(got, want);
}

static void refused(const char *text)
{
    char got[RK_DOMAIN_SIZE] = "untouched";

    if (rk_domain_parse(rk_str(text), got))
        fail_msg("%s becomes %s", text, got);
    assert_string_equal(got, "untouched");
}

static void names_become_lower_case_ascii(void **state)
{
    (void)state;
    stored_as("example.com", "example.com");
    stored_as("Example.COM", "example.com");
    stored_as("*.Example.com", "*.example.com");
    stored_as("host", "host");
    stored_as("_sip._tcp.example.com", "_sip._tcp.example.com");
    stored_as("b\xc3\xbc"
              "cher.de",
              "xn--bcher-kva.de");
    stored_as("B\xc3\x9c"
              "CHER.de",
              "xn--bcher-kva.de");
    stored_as("*.stra\xc3\x9f"
              "e.de",
              "*.xn--strae-oqa.de");
    stored_as("xn--bcher-kva.de", "xn--bcher-kva.de");
}

static void what_is_no_name_is_refused(void **state)
{
    char label[65], longest[300] = "";

    (void)state;
    refused("");
    refused("*.");
    refused("*");
    refused("a..b");
    refused(".a");
    refused("a.");
    refused("-a.b");
    refused("a-.b");
    refused("a.*.b");
    refused("*.*.b");
    refused("a b.c");
    refused("a/b");
    refused("a._b");
    refused("a.b_");
    refused("10.0.0.0/8");
    refused("\xff.de");
    refused("\xc3\xbc..de");
    memset(label, 'a', 64);
    label[64] = '\0';
    refused(label);
    stored_as(label + 1, label + 1);
    for (int i = 0; i < 4; i++) {
        strncat(longest, label + 1, sizeof(longest) - strlen(longest) - 1);
        strncat(longest, ".", sizeof(longest) - strlen(longest) - 1);
    }
    longest[255] = '\0';
    refused(longest);
    longest[253] = '\0';
    stored_as(longest, longest);
}

static void a_long_text_is_refused_before_it_costs_anything(void **state)
{
    size_t n = 1 << 20;
    rk_auto(rk_cfree) char *text = rk_alloc(n + 1);

    (void)state;
    for (size_t i = 0; i < n; i += 2)
        memcpy(text + i, i / 2 % 2 ? "\xc3\xbc" : "\xc3\xa4", 2);
    text[n] = '\0';
    refused(text);
}

static void shown_as(const char *stored, const char *want)
{
    rk_auto(rk_cfree) char *got = rk_domain_show(stored);

    assert_string_equal(got, want);
}

static void names_are_shown_in_their_own_script(void **state)
{
    (void)state;
    shown_as("example.com", "example.com");
    shown_as("xn--bcher-kva.de", "b\xc3\xbc"
                                 "cher.de");
    shown_as("*.xn--bcher-kva.de", "*.b\xc3\xbc"
                                   "cher.de");
    shown_as("xn--0.de", "xn--0.de");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_lower_case_ascii),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(a_long_text_is_refused_before_it_costs_anything),
        cmocka_unit_test(names_are_shown_in_their_own_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
