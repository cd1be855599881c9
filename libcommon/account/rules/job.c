/* See job.h. A workload is stored as REST shows it, with the result in it. */

#include "libcommon/account/rules/job.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/account/model/version.h"
#include "libcommon/base/json.h"

#define MAX_WORKLOAD 1024
#define MAX_RESULT ((size_t)64 << 10)

static const struct rk_pg_stmt peer_stmt = {
    "job_peer", "SELECT p.name, coalesce(p.meta->>'netbirdVersion', ''), coalesce(s.connected, "
                "false) FROM peer p LEFT JOIN peer_status s ON s.peer_id = p.id WHERE p.account_id "
                "= $1 AND p.id = $2"
};
static const struct rk_pg_stmt pending_stmt = {
    "job_pending", "SELECT 1 FROM peer_job WHERE peer_id = $1 AND status = 'pending'"
};
static const struct rk_pg_stmt insert_stmt = {
    "job_insert", "INSERT INTO peer_job (id, account_id, peer_id, status, triggered_by, workload) "
                  "VALUES ($1, $2, $3, 'pending', $4, $5::jsonb)"
};
static const struct rk_pg_stmt next_stmt = {
    "job_next", "SELECT id, coalesce((workload->'parameters'->>'bundle_for')::boolean, false),"
                " coalesce((workload->'parameters'->>'bundle_for_time')::bigint, 0),"
                " coalesce((workload->'parameters'->>'log_file_count')::bigint, 0),"
                " coalesce((workload->'parameters'->>'anonymize')::boolean, false)"
                " FROM peer_job WHERE peer_id = $1 AND status = 'pending'"
};
/* The deadline goes with the job it was for. */
static const struct rk_pg_stmt finish_stmt = {
    "job_finish",
    "WITH ended AS (UPDATE peer_job SET status = CASE WHEN $3::boolean THEN 'succeeded' ELSE "
    "'failed' END, failed_reason = $4, completed_at = clock_timestamp(), workload = workload || "
    "jsonb_build_object('result', $5::jsonb) WHERE peer_id = $1 AND id = $2 AND status = 'pending' "
    "RETURNING id), gone AS (DELETE FROM due d USING ended WHERE d.kind = 'job' AND d.object_id = "
    "ended.id) SELECT id FROM ended"
};

int rk_job_validate(const struct rk_job_bundle *in, struct rk_err *err)
{
    if (in->bundle_for && (in->bundle_for_time < 1 || in->bundle_for_time > 5))
        return rk_fail(err, RK_BAD_REQUEST, "bundle_for_time must be between 1 and 5, got %lld",
                       (long long)in->bundle_for_time);
    if (in->log_file_count < 1 || in->log_file_count > 1000)
        return rk_fail(err, RK_BAD_REQUEST, "log-file-count must be between 1 and 1000, got %lld",
                       (long long)in->log_file_count);
    return 0;
}

static void write_workload(struct rk_buf *b, const struct rk_job_bundle *in)
{
    struct rk_json j;

    rk_json_init(&j, b);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "type", "bundle");
    rk_json_object(&j, "parameters");
    rk_json_bool(&j, "bundle_for", in->bundle_for);
    rk_json_int(&j, "bundle_for_time", in->bundle_for_time);
    rk_json_int(&j, "log_file_count", in->log_file_count);
    rk_json_bool(&j, "anonymize", in->anonymize);
    rk_json_object_end(&j);
    rk_json_object(&j, "result");
    rk_json_object_end(&j);
    rk_json_object_end(&j);
}

static int check_peer(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *peer_id,
                      struct rk_pg_result **out,
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *peer = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *other = NULL;
    const char *version;
    int r;

    r = rk_pg_run(pg, &peer_stmt, &peer, err, RK_P_C(actor->account_id), RK_P_C(peer_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(peer) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", peer_id);
    version = rk_pg_str(peer, 0, 1).p;
    if (!rk_version_at_least(version, 0, 64, 0))
        return rk_fail(err, RK_PRECONDITION,
                       "peer version %s does not meet the minimum required version 0.64.0 for "
                       "remote jobs",
                       version);
    if (!rk_pg_bool(peer, 0, 2))
        return rk_fail(err, RK_BAD_REQUEST, "peer not connected");
    r = rk_pg_run(pg, &pending_stmt, &other, err, RK_P_C(peer_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(other) > 0)
        return rk_fail(err, RK_BAD_REQUEST, "peer already has pending job");
    *out = rk_steal(peer);
    return 0;
}

int rk_job_create(struct rk_pg *pg,
                  const struct rk_actor *actor,
                  const char *peer_id,
                  const struct rk_job_bundle *in,
                  char out_id[RK_UUID_LEN + 1],
                  struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *peer = NULL;
    rk_auto(rk_buf_done) struct rk_buf workload = { 0 };
    char id[RK_UUID_LEN + 1];
    int r;

    rk_buf_init(&workload, MAX_WORKLOAD);
    r = rk_job_validate(in, err);
    if (r < 0)
        return r;
    /* Holds the account's row: two jobs at once are one and a refusal. */
    r = rk_change_begin(pg, actor->account_id, &ch, err);
    if (r < 0)
        return r;
    r = check_peer(pg, actor, peer_id, &peer, err);
    if (r < 0)
        return r;
    rk_uuid_new(id);
    write_workload(&workload, in);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_C(peer_id), RK_P_C(actor->user_id), RK_P_STR(rk_buf_str(&workload)));
    if (r < 0)
        return r;
    r = rk_due_put(ch, RK_DUE_JOB, id, RK_JOB_LIFE_S, err);
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "peer.job.create", peer_id, err, "for_peer_name",
                      rk_pg_str(peer, 0, 0).p, "job_type", "bundle", NULL);
    if (r < 0)
        return r;
    r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_job_next(struct rk_pg *pg,
                const char *peer_id,
                struct rk_job_pending *out,
                bool *out_found,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(pg, &next_stmt, &res, err, RK_P_C(peer_id));

    if (r < 0)
        return r;
    *out_found = rk_pg_rows(res) > 0;
    if (!*out_found)
        return 0;
    (void)rk_str_copy(rk_pg_str(res, 0, 0), out->id, sizeof(out->id));
    out->bundle = (struct rk_job_bundle){ .bundle_for = rk_pg_bool(res, 0, 1),
                                          .bundle_for_time = rk_pg_int(res, 0, 2),
                                          .log_file_count = rk_pg_int(res, 0, 3),
                                          .anonymize = rk_pg_bool(res, 0, 4) };
    return 0;
}

/* What an agent sends as text: at most so many bytes, whole characters, no NUL. */
static struct rk_str agents_text(struct rk_str s, size_t max)
{
    size_t n = 0, step;

    while (n < s.n && s.p[n] != '\0' &&
           (step = rk_utf8_len((const uint8_t *)s.p + n, s.n - n)) > 0 && n + step <= max)
        n += step;
    return rk_strn(s.p, n);
}

int rk_job_finish(struct rk_pg *pg,
                  const char *peer_id,
                  const char *job_id,
                  bool succeeded,
                  struct rk_str reason,
                  struct rk_str upload_key,
                  struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf result = { 0 };
    struct rk_str key = agents_text(upload_key, RK_JOB_MAX_REASON);
    struct rk_str why = agents_text(reason, RK_JOB_MAX_REASON);
    struct rk_json j;
    int r;

    rk_buf_init(&result, MAX_RESULT);
    rk_json_init(&j, &result);
    rk_json_object(&j, NULL);
    if (succeeded && key.n > 0)
        rk_json_str(&j, "upload_key", key);
    rk_json_object_end(&j);
    r = rk_pg_run(pg, &finish_stmt, &res, err, RK_P_C(peer_id), RK_P_C(job_id),
                  RK_P_BOOL(succeeded), RK_P_STR(succeeded || why.n == 0 ? RK_STR("") : why),
                  RK_P_STR(rk_buf_str(&result)));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "job %s not found", job_id);
    return 0;
}
