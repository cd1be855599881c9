/*
 * Two tables, of settings and of what a step may be told, hold the names, the bounds and the help;
 * each line is a word and then pairs of a name and a value.
 */

#include "tests/bench/fleet/scenario.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS (3600u * 1000)
#define ANY(kind) (1u << (kind))

static const char *const step_names[STEP_KINDS] = {
    "join", "run", "burst", "storm", "verify", "leave",
};
static const char *const step_helps[STEP_KINDS] = {
    "agents enrol, connect and get their first map",
    "so long, with as many of each activity a second as it is told; none: they idle",
    "changes over REST, one after the other, until the last agent has the last of them",
    "connections are cut, all at the same moment; agents come back in their own time",
    "every agent connects anew: its map must be the one it held, and hold its whole group",
    "agents log out, and are gone from the account",
};
static const char *const activity_names[ACTIVITIES] = {
    "churn", "change", "signal", "relay", "stun",
};

uint64_t step_at_once(const struct step *s, uint64_t agents, uint64_t of)
{
    uint64_t share = s->at_once * agents / of;

    return s->at_once > 0 && share == 0 ? 1 : share;
}

const char *step_name(enum step_kind kind)
{
    return step_names[kind];
}

const char *activity_name(enum activity a)
{
    return activity_names[a];
}

enum value_type {
    VALUE_COUNT,    /* uint64_t */
    VALUE_DURATION, /* uint64_t, ms; "250ms", "30s", "5m", "1h" */
    VALUE_RATE,     /* double; "0.5/s" */
    VALUE_SHARE,    /* double, 0 to 1; "30%" */
    VALUE_YES,      /* bool; "yes" or "no" */
    VALUE_PLANES,   /* unsigned; "signal,relay" */
};

struct row {
    const char *name, *help;
    size_t offset;
    uint64_t min, max;
    enum value_type type;
    unsigned steps; /* where it may stand, of step rows */
};

#define SETTING(name, member, type, min, max, help)                                                \
    {                                                                                              \
        name, help, offsetof(struct scenario, member), min, max, type, 0                           \
    }

static const struct row settings[] = {
    SETTING("agents", agents, VALUE_COUNT, 2, SCENARIO_MAX_AGENTS, "how many (needed)"),
    SETTING("groups",
            groups,
            VALUE_COUNT,
            1,
            SCENARIO_MAX_AGENTS / 2,
            "agents are dealt to so many groups; each sees itself (1)"),
    SETTING("planes",
            planes,
            VALUE_PLANES,
            0,
            0,
            "what they connect to besides management: none or signal,relay,stun (all)"),
    SETTING("sync_version",
            sync_version,
            VALUE_COUNT,
            0,
            1,
            "1: agents take maps as components, as stock ones do (1)"),
    SETTING("packet_bytes", packet_bytes, VALUE_COUNT, 64, 8000, "of a packet by relay (1350)"),
    SETTING("direct",
            direct,
            VALUE_YES,
            0,
            0,
            "enrol with the first Login; stock agents ask twice without key before (no)"),
    SETTING("alone",
            alone,
            VALUE_YES,
            0,
            0,
            "the account's other policies are off during the run (no)"),
};

#define STEP(name, member, type, min, max, steps, help)                                            \
    {                                                                                              \
        name, help, offsetof(struct step, member), min, max, type, steps                           \
    }

static const struct row step_rows[] = {
    STEP("for", for_ms, VALUE_DURATION, 100, 48 * HOUR_MS, ANY(STEP_RUN), "how long (needed)"),
    STEP("churn",
         rate[ACTIVITY_CHURN],
         VALUE_RATE,
         0,
         100000,
         ANY(STEP_RUN),
         "agents that are started anew"),
    STEP("change",
         rate[ACTIVITY_CHANGE],
         VALUE_RATE,
         0,
         1000,
         ANY(STEP_RUN),
         "changes of a group's policy"),
    STEP("signal",
         rate[ACTIVITY_SIGNAL],
         VALUE_RATE,
         0,
         1000000,
         ANY(STEP_RUN),
         "offers between two of a group, which are answered"),
    STEP("relay",
         rate[ACTIVITY_RELAY],
         VALUE_RATE,
         0,
         10000000,
         ANY(STEP_RUN),
         "packets by relay, in pairs"),
    STEP("stun", rate[ACTIVITY_STUN], VALUE_RATE, 0, 10000000, ANY(STEP_RUN), "binding requests"),
    STEP("at_once",
         at_once,
         VALUE_COUNT,
         0,
         SCENARIO_MAX_AGENTS,
         ANY(STEP_JOIN) | ANY(STEP_VERIFY) | ANY(STEP_LEAVE),
         "agents under way at a time; 0: all (100)"),
    STEP("changes", changes, VALUE_COUNT, 1, 50000, ANY(STEP_BURST), "how many (1)"),
    STEP("gap",
         gap_ms,
         VALUE_DURATION,
         0,
         HOUR_MS,
         ANY(STEP_BURST),
         "from an answer to the next change (0ms)"),
    STEP("share", share, VALUE_SHARE, 0, 100, ANY(STEP_STORM), "of the agents (100%)"),
    STEP("within",
         within_ms,
         VALUE_DURATION,
         100,
         48 * HOUR_MS,
         ANY(STEP_JOIN) | ANY(STEP_BURST) | ANY(STEP_STORM) | ANY(STEP_VERIFY) | ANY(STEP_LEAVE),
         "longer has failed (2m)"),
};

struct plane_name {
    const char *name;
    unsigned plane;
};
static const struct plane_name plane_names[] = {
    { "none", 0 },
    { "signal", PLANE_SIGNAL },
    { "relay", PLANE_RELAY },
    { "stun", PLANE_STUN },
};

/* -- values -- */

/* A number with at most six digits behind the point, in millionths; advances *s. */
static bool take_number(struct rk_str *s, uint64_t *out_millionths)
{
    struct rk_str whole, part = { NULL, 0 };
    uint64_t v, fraction = 0;
    size_t n = strspn(s->p, "0123456789"), digits = 0;

    whole = rk_strn(s->p, n);
    if (n < s->n && s->p[n] == '.') {
        digits = strspn(s->p + n + 1, "0123456789");
        part = rk_strn(s->p + n + 1, digits);
        n += digits + 1;
    }
    if (!rk_str_u64(whole, &v) || v > UINT64_MAX / 2000000 || digits > 6 ||
        (part.p && !rk_str_u64(part, &fraction)))
        return false;
    for (; digits < 6; digits++)
        fraction *= 10;
    *out_millionths = v * 1000000 + fraction;
    *s = rk_strn(s->p + n, s->n - n);
    return true;
}

static bool parse_duration(struct rk_str s, uint64_t *out_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", HOUR_MS } };
    uint64_t v;

    if (!take_number(&s, &v) || v > UINT64_MAX / HOUR_MS)
        return false;
    for (unsigned i = 0; i < RK_COUNT(units); i++)
        if (rk_str_eq(s, rk_str(units[i].unit))) {
            *out_ms = v * units[i].ms / 1000000;
            return true;
        }
    return false;
}

static bool parse_planes(struct rk_str s, unsigned *out)
{
    unsigned planes = PLANE_MANAGEMENT;
    struct rk_str part;

    while (rk_str_next(&s, ',', &part)) {
        unsigned i = 0;

        while (i < RK_COUNT(plane_names) && !rk_str_eq(part, rk_str(plane_names[i].name)))
            i++;
        if (i == RK_COUNT(plane_names))
            return false;
        planes |= plane_names[i].plane;
    }
    *out = planes;
    return true;
}

static const char *form_of(enum value_type type)
{
    switch (type) {
    case VALUE_COUNT:
        return "a whole number";
    case VALUE_DURATION:
        return "a time such as 250ms, 30s, 5m or 1h";
    case VALUE_RATE:
        return "a rate such as 5/s or 0.5/s";
    case VALUE_SHARE:
        return "a share such as 30%";
    case VALUE_YES:
        return "yes or no";
    case VALUE_PLANES:
        return "none, or some of signal,relay,stun";
    }
    return "";
}

/* The value of a row's number, in its own unit, before the bounds. */
static bool parse_scaled(const struct row *row, struct rk_str text, double *out)
{
    uint64_t v;

    if (!take_number(&text, &v))
        return false;
    *out = (double)v / 1e6;
    return row->type == VALUE_RATE ? rk_str_eq(text, RK_STR("/s")) : rk_str_eq(text, RK_STR("%"));
}

static bool parse_value(const struct row *row, struct rk_str text, void *base)
{
    void *at = (char *)base + row->offset;
    double d = 0;
    uint64_t v = 0;

    switch (row->type) {
    case VALUE_COUNT:
        if (!rk_str_u64(text, &v) || v < row->min || v > row->max)
            return false;
        memcpy(at, &v, sizeof(v));
        return true;
    case VALUE_DURATION:
        if (!parse_duration(text, &v) || v < row->min || v > row->max)
            return false;
        memcpy(at, &v, sizeof(v));
        return true;
    case VALUE_RATE:
    case VALUE_SHARE:
        if (!parse_scaled(row, text, &d) || d < (double)row->min || d > (double)row->max)
            return false;
        if (row->type == VALUE_SHARE)
            d /= 100;
        memcpy(at, &d, sizeof(d));
        return true;
    case VALUE_YES:
        *(bool *)at = rk_str_eq(text, RK_STR("yes"));
        return rk_str_eq(text, RK_STR("yes")) || rk_str_eq(text, RK_STR("no"));
    case VALUE_PLANES:
        return parse_planes(text, at);
    }
    return false;
}

/* -- lines -- */

/* The next word of *rest, which is a C string's part; empty at the end. */
static struct rk_str next_word(struct rk_str *rest)
{
    size_t n = 0;

    while (rest->n > 0 && (*rest->p == ' ' || *rest->p == '\t'))
        *rest = rk_strn(rest->p + 1, rest->n - 1);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    *rest = rk_strn(rest->p + n, rest->n - n);
    return rk_strn(rest->p - n, n);
}

struct parse {
    const char *name;
    unsigned line;
    uint32_t seen; /* rows of this line, or settings of all lines */
    struct rk_err *err;
};

#define FAIL(p, ...) rk_fail((p)->err, RK_INVALID, __VA_ARGS__)

static int parse_row(struct parse *p,
                     const struct row *rows,
                     unsigned i,
                     struct rk_str value,
                     uint32_t *seen,
                     void *base)
{
    const struct row *row = &rows[i];

    if (*seen & 1u << i)
        return FAIL(p, "%s:%u: %s stands there already", p->name, p->line, row->name);
    *seen |= 1u << i;
    if (value.n == 0)
        return FAIL(p, "%s:%u: %s needs %s", p->name, p->line, row->name, form_of(row->type));
    if (parse_value(row, value, base))
        return 0;
    if (row->type == VALUE_YES || row->type == VALUE_PLANES)
        return FAIL(p, "%s:%u: %s is %s, not '%.*s'", p->name, p->line, row->name,
                    form_of(row->type), RK_STR_FMT(value));
    return FAIL(p, "%s:%u: %s is %s, from %llu%s to %llu%s, not '%.*s'", p->name, p->line,
                row->name, form_of(row->type), (unsigned long long)row->min,
                row->type == VALUE_DURATION ? "ms" : "", (unsigned long long)row->max,
                row->type == VALUE_DURATION ? "ms" : "", RK_STR_FMT(value));
}

static int parse_step(struct parse *p, enum step_kind kind, struct rk_str rest, struct step *out)
{
    uint32_t seen = 0;
    struct rk_str word;

    *out = (struct step){
        .kind = kind, .line = p->line, .at_once = 100, .changes = 1, .share = 1, .within_ms = 120000
    };
    while ((word = next_word(&rest)).n > 0) {
        unsigned i = 0;
        int r;

        while (i < RK_COUNT(step_rows) &&
               !(step_rows[i].steps & ANY(kind) && rk_str_eq(word, rk_str(step_rows[i].name))))
            i++;
        if (i == RK_COUNT(step_rows))
            return FAIL(p, "%s:%u: %s does not know '%.*s'", p->name, p->line, step_names[kind],
                        RK_STR_FMT(word));
        r = parse_row(p, step_rows, i, next_word(&rest), &seen, out);
        if (r < 0)
            return r;
    }
    if (kind == STEP_RUN && out->for_ms == 0)
        return FAIL(p, "%s:%u: run needs a time: run for 30s", p->name, p->line);
    return 0;
}

static int parse_line(struct parse *p, struct rk_str rest, struct scenario *s)
{
    struct rk_str word = next_word(&rest), value;

    if (word.n == 0)
        return 0;
    for (unsigned i = 0; i < STEP_KINDS; i++)
        if (rk_str_eq(word, rk_str(step_names[i]))) {
            if (s->steps == SCENARIO_MAX_STEPS)
                return FAIL(p, "%s:%u: more than %d steps", p->name, p->line, SCENARIO_MAX_STEPS);
            return parse_step(p, (enum step_kind)i, rest, &s->step[s->steps++]);
        }
    for (unsigned i = 0; i < RK_COUNT(settings); i++)
        if (rk_str_eq(word, rk_str(settings[i].name))) {
            if (s->steps > 0)
                return FAIL(p, "%s:%u: %s stands before the first step", p->name, p->line,
                            settings[i].name);
            value = next_word(&rest);
            if (next_word(&rest).n > 0)
                return FAIL(p, "%s:%u: %s has one value", p->name, p->line, settings[i].name);
            return parse_row(p, settings, i, value, &p->seen, s);
        }
    return FAIL(p, "%s:%u: there is no '%.*s'; see rookery-fleet --help", p->name, p->line,
                RK_STR_FMT(word));
}

bool scenario_has(const struct scenario *s, enum activity a)
{
    for (unsigned i = 0; i < s->steps; i++)
        if (s->step[i].rate[a] > 0)
            return true;
    return false;
}

/* What needs more than one line. */
static int check_whole(struct parse *p, const struct scenario *s)
{
    static const struct {
        enum activity activity;
        unsigned plane;
    } needs[] = { { ACTIVITY_SIGNAL, PLANE_SIGNAL },
                  { ACTIVITY_RELAY, PLANE_RELAY },
                  { ACTIVITY_STUN, PLANE_STUN } };

    if (s->agents == 0)
        return FAIL(p, "%s: how many? a line such as: agents 500", p->name);
    if (s->groups > s->agents / 2)
        return FAIL(p, "%s: %llu groups of %llu agents: a group has two at least", p->name,
                    (unsigned long long)s->groups, (unsigned long long)s->agents);
    if (s->steps == 0 || s->step[0].kind != STEP_JOIN)
        return FAIL(p, "%s: the first step is join", p->name);
    for (unsigned i = 0; i + 1 < s->steps; i++)
        if (s->step[i].kind == STEP_LEAVE)
            return FAIL(p, "%s:%u: leave is the last step", p->name, s->step[i].line);
    for (unsigned i = 1; i < s->steps; i++)
        if (s->step[i].kind == STEP_JOIN)
            return FAIL(p, "%s:%u: they have joined already", p->name, s->step[i].line);
    for (unsigned i = 0; i < RK_COUNT(needs); i++)
        if (!(s->planes & needs[i].plane) && scenario_has(s, needs[i].activity))
            return FAIL(p, "%s: %s needs the plane of that name", p->name,
                        activity_names[needs[i].activity]);
    return 0;
}

int scenario_parse(struct rk_str text, const char *name, struct scenario *out, struct rk_err *err)
{
    struct scenario s = { .groups = 1,
                          .packet_bytes = 1350,
                          .sync_version = 1,
                          .planes = PLANE_MANAGEMENT | PLANE_SIGNAL | PLANE_RELAY | PLANE_STUN };
    struct parse p = { .name = name, .err = err };
    struct rk_str line;
    int r;

    while (rk_str_next(&text, '\n', &line)) {
        char copy[512]; /* ends with a NUL, as the scanners want it */
        struct rk_str comment;

        p.line++;
        (void)rk_str_next(&line, '#', &comment); /* the part before it */
        comment = rk_str_trim(comment);
        if (!rk_str_copy(comment, copy, sizeof(copy)))
            return FAIL(&p, "%s:%u: no line of text", name, p.line);
        r = parse_line(&p, rk_str(copy), &s);
        if (r < 0)
            return r;
    }
    r = check_whole(&p, &s);
    if (r == 0)
        *out = s;
    return r;
}

void scenario_help(FILE *out)
{
    (void)fputs("A scenario is a text, one setting or step a line; # begins a comment.\n\n"
                "Settings, before the first step:\n",
                out);
    for (unsigned i = 0; i < RK_COUNT(settings); i++)
        (void)fprintf(out, "  %-14s %s\n", settings[i].name, settings[i].help);
    (void)fputs("\nSteps, done in order, the first is join:\n", out);
    for (unsigned k = 0; k < STEP_KINDS; k++) {
        (void)fprintf(out, "  %-14s %s\n", step_names[k], step_helps[k]);
        for (unsigned i = 0; i < RK_COUNT(step_rows); i++)
            if (step_rows[i].steps & ANY(k))
                (void)fprintf(out, "    %-12s %s; %s\n", step_rows[i].name, step_rows[i].help,
                              form_of(step_rows[i].type));
    }
}
