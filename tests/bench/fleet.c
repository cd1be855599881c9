/*
 * Agents of one account at management: `fleet MANAGEMENT_PORT REST_PORT [+]N,N,...[xCHANGES]
 * PID...`
 *
 * For each N in turn, on an account that has fewer agents: the missing ones log in with a setup key
 * (GetServerKey and Login, 100 at a time); all N connect anew and get their first map (GetServerKey
 * and Sync, 100 at a time), each of which is opened, authenticated and must hold the N - 1 others;
 * nothing happens for a while, and memory is read; then a policy is changed over REST and every
 * agent gets a map with a newer serial; with CHANGES that many times, after one that is not
 * counted. With the +, they log in and that is all. CPU is that of the watched processes, the first
 * of which is the management server, until everything has been quiet; memory is that of the first
 * alone, over what it had when this program was started. ROOKERY_BENCH_TOKEN is an API token;
 * agents connect over TLS when ROOKERY_BENCH_CA names the certificates to believe. One thread, and
 * one for the REST call that is timed.
 */

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/client.h"
#include "libcommon/grpc/status.h"
#include "libcommon/obs/log.h"
#include "proto/management.pb-c.h"
#include "tests/bench/lib/mapwire.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/rest.h"
#include "tests/bench/lib/tls.h"
#include "tests/bench/lib/watch.h"

#define AT_ONCE 100
#define QUIET_MS 1000  /* without a message: it is over */
#define SETTLE_MS 7000 /* management gives free heap back every 5 s */
#define LIMIT_MS 300000
#define CALL_MS 60000
#define TICK_MS 10
#define SERVICE "/management.ManagementService/"

struct agent {
    struct fleet *fleet;
    uint32_t number;
    struct rk_keypair own;
    struct rk_box box;
    struct rk_grpc_client *grpc;
    bool closing;
    uint64_t serial;     /* of the newest map; 0: none yet */
    uint64_t updated_ns; /* when a serial past fleet->serial_before came */
};

struct fleet {
    struct rk_loop *loop;
    struct rk_timer tick;
    struct rk_addr addr;
    struct rk_tls *tls; /* NULL: in the clear */
    struct rest rest;
    struct watch watch;
    double start_bytes;
    const char *setup_key; /* set: agents log in; NULL: they sync */
    struct agent *agent;
    unsigned registered, wanted;   /* agents the account has; that sync now */
    unsigned next, end, under_way; /* of the step */
    unsigned open, updated, maps;  /* connections; in the change; maps that came in this step */
    uint64_t serial_before, moved_ms, last_ns, map_bytes;
    _Atomic uint64_t answered_ns;
    const char *policy_path;
    bool narrow; /* what the policy is changed to next */
};

/* -- one agent -- */

static void start_next(struct fleet *f);

static void moved(struct fleet *f)
{
    f->moved_ms = rk_mono_ms();
}

static void step_done(struct agent *a)
{
    moved(a->fleet);
    a->fleet->under_way--;
    start_next(a->fleet);
}

static void nothing(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    (void)call;
    (void)message;
    (void)arg;
}

static void login_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct agent *a = arg;

    (void)call;
    if (status != 0)
        bench_die("Login of agent %u: %d %s", a->number, status, message);
    a->closing = true;
    rk_grpc_client_close(a->grpc);
}

static const struct rk_grpc_client_ops login_ops = { .on_message = nothing, .on_done = login_done };

/* The first map is looked at as an agent would; of the later ones only the serial. */
static void on_map(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct agent *a = arg;
    struct fleet *f = a->fleet;
    uint64_t now = rk_mono_ns(), serial;
    struct mapwire_map map;
    struct rk_str body;

    (void)call;
    moved(f);
    if (!mapwire_body(message, &body))
        bench_die("a Sync message without a body");
    if (a->serial == 0) {
        if (!mapwire_open(&a->box, body, &map) || map.serial == 0)
            bench_die("the first Sync message of agent %u is no map", a->number);
        if (map.peers != f->wanted - 1)
            bench_die("the first map of agent %u holds %u peers, not %u", a->number, map.peers,
                      f->wanted - 1);
        a->serial = map.serial;
        f->map_bytes += message.n;
        f->maps++;
        step_done(a);
        return;
    }
    serial = mapwire_peek_serial(&a->box, body);
    f->maps += serial > 0;
    if (serial > a->serial)
        a->serial = serial;
    if (serial > f->serial_before && a->updated_ns == 0) {
        a->updated_ns = f->last_ns = now;
        f->updated++;
    }
}

static void sync_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct agent *a = arg;

    (void)call;
    if (!a->closing)
        bench_die("Sync of agent %u ended: %d %s", a->number, status, message);
}

static const struct rk_grpc_client_ops sync_ops = { .on_message = on_map, .on_done = sync_done };

static void on_key(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct agent *a = arg;
    Management__ServerKeyResponse *m =
        management__server_key_response__unpack(NULL, message.n, (const uint8_t *)message.p);
    uint8_t key[RK_KEY_LEN];

    (void)call;
    if (!m || !rk_key_parse(rk_str(m->key), key) || !rk_box_init(&a->box, &a->own, key))
        bench_die("GetServerKey gave no key");
    management__server_key_response__free_unpacked(m, NULL);
}

static void key_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct agent *a = arg;
    const char *setup_key = a->fleet->setup_key;
    char name[32];
    struct mapwire_agent self = { .hostname = name, .sync_version = 1 };
    rk_auto(rk_buf_done) struct rk_buf plain;
    rk_auto(rk_buf_done) struct rk_buf sealed;

    if (status != 0)
        bench_die("GetServerKey: %d %s", status, message);
    rk_buf_init(&plain, 64 * 1024);
    rk_buf_init(&sealed, 64 * 1024);
    (void)snprintf(name, sizeof(name), "agent-%05u", a->number);
    if (setup_key)
        mapwire_login(&self, setup_key, &plain);
    else
        mapwire_sync(&self, &plain);
    mapwire_seal(a->own.public_key, &a->box, rk_buf_str(&plain), &sealed);
    call = rk_grpc_call(a->grpc, setup_key ? SERVICE "Login" : SERVICE "Sync", NULL, NULL,
                        setup_key ? CALL_MS : 0, setup_key ? &login_ops : &sync_ops, a);
    rk_grpc_call_send(call, rk_buf_str(&sealed), true);
}

static const struct rk_grpc_client_ops key_ops = { .on_message = on_key, .on_done = key_done };

static void on_closed(struct rk_grpc_client *grpc, const char *why, void *arg)
{
    struct agent *a = arg;
    struct fleet *f = a->fleet;

    (void)grpc;
    if (!a->closing)
        bench_die("connection of agent %u lost: %s", a->number, why);
    a->grpc = NULL;
    a->closing = false;
    f->open--;
    if (f->setup_key)
        step_done(a);
}

static void start_agent(struct agent *a)
{
    struct fleet *f = a->fleet;
    struct rk_err err = { 0 };

    if (rk_grpc_client_new(f->loop, &f->addr, f->tls, "management", on_closed, a, &a->grpc, &err) <
        0)
        bench_die("%s", err.msg);
    f->open++;
    f->under_way++;
    a->serial = a->updated_ns = 0;
    rk_grpc_call_send(
        rk_grpc_call(a->grpc, SERVICE "GetServerKey", NULL, NULL, CALL_MS, &key_ops, a), RK_STR(""),
        true);
}

static void start_next(struct fleet *f)
{
    while (f->next < f->end && f->under_way < AT_ONCE)
        start_agent(&f->agent[f->next++]);
}

/* -- steps -- */

static void on_tick(struct rk_timer *t)
{
    (void)t; /* it only ends the loop's wait */
}

typedef bool fleet_is_fn(const struct fleet *f);

static void run_until(struct fleet *f, fleet_is_fn *is, const char *what)
{
    uint64_t limit = rk_mono_ms() + LIMIT_MS;

    while (!is(f)) {
        uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
        if (rk_mono_ms() > limit)
            bench_die("%s: not done after %d s (%u of %u under way, %u updated)", what,
                      LIMIT_MS / 1000, f->under_way, f->end, f->updated);
    }
}

static bool step_is_done(const struct fleet *f)
{
    return f->next == f->end && f->under_way == 0;
}

static bool is_quiet(const struct fleet *f)
{
    return rk_mono_ms() - f->moved_ms >= QUIET_MS;
}

static bool is_settled(const struct fleet *f)
{
    return rk_mono_ms() - f->moved_ms >= SETTLE_MS;
}

static bool none_is_open(const struct fleet *f)
{
    return f->open == 0;
}

static bool all_have_it(const struct fleet *f)
{
    return f->updated == f->wanted &&
           atomic_load_explicit(&((struct fleet *)(uintptr_t)f)->answered_ns,
                                memory_order_acquire) != 0;
}

struct span {
    double cpu_us, first_us;
    uint64_t from_ns;
};

static struct span span_begin(const struct fleet *f)
{
    return (struct span){ watch_cpu_us(&f->watch), watch_first_cpu_us(&f->watch), rk_mono_ns() };
}

static void value(unsigned n, const char *name, double v)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "%u/%s", n, name);
    bench_value(text, v);
}

/* CPU of all watched and of management alone, an operation. */
static void
span_report(const struct fleet *f, const struct span *s, unsigned n, const char *name, unsigned ops)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%s_cpu_us", name);
    value(n, text, (watch_cpu_us(&f->watch) - s->cpu_us) / ops);
    (void)snprintf(text, sizeof(text), "%s_own_cpu_us", name);
    value(n, text, (watch_first_cpu_us(&f->watch) - s->first_us) / ops);
}

static void step(struct fleet *f, unsigned from, unsigned to)
{
    f->next = from;
    f->end = to;
    moved(f);
    start_next(f);
    run_until(f, step_is_done, f->setup_key ? "login" : "sync");
}

static void login(struct fleet *f, unsigned n)
{
    json_t *key = rest_call(&f->rest, "POST", "/api/setup-keys",
                            "{\"name\":\"bench\",\"type\":\"reusable\",\"expires_in\":86400,"
                            "\"auto_groups\":[],\"usage_limit\":0}");
    struct span s;
    uint64_t end;

    f->setup_key = json_string_value(json_object_get(key, "key"));
    if (!f->setup_key)
        bench_die("POST /api/setup-keys gave no key");
    s = span_begin(f);
    step(f, f->registered, n);
    end = rk_mono_ns();
    run_until(f, is_quiet, "quiet after login");
    span_report(f, &s, n, "login", n - f->registered);
    value(n, "login_per_s", (n - f->registered) / ((double)(end - s.from_ns) / 1e9));
    f->setup_key = NULL;
    f->registered = n;
    json_decref(key);
}

static void sync_all(struct fleet *f, unsigned n)
{
    struct span s = span_begin(f);
    uint64_t end;

    f->wanted = n;
    f->map_bytes = f->maps = 0;
    step(f, 0, n);
    end = rk_mono_ns();
    run_until(f, is_quiet, "quiet after sync");
    span_report(f, &s, n, "sync", n);
    value(n, "sync_per_s", n / ((double)(end - s.from_ns) / 1e9));
    value(n, "map_bytes", (double)f->map_bytes / n);
    value(n, "sync_maps_an_agent", (double)f->maps / n);
    run_until(f, is_settled, "settling");
    value(n, "bytes", (watch_first_private_bytes(&f->watch) - f->start_bytes) / n);
}

static void *change_policy(void *arg)
{
    struct fleet *f = arg;
    json_t *policy = rest_call(&f->rest, "GET", f->policy_path, NULL), *rules, *rule, *group;
    const char *sides[] = { "sources", "destinations" };
    size_t i, k;
    char *body;

    /* Groups are answered as objects and taken as ids. */
    rules = json_object_get(policy, "rules");
    json_array_foreach(rules, i, rule)
    {
        for (unsigned side = 0; side < RK_COUNT(sides); side++) {
            json_t *ids = json_array();

            json_array_foreach(json_object_get(rule, sides[side]), k, group)
                json_array_append(ids, json_object_get(group, "id"));
            json_object_set_new(rule, sides[side], ids);
        }
        json_object_set_new(rule, "protocol", json_string(f->narrow ? "icmp" : "all"));
    }
    json_object_del(policy, "id");
    body = json_dumps(policy, JSON_COMPACT);
    json_decref(policy);
    json_decref(rest_call(&f->rest, "PUT", f->policy_path, body));
    atomic_store_explicit(&f->answered_ns, rk_mono_ns(), memory_order_release);
    free(body);
    return NULL;
}

/* From the answer to the last agent's map, in ms. */
static double change(struct fleet *f, unsigned n)
{
    pthread_t thread;
    double last_ms;

    for (unsigned i = 0; i < n; i++) {
        f->agent[i].updated_ns = 0;
        if (f->agent[i].serial > f->serial_before)
            f->serial_before = f->agent[i].serial;
    }
    f->updated = 0;
    f->narrow = !f->narrow;
    atomic_store_explicit(&f->answered_ns, 0, memory_order_relaxed);
    if (pthread_create(&thread, NULL, change_policy, f) != 0)
        bench_die("no thread");
    moved(f);
    run_until(f, all_have_it, "change");
    pthread_join(thread, NULL);
    last_ms = ((double)f->last_ns - (double)atomic_load(&f->answered_ns)) / 1e6;
    return last_ms > 0 ? last_ms : 0;
}

static void change_all(struct fleet *f, unsigned n, unsigned changes)
{
    unsigned counted = changes ? changes : 1;
    double last_ms = 0;
    struct span s;

    if (changes) {
        (void)change(f, n);
        run_until(f, is_quiet, "quiet after the first change");
    }
    f->maps = 0;
    s = span_begin(f);
    for (unsigned i = 0; i < counted; i++)
        last_ms += change(f, n) / counted;
    run_until(f, is_quiet, "quiet after change");
    span_report(f, &s, n, "map", n * counted);
    value(n, "last_ms", last_ms);
    value(n, "maps_an_agent", (double)f->maps / (n * counted));
}

static void close_all(struct fleet *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        f->agent[i].closing = true;
        rk_grpc_client_close(f->agent[i].grpc);
    }
    run_until(f, none_is_open, "closing");
    moved(f);
    run_until(f, is_quiet, "quiet after closing");
}

/* -- */

static void find_policy(struct fleet *f)
{
    json_t *policies = rest_call(&f->rest, "GET", "/api/policies", NULL);
    const char *id = json_string_value(json_object_get(json_array_get(policies, 0), "id"));

    if (!id)
        bench_die("the account has no policy");
    f->policy_path = rk_asprintf("/api/policies/%s", id);
    json_decref(policies);
}

static void fleet_init(struct fleet *f, char **argv, int argc, unsigned agents)
{
    struct rk_err err = { 0 };
    char address[32];

    (void)snprintf(address, sizeof(address), "127.0.0.1:%u",
                   (unsigned)bench_number(argv[1], 1, 65535));
    if (rk_addr_parse(rk_str(address), &f->addr, &err) < 0)
        bench_die("%s", err.msg);
    f->rest.server =
        (struct sockaddr_in){ .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)bench_number(argv[2], 1, 65535)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    f->rest.token = getenv("ROOKERY_BENCH_TOKEN");
    if (!f->rest.token)
        bench_die("ROOKERY_BENCH_TOKEN is not set");
    watch_init(&f->watch, argv + 4, argc - 4);
    f->loop = rk_loop_new();
    f->tls = bench_tls_grpc(f->loop);
    rk_timer_init(f->loop, &f->tick, on_tick);
    rk_timer_start(&f->tick, TICK_MS, TICK_MS);
    f->agent = rk_new_array(struct agent, agents);
    for (unsigned i = 0; i < agents; i++) {
        f->agent[i].fleet = f;
        f->agent[i].number = i;
        rk_keypair_new(&f->agent[i].own);
    }
}

#define MAX_SIZES 8

int main(int argc, char **argv)
{
    static struct fleet f;
    unsigned sizes[MAX_SIZES], count = 0, last = 0;
    struct rk_str list, part, times;
    struct rk_err err = { 0 };
    bool only_login;
    uint64_t n, changes = 0;

    if (argc < 5)
        bench_die("usage: fleet MANAGEMENT_PORT REST_PORT [+]N,N,...[xCHANGES] PID...");
    rk_log_init("bench", "bench", "warn", &err);
    rk_crypto_init();
    only_login = argv[3][0] == '+';
    times = rk_str(argv[3] + only_login);
    (void)rk_str_next(&times, 'x', &list);
    if (times.n > 0 && (!rk_str_u64(times, &changes) || changes == 0 || changes > 1000))
        bench_die("%s: from 1 to 1,000 changes", argv[3]);
    while (rk_str_next(&list, ',', &part)) {
        if (count == MAX_SIZES || !rk_str_u64(part, &n) || n <= last || n > 20000)
            bench_die("%s: at most %d numbers, each larger than the one before", argv[3],
                      MAX_SIZES);
        sizes[count++] = last = (unsigned)n;
    }
    fleet_init(&f, argv, argc, last);
    find_policy(&f);
    f.start_bytes = watch_first_private_bytes(&f.watch);
    for (unsigned i = 0; i < count; i++) {
        login(&f, sizes[i]);
        if (only_login)
            continue;
        sync_all(&f, sizes[i]);
        change_all(&f, sizes[i], (unsigned)changes);
        close_all(&f, sizes[i]);
    }
    return 0;
}
