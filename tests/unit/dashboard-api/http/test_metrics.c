#include "services/dashboard-api/http/server_int.h"
#include "tests/support/test.h"

static const struct rk_metric *metric(const char *name)
{
    for (struct rk_metric *m = server_metrics;; m++)
        if (strcmp(m->name, name) == 0)
            return m;
}

static bool has(const struct rk_metric *m, const char *value)
{
    for (size_t i = 0; m->values[i]; i++)
        if (strcmp(m->values[i], value) == 0)
            return true;
    return false;
}

static void every_route_is_counted_by_its_name(void **state)
{
    const struct rk_metric *m = metric("rookery_api_requests_total");

    (void)state;
    for (size_t i = 0; i < routes_count; i++)
        if (!has(m, routes[i].group))
            fail_msg("%s is counted as other", routes[i].group);
}

/* Between the end of the workers and that of the loop somebody may still ask. */
static void workers_that_have_gone_have_no_queue(void **state)
{
    const struct shared shared = { .config = NULL };
    struct server s = { .shared = &shared, .kept = kept_new(1) };

    (void)state;
    server_metrics_register();
    server_metrics_scrape(&s);
    kept_free(s.kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_counted_by_its_name),
        cmocka_unit_test(workers_that_have_gone_have_no_queue),
    };

    return RUN_TESTS(tests);
}
