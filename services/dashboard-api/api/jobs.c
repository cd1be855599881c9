/* /api/peers/{peerId}/jobs */

#include "libcommon/account/rules/job.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, created_at, completed_at, triggered_by, status, failed_reason, workload FROM "     \
    "peer_job WHERE account_id = $1 AND peer_id = $2"
enum {
    ID,
    CREATED,
    COMPLETED,
    TRIGGERED_BY,
    STATUS,
    REASON,
    WORKLOAD
};

static const struct rk_pg_stmt peer_stmt = {
    "job_has_peer", "SELECT 1 FROM peer WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt list_stmt = { "job_list", COLUMNS " ORDER BY created_at DESC, id" };
static const struct rk_pg_stmt get_stmt = { "job_get", COLUMNS " AND id = $3" };

static void write_job(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_time(j, "created_at", rk_pg_time(res, row, CREATED));
    if (!rk_pg_null(res, row, COMPLETED))
        rk_json_time(j, "completed_at", rk_pg_time(res, row, COMPLETED));
    rk_json_str(j, "triggered_by", rk_pg_str(res, row, TRIGGERED_BY));
    rk_json_str(j, "status", rk_pg_str(res, row, STATUS));
    if (rk_pg_str(res, row, REASON).n > 0)
        rk_json_str(j, "failed_reason", rk_pg_str(res, row, REASON));
    write_jsonb(j, "workload", res, row, WORKLOAD);
    rk_json_object_end(j);
}

static int check_peer(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &peer_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer %s account not found", c->var[0]);
    return 0;
}

int job_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = check_peer(c, err);

    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]));
    if (r < 0)
        return r;
    write_rows(&c->json, res, write_job);
    return 0;
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]),
                      RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "job %s not found", id);
    write_job(&c->json, res, 0);
    return 0;
}

int job_get(struct call *c, struct rk_err *err)
{
    int r = check_peer(c, err);

    return r < 0 ? r : answer(c, c->var[1], err);
}

static int decode(struct call *c, struct body *body, struct rk_job_bundle *out, struct rk_err *err)
{
    const json_t *workload, *type, *parameters;
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    workload = body_get(body->root, "workload");
    type = body_get(workload, "type");
    if (!json_is_object(workload) || (type && !json_is_string(type)))
        return rk_fail(err, RK_BAD_REQUEST, "could not determine job type");
    if (json_string_length(type) == 0)
        return rk_fail(err, RK_BAD_REQUEST, "job type is required");
    if (strcmp(json_string_value(type), "bundle") != 0)
        return rk_fail(err, RK_BAD_REQUEST, "unsupported job type: %s", json_string_value(type));
    parameters = body_object(body, workload, "parameters");
    *out = (struct rk_job_bundle){
        .bundle_for = body_bool(body, parameters, "bundle_for"),
        .bundle_for_time = body_int(body, parameters, "bundle_for_time"),
        .log_file_count = body_int(body, parameters, "log_file_count"),
        .anonymize = body_bool(body, parameters, "anonymize"),
    };
    return body->bad ? rk_fail(err, RK_BAD_REQUEST, "invalid parameters for bundle job") : 0;
}

int job_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_job_bundle in;
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_job_create(c->pg, &c->actor, c->var[0], &in, c->job_bell.job_id, err);
    if (r < 0)
        return r;
    (void)rk_str_copy(rk_str(c->var[0]), c->job_bell.peer_id, sizeof(c->job_bell.peer_id));
    return answer(c, c->job_bell.job_id, err);
}
