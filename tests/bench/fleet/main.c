/* Arguments; the run itself is conductor.c. */

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/box.h"
#include "libcommon/obs/log.h"
#include "tests/bench/fleet/conductor.h"
#include "tests/bench/lib/watch.h"

#define TEXT_MAX ((size_t)64 * 1024)
#define USAGE 2 /* exit status */

enum option {
    OPTION_MANAGEMENT,
    OPTION_API,
    OPTION_TOKEN_FILE,
    OPTION_CA,
    OPTION_AGENTS,
    OPTION_GROUPS,
    OPTION_PROCESSES,
    OPTION_JSON,
    OPTION_HISTOGRAMS,
    OPTION_WATCH,
    OPTIONS,
};

static const struct {
    const char *name, *value, *help;
} options[OPTIONS] = {
    [OPTION_MANAGEMENT] = { "--management", "URL,...",
                            "where agents connect: http[s]://host[:port]; processes in turn" },
    [OPTION_API] = { "--api", "URL", "of the REST API, without /api (the first of --management)" },
    [OPTION_TOKEN_FILE] = { "--token-file", "FILE",
                            "an administrator's access token (or the variable ROOKERY_TOKEN)" },
    [OPTION_CA] = { "--ca", "FILE", "certificates (PEM) to believe, not the system's" },
    [OPTION_AGENTS] = { "--agents", "N", "instead of the scenario's number" },
    [OPTION_GROUPS] = { "--groups", "N", "instead of the scenario's number" },
    [OPTION_PROCESSES] = { "--processes", "N", "at least so many (as descriptors need)" },
    [OPTION_JSON] = { "--json", "FILE", "everything measured" },
    [OPTION_HISTOGRAMS] = { "--histograms", "DIR", "HdrHistogram files (.hgrm), one a figure" },
    [OPTION_WATCH] = { "--watch", "PID,...", "servers of this machine whose cost is told" },
};

static void help(void)
{
    (void)fputs("rookery-fleet: thousands of simulated agents, to size and to test a deployment\n\n"
                "  rookery-fleet [OPTIONS] SCENARIO    run it; use an account of its own\n"
                "  rookery-fleet --check SCENARIO      only say whether it is one\n"
                "  rookery-fleet --help\n\nOptions:\n",
                stdout);
    for (unsigned i = 0; i < OPTIONS; i++)
        printf("  %s %-*s %s\n", options[i].name, (int)(22 - strlen(options[i].name)),
               options[i].value, options[i].help);
    (void)fputs("\nIt ends with 0 when everything held, with 1 when something did not, and with 2\n"
                "for a mistake in the arguments or the scenario.\n\n",
                stdout);
    scenario_help(stdout);
}

static int mistake(const char *what, const char *why)
{
    (void)fprintf(stderr, "rookery-fleet: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    return USAGE;
}

/* NULL, and a message: it cannot be read. */
static char *read_text(const char *file)
{
    FILE *f = fopen(file, "r");
    char *text;
    size_t n;

    if (!f) {
        (void)mistake(file, strerror(errno));
        return NULL;
    }
    text = rk_alloc(TEXT_MAX + 1);
    n = fread(text, 1, TEXT_MAX + 1, f);
    if (ferror(f) || n > TEXT_MAX) {
        (void)mistake(file, n > TEXT_MAX ? "longer than 64 KiB" : "cannot be read");
        free(text);
        text = NULL;
    } else {
        text[n] = '\0';
    }
    (void)fclose(f);
    return text;
}

static int load_scenario(const char *file, struct scenario *out)
{
    rk_auto(rk_cfree) char *text = read_text(file);
    struct rk_err err = { 0 };

    if (!text)
        return USAGE;
    return scenario_parse(rk_str(text), file, out, &err) < 0 ? mistake(err.msg, NULL) : 0;
}

static int
number_option(const char *value, enum option o, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;

    if (!value)
        return 0;
    if (!rk_str_u64(rk_str(value), &v) || v < min || v > max)
        return mistake(options[o].name, "not a number that it can be");
    *out = v;
    return 0;
}

static char *token_of(const char *file)
{
    const char *text = getenv("ROOKERY_TOKEN");
    char *token = file ? read_text(file) : rk_strdup(text ? text : "");
    struct rk_str trimmed;

    if (!token)
        return NULL;
    trimmed = rk_str_trim(rk_str(token));
    memmove(token, trimmed.p, trimmed.n);
    token[trimmed.n] = '\0';
    return token;
}

/* The parts of a comma list, in place; false, and a message: there are more. */
static bool split(enum option o, char *list, char **out, unsigned max, unsigned *out_n)
{
    unsigned n = 0;

    for (char *p = list; p; n++) {
        char *comma = strchr(p, ',');

        if (n == max) {
            (void)mistake(options[o].name, "more of them than there may be");
            return false;
        }
        out[n] = p;
        if (comma)
            *comma++ = '\0';
        p = comma;
    }
    *out_n = n;
    return true;
}

static int start(struct conductor_options *o, const char *const *value)
{
    rk_auto(rk_cfree) char *watch = NULL;
    rk_auto(rk_cfree) char *management = NULL;
    rk_auto(rk_cfree) char *token = NULL;
    char *pids[WATCH_MAX], *urls[CONDUCTOR_MANAGEMENTS_MAX];
    uint64_t processes = 0;

    if (number_option(value[OPTION_AGENTS], OPTION_AGENTS, 2, SCENARIO_MAX_AGENTS,
                      &o->scenario.agents) ||
        number_option(value[OPTION_GROUPS], OPTION_GROUPS, 1, SCENARIO_MAX_AGENTS / 2,
                      &o->scenario.groups) ||
        number_option(value[OPTION_PROCESSES], OPTION_PROCESSES, 1, WATCH_MAX, &processes))
        return USAGE;
    if (o->scenario.groups > o->scenario.agents / 2)
        return mistake("more groups than pairs of agents", NULL);
    o->at = value[OPTION_MANAGEMENT];
    if (!o->at)
        return mistake("--management is needed", "where do agents connect?");
    management = rk_strdup(o->at);
    watch = value[OPTION_WATCH] ? rk_strdup(value[OPTION_WATCH]) : NULL;
    if (!split(OPTION_MANAGEMENT, management, urls, RK_COUNT(urls), &o->managements) ||
        !split(OPTION_WATCH, watch, pids, RK_COUNT(pids), &o->watched))
        return USAGE;
    o->management = urls;
    o->watch = pids;
    token = token_of(value[OPTION_TOKEN_FILE]);
    if (!token || token[0] == '\0')
        return token ? mistake("--token-file or the variable ROOKERY_TOKEN is needed", NULL)
                     : USAGE;
    o->token = token;
    o->api_url = value[OPTION_API] ? value[OPTION_API] : urls[0];
    o->ca_file = value[OPTION_CA];
    o->json_file = value[OPTION_JSON];
    o->histogram_dir = value[OPTION_HISTOGRAMS];
    o->processes = (unsigned)processes;
    return conductor_run(o);
}

int main(int argc, char **argv)
{
    const char *value[OPTIONS] = { NULL }, *file = NULL;
    struct conductor_options o = { .processes = 0 };
    struct rk_err err = { 0 };
    bool only_check = false;
    int r;

    for (int i = 1; i < argc; i++) {
        unsigned k = 0;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help();
            return 0;
        }
        if (strcmp(argv[i], "--check") == 0) {
            only_check = true;
            continue;
        }
        while (k < OPTIONS && strcmp(argv[i], options[k].name) != 0)
            k++;
        if (k < OPTIONS && i + 1 < argc)
            value[k] = argv[++i];
        else if (k < OPTIONS || argv[i][0] == '-' || file)
            return mistake(argv[i], k < OPTIONS ? "needs a value"
                                                : "not understood; see rookery-fleet --help");
        else
            file = argv[i];
    }
    if (!file)
        return mistake("which scenario? see rookery-fleet --help", NULL);
    r = load_scenario(file, &o.scenario);
    if (r != 0 || only_check)
        return r;
    o.name = file;
    (void)rk_log_init("fleet", "fleet", "warn", &err);
    rk_crypto_init();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return start(&o, value);
}
