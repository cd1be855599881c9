#pragma once

/*
 * Texts of the pages, in every language they come in. One row a text: its name, English, German; {}
 * stands for a value. A language is a column here and a row of `languages` in text.c. Any thread.
 */

#include "services/dashboard-api/page/texts.h"

enum lang {
    LANG_EN,
    LANG_DE,
    LANG_END,
};

enum text {
    TEXT_NONE,
#define TEXT_ROW(name, en, de) TEXT_##name,
    TEXTS(TEXT_ROW)
#undef TEXT_ROW
    TEXT_END,
};

const char *text_in(enum lang lang, enum text text); /* "" for TEXT_NONE */
/* The best of ours by an Accept-Language header; English when there is none. */
enum lang lang_of(const char *accept_language);
const char *lang_tag(enum lang lang); /* "en" */
