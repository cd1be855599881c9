/* Which relays and STUN servers an agent is told of. */

#include "tests/support/test.h"

#include <stdio.h>

#include "services/management/edges/choice.h"

#define FRANKFURT                                                                                  \
    {                                                                                              \
        true, 501100, 86800                                                                        \
    }
#define VIRGINIA                                                                                   \
    {                                                                                              \
        true, 390400, -774900                                                                      \
    }
#define SINGAPORE                                                                                  \
    {                                                                                              \
        true, 13500, 1038200                                                                       \
    }

static const struct rk_position berlin = { true, 525200, 134000 };
static const struct rk_position new_york = { true, 407100, -740000 };
static const struct rk_position tokyo = { true, 356800, 1396900 };
static const struct rk_position nowhere = { 0 };

static struct edge relay(const char *url, const char *region, struct rk_position at)
{
    return (struct edge){ .url = url, .region = region, .at = at, .capacity = 100 };
}

#define THREE_REGIONS                                                                              \
    {                                                                                              \
        relay("rel://ap-1:1", "ap", (struct rk_position)SINGAPORE),                                \
            relay("rel://ap-2:1", "ap", (struct rk_position)SINGAPORE),                            \
            relay("rel://eu-1:1", "eu", (struct rk_position)FRANKFURT),                            \
            relay("rel://eu-2:1", "eu", (struct rk_position)FRANKFURT),                            \
            relay("rel://us-1:1", "us", (struct rk_position)VIRGINIA),                             \
            relay("rel://us-2:1", "us", (struct rk_position)VIRGINIA),                             \
    }

/* "eu eu us": the regions of the list. */
static const char *
regions(const struct edge *e, size_t n, enum rk_edge_kind kind, struct rk_position place)
{
    static char text[64];
    const struct edge *got[CHOICE_MAX];
    size_t count = choice_make(e, n, kind, place, 1, got), at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " " : "", got[i]->region);
    return text;
}

#define ASSERT_REGIONS(e, place, want)                                                             \
    assert_string_equal(regions(e, RK_COUNT(e), RK_EDGE_RELAY, place), want)

static void the_nearest_region_comes_first_and_one_of_the_next_last(void **state)
{
    const struct edge e[] = THREE_REGIONS;

    (void)state;
    ASSERT_REGIONS(e, berlin, "eu eu us");
    ASSERT_REGIONS(e, new_york, "us us eu");
    ASSERT_REGIONS(e, tokyo, "ap ap eu");
}

static void an_agent_whose_place_is_unknown_gets_each_region(void **state)
{
    const struct edge e[] = THREE_REGIONS;

    (void)state;
    ASSERT_REGIONS(e, nowhere, "ap eu us ap");
}

static void where_no_relay_says_where_it_is_each_region_comes_too(void **state)
{
    const struct edge e[] = { relay("rel://a:1", "a", nowhere), relay("rel://b:1", "b", nowhere) };

    (void)state;
    ASSERT_REGIONS(e, berlin, "a b");
}

static void a_region_that_is_lost_or_drained_gives_way_to_the_next(void **state)
{
    struct edge e[] = THREE_REGIONS;

    (void)state;
    e[2].state = EDGE_OUT;
    ASSERT_REGIONS(e, berlin, "eu us");
    e[3].state = EDGE_OUT;
    ASSERT_REGIONS(e, berlin, "us us ap");
    e[2].state = EDGE_CROWDED; /* as long as others have room */
    ASSERT_REGIONS(e, berlin, "us us ap");
}

/* An empty list would cost agents what still works. */
static void when_none_is_fit_the_others_are_told(void **state)
{
    struct edge e[] = THREE_REGIONS;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(e); i++)
        e[i].state = EDGE_OUT;
    ASSERT_REGIONS(e, berlin, "eu eu us");
    e[4].state = EDGE_CROWDED;
    ASSERT_REGIONS(e, berlin, "us");
}

static void kinds_do_not_mix(void **state)
{
    struct edge e[] = THREE_REGIONS;

    (void)state;
    e[2].kind = RK_EDGE_STUN;
    assert_string_equal(regions(e, RK_COUNT(e), RK_EDGE_STUN, berlin), "eu");
    ASSERT_REGIONS(e, berlin, "eu us");
    assert_string_equal(regions(e, 0, RK_EDGE_STUN, berlin), "");
}

#define MANY 20

static void who_has_the_least_to_do_comes_first_and_equals_are_spread(void **state)
{
    static char url[MANY][32];
    const struct edge *got[CHOICE_MAX], *again[CHOICE_MAX];
    struct edge e[MANY];
    unsigned told[MANY] = { 0 };

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(url[i], sizeof(url[i]), "rel://relay-%02u:1", i);
        e[i] = relay(url[i], "eu", (struct rk_position)FRANKFURT);
        e[i].load = 50;
    }
    for (uint64_t who = 0; who < 2000; who++) {
        assert_int_equal(choice_make(e, MANY, RK_EDGE_RELAY, berlin, who << 32, got), CHOICE_NEAR);
        assert_int_equal(choice_make(e, MANY, RK_EDGE_RELAY, berlin, who << 32, again),
                         CHOICE_NEAR);
        assert_memory_equal(got, again, CHOICE_NEAR * sizeof(got[0]));
        for (unsigned k = 0; k < CHOICE_NEAR; k++)
            told[got[k] - e]++;
    }
    for (unsigned i = 0; i < MANY; i++) /* 300 each, if it were quite even */
        if (told[i] < 200 || told[i] > 400)
            fail_msg("%s was told %u times", url[i], told[i]);
    e[13].load = 31;
    for (uint64_t who = 0; who < 20; who++) {
        (void)choice_make(e, MANY, RK_EDGE_RELAY, berlin, who, got);
        assert_ptr_equal(got[0], &e[13]);
    }
}

static void distances_are_those_of_an_atlas(void **state)
{
    const struct rk_position frankfurt = FRANKFURT, east = { true, 0, 1799000 },
                             west = { true, 0, -1799000 };

    (void)state;
    assert_in_range((unsigned)choice_distance_km(berlin, frankfurt), 400, 450);
    assert_in_range((unsigned)choice_distance_km(berlin, new_york), 6300, 6450);
    assert_in_range((unsigned)choice_distance_km(east, west), 20, 24);
    assert_int_equal((int)choice_distance_km(berlin, berlin), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_region_comes_first_and_one_of_the_next_last),
        cmocka_unit_test(an_agent_whose_place_is_unknown_gets_each_region),
        cmocka_unit_test(where_no_relay_says_where_it_is_each_region_comes_too),
        cmocka_unit_test(a_region_that_is_lost_or_drained_gives_way_to_the_next),
        cmocka_unit_test(when_none_is_fit_the_others_are_told),
        cmocka_unit_test(kinds_do_not_mix),
        cmocka_unit_test(who_has_the_least_to_do_comes_first_and_equals_are_spread),
        cmocka_unit_test(distances_are_those_of_an_atlas),
    };

    return RUN_TESTS(tests);
}
