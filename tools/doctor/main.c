/* rookery-doctor: arguments and settings; which checks there are; what they found together. */

#include <stdlib.h>
#include <string.h>

#include "libcommon/account/store/edges.h"
#include "libcommon/base/alloc.h"
#include "libcommon/obs/log.h"
#include "tools/doctor/conninfo.h"
#include "tools/doctor/doctor.h"
#include "tools/doctor/report.h"

#define USAGE 2 /* exit status */
#define URLS_MAX 64

struct options {
    const char *config, *management, *ca;
    const char *admin[URLS_MAX];
    unsigned admins;
    bool json;
};

static void help(void)
{
    (void)fputs(
        "rookery-doctor: looks at a running deployment and says what to do\n\n"
        "usage: rookery-doctor [--config FILE] [OPTIONS]\n\n"
        "  --config FILE      settings of rookery-management, which it reads as that does, "
        "environment\n"
        "                     included (rookery-management --help)\n"
        "  --management URL   where agents reach management: http[s]://host[:port] (public_url)\n"
        "  --admin URL        admin port of a replica of any service: http://host:port; once for "
        "each\n"
        "  --ca FILE          certificates (PEM) to believe, not the system's\n"
        "  --json             one JSON object in place of lines\n"
        "  --help, --version\n\n"
        "It changes nothing, and prints no secret. A line is \"ok\", \"warn\" or \"fail\", what "
        "was looked at,\nwhat is so, and what to do. It ends with 0 when all is well, with 1 when "
        "there are warnings, and\nwith 2 when something has failed, or for a mistake in the "
        "arguments.\n",
        stdout);
}

static int mistake(const char *what, const char *why)
{
    (void)fprintf(stderr, "rookery-doctor: %s: %s\n", what, why);
    return USAGE;
}

/* Negative: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        const char **into = NULL;

        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            help();
            return 0;
        }
        if (strcmp(a, "--version") == 0) {
            printf("rookery-doctor %s\n", RK_VERSION);
            return 0;
        }
        if (strcmp(a, "--json") == 0) {
            o->json = true;
            continue;
        }
        if (strcmp(a, "--config") == 0)
            into = &o->config;
        else if (strcmp(a, "--management") == 0)
            into = &o->management;
        else if (strcmp(a, "--ca") == 0)
            into = &o->ca;
        else if (strcmp(a, "--admin") == 0 && o->admins < URLS_MAX)
            into = &o->admin[o->admins++];
        if (!into || !value)
            return mistake(a, into ? "needs a value" : "not understood; see --help");
        *into = value;
        i++;
    }
    return -1;
}

/* --- which checks --- */

static void
add_list(struct doctor *d, const char *topic, const char *list, void (*run)(struct check *c))
{
    struct rk_str rest = rk_str(list ? list : ""), part;

    while (rest.n > 0 && rk_str_next(&rest, ',', &part)) {
        rk_auto(rk_cfree) char *url = NULL;

        part = rk_str_trim(part);
        url = rk_strndup(part.p, part.n);
        (void)doctor_add(d, topic, url, url, run);
    }
}

static bool is_listed(const char *list, const char *url)
{
    struct rk_str rest = rk_str(list ? list : ""), part;

    while (rest.n > 0 && rk_str_next(&rest, ',', &part))
        if (rk_str_eq(rk_str_trim(part), rk_str(url)))
            return true;
    return false;
}

/* Those that agents are told of without a setting: what they are is read first, in a few seconds at
 * most. Why it cannot be read, where it cannot, is for check_postgres to say. */
static void
add_registered(struct doctor *d, const struct config *cfg, struct rk_edge_rows **out_rows)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(cfg->postgres, "rookery-doctor");
    struct rk_err err = { 0 };

    if (rk_edge_load(pg, out_rows, &err) < 0)
        return;
    for (size_t i = 0; i < (*out_rows)->n; i++) {
        const struct rk_edge_row *e = &(*out_rows)->row[i];
        bool relay = e->kind == RK_EDGE_RELAY;

        if (e->left_ms > 0 && !e->leaving && !e->drained &&
            !is_listed(relay ? cfg->relay_urls : cfg->stun_urls, e->url))
            (void)doctor_add(d, relay ? "relay" : "stun", e->url, e->url,
                             relay ? check_relay : check_stun);
    }
}

static int add_postgres(struct doctor *d, const char *conninfo, struct rk_err *err)
{
    struct conninfo_host host[CONNINFO_HOSTS_MAX];
    unsigned n = 0;
    int r = conninfo_split(conninfo, host, &n, err);

    for (unsigned i = 0; i < n; i++) {
        (void)doctor_add(d, "postgres", host[i].name, host[i].conninfo, check_postgres_host);
        conninfo_host_done(&host[i]);
    }
    (void)doctor_add(d, "database", "", conninfo, check_postgres);
    return r;
}

static int add_all(struct doctor *d,
                   const struct options *o,
                   const struct config *cfg,
                   struct rk_edge_rows **out_rows,
                   struct rk_err *err)
{
    const char *front = o->management ? o->management : cfg->oidc.public_url;
    int r = add_postgres(d, cfg->postgres, err);

    (void)doctor_add(d, "redis", "", "", check_redis);
    for (unsigned i = 0; i < o->admins; i++)
        (void)doctor_add(d, "replica", o->admin[i], o->admin[i], check_admin);
    if (front && *front)
        (void)doctor_add(d, "management", front, front, check_management);
    (void)doctor_add(d, "signal", cfg->signal_url, cfg->signal_url, check_signal);
    add_list(d, "relay", cfg->relay_urls, check_relay);
    add_list(d, "stun", cfg->stun_urls, check_stun);
    if (r == 0)
        add_registered(d, cfg, out_rows);
    return r;
}

/* --- what they found together --- */

static void say_keys(struct check *c, const struct doctor *d)
{
    const struct check *one, *first = NULL;
    bool differ = false;

    for (unsigned at = 0; (one = doctor_each(d, &at));) {
        if (!one->facts.has_key)
            continue;
        if (!first)
            first = one;
        else if (!rk_const_eq(one->facts.key, first->facts.key, RK_KEY_LEN))
            differ = true;
        else
            c->facts.has_key = true;
    }
    if (differ)
        check_say(c, VERDICT_FAIL, "keys",
                  "give management and this program the same `postgres`: they look at different "
                  "databases",
                  "management gives agents another key than the one in the database");
    else if (c->facts.has_key)
        check_say(c, VERDICT_OK, "keys", NULL, "management gives agents the one in the database");
}

static void say_builds(struct check *c, const struct doctor *d)
{
    const struct check *one, *other;
    unsigned n = 0;

    for (unsigned at = 0; (one = doctor_each(d, &at));) {
        if (!one->facts.has_build)
            continue;
        n++;
        for (unsigned then = at; (other = doctor_each(d, &then));) {
            bool same_program = strcmp(one->facts.service, other->facts.service) == 0;

            if (!other->facts.has_build ||
                (strcmp(one->facts.version, other->facts.version) == 0 &&
                 (!same_program || strcmp(one->facts.build, other->facts.build) == 0)))
                continue;
            check_say(c, VERDICT_WARN, "builds",
                      "bring all to the same build; during an upgrade this is as it should be",
                      "%s is %s %s, %s is %s %s", one->subject, one->facts.version,
                      one->facts.build, other->subject, other->facts.version, other->facts.build);
            return;
        }
    }
    if (n > 1)
        check_say(c, VERDICT_OK, "builds", NULL, "%u replicas, all of the same", n);
}

static void say_lost(struct check *c, const struct rk_edge_rows *rows)
{
    char names[512] = "";
    size_t at = 0;

    for (size_t i = 0; i < rows->n; i++)
        if (rows->row[i].left_ms <= 0 && !rows->row[i].leaving && !rows->row[i].drained &&
            at < sizeof(names))
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", at > 0 ? ", " : "",
                                   rows->row[i].url);
    if (at > 0)
        check_say(c, VERDICT_WARN, "registered",
                  "see whether it still runs, and in its log why management does not take its "
                  "word; one that you have removed is forgotten after a day",
                  "agents are not told of these any more, which had registered: %s", names);
}

static void tell(const struct check *c, void *report)
{
    report_tell(report, c);
}

static int examine(const struct options *o, const struct config *cfg, struct report *report)
{
    rk_auto(check_done) struct check together;
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;
    struct doctor *d = doctor_new(cfg, o->ca);
    struct rk_err err = { 0 };

    check_init(&together, "", "", "");
    if (add_all(d, o, cfg, &rows, &err) < 0)
        check_say(&together, VERDICT_FAIL, "settings", "correct `postgres`", "%s", err.msg);
    if (!o->management && (!cfg->oidc.public_url || !*cfg->oidc.public_url))
        check_say(&together, VERDICT_WARN, "settings", "name it: --management URL",
                  "management was not asked, as nothing says where agents reach it");
    doctor_run(d, tell, report);
    say_keys(&together, d);
    say_builds(&together, d);
    if (rows)
        say_lost(&together, rows);
    report_tell(report, &together);
    doctor_free(d);
    return report_end(report);
}

static int without_settings(struct report *report, const struct rk_err *err)
{
    rk_auto(check_done) struct check c;

    check_init(&c, "settings", "", "");
    check_say(&c, VERDICT_FAIL, c.topic,
              "give --config the file of management, and correct what it says", "%s", err->msg);
    report_tell(report, &c);
    return report_end(report);
}

int main(int argc, char **argv)
{
    struct options o = { .config = NULL };
    struct config cfg = { 0 };
    struct rk_err err = { 0 };
    struct report report;
    int status = read_options(argc, argv, &o);

    if (status >= 0)
        return status;
    (void)rk_log_init("doctor", "doctor", "error", &err); /* it says itself what is amiss */
    rk_crypto_init();
    report_begin(&report, stdout, o.json);
    if (rk_settings_load(&config_table, &cfg, o.config, &err) < 0)
        return without_settings(&report, &err);
    status = examine(&o, &cfg, &report);
    (void)fflush(stdout);
    /* Threads that never got an answer may still use the settings, and go with the process. */
    _Exit(status);
}
