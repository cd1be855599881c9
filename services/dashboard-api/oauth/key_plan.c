/* See key_plan.h. */

#include "services/dashboard-api/oauth/key_plan.h"

int key_signing(const struct key_term *keys, size_t n, int64_t now_s)
{
    int best = -1;

    for (size_t i = 0; i < n; i++) {
        if (keys[i].signs_from_s > now_s || keys[i].signs_until_s <= now_s)
            continue;
        if (best < 0 || keys[i].signs_from_s > keys[best].signs_from_s)
            best = (int)i;
    }
    return best;
}

enum key_need key_plan(const struct key_term *keys, size_t n, int64_t now_s, int64_t *out_from_s)
{
    int64_t last = 0;

    if (key_signing(keys, n, now_s) < 0)
        return KEY_NOW;
    for (size_t i = 0; i < n; i++)
        if (keys[i].signs_until_s > last)
            last = keys[i].signs_until_s;
    if (last - now_s > KEY_LEAD_S)
        return KEY_NONE;
    *out_from_s = last;
    return KEY_NEXT;
}
