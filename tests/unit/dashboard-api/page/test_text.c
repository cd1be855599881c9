#include "libcommon/base/str.h"
#include "services/dashboard-api/page/text.h"
#include "tests/support/test.h"

static unsigned values_in(const char *text)
{
    unsigned n = 0;

    while ((text = strstr(text, "{}"))) {
        text += 2;
        n++;
    }
    return n;
}

static void no_text_is_missing_in_any_language(void **state)
{
    (void)state;
    for (enum text t = TEXT_NONE + 1; t < TEXT_END; t++) {
        for (enum lang l = 0; l < LANG_END; l++) {
            assert_non_null(text_in(l, t));
            assert_true(text_in(l, t)[0] != '\0');
            assert_true(rk_utf8_valid(rk_str(text_in(l, t))));
            assert_int_equal(values_in(text_in(l, t)), values_in(text_in(LANG_EN, t)));
        }
    }
}

static void the_language_is_the_one_the_browser_likes_best(void **state)
{
    static const struct {
        const char *header;
        enum lang want;
    } cases[] = {
        { NULL, LANG_EN },
        { "", LANG_EN },
        { "de", LANG_DE },
        { "de-AT", LANG_DE },
        { "DE-de,en;q=0.5", LANG_DE },
        { "en,de", LANG_EN },
        { "en;q=0.5, de;q=0.9", LANG_DE },
        { "de;q=0.25,en;q=0.251", LANG_EN },
        { "de;q=0", LANG_EN },
        { "fr,ja;q=0.9", LANG_EN },
        { "fr, de;q=0.1", LANG_DE },
        { "*", LANG_EN },
        { ",;q=,=;de;q=x", LANG_EN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(lang_of(cases[i].header), cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_text_is_missing_in_any_language),
        cmocka_unit_test(the_language_is_the_one_the_browser_likes_best),
    };

    return RUN_TESTS(tests);
}
