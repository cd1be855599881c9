#include "tests/bench/lib/big_account.h"

#include <stdio.h>

#include "tests/bench/lib/report.h"

#define PEERS_MAX 60000
#define STEP 2000

static const char remove_peers[] =
    "DELETE FROM peer WHERE account_id = '" BIG_ACCOUNT_ID "' AND id BETWEEN "
    "'p' || lpad(current_setting('bench.from'), 19, '0') AND "
    "'p' || lpad(current_setting('bench.to'), 19, '0');";

static const char clean[] =
    "DELETE FROM account WHERE id = '" BIG_ACCOUNT_ID "';"
    "INSERT INTO account (id, serial, created_by, network_id, net4, net6, settings, onboarding) "
    "VALUES ('" BIG_ACCOUNT_ID "', 1, 'bench', 'benchnetwork00000000', '100.64.0.0/16', "
    "'fd12:3456:789a:1::/64', '{}', '{}');"
    "INSERT INTO account_group (id, public_id, account_id, name) "
    "SELECT 'g' || lpad(n::text, 19, '0'), 'u' || lpad(n::text, 19, '0'), '" BIG_ACCOUNT_ID "', "
    "CASE WHEN n = 0 THEN 'All' ELSE 'group ' || n END FROM generate_series(0, 199) n;";

static const char peers_sql[] =
    "INSERT INTO peer (id, account_id, key, ip, ip6, dns_label, name, ssh_key, ssh_enabled, "
    "last_login, meta, meta_hash) "
    "SELECT 'p' || lpad(n::text, 19, '0'), '" BIG_ACCOUNT_ID "', "
    "encode(sha256(('key ' || n)::bytea), 'base64'), '100.64.0.0'::inet + n, "
    "'fd12:3456:789a:1::'::inet + n, 'host-' || n, 'host-' || n, "
    "'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI' || encode(sha256(('ssh ' || n)::bytea), 'hex'), "
    "n % 4 = 0, now(), "
    "jsonb_build_object('hostname', 'host-' || n, 'goOS', CASE n % 5 WHEN 0 THEN 'windows' WHEN 1 "
    "THEN 'darwin' ELSE 'linux' END, 'kernel', 'Linux', 'kernelVersion', '6.1.0-' || n % 40, "
    "'OS', 'Debian GNU/Linux', 'OSVersion', '12', 'platform', 'x86_64', 'netbirdVersion', "
    "'0.77.1', 'capabilities', '[1, 2]'::jsonb, 'networkAddresses', jsonb_build_array("
    "jsonb_build_object('netIP', '192.168.' || n % 250 || '.' || n % 240 || '/24', 'mac', "
    "'02:00:00:00:00:01'))), sha256(n::text::bytea) "
    "FROM generate_series(current_setting('bench.from')::int, current_setting('bench.to')::int) n;"
    "INSERT INTO group_peer (group_id, peer_id) SELECT 'g' || lpad(g::text, 19, '0'), 'p' || "
    "lpad(n::text, 19, '0') FROM generate_series(current_setting('bench.from')::int, "
    "current_setting('bench.to')::int) n, "
    "LATERAL (VALUES (0), (1 + n % 150), "
    "(CASE WHEN n % 10 = 0 THEN 151 + n / 10 % 40 END), "
    "(CASE WHEN n <= 45 THEN 191 + n % 9 END)) AS t(g) WHERE g IS NOT NULL;";

static const char policies_sql[] =
    "INSERT INTO policy (id, public_id, account_id, name, enabled) SELECT 'c' || lpad(n::text, 19, "
    "'0'), 'd' || lpad(n::text, 19, '0'), '" BIG_ACCOUNT_ID "', 'policy ' || n, true FROM "
    "generate_series(0, 99) n;"
    "INSERT INTO policy_rule (policy_id, position, id, name, enabled, action, protocol, "
    "bidirectional, sources, destinations, ports, port_ranges) "
    "SELECT 'c' || lpad(n::text, 19, '0'), 0, 'c' || lpad(n::text, 19, '0'), 'rule', true, "
    "'accept', CASE WHEN n = 99 THEN 'icmp' WHEN n % 9 = 1 THEN 'udp' ELSE 'tcp' END, n < 60, "
    "CASE WHEN n < 60 THEN ARRAY[1 + 2 * n] WHEN n < 90 THEN ARRAY[1 + 5 * (n - 60), 3 + 5 * (n - "
    "60)] WHEN n < 99 THEN ARRAY[0] ELSE ARRAY[191] END::text[], "
    "CASE WHEN n < 60 THEN ARRAY[2 + 2 * n] WHEN n < 90 THEN ARRAY[151 + n - 60] WHEN n < 99 THEN "
    "ARRAY[191 + n - 90] ELSE ARRAY[0] END::text[], "
    "CASE WHEN n < 60 THEN ARRAY['443', '8080'] WHEN n BETWEEN 90 AND 98 THEN ARRAY['53'] ELSE "
    "ARRAY[]::text[] END, CASE WHEN n BETWEEN 60 AND 89 THEN ARRAY['5432-5440'] ELSE "
    "ARRAY[]::text[] END FROM generate_series(0, 99) n;"
    "UPDATE policy_rule SET sources = ARRAY(SELECT 'g' || lpad(g, 19, '0') FROM unnest(sources) g),"
    " destinations = ARRAY(SELECT 'g' || lpad(g, 19, '0') FROM unnest(destinations) g) "
    "WHERE policy_id LIKE 'c00000%';"
    "ANALYZE;";

void big_account_peer_id(unsigned n, char out[21])
{
    (void)snprintf(out, 21, "p%019u", n);
}

void big_account_group_id(unsigned n, char out[21])
{
    (void)snprintf(out, 21, "g%019u", n);
}

static void run(struct rk_pg *pg, const char *sql)
{
    struct rk_err err = { 0 };

    if (rk_pg_script(pg, sql, &err) < 0)
        bench_die("making the account: %s", err.msg);
}

static void run_range(struct rk_pg *pg, const char *sql, unsigned from, unsigned to)
{
    char range[128];

    (void)snprintf(
        range, sizeof(range),
        "SELECT set_config('bench.from', '%u', false), set_config('bench.to', '%u', false)", from,
        to);
    run(pg, range);
    run(pg, sql);
}

/* In steps: a connection waits so long for an answer and no longer. */
void big_account_make(struct rk_pg *pg, unsigned peers)
{
    for (unsigned n = 0; n < PEERS_MAX; n += STEP)
        run_range(pg, remove_peers, n + 1, n + STEP);
    run(pg, clean);
    for (unsigned n = 0; n < peers; n += STEP)
        run_range(pg, peers_sql, n + 1, n + STEP < peers ? n + STEP : peers);
    run(pg, policies_sql);
}
