#include "tests/bench/fleet/conductor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fds.h"
#include "tests/bench/fleet/player.h"
#include "tests/bench/fleet/report.h"
#include "tests/bench/lib/watch.h"

#define PROCESSES_MAX WATCH_MAX
#define SPARE_DESCRIPTORS 128
#define GRACE_MS 150000 /* a player that says nothing for longer than its step may take */
#define RETRY_MS 100    /* of a change that was not acknowledged */

struct conductor {
    const struct conductor_options *o;
    struct plan plan;
    struct account *account;
    struct tally *tally; /* one for each process */
    struct tally own;    /* what the conductor measures */
    unsigned processes;
    int fd[PROCESSES_MAX];
    pid_t pid[PROCESSES_MAX];
    uint32_t first[PROCESSES_MAX + 1];
    bool done[PROCESSES_MAX];
    uint32_t *change; /* of each group, the last that was asked for */
    uint32_t turn;    /* the group that is changed next */
    struct watch fleet, servers;
    double empty_bytes; /* of the players without agents */
    struct report report;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "rookery-fleet: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    return 1;
}

/* -- setting up -- */

static unsigned descriptors_each(const struct scenario *s)
{
    /* And one more while it enrols or is verified. */
    return 2u + !!(s->planes & PLANE_SIGNAL) + !!(s->planes & PLANE_RELAY);
}

static uint64_t whole(uint64_t n, uint64_t of)
{
    return (n + of - 1) / of;
}

/* As many as descriptors need, and equally many at each management; 0, and a message: there cannot
 * be so many. */
static unsigned processes_needed(const struct conductor_options *o)
{
    unsigned descriptors = descriptors_each(&o->scenario);
    uint64_t agents = o->scenario.agents, each = 0, need, most;

    rk_fds_raise();
    most = rk_fds_max();
    if (most > SPARE_DESCRIPTORS)
        each = (most - SPARE_DESCRIPTORS) / descriptors;
    need = each > 0 ? whole(agents, each) : UINT32_MAX;
    need = o->managements * whole(need > o->processes ? need : o->processes, o->managements);
    if (need > PROCESSES_MAX)
        (void)fprintf(
            stderr,
            "rookery-fleet: %llu agents take %u descriptors each, and at most %u processes "
            "may have %llu each: fewer agents, or a higher limit (ulimit -Hn)\n",
            (unsigned long long)agents, descriptors, PROCESSES_MAX, (unsigned long long)most);
    else if (need > agents / 2)
        (void)fprintf(stderr, "rookery-fleet: %llu processes, and fewer pairs of agents\n",
                      (unsigned long long)need);
    else
        return (unsigned)need;
    return 0;
}

static void *shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

static void make_keys(struct plan *plan)
{
    map_key *keys = shared(plan->scenario.agents * sizeof(map_key));
    struct rk_keypair pair;

    for (uint32_t i = 0; i < plan->scenario.agents; i++) {
        identity_keypair(&plan->id, i, &pair);
        memcpy(keys[i], pair.public_key, sizeof(map_key));
    }
    rk_wipe(&pair, sizeof(pair));
    plan->keys = (const map_key *)keys;
}

static bool start_player(struct conductor *c, unsigned i)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    c->pid[i] = fork();
    if (c->pid[i] < 0)
        return false;
    if (c->pid[i] == 0) {
        for (unsigned k = 0; k < i; k++)
            (void)close(c->fd[k]);
        (void)close(pair[0]);
        (void)signal(SIGINT, SIG_IGN); /* the conductor says when */
        player_run(&c->plan, c->o->management[i % c->o->managements], &c->tally[i], c->first[i],
                   c->first[i + 1], pair[1]);
    }
    (void)close(pair[1]);
    c->fd[i] = pair[0];
    return true;
}

/* Groups are not torn apart where there are enough of them: their changes are timed by process. */
static void deal(struct conductor *c)
{
    uint64_t groups = c->plan.scenario.groups, agents = c->plan.scenario.agents;

    for (unsigned i = 0; i <= c->processes; i++)
        c->first[i] = groups >= c->processes
                          ? plan_group_first(&c->plan, (uint32_t)(groups * i / c->processes))
                          : (uint32_t)(agents * i / c->processes);
}

/* -- notes -- */

static bool tell(struct conductor *c, unsigned i, const struct note *n)
{
    return send(c->fd[i], n, sizeof(*n), MSG_NOSIGNAL) == (ssize_t)sizeof(*n);
}

static bool tell_all(struct conductor *c, const struct note *n)
{
    bool good = true;

    for (unsigned i = 0; i < c->processes; i++)
        good = tell(c, i, n) && good;
    return good;
}

/* Takes notes for so long, or until all have said that they are done. False: a process is gone. */
static bool listen_for(struct conductor *c, enum note_kind kind, uint64_t wait_ms, bool *out_all)
{
    struct pollfd poll_fd[PROCESSES_MAX];
    uint64_t end = rk_mono_ms() + wait_ms;

    for (;;) {
        uint64_t now = rk_mono_ms();
        unsigned done = 0;
        struct note n;

        for (unsigned i = 0; i < c->processes; i++) {
            done += c->done[i];
            poll_fd[i] = (struct pollfd){ .fd = c->fd[i], .events = POLLIN };
        }
        *out_all = done == c->processes;
        if (*out_all || now >= end || interrupted)
            return true;
        if (poll(poll_fd, c->processes, (int)(end - now)) < 0 && errno != EINTR)
            return false;
        for (unsigned i = 0; i < c->processes; i++) {
            ssize_t got;

            if (!(poll_fd[i].revents & (POLLIN | POLLHUP | POLLERR)))
                continue;
            got = recv(c->fd[i], &n, sizeof(n), MSG_DONTWAIT);
            if (got != (ssize_t)sizeof(n))
                return false;
            if (n.kind == (uint32_t)kind)
                c->done[i] = true;
        }
    }
}

/* -- changes -- */

/* One change of the group whose turn it is; its players learn of it when it is acknowledged. */
static bool change_one(struct conductor *c, bool until_done, uint64_t within_ms)
{
    uint32_t group = c->turn % (uint32_t)c->plan.scenario.groups;
    uint64_t begun = rk_mono_ns(), end = rk_mono_ms() + within_ms;
    struct note n = { .kind = NOTE_CHANGED, .which = group };
    struct rk_err err = { 0 };

    if (c->change[group] == MAP_MAX_CHANGES)
        return true; /* there are no more ports */
    c->turn++;
    n.change = ++c->change[group];
    while (account_change(c->account, group, (uint32_t)n.change, &err) < 0) {
        c->own.count[COUNT_RETRIES]++;
        if (!until_done || interrupted || rk_mono_ms() >= end) {
            if (until_done)
                tally_fault(&c->own, FAULT_LATE, "REST: %s", err.msg);
            return true;
        }
        (void)usleep(RETRY_MS * 1000);
    }
    n.at_ns = rk_mono_ns();
    tally_time(&c->own, METRIC_REST, n.at_ns - begun);
    c->own.count[COUNT_CHANGES]++;
    for (unsigned i = 0; i < c->processes; i++)
        if (c->first[i] < plan_group_first(&c->plan, group + 1) &&
            c->first[i + 1] > plan_group_first(&c->plan, group) && !tell(c, i, &n))
            return false;
    return true;
}

static bool settle(struct conductor *c)
{
    struct note n = { .kind = NOTE_SETTLE };

    return tell_all(c, &n);
}

static bool lead_run(struct conductor *c, const struct step *s, uint64_t begun_ms)
{
    double rate = s->rate[ACTIVITY_CHANGE];
    uint64_t made = 0, now;
    bool all;

    while (rate > 0 && (now = rk_mono_ms()) - begun_ms < s->for_ms && !interrupted) {
        uint64_t due_ms = begun_ms + (uint64_t)((double)made * 1000 / rate);

        if (due_ms >= begun_ms + s->for_ms)
            break;
        if (due_ms > now && !listen_for(c, NOTE_DONE, due_ms - now, &all))
            return false;
        if (!change_one(c, false, 0))
            return false;
        made++;
    }
    return settle(c);
}

static bool lead_burst(struct conductor *c, const struct step *s)
{
    for (uint64_t i = 0; i < s->changes && !interrupted; i++) {
        bool all;

        if (!change_one(c, true, s->within_ms))
            return false;
        if (s->gap_ms > 0 && i + 1 < s->changes && !listen_for(c, NOTE_DONE, s->gap_ms, &all))
            return false;
    }
    return settle(c);
}

/* -- steps -- */

static void step_report(
    struct conductor *c, const struct step *s, double seconds, double cpu_us, double servers_us)
{
    struct report_step *out = &c->report.step[c->report.steps++];

    out->step = s;
    out->seconds = seconds;
    out->fleet_cpu_s = (watch_cpu_us(&c->fleet) - cpu_us) / 1e6;
    out->agent_bytes =
        (watch_private_bytes(&c->fleet) - c->empty_bytes) / (double)c->plan.scenario.agents;
    if (c->servers.count > 0) {
        out->servers_cpu_s = (watch_cpu_us(&c->servers) - servers_us) / 1e6;
        out->servers_bytes = watch_private_bytes(&c->servers);
    }
    tally_clear(&out->tally);
    tally_merge(&out->tally, &c->own);
    for (unsigned i = 0; i < c->processes; i++)
        tally_merge(&out->tally, &c->tally[i]);
    report_table_step(&c->report, out, stdout);
}

static bool do_step(struct conductor *c, unsigned number)
{
    const struct step *s = &c->plan.scenario.step[number];
    struct note n = { .kind = NOTE_STEP, .which = number };
    double cpu_us = watch_cpu_us(&c->fleet),
           servers_us = c->servers.count > 0 ? watch_cpu_us(&c->servers) : 0;
    uint64_t begun_ns = rk_mono_ns();
    bool all = false;

    tally_clear(&c->own);
    for (unsigned i = 0; i < c->processes; i++) {
        tally_clear(&c->tally[i]);
        c->done[i] = false;
    }
    if (!tell_all(c, &n))
        return false;
    if (s->kind == STEP_RUN && !lead_run(c, s, begun_ns / 1000000))
        return false;
    if (s->kind == STEP_BURST && !lead_burst(c, s))
        return false;
    if (!listen_for(c, NOTE_DONE, s->for_ms + s->within_ms + GRACE_MS, &all))
        return false;
    if (!all)
        return false; /* interrupted, or a player hangs */
    step_report(c, s, (double)(rk_mono_ns() - begun_ns) / 1e9, cpu_us, servers_us);
    return true;
}

static bool start_players(struct conductor *c)
{
    char *pids[PROCESSES_MAX];
    bool all = false;

    (void)fflush(stdout);
    deal(c);
    for (unsigned i = 0; i < c->processes; i++)
        if (!start_player(c, i)) {
            c->processes = i;
            return false;
        }
    if (!listen_for(c, NOTE_READY, GRACE_MS, &all) || !all)
        return false;
    for (unsigned i = 0; i < c->processes; i++)
        pids[i] = rk_asprintf("%d", (int)c->pid[i]);
    watch_init(&c->fleet, pids, (int)c->processes);
    for (unsigned i = 0; i < c->processes; i++)
        free(pids[i]);
    c->empty_bytes = watch_private_bytes(&c->fleet);
    return true;
}

static void stop_players(struct conductor *c)
{
    struct note n = { .kind = NOTE_QUIT };

    (void)tell_all(c, &n);
    for (unsigned i = 0; i < c->processes; i++) {
        (void)close(c->fd[i]);
        (void)waitpid(c->pid[i], NULL, 0);
    }
}

static int run_steps(struct conductor *c)
{
    for (unsigned i = 0; i < c->plan.scenario.steps; i++)
        if (!do_step(c, i))
            return fail(step_name(c->plan.scenario.step[i].kind),
                        interrupted ? "interrupted" : "a process of the fleet has ended");
    report_table_end(&c->report, stdout);
    return report_faults(&c->report) > 0;
}

static int lead(struct conductor *c)
{
    struct rk_err err = { 0 };
    int status, r = account_open(c->account, c->plan.scenario.alone, &err);

    if (r < 0)
        return fail("the account cannot be prepared", err.msg);
    c->plan.all_see_all = account_all_see_all(c->account);
    if (c->plan.all_see_all && c->plan.scenario.groups > 1)
        (void)puts("a policy of the account lets everybody see everybody: maps hold all agents, "
                   "not their group's (alone yes: switches it off for the run)\n");
    status = start_players(c) ? run_steps(c) : fail("the processes cannot be started", NULL);
    stop_players(c);
    if (c->o->json_file && !report_json(&c->report, c->o->json_file))
        status = fail(c->o->json_file, "cannot be written");
    if (c->o->histogram_dir && !report_histograms(&c->report, c->o->histogram_dir))
        status = fail(c->o->histogram_dir, "histograms cannot be written");
    return status;
}

int conductor_run(const struct conductor_options *o)
{
    struct conductor c = { .o = o };
    struct account_access access = { o->api_url, o->token, o->ca_file };
    struct rk_err err = { 0 };
    int status;

    c.plan.scenario = o->scenario;
    c.plan.ca_file = o->ca_file;
    c.processes = processes_needed(o);
    if (c.processes == 0)
        return 1;
    identity_new(&c.plan.id);
    make_keys(&c.plan);
    c.plan.groups = shared(o->scenario.groups * sizeof(struct account_group));
    c.tally = tally_shared(c.processes);
    c.change = rk_new_array(uint32_t, o->scenario.groups);
    watch_init(&c.servers, o->watch, (int)o->watched);
    c.report = (struct report){ .scenario = o->name,
                                .management = o->at,
                                .run = c.plan.id.run,
                                .agents = o->scenario.agents,
                                .groups = o->scenario.groups,
                                .processes = c.processes,
                                .watched = o->watched,
                                .step = rk_new_array(struct report_step, SCENARIO_MAX_STEPS) };
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    c.account = account_new(&access, &c.plan.id, c.plan.groups, (unsigned)o->scenario.groups);
    status = lead(&c);
    if (account_close(c.account, &err) < 0)
        status = fail("the account cannot be cleared", err.msg);
    account_free(c.account);
    free(c.report.step);
    free(c.change);
    return status;
}
