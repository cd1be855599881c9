/* The steps that every encrypted call shares. */

#include "services/management/rpc/request.h"

#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/management/hub/access.h"
#include "services/management/rpc/known.h"

/* A request's decoded messages; a LoginRequest of 64 KiB unpacks to less. */
#define ARENA_MAX (1024u * 1024)
#define PUT_OFF_SAY_MS 10000

struct request *request_new(struct app *app, struct rk_grpc_call *call, struct rk_str message)
{
    struct request *q = rk_new(struct request);

    q->kind = CALL_REQUEST;
    q->app = app;
    q->call = call;
    q->arena = rk_arena_new(ARENA_MAX);
    rk_addr_format_ip(rk_grpc_peer(call), q->remote_ip);
    rk_trace_begin(&q->trace, rk_grpc_header(call, "traceparent"));
    rk_grpc_set_data(call, q);
    q->r = envelope_open(&app->key, known_box, app, message, q->arena, &q->env, &q->err);
    if (q->r < 0) {
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, q->err.msg);
        return NULL;
    }
    return q;
}

struct rk_logctx request_logctx(const struct request *q)
{
    return (struct rk_logctx){
        .peer = q->env.key_b64,
        .account = q->account_id[0] ? q->account_id : NULL,
        .remote = q->remote_ip,
        .trace = q->trace.id,
    };
}

static void request_free(struct request *q)
{
    rk_arena_free(q->arena);
    rk_wipe(&q->env.box, sizeof(q->env.box));
    free(q);
}

void request_gone(struct request *q)
{
    q->call = NULL;
    if (q->done)
        request_free(q);
}

void request_release(struct request *q)
{
    q->done = true;
    if (!q->call) {
        request_free(q);
        return;
    }
    rk_arena_free(q->arena); /* the call may outlive the work by a flush */
    q->arena = NULL;
}

void request_answer(struct request *q, struct rk_str plain)
{
    if (q->call) {
        rk_auto(rk_bytes_unref) struct rk_bytes *f =
            envelope_seal(q->app->key_b64, &q->env.box, plain);

        rk_grpc_send_frame(q->call, f);
        rk_grpc_finish(q->call, RK_GRPC_OK, NULL);
    }
    request_release(q);
}

void request_answer_plain_empty(struct request *q)
{
    if (q->call) {
        rk_grpc_send(q->call, RK_STR(""));
        rk_grpc_finish(q->call, RK_GRPC_OK, NULL);
    }
    request_release(q);
}

void request_fail(struct request *q, int status, const char *message)
{
    if (q->call)
        rk_grpc_finish(q->call, status, message);
    request_release(q);
}

/* Whoever asks for one is told to come again; why, is said once in a while. */
static void say_why(struct request *q, const struct rk_logctx *ctx)
{
    if (rk_due(&q->app->put_off_said_ms, PUT_OFF_SAY_MS))
        rk_warn(ctx, "calls are put off: %s", q->err.msg);
}

void request_fail_err(struct request *q)
{
    struct rk_logctx ctx = request_logctx(q);

    switch (q->r) {
    case RK_INVALID:
    case RK_NOT_FOUND:
    case RK_DENIED:
    case RK_PRECONDITION:
    case RK_UNAUTHENTICATED:
        request_fail(q, rk_grpc_status_of(q->r), q->err.msg);
        return;
    case RK_UNAVAILABLE:
    case RK_CONFLICT:
        say_why(q, &ctx);
        request_fail(q, RK_GRPC_UNAVAILABLE, "the database is away, please try again");
        return;
    default:
        rk_error(&ctx, "call failed: %s", q->err.msg);
        request_fail(q, RK_GRPC_INTERNAL, "failed handling request");
    }
}

static void job_run(struct rk_job *j, void *worker)
{
    struct request *q = rk_container_of(j, struct request, job);

    rk_trace_enter(&q->trace);
    q->work(q, worker);
    rk_trace_leave();
}

static void job_done(struct rk_job *j)
{
    struct request *q = rk_container_of(j, struct request, job);

    if (j->refused)
        q->r = rk_fail(&q->err, RK_UNAVAILABLE, "shutting down");
    q->after(q);
}

void request_work(struct request *q,
                  void (*work)(struct request *q, struct worker *w),
                  request_step_fn *after)
{
    q->work = work;
    q->after = after;
    q->job.run = job_run;
    q->job.done = job_done;
    q->r = 0;
    if (!rk_workers_submit(q->app->workers, q->app->loop, &q->job))
        request_fail(q, RK_GRPC_UNAVAILABLE, "too many requests wait, please try again");
}

/* --- whose peer is it --- */

static void find_run(struct request *q, struct worker *w)
{
    q->r = rk_store_find_peer(w->pg, q->env.key_b64, q->account_id, &q->need_serial, &q->err);
}

static void ready(struct hub_wait *w, int r, const struct rk_err *err);

static void wait_for(struct request *q)
{
    q->wait.on_ready = ready;
    hub_wait(hub_get(q->app, q->account_id), q->need_serial, &q->wait);
}

static void find_after(struct request *q)
{
    q->asked_store = true;
    if (q->r == RK_NOT_FOUND) {
        known_drop(q->app, q->env.key);
        q->on_unknown(q);
    } else if (q->r < 0) {
        request_fail_err(q);
    } else {
        wait_for(q);
    }
}

static bool refused(const struct hub *h, size_t index)
{
    char text[ACCESS_TEXT_MAX];

    return access_check(h->snap, index, rk_wall_us(), text) != RK_GRPC_OK;
}

static void ready(struct hub_wait *w, int r, const struct rk_err *err)
{
    struct request *q = rk_container_of(w, struct request, wait);
    struct hub *h = hub_find(q->app, rk_str(q->account_id));
    size_t index;

    if (r < 0 && r != RK_NOT_FOUND) {
        q->r = r;
        q->err = *err;
        request_fail_err(q);
        return;
    }
    index = r == 0 ? rk_snapshot_find_key(h->snap, q->env.key) : RK_NO_PEER;
    if (!q->asked_store && (index == RK_NO_PEER || refused(h, index))) {
        /* Our snapshot may be older than what happened elsewhere: the peer has registered, or has
         * signed in again. A no would be for good: the agent does not ask again. */
        request_work(q, find_run, find_after);
    } else if (index != RK_NO_PEER) {
        known_put(q->app, q->env.key, q->account_id, &q->env.box);
        q->on_found(q, h, index);
    } else {
        known_drop(q->app, q->env.key);
        q->on_unknown(q); /* deleted in between */
    }
}

bool request_seen(const struct request *q)
{
    return known_find(q->app, q->env.key) != NULL;
}

void request_resolve(struct request *q, request_found_fn *on_found, request_step_fn *on_unknown)
{
    const struct known_peer *k = known_find(q->app, q->env.key);

    q->on_found = on_found;
    q->on_unknown = on_unknown;
    if (!k) {
        request_work(q, find_run, find_after);
        return;
    }
    memcpy(q->account_id, k->account_id, sizeof(q->account_id));
    q->need_serial = 0;
    wait_for(q);
}

bool request_allowed(struct request *q, struct hub *hub, size_t index)
{
    char text[ACCESS_TEXT_MAX];
    int status = access_check(hub->snap, index, rk_wall_us(), text);

    if (status == RK_GRPC_OK)
        return true;
    request_fail(q, status, text);
    return false;
}

static void vanished(struct request *q)
{
    request_fail(q, RK_GRPC_UNAVAILABLE,
                 "the peer went while it was being answered, please try again");
}

void request_await(struct request *q, request_found_fn *on_found)
{
    q->on_found = on_found;
    q->on_unknown = vanished;
    q->asked_store = true;
    memcpy(q->account_id, q->bell.account_id, sizeof(q->account_id));
    q->need_serial = q->bell.serial;
    wait_for(q);
}

void request_follow(struct request *q, request_found_fn *on_found)
{
    app_ring(q->app, q->bell.account_id, q->bell.serial);
    request_await(q, on_found);
}

void request_find(struct request *q, request_found_fn *on_found)
{
    q->on_found = on_found;
    q->on_unknown = vanished;
    request_work(q, find_run, find_after);
}

/* --- metadata --- */

static const char *checked(const char *s, bool *bad)
{
    if (!s)
        return "";
    if (!rk_utf8_valid(rk_str(s)))
        *bad = true;
    return s;
}

static uint32_t flag_bits(const Management__Flags *f)
{
    uint32_t bits = 0;

    if (!f)
        return 0;
#define FLAG(number, member) bits |= f->member ? RK_META_FLAG(number) : 0
    FLAG(1, rosenpassenabled);
    FLAG(2, rosenpasspermissive);
    FLAG(3, serversshallowed);
    FLAG(4, disableclientroutes);
    FLAG(5, disableserverroutes);
    FLAG(6, disabledns);
    FLAG(7, disablefirewall);
    FLAG(8, blocklanaccess);
    FLAG(9, blockinbound);
    FLAG(10, lazyconnectionenabled);
    FLAG(16, disableipv6);
#undef FLAG
    return bits;
}

static void copy_lists(struct request *q,
                       const Management__PeerSystemMeta *m,
                       struct rk_peer_meta *out,
                       bool *bad)
{
    __typeof__(*out->addresses) *a;
    __typeof__(*out->files) *f;

    a = rk_arena_alloc(q->arena, m->n_networkaddresses * sizeof(*a) + 1);
    for (size_t i = 0; i < m->n_networkaddresses; i++)
        memcpy((void *)(uintptr_t)&a[i],
               &(__typeof__(*a)){ checked(m->networkaddresses[i]->netip, bad),
                                  checked(m->networkaddresses[i]->mac, bad) },
               sizeof(*a));
    out->addresses = a;
    out->addresses_n = m->n_networkaddresses;
    f = rk_arena_alloc(q->arena, m->n_files * sizeof(*f) + 1);
    for (size_t i = 0; i < m->n_files; i++)
        memcpy((void *)(uintptr_t)&f[i],
               &(__typeof__(*f)){ checked(m->files[i]->path, bad), m->files[i]->exist,
                                  m->files[i]->processisrunning },
               sizeof(*f));
    out->files = f;
    out->files_n = m->n_files;
}

struct rk_peer_meta *request_meta(struct request *q, const Management__PeerSystemMeta *m)
{
    struct rk_peer_meta *out = rk_arena_alloc(q->arena, sizeof(*out));
    bool bad = false;

    out->hostname = checked(m->hostname, &bad);
    out->goos = checked(m->goos, &bad);
    out->kernel = checked(m->kernel, &bad);
    out->core = checked(m->core, &bad);
    out->platform = checked(m->platform, &bad);
    out->os = checked(m->os, &bad);
    out->version = checked(m->netbirdversion, &bad);
    out->ui_version = checked(m->uiversion, &bad);
    out->kernel_version = checked(m->kernelversion, &bad);
    out->os_version = checked(m->osversion, &bad);
    out->serial_number = checked(m->sysserialnumber, &bad);
    out->product_name = checked(m->sysproductname, &bad);
    out->manufacturer = checked(m->sysmanufacturer, &bad);
    out->cloud = checked(m->environment ? m->environment->cloud : NULL, &bad);
    out->cloud_platform = checked(m->environment ? m->environment->platform : NULL, &bad);
    copy_lists(q, m, out, &bad);
    out->flags = flag_bits(m->flags);
    for (size_t i = 0; i < m->n_capabilities; i++) {
        if ((unsigned)m->capabilities[i] < 32)
            out->capabilities |= 1u << m->capabilities[i];
    }
    out->sync_message_version = m->syncmessageversion;
    return bad ? NULL : out;
}
