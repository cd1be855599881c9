/* See server.h. */

#include "services/dashboard-api/http/server.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/forwarded.h"
#include "libcommon/oidc/keeper.h"
#include "services/dashboard-api/auth/caller.h"
#include "services/dashboard-api/http/batch.h"
#include "services/dashboard-api/http/server_int.h"
#include "services/dashboard-api/scim/answer.h"

#define MAX_CONNECTIONS 4096
#define CONNECTION_IDLE_S 75
#define CONNECTION_BYTES (32 * 1024) /* MHD clears them for each request */
#define OVERDUE_MS 250
#define BACKLOG 1024
#define FORWARDED_MAX 8
#define KEPT_BYTES ((size_t)64 << 20)
#define BODIES_MAX ((size_t)64 << 20) /* bytes, of all requests together */
#define AWAKE_MAX 256
#define AWAKE_MS 2
#define PASSWORDS_OF_ONE 4 /* that wait, of one address */

static const uint64_t request_ms[POOL_END] = {
    [POOL_COMMON] = 8000, [POOL_PASSWORD] = 16000, [POOL_OUTBOUND] = 25000, /* two questions to a
                                                                              host that takes its
                                                                              time */
};

/* A connection that waits awake makes MHD want to run at once, again and again: what is awake for
 * longer than a moment goes to sleep. */
static void schedule(struct server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (s->awake > 0) {
        if (!s->bed_set)
            rk_timer_start(&s->turn, AWAKE_MS, 0);
        s->bed_set = true;
        return;
    }
    s->bed_set = false;
    if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
        rk_timer_start(&s->turn, ms, 0);
    else
        rk_timer_stop(&s->turn);
}

static void run(struct server *s)
{
    MHD_run(s->daemon);
    if (s->queued) /* what was made in this run is written in the next */
        MHD_run(s->daemon);
    s->queued = false;
    schedule(s);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    (void)status;
    (void)events;
    run(h->data);
}

static void on_turn(struct rk_timer *t)
{
    struct server *s = rk_container_of(t, struct server, turn);

    s->bedtime = s->bed_set;
    s->bed_set = false;
    run(s);
    s->bedtime = false;
}

static void on_soon(struct rk_task *t)
{
    struct server *s = rk_container_of(t, struct server, soon);

    s->running_soon = false;
    run(s);
}

static void on_gather(void *arg)
{
    run(arg);
}

static void run_soon(struct server *s)
{
    if (s->running_soon)
        return;
    s->running_soon = true;
    s->soon.run = on_soon;
    rk_loop_defer(s->loop, &s->soon);
}

static void check_drained(struct server *s)
{
    if (s->draining && s->in_flight == 0 && s->at_workers == 0 && s->on_drained) {
        void (*fn)(void *) = s->on_drained;

        s->on_drained = NULL;
        fn(s->drained_arg);
    }
}

void server_resume(struct request *q)
{
    if (!q->connection)
        return;
    if (q->rest == REST_AWAKE)
        q->server->awake--;
    if (q->rest == REST_ASLEEP)
        MHD_resume_connection(q->connection);
    q->rest = REST_NONE;
    run_soon(q->server);
}

/* From MHD's callbacks alone. */
static void put_to_sleep(struct request *q)
{
    if (q->rest == REST_AWAKE)
        q->server->awake--;
    q->rest = REST_ASLEEP;
    MHD_suspend_connection(q->connection);
}

/* Most questions are answered before it would have been worth the while to go to sleep, which takes
 * the connection out of epoll and back. */
static void rest(struct server *s, struct request *q)
{
    if (!q->checking || s->awake == AWAKE_MAX) {
        put_to_sleep(q);
        return;
    }
    q->rest = REST_AWAKE;
    s->awake++;
}

/* It has come back for good, with an answer or without. */
void server_finish(struct server *s, struct request *q, bool answered)
{
    if (q->state == REQUEST_WORKING) {
        if (!answered) {
            request_fail(q, RK_UNAVAILABLE, "");
        } else {
            q->state = REQUEST_ANSWERED;
            q->status = q->worker_status;
            q->retry_after = q->status == 503;
            if (q->version[0] != '\0')
                known_keep(s, q);
        }
        server_resume(q);
    }
    if (!q->connection)
        request_free(q);
    check_drained(s);
}

bool server_wants(const struct request *q)
{
    return q->connection && q->state == REQUEST_WORKING;
}

void server_come_home(struct server *s, struct request *q)
{
    q->at_worker = false;
    s->at_workers--;
    rk_list_remove(&q->node);
}

static void keys_done(struct rk_task *t)
{
    struct request *q = rk_container_of(t, struct request, keys);
    struct server *s = q->server;

    server_come_home(s, q);
    if (!server_wants(q) || !server_submit(s, q, POOL_COMMON))
        server_finish(s, q, false);
}

/* Goes on where it asked to; false when it cannot. */
static bool move(struct server *s, struct request *q)
{
    if (!q->call.wants_keys)
        return server_submit(s, q, q->call.move);
    if (!s->shared->keeper)
        return false;
    q->call.wants_keys = false;
    server_take_in(s, q, POOL_OUTBOUND);
    q->keys.run = keys_done;
    rk_keeper_wait(s->shared->keeper, &q->keys);
    return true;
}

/* Who finds no place where passwords are hashed, or has waited there for too long, keeps the page
 * and what was typed: its handler says so. */
static bool turn_away(struct server *s, struct request *q)
{
    if (q->route->kind != ROUTE_PAGE || q->call.pool != POOL_PASSWORD || q->call.turned_away)
        return false;
    q->call.turned_away = true;
    return server_submit(s, q, POOL_COMMON);
}

static void job_done(struct rk_job *j)
{
    struct request *q = rk_container_of(j, struct request, job);
    struct server *s = q->server;
    bool served = !j->refused && !q->late, moves = q->moves && served;

    server_come_home(s, q);
    if (moves && server_wants(q) && move(s, q))
        return;
    if ((moves || q->late) && server_wants(q) && turn_away(s, q))
        return;
    if (served && !moves)
        s->ops.on_done(q, s->arg);
    server_finish(s, q, served && !moves);
}

static void on_overdue(struct rk_timer *t)
{
    struct server *s = rk_container_of(t, struct server, overdue);
    uint64_t now = rk_mono_ms();
    struct rk_list *n, *tmp;

    for (enum pool p = 0; p < POOL_END; p++) {
        rk_list_each(&s->working[p], n, tmp)
        {
            struct request *q = rk_list_entry(n, struct request, node);

            if (q->deadline_ms > now)
                break; /* in order of their deadlines */
            rk_list_remove(n);
            request_fail(q, RK_UNAVAILABLE, "");
            server_resume(q);
        }
    }
}

static char *header(struct request *q, const char *name)
{
    const char *v = MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);

    return v ? rk_arena_strdup(q->arena, v) : NULL;
}

struct forwarded {
    struct rk_str value[FORWARDED_MAX];
    size_t n;
};

static enum MHD_Result
on_forwarded(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct forwarded *f = cls;

    (void)kind;
    if (value && f->n < FORWARDED_MAX && rk_str_ieq(rk_str(name), RK_STR("X-Forwarded-For")))
        f->value[f->n++] = rk_str(value);
    return MHD_YES;
}

/* Whose request it is, before the proxies we trust. */
static void find_remote(struct server *s, struct request *q)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(q->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct sockaddr_storage remote = { .ss_family = AF_UNSPEC };
    struct forwarded f = { .n = 0 };

    if (!info || !info->client_addr)
        return;
    memcpy(&remote, info->client_addr,
           info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : sizeof(struct sockaddr_in));
    if (s->shared->trusted &&
        rk_cidrs_contains(s->shared->trusted, (const struct sockaddr *)&remote)) {
        MHD_get_connection_values(q->connection, MHD_HEADER_KIND, on_forwarded, &f);
        (void)rk_grpc_forwarded(f.value, f.n, s->shared->trusted, &remote);
    }
    rk_addr_format_ip((const struct sockaddr *)&remote, q->call.remote_ip);
}

/* For handlers that read more than a body. */
static void take_head(struct server *s, struct request *q)
{
    const struct {
        const char *name;
        const char **to;
    } want[] = {
        { "Authorization", &q->call.head.authorization },
        { "Cookie", &q->call.head.cookie },
        { "Content-Type", &q->call.head.content_type },
        { "Accept-Language", &q->call.head.accept_language },
        { "Origin", &q->call.head.origin },
        { "Sec-Fetch-Site", &q->call.head.fetch_site },
        { "User-Agent", &q->call.head.user_agent },
    };

    for (size_t i = 0; i < RK_COUNT(want); i++) {
        const char *value = header(q, want[i].name);

        *want[i].to = value ? value : "";
    }
    find_remote(s, q);
}

/* Everything that is decided by the headers alone. */
static void begin(struct request *q, const char *method)
{
    enum route_match match = route_find(rk_str(method), q->path, &q->route, q->vars);
    bool options = strcmp(method, "OPTIONS") == 0;
    const char *length =
        MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "Content-Length");
    const char *traceparent =
        MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "traceparent");
    struct rk_str token;
    char *authorization;
    enum credential found;
    uint64_t n;

    q->state = REQUEST_RECEIVING;
    rk_trace_begin(&q->trace, rk_str(traceparent ? traceparent : ""));
    q->max_body = q->route ? q->route->max_body : 0;
    q->has_origin = MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "Origin") != NULL;
    if (match == ROUTE_NONE || (match == ROUTE_NO_METHOD && !options)) {
        q->unknown = true;
        q->posted = strcmp(method, "POST") == 0;
        return;
    }
    if (options) {
        q->wanted_method = header(q, "Access-Control-Request-Method");
        q->wanted_headers = header(q, "Access-Control-Request-Headers");
        q->preflight = q->wanted_method != NULL;
        if (q->preflight) {
            /* Pages are for nobody's scripts. */
            if (route_find(rk_str(q->wanted_method), q->path, &q->route, q->vars) == ROUTE_FOUND)
                q->unknown = q->route->kind == ROUTE_PAGE;
            return;
        }
    }
    if (q->max_body > 0 && length && rk_str_u64(rk_str(length), &n) && n > q->max_body)
        q->too_large = true;
    q->if_match = header(q, "If-Match");
    q->if_none_match = header(q, "If-None-Match");
    if (q->max_body > q->body.max)
        q->body.max = q->max_body;
    if (q->route && (q->route->is_public || q->route->kind != ROUTE_REST)) {
        if (q->route->kept != KEPT_PUBLIC)
            take_head(q->server, q);
        if (q->route->kind == ROUTE_SCIM &&
            !scim_token_formed(rk_str(q->call.head.authorization), &token))
            q->max_body = 0; /* it will be refused: nobody reads it */
        return;
    }
    authorization = header(q, "Authorization");
    found = caller_credential(rk_str(authorization ? authorization : ""), &token);
    switch (found) {
    case CREDENTIAL_JWT:
    case CREDENTIAL_TOKEN:
        if (found == CREDENTIAL_JWT && !q->server->shared->verifier) {
            request_fail(q, RK_UNAUTHENTICATED, "token invalid");
            break;
        }
        q->call.jwt = found == CREDENTIAL_JWT;
        q->token = rk_arena_strn(q->arena, token);
        if (q->server->shared->config->token_rate_limit)
            q->call.head.user_agent = header(q, "User-Agent");
        q->unknown = !q->route; /* OPTIONS that is no preflight */
        break;
    case CREDENTIAL_NONE:
        request_fail(q, RK_UNAUTHENTICATED, "no valid authentication provided");
        break;
    case CREDENTIAL_INVALID:
        request_fail(q, RK_UNAUTHENTICATED, "token invalid");
        break;
    }
}

/* Nobody knows yet whose bodies these are. Who has been sending one for longest gives way, so that
 * those who hold theirs back keep nobody out. */
static void make_room(struct server *s)
{
    struct rk_list *n, *tmp;

    rk_list_each(&s->receiving, n, tmp)
    {
        struct request *q = rk_list_entry(n, struct request, node);

        if (s->bodies <= BODIES_MAX)
            return;
        rk_list_remove(n);
        request_fail(q, RK_UNAVAILABLE, "");
        request_drop_body(q);
    }
}

static void take_body(struct server *s, struct request *q, const char *data, size_t n)
{
    size_t had = q->body.cap;

    if (q->max_body == 0 || q->too_large || q->state == REQUEST_ANSWERED || q->unknown)
        return; /* nobody reads it */
    if (q->body.n + n > q->max_body || !rk_buf_put(&q->body, data, n)) {
        q->too_large = true;
        request_drop_body(q);
        return;
    }
    if (had == 0)
        rk_list_append(&s->receiving, &q->node);
    s->bodies += q->body.cap - had;
    make_room(s);
}

/* Until come_home. */
void server_take_in(struct server *s, struct request *q, enum pool pool)
{
    q->at_worker = true;
    q->deadline_ms = rk_mono_ms() + request_ms[pool];
    s->at_workers++;
    rk_list_append(&s->working[pool], &q->node);
}

/* One address does not take all the places of those whose passwords wait to be looked at. */
static bool crowds(struct server *s, const struct request *q)
{
    char mine[RK_ADDR_LEN], its[RK_ADDR_LEN];
    struct rk_list *n, *tmp;
    unsigned waiting = 0;

    if (q->call.remote_ip[0] == '\0' || q->call.first)
        return false;
    rk_addr_source(q->call.remote_ip, mine);
    rk_list_each(&s->working[POOL_PASSWORD], n, tmp)
    {
        const struct request *other = rk_list_entry(n, struct request, node);

        rk_addr_source(other->call.remote_ip, its);
        waiting += !other->call.first && strcmp(mine, its) == 0;
    }
    return waiting >= PASSWORDS_OF_ONE;
}

bool server_submit(struct server *s, struct request *q, enum pool pool)
{
    struct rk_workers *workers = s->shared->pool[pool];
    bool taken;

    q->call.pool = pool;
    q->job.lane = batch_lane(q, pool);
    q->begin_by_ms = rk_mono_ms() + request_ms[pool] / 2;
    if (!workers || (pool == POOL_PASSWORD && crowds(s, q)))
        return false;
    taken = q->call.first ? rk_workers_submit_first(workers, s->loop, &q->job)
                          : rk_workers_submit(workers, s->loop, &q->job);
    if (!taken)
        return false;
    server_take_in(s, q, pool);
    return true;
}

/* The request is complete: answered here, or handed to a worker. */
static enum MHD_Result dispatch(struct server *s, struct request *q)
{
    rk_list_remove(&q->node); /* from those who are sending */
    if (q->state == REQUEST_RECEIVING && q->too_large)
        request_fail(q, RK_BAD_REQUEST, "request body is too large");
    if (q->unknown || q->preflight || q->state == REQUEST_ANSWERED)
        return reply_queue(s, q, q->connection);
    q->job.run = batch_run;
    q->job.done = job_done;
    q->call.shared = s->shared;
    q->call.config = s->shared->config;
    q->call.seal = s->shared->seal;
    q->call.pictures = s->shared->pictures;
    q->call.geo = s->shared->geo;
    q->checking = known_ask(s, q);
    if (!q->checking && !server_submit(s, q, q->route->pool)) {
        request_fail(q, RK_UNAVAILABLE, "");
        return reply_queue(s, q, q->connection);
    }
    q->state = REQUEST_WORKING;
    rest(s, q);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls,
                                  struct MHD_Connection *connection,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *upload,
                                  size_t *upload_n,
                                  void **con_cls)
{
    struct request *q = *con_cls;

    (void)url;
    (void)version;
    switch (q->state) {
    case REQUEST_NEW:
        q->connection = connection;
        begin(q, method);
        return MHD_YES;
    case REQUEST_RECEIVING:
    case REQUEST_ANSWERED:
        if (*upload_n > 0) {
            take_body(cls, q, upload, *upload_n);
            *upload_n = 0;
            return MHD_YES;
        }
        return dispatch(cls, q);
    case REQUEST_WORKING:
        if (q->rest == REST_AWAKE && (!q->checking || ((struct server *)cls)->bedtime))
            put_to_sleep(q);
        return MHD_YES;
    }
    return MHD_NO;
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct server *s = cls;
    struct request *q = request_new(s, uri);

    (void)connection;
    s->in_flight++;
    return q;
}

static void on_completed(void *cls,
                         struct MHD_Connection *connection,
                         void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct server *s = cls;
    struct request *q = *con_cls;

    (void)connection;
    (void)code;
    if (!q)
        return;
    *con_cls = NULL;
    s->in_flight--;
    q->connection = NULL;
    if (q->rest == REST_AWAKE)
        s->awake--;
    q->rest = REST_NONE;
    if (q->lent)
        kept_take_back(s->kept, q->kept, rk_steal(q->lent));
    if (!q->at_worker)
        request_free(q);
    check_drained(s);
}

static int listen_on(const char *text, char bound[RK_ADDR_LEN], struct rk_err *err)
{
    struct rk_addr addr;
    int fd, on = 1, off = 0;

    if (rk_addr_parse(rk_str(text), &addr, err) < 0)
        return -1;
    fd = socket(addr.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)rk_fail(err, RK_INTERNAL, "socket: %s", strerror(errno));
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr.ss.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (struct sockaddr *)&addr.ss, addr.len) < 0 || listen(fd, BACKLOG) < 0) {
        (void)rk_fail(err, RK_INTERNAL, "cannot listen on %s: %s", text, strerror(errno));
        close(fd);
        return -1;
    }
    addr.len = sizeof(addr.ss);
    (void)getsockname(fd, (struct sockaddr *)&addr.ss, &addr.len);
    rk_addr_format((struct sockaddr *)&addr.ss, bound);
    return fd;
}

int server_new(struct rk_loop *l,
               const struct shared *shared,
               const struct server_ops *ops,
               void *arg,
               struct server **out,
               struct rk_err *err)
{
    struct server *s = rk_new(struct server);
    const union MHD_DaemonInfo *info;
    int fd;

    fd = listen_on(shared->config->listen, s->address, err);
    if (fd < 0) {
        rk_free(s);
        return err ? err->code : RK_INTERNAL;
    }
    s->loop = l;
    s->shared = shared;
    s->ops = *ops;
    s->arg = arg;
    rk_list_init(&s->receiving);
    for (enum pool p = 0; p < POOL_END; p++)
        rk_list_init(&s->working[p]);
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        rk_free(s);
        return rk_fail(err, RK_INTERNAL, "the HTTP server does not start");
    }
    s->check = check_new(l, shared->config->postgres, shared->config->common.instance);
    check_gather(s->check, on_gather, s);
    s->kept = kept_new(KEPT_BYTES);
    info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(rk_loop_uv(l), &s->poll, info->epoll_fd);
    s->poll.data = s;
    uv_poll_start(&s->poll, UV_READABLE, on_poll);
    rk_timer_init(l, &s->turn, on_turn);
    rk_timer_init(l, &s->overdue, on_overdue);
    rk_timer_start(&s->overdue, OVERDUE_MS, OVERDUE_MS);
    s->open_handles = 3;
    *out = s;
    return 0;
}

const char *server_address(const struct server *s)
{
    return s->address;
}

void server_stop_checks(struct server *s)
{
    check_stop(s->check);
}

void server_drain(struct server *s, void (*on_drained)(void *arg), void *arg)
{
    MHD_socket fd = MHD_quiesce_daemon(s->daemon);

    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    s->draining = true;
    s->on_drained = on_drained;
    s->drained_arg = arg;
    check_drained(s);
}

static void handle_closed(struct server *s)
{
    if (--s->open_handles > 0)
        return;
    check_free(s->check);
    kept_free(s->kept);
    rk_free(s);
}

static void on_poll_closed(uv_handle_t *h)
{
    handle_closed(h->data);
}

static void on_turn_closed(struct rk_timer *t)
{
    handle_closed(rk_container_of(t, struct server, turn));
}

static void on_overdue_closed(struct rk_timer *t)
{
    handle_closed(rk_container_of(t, struct server, overdue));
}

void server_close(struct server *s)
{
    struct rk_list *n, *tmp;

    if (!s)
        return;
    s->on_drained = NULL;
    uv_poll_stop(&s->poll);
    if (s->running_soon)
        rk_list_remove(&s->soon.node);
    s->running_soon = true; /* for good: nothing runs from here on */
    /* MHD does not stop while a connection sleeps. */
    for (enum pool p = 0; p < POOL_END; p++) {
        rk_list_each(&s->working[p], n, tmp)
        {
            struct request *q = rk_list_entry(n, struct request, node);

            rk_list_remove(n);
            request_fail(q, RK_UNAVAILABLE, "");
            if (q->connection && q->rest == REST_ASLEEP)
                MHD_resume_connection(q->connection);
        }
    }
    MHD_run(s->daemon);
    MHD_stop_daemon(s->daemon);
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    rk_timer_close(&s->turn, on_turn_closed);
    rk_timer_close(&s->overdue, on_overdue_closed);
}
