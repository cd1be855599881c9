#pragma once

/* What the provider's signing keys need, by the clock of Postgres. Pure; any thread. */

#include <stddef.h>
#include <stdint.h>

#define KEY_SIGNS_S (720 * 3600) /* 30 days */
#define KEY_LEAD_S (2 * 3600)    /* how early the next one is made and published */
#define KEY_PUBLISHED_S                                                                            \
    (3600 + 600) /* before the first use, at least; others keep sets for 600 s */

/* Seconds since 1970. */
struct key_term {
    int64_t signs_from_s, signs_until_s;
};

enum key_need {
    KEY_NONE,
    KEY_NOW,  /* nothing signs: one that signs at once */
    KEY_NEXT, /* one that follows the last, from *out_from_s */
};
enum key_need key_plan(const struct key_term *keys, size_t n, int64_t now_s, int64_t *out_from_s);
/* Which of them signs: of several the one that began last. -1: none. */
int key_signing(const struct key_term *keys, size_t n, int64_t now_s);
