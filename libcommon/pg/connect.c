/* libpq's own list of hosts is tried one after the other, with a timeout for each. */

#include "libcommon/pg/connect.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"

#define SERVERS_MAX 16
/* After the last question to one that has refused: by many, or by the one that asks for all. */
#define AGAIN_MS 500
#define PROBE_AGAIN_MS 100

/* What a conninfo says about where: comma lists, as libpq has them. */
struct where {
    char *host, *hostaddr, *port;
    unsigned servers;
    unsigned timeout_ms; /* 0: it has none */
};

static void where_done(struct where *w)
{
    free(w->host);
    free(w->hostaddr);
    free(w->port);
}
RK_DEFINE_AUTO_DONE(struct where, where_done)

unsigned pg_list_count(struct rk_str list)
{
    unsigned n = 1;

    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == ',';
    return n;
}

struct rk_str pg_list_at(struct rk_str list, unsigned i)
{
    struct rk_str one;

    if (pg_list_count(list) == 1)
        return list;
    do {
        if (!rk_str_next(&list, ',', &one))
            return (struct rk_str){ NULL, 0 };
    } while (i-- > 0);
    return one;
}

/* NULL without a list, or without an i-th. */
static char *part(const char *list, unsigned i)
{
    struct rk_str one = { NULL, 0 };

    if (list)
        one = pg_list_at(rk_str(list), i);
    return one.p ? rk_strndup(one.p, one.n) : NULL;
}

/* A conninfo that libpq cannot read names one server: connecting says what is wrong with it. */
static void where_init(struct where *w, const char *conninfo)
{
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);

    *w = (struct where){ .servers = 1 };
    for (PQconninfoOption *o = all; o && o->keyword; o++) {
        uint64_t s;

        if (!o->val)
            continue;
        if (strcmp(o->keyword, "host") == 0)
            w->host = rk_strdup(o->val);
        else if (strcmp(o->keyword, "hostaddr") == 0)
            w->hostaddr = rk_strdup(o->val);
        else if (strcmp(o->keyword, "port") == 0)
            w->port = rk_strdup(o->val);
        else if (strcmp(o->keyword, "connect_timeout") == 0 && rk_str_u64(rk_str(o->val), &s) &&
                 s > 0 && s < 3600)
            w->timeout_ms = (unsigned)s * 1000;
    }
    PQconninfoFree(all);
    if (w->hostaddr || w->host)
        w->servers = pg_list_count(rk_str(w->hostaddr ? w->hostaddr : w->host));
    if (w->servers > SERVERS_MAX)
        w->servers = SERVERS_MAX;
}

bool pg_names_several(const char *conninfo)
{
    rk_auto(where_done) struct where w;

    where_init(&w, conninfo);
    return w.servers > 1;
}

static PGconn *
start(const struct where *w, unsigned i, const char *conninfo, const char *application_name)
{
    rk_auto(rk_cfree) char *host = part(w->host, i);
    rk_auto(rk_cfree) char *hostaddr = part(w->hostaddr, i);
    rk_auto(rk_cfree) char *port = part(w->port, i);
    /* What stands later stands over what is earlier: the operator's own words over our defaults. */
    const char *keys[16] = { "keepalives",       "keepalives_idle",  "keepalives_interval",
                             "keepalives_count", "tcp_user_timeout", "target_session_attrs",
                             "application_name", "client_encoding",  "dbname" };
    const char *values[16] = { "1",    "10",    "3", "3", "10000", "read-write", application_name,
                               "UTF8", conninfo };
    unsigned n = 9;

    if (w->servers > 1) {
        const char *const own[][2] = { { "host", host },
                                       { "hostaddr", hostaddr },
                                       { "port", port } };

        for (unsigned k = 0; k < RK_COUNT(own); k++) {
            if (!own[k][1])
                continue;
            keys[n] = own[k][0];
            values[n++] = own[k][1];
        }
    }
    return PQconnectStartParams(keys, values, 1);
}

struct attempt {
    PGconn *conn;
    PostgresPollingStatusType wants;
    uint64_t again_ms; /* 0: it is the first */
    PGconn *refused;   /* what the one before was told */
};

struct search {
    struct attempt a[SERVERS_MAX];
    struct where w;
    const char *conninfo, *application_name;
    uint64_t deadline_ms;
    int but_fd;
};

static bool under_way(const struct attempt *a)
{
    return a->wants == PGRES_POLLING_READING || a->wants == PGRES_POLLING_WRITING;
}

static void attempt(struct search *s, unsigned i)
{
    struct attempt *a = &s->a[i];

    a->conn = start(&s->w, i, s->conninfo, s->application_name);
    a->wants = !a->conn || PQstatus(a->conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED
                                                               : PGRES_POLLING_WRITING;
    a->again_ms = rk_mono_ms() + (s->but_fd < 0 ? AGAIN_MS : PROBE_AGAIN_MS);
}

/* Those that have refused, when it is time; returns when that is for the next of them. */
static uint64_t ask_again(struct search *s)
{
    uint64_t next = s->deadline_ms, now = rk_mono_ms();

    for (unsigned i = 0; i < s->w.servers; i++) {
        struct attempt *a = &s->a[i];

        if (under_way(a))
            continue;
        if (a->again_ms <= now) {
            PQfinish(a->refused);
            a->refused = a->conn;
            attempt(s, i);
        }
        if (!under_way(a) && a->again_ms < next)
            next = a->again_ms;
    }
    return next;
}

static bool any_under_way(const struct search *s)
{
    for (unsigned i = 0; i < s->w.servers; i++) {
        if (under_way(&s->a[i]))
            return true;
    }
    return false;
}

/* Waits for any of them until then; false when it is over. */
static bool wait_any(const struct search *s, uint64_t until_ms, bool moved[])
{
    struct pollfd fd[SERVERS_MAX + 1];
    unsigned n = s->w.servers;
    uint64_t now = rk_mono_ms();

    if (now >= s->deadline_ms)
        return false;
    for (unsigned i = 0; i < n; i++)
        fd[i] =
            (struct pollfd){ .fd = under_way(&s->a[i]) ? PQsocket(s->a[i].conn) : -1,
                             .events = s->a[i].wants == PGRES_POLLING_READING ? POLLIN : POLLOUT };
    fd[n] = (struct pollfd){ .fd = s->but_fd, .events = POLLIN };
    if (poll(fd, n + 1, until_ms > now ? (int)(until_ms - now) : 0) < 0 && errno != EINTR)
        return false;
    for (unsigned i = 0; i < n; i++)
        moved[i] = fd[i].fd >= 0 && fd[i].revents != 0;
    return fd[n].revents == 0;
}

/* Leaves one of each server's. */
static PGconn *end_search(struct search *s, unsigned best)
{
    PGconn *found = NULL;

    for (unsigned i = 0; i < s->w.servers; i++) {
        struct attempt *a = &s->a[i];
        /* A refusal says more than a second question that was not answered. */
        bool old = a->refused && a->wants != PGRES_POLLING_OK;

        PQfinish(old ? a->conn : a->refused);
        if (i == best)
            found = old ? a->refused : a->conn;
        else
            PQfinish(old ? a->refused : a->conn);
    }
    return found;
}

PGconn *
pg_connect(const char *conninfo, const char *application_name, unsigned limit_ms, int but_fd)
{
    struct search s = { .conninfo = conninfo,
                        .application_name = application_name,
                        .but_fd = but_fd };
    bool moved[SERVERS_MAX] = { false };
    unsigned best = 0;
    bool good = false;

    where_init(&s.w, conninfo);
    if (s.w.timeout_ms && s.w.timeout_ms < limit_ms)
        limit_ms = s.w.timeout_ms;
    s.deadline_ms = rk_mono_ms() + limit_ms;
    for (unsigned i = 0; i < s.w.servers; i++)
        attempt(&s, i);
    /* When all have answered that is the answer; nobody is asked again for that alone. */
    while (!good && any_under_way(&s) && wait_any(&s, ask_again(&s), moved)) {
        for (unsigned i = 0; i < s.w.servers && !good; i++) {
            if (!moved[i])
                continue;
            s.a[i].wants = PQconnectPoll(s.a[i].conn);
            good = s.a[i].wants == PGRES_POLLING_OK;
            /* The reason of one that has answered says more than that another has not. */
            if (good || s.a[i].wants == PGRES_POLLING_FAILED)
                best = i;
        }
    }
    where_done(&s.w);
    return end_search(&s, best);
}
