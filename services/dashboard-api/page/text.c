/* See text.h. */

#include "services/dashboard-api/page/text.h"

#include <stdlib.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

static const char *const table[TEXT_END][LANG_END] = { [TEXT_NONE] = { "", "" },
#define ROW(name, en, de) [TEXT_##name] = { [LANG_EN] = (en), [LANG_DE] = (de) },
                                                       TEXTS(ROW)
#undef ROW
};

static const char *const languages[LANG_END] = { [LANG_EN] = "en", [LANG_DE] = "de" };

const char *text_in(enum lang lang, enum text text)
{
    return table[text][lang];
}

const char *lang_tag(enum lang lang)
{
    return languages[lang];
}

/* "q=0.8" in thousandths; 1000 without, 0 for nonsense. */
static int weight(struct rk_str params)
{
    struct rk_str part;
    int q = 1000;

    while (rk_str_next(&params, ';', &part)) {
        int digit = 100;

        part = rk_str_trim(part);
        if (!rk_str_starts(part, RK_STR("q=")))
            continue;
        if (part.n < 3 || part.p[2] < '0' || part.p[2] > '1')
            return 0;
        q = (part.p[2] - '0') * 1000;
        for (size_t i = 4; i < part.n && part.p[3] == '.'; i++, digit /= 10) {
            if (part.p[i] < '0' || part.p[i] > '9')
                return 0;
            q += (part.p[i] - '0') * digit;
        }
    }
    return q;
}

enum lang lang_of(const char *accept_language)
{
    struct rk_str rest = rk_str(accept_language ? accept_language : ""), range;
    enum lang best = LANG_EN;
    int best_q = 0;

    while (rk_str_next(&rest, ',', &range)) {
        struct rk_str tag, primary;
        int q;

        if (!rk_str_next(&range, ';', &tag))
            continue;
        q = weight(range);
        tag = rk_str_trim(tag);
        if (!rk_str_next(&tag, '-', &primary))
            continue;
        for (enum lang l = 0; l < LANG_END; l++) {
            if (q > best_q && rk_str_ieq(primary, rk_str(languages[l]))) {
                best = l;
                best_q = q;
            }
        }
    }
    return best;
}
