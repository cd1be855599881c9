#include "services/stun/app.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "libcommon/base/cores.h"
#include "libcommon/admin/admin.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/fds.h"
#include "libcommon/conf/addr.h"
#include "libcommon/edge/registrar.h"
#include "libcommon/loop/loop.h"
#include "libcommon/obs/log.h"
#include "libcommon/obs/metrics.h"
#include "services/stun/server/local.h"
#include "services/stun/server/server.h"
#include "services/stun/xdp/keep.h"

#define MAX_ADDRESSES 16
#define MAX_LOCAL 8 /* sockets besides a wildcard's own */

#define AT(member) offsetof(struct stun_config, member)

static const struct rk_setting rows[] = {
    { .key = "listen",
      .type = RK_SET_STRING,
      .offset = AT(listen),
      .def = "0.0.0.0:3478,[::]:3478",
      .help = "UDP addresses, comma list of at most 16" },
    { .key = "loops",
      .type = RK_SET_INT,
      .offset = AT(loops),
      .def = "0",
      .max = 256,
      .help = "threads for each address; 0: one a core" },
    { .key = "prefix_rate",
      .type = RK_SET_INT,
      .offset = AT(prefix_rate),
      .def = "2000",
      .max = 1000000000,
      .help = "requests a second answered to one IPv4 address or IPv6 /64, per thread (with xdp: "
              "and per core); 0: no cap" },
    { .key = "nice",
      .type = RK_SET_INT,
      .offset = AT(nice),
      .def = "10",
      .max = 19,
      .help = "how far behind others of this machine it stands for a core, as nice(1) counts" },
    { .key = "xdp",
      .type = RK_SET_STRING,
      .offset = AT(xdp),
      .def = "",
      .help = "network devices at which the kernel itself answers, before its network stack (XDP), "
              "comma list of at most 8" },
    { .key = "xdp_mode",
      .type = RK_SET_STRING,
      .offset = AT(xdp_mode),
      .def = "auto",
      .help = "driver, generic (after any driver), or auto: the driver where it can" },
    { .key = "exposed_url",
      .type = RK_SET_STRING,
      .offset = AT(exposed_url),
      .help =
          "this instance's own address as agents reach it, stun:host:port; with management_url" },
    { .key = "relay_secret",
      .type = RK_SET_SECRET,
      .offset = AT(relay_secret),
      .help = "shared with management; with management_url" },
    { .key = "relay_secret_file",
      .type = RK_SET_SECRET_FILE,
      .offset = AT(relay_secret_file),
      .help = "file that holds relay_secret",
      .secret_offset = AT(relay_secret) },
    RK_EDGE_SETTINGS(struct stun_config, edge),
};

static int parse_listen(const char *text,
                        struct rk_addr out[MAX_ADDRESSES],
                        unsigned *out_count,
                        struct rk_err *err)
{
    struct rk_str rest = rk_str(text), part;
    unsigned n = 0;
    int r;

    while (rk_str_next(&rest, ',', &part)) {
        part = rk_str_trim(part);
        if (part.n == 0)
            continue;
        if (n == MAX_ADDRESSES)
            return rk_fail(err, RK_INVALID, "listen: more than %d addresses", MAX_ADDRESSES);
        r = rk_addr_parse(part, &out[n++], err);
        if (r < 0)
            return r;
    }
    if (n == 0)
        return rk_fail(err, RK_INVALID, "listen: no address");
    *out_count = n;
    return 0;
}

static int check(const void *config, struct rk_err *err)
{
    const struct stun_config *c = config;
    struct rk_addr addrs[MAX_ADDRESSES];
    struct xdp_plan plan;
    unsigned n;
    int r;

    r = parse_listen(c->listen, addrs, &n, err);
    if (r == 0)
        r = xdp_plan_parse(c->xdp, c->xdp_mode, &plan, err);
    return r < 0
               ? r
               : rk_edge_config_check(&c->edge, c->exposed_url, RK_EDGE_STUN, c->relay_secret, err);
}

const struct rk_settings_table stun_settings = {
    .service = "stun",
    .summary = "Tells agents the address they are seen from (STUN Binding over UDP).",
    .rows = rows,
    .count = RK_COUNT(rows),
    .check = check,
};

static const char *const drop_reasons[] = { "malformed", "not_binding", "rate", "send", NULL };

enum row {
    ROW_REQUESTS,
    ROW_ANSWERS,
    ROW_DROPPED,
    ROW_XDP_ANSWERS,
    ROW_XDP_DEVICES,
    ROW_END,
};

static struct rk_metric metrics[ROW_END] = {
    [ROW_REQUESTS] = { .name = "rookery_stun_requests_total",
                       .help = "Datagrams received",
                       .type = RK_COUNTER },
    [ROW_ANSWERS] = { .name = "rookery_stun_answers_total",
                      .help = "Binding successes sent",
                      .type = RK_COUNTER },
    [ROW_DROPPED] = { .name = "rookery_stun_dropped_total",
                      .help = "Datagrams not answered, by reason",
                      .type = RK_COUNTER,
                      .label = "reason",
                      .values = drop_reasons },
    [ROW_XDP_ANSWERS] = { .name = "rookery_stun_xdp_answers_total",
                          .help = "Of the binding successes, those the kernel itself sent (XDP)",
                          .type = RK_COUNTER },
    [ROW_XDP_DEVICES] = { .name = "rookery_stun_xdp_devices",
                          .help = "Network devices at which the kernel itself answers now",
                          .type = RK_GAUGE },
};

struct app {
    const struct stun_config *cfg;
    struct rk_loop *loop;
    struct rk_admin *admin;
    struct rk_registrar *registrar;
    struct stun_server **servers; /* of each address, so many as loops */
    uint32_t loops, server_count;
    struct rk_addr addrs[MAX_ADDRESSES];
    unsigned addr_count;
    struct xdp *xdp; /* NULL: no device is configured */
    struct xdp_keep xdp_keep;
};

static void on_scrape(void *arg)
{
    struct app *a = arg;
    int64_t sums[STUN_COUNT_END] = { 0 };

    if (a->xdp) {
        xdp_counts(a->xdp, sums);
        rk_metric_set(&metrics[ROW_XDP_ANSWERS], sums[STUN_COUNT_ANSWERS]);
        rk_metric_set(&metrics[ROW_XDP_DEVICES], xdp_attached(a->xdp));
    }
    for (uint32_t i = 0; i < a->server_count; i++)
        stun_server_counts(a->servers[i], sums);
    rk_metric_set(&metrics[ROW_REQUESTS], sums[STUN_COUNT_REQUESTS]);
    rk_metric_set(&metrics[ROW_ANSWERS], sums[STUN_COUNT_ANSWERS]);
    for (unsigned k = STUN_COUNT_DROP_MALFORMED; k < STUN_COUNT_END; k++)
        atomic_store_explicit(&metrics[ROW_DROPPED].v[k - STUN_COUNT_DROP_MALFORMED], sums[k],
                              memory_order_relaxed);
}

/* A request is answered in the turn it arrives: nothing is in flight, so there is nothing else to
 * wait for. */
static void on_left(void *arg)
{
    struct app *a = arg;

    rk_registrar_close(a->registrar);
    rk_admin_close(a->admin);
    xdp_keep_close(&a->xdp_keep);
    rk_loop_stop(a->loop);
}

static void on_stop(void *arg)
{
    struct app *a = arg;

    rk_info(NULL, "stopping");
    rk_admin_draining(a->admin);
    rk_registrar_leave(a->registrar, on_left, a);
}

/* An IPv6 wildcard also takes IPv4, unless another address of the list has that port. */
static bool v6only(const struct app *a, unsigned i)
{
    const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)&a->addrs[i].ss;

    if (s6->sin6_family != AF_INET6)
        return false;
    for (unsigned k = 0; k < a->addr_count; k++) {
        const struct sockaddr_in *s4 = (const struct sockaddr_in *)&a->addrs[k].ss;

        if (s4->sin_family == AF_INET && s4->sin_port == s6->sin6_port)
            return true;
    }
    return false;
}

/* The kernel answers where a socket of ours does; what comes to other addresses of a wildcard goes
 * to its socket. */
static void answer_there_too(struct app *a, const struct rk_addr *addr)
{
    struct rk_err err = { 0 };

    if (a->xdp && !local_is_wildcard(addr) && xdp_answer_at(a->xdp, addr, &err) < 0)
        rk_warn(NULL, "%s", err.msg);
}

static int serve_at(struct app *a, struct rk_addr *addr, bool only, struct rk_err *err)
{
    struct udp_socket socket;
    int r;

    a->servers =
        rk_realloc(a->servers, sizeof(struct stun_server *) * (a->server_count + a->loops));
    for (uint32_t i = 0; i < a->loops; i++) {
        r = udp_socket_open(addr, only, &socket, err);
        if (r < 0)
            return r;
        a->servers[a->server_count++] = stun_server_start(&socket, (uint32_t)a->cfg->prefix_rate);
    }
    answer_there_too(a, addr);
    return 0;
}

/* What cannot be had here goes to the wildcard's socket. */
static void serve_local(struct app *a, unsigned wildcard)
{
    struct rk_addr local[MAX_LOCAL];
    unsigned n = local_addresses(&a->addrs[wildcard], v6only(a, wildcard), local, MAX_LOCAL);

    for (unsigned k = 0; k < n; k++) {
        struct rk_err err = { 0 };

        if (serve_at(a, &local[k], true, &err) < 0)
            rk_debug(NULL, "no socket of its own: %s", err.msg);
    }
}

static int xdp_prepare(struct app *a, struct rk_err *err)
{
    struct xdp_plan plan;
    int r = xdp_plan_parse(a->cfg->xdp, a->cfg->xdp_mode, &plan, err);

    if (r < 0 || plan.device_count == 0)
        return r;
    return xdp_new(&plan, (uint32_t)a->cfg->prefix_rate, &a->xdp, err);
}

static int start(struct app *a, struct rk_buf *bound, struct rk_err *err)
{
    char text[RK_ADDR_LEN];
    int r;

    r = parse_listen(a->cfg->listen, a->addrs, &a->addr_count, err);
    if (r == 0)
        r = xdp_prepare(a, err);
    if (r == 0)
        r = rk_admin_new(a->loop, a->cfg->common.admin_listen, &a->admin, err);
    if (r < 0)
        return r;
    for (unsigned k = 0; k < a->addr_count; k++) {
        r = serve_at(a, &a->addrs[k], v6only(a, k), err);
        if (r < 0)
            return r; /* the process ends */
        serve_local(a, k);
    }
    for (unsigned k = 0; k < a->addr_count; k++) {
        rk_addr_format((const struct sockaddr *)&a->addrs[k].ss, text);
        rk_buf_printf(bound, "%s%s", k ? "," : "", text);
    }
    rk_buf_put_u8(bound, 0);
    r = a->xdp ? xdp_keep_start(&a->xdp_keep, a->loop, a->xdp, err) : 0;
    if (r < 0)
        return r;
    return rk_registrar_new(a->loop,
                            &(struct rk_registrar_terms){ .cfg = &a->cfg->edge,
                                                          .url = a->cfg->exposed_url,
                                                          .relay_secret = a->cfg->relay_secret },
                            &a->registrar, err);
}

int stun_app_run(const struct stun_config *cfg)
{
    rk_auto(rk_buf_done) struct rk_buf bound;
    struct app a = { .cfg = cfg };
    struct rk_err err = { 0 };

    rk_buf_init(&bound, MAX_ADDRESSES * (RK_ADDR_LEN + 1) + 1);
    if (rk_log_init("stun", cfg->common.instance, cfg->common.log_level, &err) < 0) {
        (void)fprintf(stderr, "rookery-stun: %s\n", err.msg);
        return 1;
    }
    rk_fds_raise();
    /* STUN knows nobody: what floods it from many addresses gets the time that others leave.
     * Threads inherit it. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + (int)cfg->nice);
    rk_metrics_register(metrics, RK_COUNT(metrics));
    rk_registrar_metrics_register();
    a.loops = cfg->loops > 0 ? (uint32_t)cfg->loops : rk_cores();
    a.loop = rk_loop_new();
    if (start(&a, &bound, &err) < 0) {
        rk_error(NULL, "cannot start: %s", err.msg);
        return 1; /* the process ends */
    }
    rk_admin_on_scrape(a.admin, on_scrape, &a);
    rk_admin_ready(a.admin, "listening", true, NULL);
    rk_log_ready((const char *)bound.p, rk_admin_address(a.admin));
    rk_loop_on_stop(a.loop, on_stop, &a);
    rk_loop_run(a.loop);
    for (uint32_t i = 0; i < a.server_count; i++)
        stun_server_stop_free(a.servers[i]);
    free(a.servers);
    xdp_free(a.xdp);
    rk_loop_free(a.loop);
    return 0;
}
