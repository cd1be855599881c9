/* What the server counts. */

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/password.h"
#include "libcommon/obs/metrics.h"
#include "services/dashboard-api/http/server.h"
#include "services/dashboard-api/http/server_int.h"

static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx", NULL };
static const char *const groups[] = { "accounts",
                                      "dns",
                                      "events",
                                      "explain",
                                      "groups",
                                      "identity_providers",
                                      "instance",
                                      "integrations",
                                      "invites",
                                      "jobs",
                                      "locations",
                                      "login",
                                      "nameservers",
                                      "networks",
                                      "oauth",
                                      "openapi",
                                      "pages",
                                      "peers",
                                      "policies",
                                      "posture_checks",
                                      "reverse_proxies",
                                      "routes",
                                      "scim",
                                      "scim_groups",
                                      "scim_users",
                                      "setup_keys",
                                      "tokens",
                                      "users",
                                      "other",
                                      NULL };
#define OTHER (RK_COUNT(groups) - 2)
static const char *const pools[] = { "common", "password", "outbound", NULL };
static const char *const outcomes[] = { "given_again", "made", NULL };
static const double seconds[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                  0.25,  0.5,    1,     2.5,  5,     10,   0 };

enum {
    BY_CLASS,
    BY_GROUP,
    DURATION,
    QUEUED,
    IN_FLIGHT,
    CONNECTIONS,
    HASHES,
    KNOWN,
    KEPT_BYTES
};
struct rk_metric server_metrics[] = {
    [BY_CLASS] = { .name = "rookery_api_responses_total",
                   .help = "Answers by class of status",
                   .type = RK_COUNTER,
                   .label = "class",
                   .values = classes },
    [BY_GROUP] = { .name = "rookery_api_requests_total",
                   .help = "Requests answered, by route",
                   .type = RK_COUNTER,
                   .label = "route",
                   .values = groups },
    [DURATION] = { .name = "rookery_api_request_seconds",
                   .help = "From the request line to the answer",
                   .type = RK_HISTOGRAM,
                   .buckets = seconds },
    [QUEUED] = { .name = "rookery_api_worker_queue",
                 .help = "Requests that wait for a worker, by pool",
                 .type = RK_GAUGE,
                 .label = "pool",
                 .values = pools },
    [IN_FLIGHT] = { .name = "rookery_api_requests_in_flight",
                    .help = "Requests at or before a worker",
                    .type = RK_GAUGE },
    [CONNECTIONS] = { .name = "rookery_api_connections",
                      .help = "Open connections",
                      .type = RK_GAUGE },
    [HASHES] = { .name = "rookery_api_password_hashes_total",
                 .help = "Passwords hashed, to keep or to compare",
                 .type = RK_COUNTER },
    [KNOWN] = { .name = "rookery_api_kept_answers_total",
                .help = "Reads that may be answered by what is kept: were they?",
                .type = RK_COUNTER,
                .label = "outcome",
                .values = outcomes },
    [KEPT_BYTES] = { .name = "rookery_api_kept_bytes",
                     .help = "Answers that are kept",
                     .type = RK_GAUGE },
};

static unsigned *row_of_route; /* by its place in the table */

static unsigned row_of(const char *group)
{
    for (unsigned i = 0; groups[i]; i++)
        if (strcmp(groups[i], group) == 0)
            return i;
    return OTHER;
}

void server_metrics_register(void)
{
    row_of_route = rk_new_array(unsigned, routes_count);
    for (size_t i = 0; i < routes_count; i++)
        row_of_route[i] = row_of(routes[i].group);
    rk_metrics_register(server_metrics, RK_COUNT(server_metrics));
}

void server_count(const struct request *q)
{
    unsigned row = q->route ? row_of_route[q->route - routes] : OTHER;

    rk_metric_add_at(&server_metrics[BY_CLASS], q->status / 100 - 1, 1);
    rk_metric_add_at(&server_metrics[BY_GROUP], row, 1);
    rk_metric_observe(&server_metrics[DURATION], (double)(rk_mono_ns() - q->started_ns) / 1e9);
}

void server_count_known(bool again)
{
    rk_metric_add_at(&server_metrics[KNOWN], again ? 0 : 1, 1);
}

void server_metrics_scrape(struct server *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    for (enum pool p = 0; p < POOL_END; p++) {
        const struct rk_workers *workers = s->shared->pool[p]; /* NULL: it has gone, at the end */

        rk_metric_set_at(&server_metrics[QUEUED], p,
                         workers ? (int64_t)rk_workers_queued(workers) : 0);
    }
    rk_metric_set(&server_metrics[KEPT_BYTES], (int64_t)kept_bytes(s->kept));
    rk_metric_set(&server_metrics[IN_FLIGHT], (int64_t)s->at_workers);
    rk_metric_set(&server_metrics[HASHES], (int64_t)rk_password_count());
    rk_metric_set(&server_metrics[CONNECTIONS], info ? (int64_t)info->num_connections : 0);
}
