/*
 * What a committed row costs Postgres at the least: `insert_ref CONNINFO CONNECTIONS MILLISECONDS
 * PID...`. Each connection inserts one row of 300 bytes by a prepared statement, commits, and does
 * it again; the table is made, and taken away at the end. One thread.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/watch.h"

#define MAX_CONNECTIONS 64
#define ROW_BYTES 300
#define WARM_UP_MS 300
#define STALLED_MS 5000

static PGconn *conn[MAX_CONNECTIONS];
static struct pollfd poll_fd[MAX_CONNECTIONS];
static unsigned connections;
static char row[ROW_BYTES + 1];

static void do_now(PGconn *c, const char *sql)
{
    PGresult *r = PQexec(c, sql);

    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        bench_die("%s: %s", sql, PQerrorMessage(c));
    PQclear(r);
}

static void insert(PGconn *c)
{
    const char *values[] = { "key", row };

    if (!PQsendQueryPrepared(c, "insert_row", 2, values, NULL, NULL, 0))
        bench_die("insert: %s", PQerrorMessage(c));
}

static void open_one(const char *conninfo, unsigned i)
{
    PGresult *r;

    conn[i] = PQconnectdb(conninfo);
    if (PQstatus(conn[i]) != CONNECTION_OK)
        bench_die("%s", PQerrorMessage(conn[i]));
    if (i == 0) {
        do_now(conn[0], "SET client_min_messages = warning");
        do_now(conn[0], "DROP TABLE IF EXISTS bench_insert");
        do_now(conn[0], "CREATE TABLE bench_insert (id bigserial PRIMARY KEY, k text, d text)");
    }
    r = PQprepare(conn[i], "insert_row", "INSERT INTO bench_insert (k, d) VALUES ($1, $2)", 2,
                  NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        bench_die("prepare: %s", PQerrorMessage(conn[i]));
    PQclear(r);
    poll_fd[i] = (struct pollfd){ .fd = PQsocket(conn[i]), .events = POLLIN };
    insert(conn[i]);
}

/* True when its row is committed; the next one is on its way then. */
static bool take(PGconn *c)
{
    PGresult *r;

    if (!PQconsumeInput(c))
        bench_die("%s", PQerrorMessage(c));
    if (PQisBusy(c))
        return false;
    while ((r = PQgetResult(c))) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            bench_die("insert: %s", PQresultErrorMessage(r));
        PQclear(r);
    }
    insert(c);
    return true;
}

static uint64_t run(uint64_t ms)
{
    uint64_t end = rk_mono_ms() + ms, rows = 0;

    while (rk_mono_ms() < end) {
        if (poll(poll_fd, connections, STALLED_MS) <= 0)
            bench_die("nothing has come for %d ms", STALLED_MS);
        for (unsigned i = 0; i < connections; i++)
            if (poll_fd[i].revents)
                rows += take(conn[i]);
    }
    return rows;
}

int main(int argc, char **argv)
{
    struct watch w;
    uint64_t ms, rows, from;
    double cpu, seconds;

    if (argc < 5)
        bench_die("usage: insert_ref CONNINFO CONNECTIONS MILLISECONDS PID...");
    connections = (unsigned)bench_number(argv[2], 1, MAX_CONNECTIONS);
    ms = bench_number(argv[3], 1, 60000);
    watch_init(&w, argv + 4, argc - 4);
    memset(row, 'd', ROW_BYTES);
    for (unsigned i = 0; i < connections; i++)
        open_one(argv[1], i);
    (void)run(WARM_UP_MS);
    cpu = watch_cpu_us(&w);
    from = rk_mono_ns();
    rows = run(ms);
    cpu = watch_cpu_us(&w) - cpu;
    seconds = (double)(rk_mono_ns() - from) / 1e9;
    if (rows == 0)
        bench_die("no row");
    bench_value("cpu_us", cpu / (double)rows);
    bench_value("per_s", (double)rows / seconds);
    for (unsigned i = 1; i < connections; i++)
        PQfinish(conn[i]);
    do_now(PQconnectdb(argv[1]), "DROP TABLE bench_insert");
    return 0;
}
