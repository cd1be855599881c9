/* Where the master is: told by Sentinels and nodes of a Cluster of our own, which say what a test
 * wants, by three real Sentinels that carry out a failover, and by a real Cluster whose slot moves.
 */

#include "tests/support/test.h"

#include "libcommon/net/conn.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/rds_probe.h"

/* A Redis of this file's; as a replica of another one when that has a port. */
struct server {
    uint16_t port;
    pid_t pid;
};

static void server_with(struct server *s, const char *settings)
{
    char text[384], name[32];

    if (!s->port)
        s->port = fixture_port();
    snprintf(text, sizeof(text),
             "port %u\nbind 127.0.0.1\nsave \"\"\nrequirepass open\nmasterauth open\n%s", s->port,
             settings);
    snprintf(name, sizeof(name), "server-%u", s->port);
    s->pid = fixture_redis_with(&fx, name, NULL, text);
    assert_true(s->pid > 0);
}

static void server_start(struct server *s, uint16_t replica_of)
{
    char of[64] = "";

    if (replica_of)
        snprintf(of, sizeof(of), "replicaof 127.0.0.1 %u\n", replica_of);
    server_with(s, of);
}

static void server_end(const struct server *s)
{
    kill(s->pid, SIGKILL);
    (void)fixture_wait_exit(s->pid);
}

/* === Asked in the plain way === */

static void answer(uint16_t port, const char *password, const char *question, char *out, size_t max)
{
    char command[160];
    size_t n;
    FILE *f;

    snprintf(command, sizeof(command), "redis-cli -p %u -a %s --no-auth-warning %s 2>&1", port,
             password, question);
    f = popen(command, "re");
    assert_non_null(f);
    n = fread(out, 1, max - 1, f);
    out[n] = '\0';
    (void)pclose(f);
}

/* Until the answer holds `wanted`. */
static void says(uint16_t port, const char *password, const char *question, const char *wanted)
{
    char said[8192];
    uint64_t until = rk_mono_ms() + 20000;

    for (;;) {
        answer(port, password, question, said, sizeof(said));
        if (strstr(said, wanted))
            return;
        if (rk_mono_ms() > until)
            fail_msg("%u says %s in place of %s", port, said, wanted);
        fixture_pause();
    }
}

/* === One that says what it is told to say === */

struct fake {
    struct rk_listener *listener;
    struct rk_conn *caller; /* the last one */
    uint16_t says;
    uint16_t knows; /* another node of the Cluster */
    unsigned asked;
};

static unsigned fake_conns;

static void fake_write(struct rk_conn *c, const char *text)
{
    rk_conn_write(c, text, strlen(text));
}

static void fake_open(struct rk_conn *c, void *arg)
{
    ((struct fake *)arg)->caller = c;
}

static void fake_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct fake *f = arg;
    char port[8], text[160];

    if (memmem(p, n, "get-master-addr", 15)) {
        f->asked++;
        snprintf(port, sizeof(port), "%u", f->says);
        snprintf(text, sizeof(text), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
        fake_write(c, f->says ? text : "*-1\r\n");
    }
    if (memmem(p, n, "AUTH", 4))
        fake_write(c, "+OK\r\n");
    if (memmem(p, n, "CLUSTER", 7)) {
        f->asked++;
        snprintf(text, sizeof(text),
                 "*2\r\n*3\r\n:0\r\n:9999\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
                 "*3\r\n:10000\r\n:16383\r\n*2\r\n$-1\r\n:%u\r\n",
                 f->knows, f->says);
        fake_write(c, f->says ? text : "*0\r\n");
    }
    if (memmem(p, n, "SUBSCRIBE", 9))
        fake_write(c, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
    if (memmem(p, n, "PING", 4))
        fake_write(c, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

static void fake_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct fake *f = arg;

    (void)why;
    fake_conns--;
    if (f->caller == c)
        f->caller = NULL;
}

static const struct rk_conn_ops fake_ops = { .on_open = fake_open,
                                             .on_read = fake_read,
                                             .on_closed = fake_closed };

static void fake_accept(struct rk_conn *c, void *arg)
{
    fake_conns++;
    rk_conn_start(c, &fake_ops, arg);
}

static void fake_start(struct fake *f, struct rk_loop *l, uint16_t says)
{
    struct rk_addr any;

    *f = (struct fake){ .says = says };
    assert_int_equal(rk_addr_parse(RK_STR("127.0.0.1:0"), &any, NULL), 0);
    assert_int_equal(rk_listener_new(l, &any, NULL, fake_accept, f, &f->listener, NULL), 0);
}

/* "+switch-master" of a master by that name. */
static void fake_tells(struct fake *f, const char *name, uint16_t to)
{
    char message[96], text[192];

    assert_non_null(f->caller);
    snprintf(message, sizeof(message), "%s 127.0.0.1 1 127.0.0.1 %u", name, to);
    snprintf(text, sizeof(text), "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
             strlen(message), message);
    fake_write(f->caller, text);
}

static void fake_end(struct fake *f)
{
    rk_listener_close(f->listener);
}

static uint16_t fake_at(const struct fake *f)
{
    return (uint16_t)strtoul(strrchr(rk_listener_address(f->listener), ':') + 1, NULL, 10);
}

/* === The probe === */

static struct rk_rds_config config = { .redis_password = (char *)(uintptr_t) "open",
                                       .redis_master = (char *)(uintptr_t) "mymaster" };

static void begin(struct probe *p, char *sentinels, char *nodes)
{
    config.redis_sentinels = sentinels;
    config.redis_cluster = nodes;
    assert_int_equal(rk_rds_new(p->loop, &config, &probe_ops, p, &p->r, NULL), 0);
}

static void end(struct probe *p)
{
    rk_rds_close(p->r, on_closed, p);
    rk_loop_run(p->loop);
    while (fake_conns > 0)
        uv_run(rk_loop_uv(p->loop), UV_RUN_ONCE);
    uv_run(rk_loop_uv(p->loop), UV_RUN_NOWAIT);
    rk_loop_free(p->loop);
}

static void on_config(const struct rk_rds_reply *reply, void *arg)
{
    struct probe *p = arg;

    assert_int_equal(reply->n, 2);
    assert_true(rk_str_copy(reply->element[1].str, p->text, sizeof(p->text)));
    rk_loop_stop(p->loop);
}

/* By its port. */
static void speaks_to(struct probe *p, uint16_t port)
{
    char want[16];

    rk_rds_run(p->r, on_config, p, RK_STR("CONFIG"), RK_STR("GET"), RK_STR("port"));
    run(p);
    snprintf(want, sizeof(want), "%u", port);
    assert_string_equal(p->text, want);
}

static void whoever_names_a_replica_or_nobody_is_passed_over(void **state)
{
    struct probe p = { .loop = rk_loop_new() };
    struct server master = { 0 }, replica = { 0 };
    struct fake behind, ignorant, right;
    char list[128];

    (void)state;
    server_start(&master, 0);
    server_start(&replica, master.port);
    fake_start(&behind, p.loop, replica.port);
    fake_start(&ignorant, p.loop, 0);
    fake_start(&right, p.loop, 0);
    snprintf(list, sizeof(list), "127.0.0.1:1,%s,%s,%s", rk_listener_address(ignorant.listener),
             rk_listener_address(behind.listener), rk_listener_address(right.listener));
    begin(&p, list, NULL);
    while (behind.asked < 2) /* told of a replica, it is asked again */
        uv_run(rk_loop_uv(p.loop), UV_RUN_ONCE);
    assert_int_equal(p.ups, 0);
    right.says = master.port;
    p.stop_ups = 1;
    run(&p);
    speaks_to(&p, master.port);
    fake_end(&behind);
    fake_end(&ignorant);
    fake_end(&right);
    end(&p);
    server_end(&master);
    server_end(&replica);
}

static void who_hears_of_a_failover_moves_at_once(void **state)
{
    struct probe p = { .loop = rk_loop_new() };
    struct server one = { 0 }, two = { 0 };
    struct fake teller;
    char list[64];

    (void)state;
    server_start(&one, 0);
    server_start(&two, 0);
    fake_start(&teller, p.loop, one.port);
    snprintf(list, sizeof(list), "%s", rk_listener_address(teller.listener));
    begin(&p, list, NULL);
    rk_rds_subscribe(p.r, "news");
    p.stop_ups = 1;
    run(&p);
    fake_tells(&teller, "another", two.port);
    speaks_to(&p, one.port);
    assert_int_equal(p.downs, 0);
    teller.says = two.port;
    fake_tells(&teller, "mymaster", two.port); /* the first one lives on */
    p.stop_ups = 2;
    run(&p);
    assert_int_equal(p.downs, 1);
    speaks_to(&p, two.port);
    news_arrive(&p);
    fake_end(&teller);
    end(&p);
    server_end(&one);
    server_end(&two);
}

/* === Three real ones === */

static pid_t sentinel_start(uint16_t port, uint16_t master)
{
    char text[640], name[32];

    snprintf(name, sizeof(name), "sentinel-%u", port);
    snprintf(text, sizeof(text),
             "port %u\nbind 127.0.0.1\nrequirepass hush\nsentinel sentinel-pass hush\n"
             "sentinel monitor mymaster 127.0.0.1 %u 2\nsentinel auth-pass mymaster open\n"
             "sentinel down-after-milliseconds mymaster 1500\n"
             "sentinel failover-timeout mymaster 5000\n",
             port, master);
    return fixture_redis_with(&fx, name, "--sentinel", text);
}

static void a_real_failover_is_followed(void **state)
{
    struct probe p = { .loop = rk_loop_new() };
    struct server master = { 0 }, replica = { 0 };
    uint16_t port[3];
    pid_t pid[3];
    char list[96];

    (void)state;
    server_start(&master, 0);
    server_start(&replica, master.port);
    says(master.port, "open", "info replication", "state=online"); /* Sentinels look at it rarely */
    for (unsigned i = 0; i < 3; i++) {
        port[i] = fixture_port();
        pid[i] = sentinel_start(port[i], master.port);
        assert_true(pid[i] > 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        says(port[i], "hush", "sentinel ckquorum mymaster", "OK 3 usable");
        says(port[i], "hush", "sentinel replicas mymaster", "slave-repl-offset");
    }
    snprintf(list, sizeof(list), "127.0.0.1:%u,localhost:%u,127.0.0.1:%u", port[0], port[1],
             port[2]);
    config.redis_sentinel_password = (char *)(uintptr_t) "hush";
    begin(&p, list, NULL);
    rk_rds_subscribe(p.r, "news");
    p.stop_ups = 1;
    run(&p);
    speaks_to(&p, master.port);
    server_end(&master);
    p.stop_ups = 2;
    run(&p);
    assert_int_equal(p.downs, 1);
    speaks_to(&p, replica.port);
    news_arrive(&p);
    end(&p);
    config.redis_sentinel_password = NULL;
    for (unsigned i = 0; i < 3; i++) {
        kill(pid[i], SIGKILL);
        (void)fixture_wait_exit(pid[i]);
    }
    server_end(&replica);
}

/* === Nodes of a Cluster === */

static void a_node_that_changes_its_mind_has_news(void **state)
{
    struct probe p = { .loop = rk_loop_new() };
    struct server one = { 0 }, two = { 0 };
    struct fake named, unnamed;
    char list[64];

    (void)state;
    server_start(&one, 0);
    server_start(&two, 0);
    fake_start(&unnamed, p.loop, one.port);
    fake_start(&named, p.loop, 0);
    named.knows = unnamed.knows = fake_at(&unnamed);
    snprintf(list, sizeof(list), "%s", rk_listener_address(named.listener));
    begin(&p, NULL, list);
    while (named.asked < 2) /* it knows of no slots yet */
        uv_run(rk_loop_uv(p.loop), UV_RUN_ONCE);
    assert_int_equal(p.ups, 0);
    named.says = one.port;
    p.stop_ups = 1;
    run(&p);
    speaks_to(&p, one.port);
    named.says = two.port; /* the first one lives on */
    p.stop_ups = 2;
    run(&p);
    assert_int_equal(p.downs, 1);
    speaks_to(&p, two.port);

    unnamed.says = one.port; /* which the settings do not know; it is behind */
    rk_conn_close(named.caller, "test");
    fake_end(&named);
    while (unnamed.asked < 2)
        uv_run(rk_loop_uv(p.loop), UV_RUN_ONCE);
    assert_int_equal(p.downs, 1);
    fake_end(&unnamed);
    end(&p);
    server_end(&one);
    server_end(&two);
}

struct node {
    struct server server;
    uint16_t bus;
    char id[64];
};

static void node_start(struct node *n)
{
    char text[256];

    assert_true(fx.dir[0] || fixture_make_dir(&fx));
    n->server.port = fixture_port();
    n->bus = fixture_port();
    snprintf(text, sizeof(text),
             "dir %s\ncluster-enabled yes\ncluster-port %u\ncluster-config-file nodes-%u\n", fx.dir,
             n->bus, n->server.port);
    server_with(&n->server, text);
    says(n->server.port, "open", "ping", "PONG");
    answer(n->server.port, "open", "cluster myid", n->id, sizeof(n->id));
    n->id[strcspn(n->id, "\n")] = '\0';
}

/* Two nodes, the first of which has all slots. */
static void cluster_start(struct node node[2])
{
    char question[96];

    for (unsigned i = 0; i < 2; i++)
        node_start(&node[i]);
    snprintf(question, sizeof(question), "cluster meet 127.0.0.1 %u %u", node[1].server.port,
             node[1].bus);
    says(node[0].server.port, "open", question, "OK");
    says(node[0].server.port, "open", "cluster addslotsrange 0 16383", "OK");
    for (unsigned i = 0; i < 2; i++) {
        says(node[i].server.port, "open", "cluster info", "cluster_known_nodes:2");
        says(node[i].server.port, "open", "cluster info", "cluster_state:ok");
    }
    says(node[1].server.port, "open", "cluster keyslot 'rk:" RK_RDS_TAG ":x'", "11435");
}

static void slot_goes_to(const struct node node[2], unsigned which)
{
    char question[96];

    snprintf(question, sizeof(question), "cluster setslot 11435 node %.40s", node[which].id);
    /* First who gives it away: by gossip, heard in between, it would take the slot back. */
    says(node[!which].server.port, "open", question, "OK");
    says(node[which].server.port, "open", question, "OK");
}

static void a_slot_that_moves_is_followed(void **state)
{
    struct probe p = { .loop = rk_loop_new() };
    struct node node[2];
    struct fake behind;
    unsigned asked;
    char list[64], question[96];

    (void)state;
    cluster_start(node);
    snprintf(question, sizeof(question), "cluster setslot 11435 migrating %.40s", node[1].id);
    says(node[0].server.port, "open", question, "OK"); /* it is the master until all keys left */
    fake_start(&behind, p.loop, node[0].server.port);
    snprintf(list, sizeof(list), "%s", rk_listener_address(behind.listener));
    begin(&p, NULL, list);
    p.stop_ups = 1;
    run(&p);
    speaks_to(&p, node[0].server.port);
    slot_goes_to(node, 1);
    rk_rds_run(p.r, on_reply, &p, RK_STR("GET"), RK_STR("rk:" RK_RDS_TAG ":x"));
    p.stop_downs = 1;
    run(&p);
    asked = behind.asked;
    while (behind.asked < asked + 3) /* who has it no more is not spoken to */
        uv_run(rk_loop_uv(p.loop), UV_RUN_ONCE);
    assert_int_equal(p.ups, 1);
    while (p.replies == 0) /* it does not wait for ever */
        uv_run(rk_loop_uv(p.loop), UV_RUN_ONCE);
    assert_int_equal(p.last.code, RK_UNAVAILABLE);
    behind.says = node[1].server.port;
    p.stop_ups = 2;
    run(&p);
    speaks_to(&p, node[1].server.port);
    fake_end(&behind);
    end(&p);

    p = (struct probe){ .loop = rk_loop_new() };
    snprintf(list, sizeof(list), "127.0.0.1:1,localhost:%u", node[0].server.port);
    begin(&p, NULL, list);
    rk_rds_subscribe(p.r, "news");
    p.stop_ups = 1;
    run(&p);
    speaks_to(&p, node[1].server.port);
    slot_goes_to(node, 0);
    p.stop_ups = 2;
    run(&p);
    speaks_to(&p, node[0].server.port);
    says(node[1].server.port, "open", "publish news hello", "0"); /* at this node */
    p.stop_messages = 1;
    run(&p);
    assert_string_equal(p.text, "news=hello");
    end(&p);
    for (unsigned i = 0; i < 2; i++)
        server_end(&node[i].server);
}

#define TWO_KEYS "return redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[2])"

static void commands_wait_while_their_slot_is_moved(void **state)
{
    struct probe p = { .loop = rk_loop_new() }, script = { .loop = p.loop };
    struct node node[2];
    char list[64], question[160];

    (void)state;
    cluster_start(node);
    snprintf(list, sizeof(list), "127.0.0.1:%u", node[0].server.port);
    begin(&p, NULL, list);
    p.stop_ups = 1;
    run(&p);
    says(node[0].server.port, "open", "set 'rk:" RK_RDS_TAG ":here' a", "OK");
    snprintf(question, sizeof(question), "cluster setslot 11435 importing %.40s", node[0].id);
    says(node[1].server.port, "open", question, "OK");
    snprintf(question, sizeof(question), "cluster setslot 11435 migrating %.40s", node[1].id);
    says(node[0].server.port, "open", question, "OK");
    rk_rds_run(p.r, on_reply, &p, RK_STR("GET"), RK_STR("rk:" RK_RDS_TAG ":there")); /* ASK */
    rk_rds_run(p.r, on_reply, &script, RK_STR("EVAL"), RK_STR(TWO_KEYS), RK_STR("2"),
               RK_STR("rk:" RK_RDS_TAG ":here"), RK_STR("rk:" RK_RDS_TAG ":there")); /* TRYAGAIN */
    run_for(&p, 500);
    assert_int_equal(p.replies + script.replies, 0);
    assert_int_equal(p.downs, 0);

    snprintf(question, sizeof(question),
             "migrate 127.0.0.1 %u 'rk:" RK_RDS_TAG ":here' 0 1000 auth open", node[1].server.port);
    says(node[0].server.port, "open", question, "OK");
    slot_goes_to(node, 1);
    says(node[1].server.port, "open", "set 'rk:" RK_RDS_TAG ":there' b", "OK");
    p.stop_replies = 1;
    run(&p);
    assert_int_equal(p.last.code, 0);
    assert_string_equal(p.text, "b");
    while (script.replies == 0)
        uv_run(rk_loop_uv(p.loop), UV_RUN_ONCE);
    assert_int_equal(script.last.code, 0);
    assert_string_equal(script.text, "ab");

    says(node[1].server.port, "open", "flushall", "OK");
    slot_goes_to(node, 0); /* and whoever still waits when we leave is told */
    rk_rds_run(p.r, on_reply, &p, RK_STR("GET"), RK_STR("rk:" RK_RDS_TAG ":there"));
    p.stop_downs = 2;
    run(&p);
    end(&p);
    assert_int_equal(p.replies, 2);
    assert_int_equal(p.last.code, RK_UNAVAILABLE);
    for (unsigned i = 0; i < 2; i++)
        server_end(&node[i].server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_names_a_replica_or_nobody_is_passed_over),
        cmocka_unit_test(who_hears_of_a_failover_moves_at_once),
        cmocka_unit_test(a_real_failover_is_followed),
        cmocka_unit_test(a_node_that_changes_its_mind_has_news),
        cmocka_unit_test(a_slot_that_moves_is_followed),
        cmocka_unit_test(commands_wait_while_their_slot_is_moved),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, fixture_stop);
}
