#include "tests/bench/fleet/pending.h"

void pending_init(struct pending *c, uint32_t change, uint64_t at_ns)
{
    *c = (struct pending){ .change = change, .at_ns = at_ns };
    rk_bitmap_init(&c->who);
}

void pending_done(struct pending *c)
{
    rk_bitmap_done(&c->who);
}

void pending_await(struct pending *c, uint32_t member)
{
    rk_bitmap_set(&c->who, member);
    c->left++;
}

bool pending_take(struct pending *c, uint32_t member)
{
    if (!rk_bitmap_test(&c->who, member))
        return false;
    rk_bitmap_unset(&c->who, member);
    c->left--;
    return true;
}

void pending_had(struct pending *c, uint64_t ns)
{
    if (ns > c->last_ns)
        c->last_ns = ns;
}
