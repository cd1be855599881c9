/* Asking for jobs and storing answers, each a job of a worker. */

#include "services/management/jobs/jobs.h"

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/bytes.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/metrics.h"
#include "services/management/rpc/envelope.h"

#define LOOK_MS 5000
#define UNSTORED_MAX 1000 /* answers kept while Postgres is away; more are lost */
#define PENDING_MAX 1000  /* of one look for lost messages */
#define FRAME_MAX 1024

struct jobs {
    struct app *app;
    struct rk_timer timer;
    struct rk_list unstored; /* struct answer, to be stored again */
    size_t answers;          /* unstored and on their way */
    bool looking;
};

/* --- asking --- */

struct ask {
    struct rk_job job;
    struct app *app;
    char peer_id[RK_XID_LEN + 1];
    struct rk_job_pending pending;
    bool found;
    int r;
    struct rk_err err;
};

static void ask_run(struct rk_job *j, void *worker)
{
    struct ask *a = rk_container_of(j, struct ask, job);

    a->r = rk_job_next(((struct worker *)worker)->pg, a->peer_id, &a->pending, &a->found, &a->err);
}

/* JobRequest: 1 ID, 10 bundle. */
static void tell(struct app *app, struct job_stream *s, const struct rk_job_pending *p)
{
    rk_auto(rk_bytes_unref) struct rk_bytes *frame = NULL;
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t at;

    rk_buf_init(&b, FRAME_MAX);
    rk_wire_str(&b, 1, rk_str(p->id));
    at = rk_wire_begin(&b, 10);
    rk_wire_bool(&b, 1, p->bundle.bundle_for);
    rk_wire_uint(&b, 2, (uint64_t)p->bundle.bundle_for_time);
    rk_wire_uint(&b, 3, (uint64_t)p->bundle.log_file_count);
    rk_wire_bool(&b, 4, p->bundle.anonymize);
    rk_wire_end(&b, at);
    frame = envelope_seal(app->key_b64, &s->box, rk_buf_str(&b));
    rk_grpc_send_frame(s->call, frame);
    memcpy(s->told, p->id, sizeof(s->told));
    s->open = true;
    metric_add(METRIC_JOBS_SENT, 1);
}

static void ask_done(struct rk_job *j)
{
    struct ask *a = rk_container_of(j, struct ask, job);
    struct job_stream *s = rk_map_get(a->app->jobs_open, rk_str(a->peer_id));

    if (s) { /* perhaps another stream than the one that asked: the job is for its peer */
        s->asking = false;
        if (!j->refused && a->r == 0 && a->found && strcmp(s->told, a->pending.id) != 0)
            tell(a->app, s, &a->pending);
        if (s->again)
            jobs_ask(a->app, s);
    }
    free(a);
}

void jobs_ask(struct app *app, struct job_stream *s)
{
    struct ask *a;

    s->again = s->asking;
    if (s->asking)
        return;
    a = rk_new(struct ask);
    a->app = app;
    memcpy(a->peer_id, s->peer_id, sizeof(a->peer_id));
    a->job.run = ask_run;
    a->job.done = ask_done;
    s->asking = rk_workers_submit(app->workers, app->loop, &a->job);
    if (!s->asking)
        free(a); /* the next look finds it */
}

void jobs_end(struct app *app, const char *peer_id)
{
    struct job_stream *s = rk_map_get(app->jobs_open, rk_str(peer_id));

    if (s)
        rk_grpc_finish(s->call, RK_GRPC_OK, NULL);
}

void jobs_heard(struct app *app, struct rk_str payload)
{
    struct rk_str peer_id;
    struct job_stream *s;

    if (!rk_str_next(&payload, ' ', &peer_id))
        return;
    s = rk_map_get(app->jobs_open, peer_id);
    if (s)
        jobs_ask(app, s);
}

/* --- what lost messages would have named --- */

struct look {
    struct rk_job job;
    struct jobs *owner;
    struct rk_pg_result *peers;
    int r;
    struct rk_err err;
};

static void look_run(struct rk_job *j, void *worker)
{
    static const struct rk_pg_stmt pending = {
        "jobs_pending", "SELECT peer_id FROM peer_job WHERE status = 'pending' LIMIT $1::bigint"
    };
    struct look *k = rk_container_of(j, struct look, job);

    k->r = rk_pg_run(((struct worker *)worker)->pg, &pending, &k->peers, &k->err,
                     RK_P_INT(PENDING_MAX));
}

static void look_done(struct rk_job *j)
{
    struct look *k = rk_container_of(j, struct look, job);
    struct app *app = k->owner->app;

    k->owner->looking = false;
    for (int i = 0; !j->refused && k->r == 0 && i < rk_pg_rows(k->peers); i++) {
        struct job_stream *s = rk_map_get(app->jobs_open, rk_pg_str(k->peers, i, 0));

        if (s && !s->open)
            jobs_ask(app, s);
    }
    rk_pg_result_free(k->peers);
    free(k);
}

/* --- answers --- */

struct answer {
    struct rk_list node;
    struct rk_job job;
    struct jobs *owner;
    char peer_id[RK_XID_LEN + 1], id[RK_UUID_LEN + 1];
    bool succeeded;
    char *reason, *upload_key;
    int r;
    struct rk_err err;
};

static void answer_free(struct answer *a)
{
    a->owner->answers--;
    free(a->reason);
    free(a->upload_key);
    free(a);
}

static void answer_run(struct rk_job *j, void *worker)
{
    struct answer *a = rk_container_of(j, struct answer, job);

    a->r = rk_job_finish(((struct worker *)worker)->pg, a->peer_id, a->id, a->succeeded,
                         rk_str(a->reason), rk_str(a->upload_key), &a->err);
}

static void answer_done(struct rk_job *j)
{
    struct answer *a = rk_container_of(j, struct answer, job);

    if (j->refused || a->r == RK_UNAVAILABLE || a->r == RK_CONFLICT) {
        rk_list_append(&a->owner->unstored, &a->node);
        return;
    }
    if (a->r < 0)
        rk_warn(NULL, "answer to job %s: %s", a->id, a->err.msg);
    answer_free(a);
}

static void store(struct answer *a)
{
    struct app *app = a->owner->app;

    rk_list_remove(&a->node);
    if (!rk_workers_submit(app->workers, app->loop, &a->job))
        rk_list_append(&a->owner->unstored, &a->node);
}

void jobs_answered(struct app *app,
                   struct job_stream *s,
                   bool succeeded,
                   struct rk_str reason,
                   struct rk_str upload_key)
{
    struct jobs *j = app->jobs;
    struct answer *a;

    s->open = false;
    if (j->answers >= UNSTORED_MAX) {
        rk_warn(NULL, "answer to job %s is lost: %zu others wait to be stored", s->told,
                j->answers);
        return;
    }
    a = rk_new(struct answer);
    rk_list_init(&a->node);
    a->owner = j;
    a->job.run = answer_run;
    a->job.done = answer_done;
    memcpy(a->peer_id, s->peer_id, sizeof(a->peer_id));
    memcpy(a->id, s->told, sizeof(a->id));
    a->succeeded = succeeded;
    a->reason = rk_strndup(reason.p, reason.n);
    a->upload_key = rk_strndup(upload_key.p, upload_key.n);
    j->answers++;
    store(a);
}

/* --- life --- */

static void on_timer(struct rk_timer *t)
{
    struct jobs *j = rk_container_of(t, struct jobs, timer);
    struct rk_list *n, *tmp;
    struct look *k;

    rk_list_each(&j->unstored, n, tmp) store(rk_list_entry(n, struct answer, node));
    if (j->looking || rk_map_count(j->app->jobs_open) == 0)
        return;
    k = rk_new(struct look);
    k->owner = j;
    k->job.run = look_run;
    k->job.done = look_done;
    j->looking = rk_workers_submit(j->app->workers, j->app->loop, &k->job);
    if (!j->looking)
        free(k);
}

struct jobs *jobs_new(struct app *app)
{
    struct jobs *j = rk_new(struct jobs);

    j->app = app;
    rk_list_init(&j->unstored);
    rk_timer_init(app->loop, &j->timer, on_timer);
    rk_timer_start(&j->timer, LOOK_MS, LOOK_MS);
    return j;
}

static void closed(struct rk_timer *t)
{
    struct jobs *j = rk_container_of(t, struct jobs, timer);
    struct rk_list *n, *tmp;

    rk_list_each(&j->unstored, n, tmp)
    {
        rk_list_remove(n);
        answer_free(rk_list_entry(n, struct answer, node));
    }
    free(j);
}

void jobs_close(struct jobs *j)
{
    rk_timer_close(&j->timer, closed);
}

bool jobs_idle(const struct jobs *j)
{
    return j->answers == 0;
}
