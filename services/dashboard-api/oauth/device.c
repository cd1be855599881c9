/* See device.h. */

#include "services/dashboard-api/oauth/device.h"

#include "services/dashboard-api/oauth/limit.h"
#include "services/dashboard-api/oauth/scope.h"
#include "services/dashboard-api/oauth/secret.h"

/* Counting and adding are one step. */
static const struct rk_pg_stmt lock_devices = { "oauth_device_lock_all",
                                                "SELECT pg_advisory_xact_lock(7237108263412734)" };
static const struct rk_pg_stmt count_devices = {
    "oauth_device_count",
    "SELECT count(*), count(*) FILTER (WHERE remote_ip = $1) FROM oauth_device "
    "WHERE good_until > now() AND answer = ''"
};
static const struct rk_pg_stmt add_device = {
    "oauth_device_add",
    "INSERT INTO oauth_device (id, user_code, sealed_code, client_id, scope, remote_ip, "
    "good_until, expires_at) VALUES ($1, $2, $3, $4, $5, $6, "
    "now() + $7::bigint * interval '1 second', now() + 3 * $7::bigint * interval '1 second')"
};
#define COLUMNS "SELECT id, client_id, remote_ip, sealed_code, created_at FROM oauth_device "
#define WAITS " AND answer = '' AND good_until > now()"
static const struct rk_pg_stmt find_by_code = { "oauth_device_by_code",
                                                COLUMNS "WHERE user_code = $1" WAITS };
static const struct rk_pg_stmt find_by_id = { "oauth_device_by_id", COLUMNS "WHERE id = $1" WAITS };
static const struct rk_pg_stmt answer_device = {
    "oauth_device_answer",
    "UPDATE oauth_device SET answer = $2, user_id = $3, connector_id = $4, identity = $5::jsonb, "
    "auth_time = to_timestamp($6::bigint) WHERE id = $1" WAITS
};
/* One second of grace: timers of others are not as exact as they say. */
static const struct rk_pg_stmt lock_device = {
    "oauth_device_lock",
    "SELECT client_id, scope, answer, identity::text, extract(epoch FROM auth_time)::bigint, "
    "good_until > now(), COALESCE(polled_at > clock_timestamp() - ($2::bigint - 1) * "
    "interval '1 second', false) FROM oauth_device WHERE id = $1 AND expires_at > now() FOR UPDATE"
};
static const struct rk_pg_stmt note_poll = {
    "oauth_device_poll", "UPDATE oauth_device SET polled_at = clock_timestamp() WHERE id = $1"
};
static const struct rk_pg_stmt drop_device = { "oauth_device_drop",
                                               "DELETE FROM oauth_device WHERE id = $1" };

static int check_room(struct call *c, const char *address, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run0(c->pg, &lock_devices, NULL, err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &count_devices, &res, err, RK_P_C(address));
    if (r < 0)
        return r;
    if (rk_pg_int(res, 0, 0) >= DEVICE_MAX_OPEN || rk_pg_int(res, 0, 1) >= DEVICE_MAX_OPEN_ADDRESS)
        return rk_fail(err, RK_EXHAUSTED, "too many devices wait to be approved");
    return 0;
}

int device_new(struct call *c,
               const char *client_id,
               const char *scope,
               const char **out_device_code,
               char out_user_code[USER_CODE_LEN + 1],
               struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
    const char *address = call_source(c), *device_code;
    char user_code[USER_CODE_LEN + 1];
    struct rk_str id;
    int r;

    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = check_room(c, address, err);
    if (r < 0)
        return r;
    device_code = secret_new(c->arena, &id);
    user_code_new(user_code);
    rk_seal_put(c->seal, secret_name(c->arena, "device", id), rk_str(user_code), &sealed);
    /* A user code that is taken: one in ten million tries, and the caller asks again. */
    r = rk_pg_run(c->pg, &add_device, NULL, err, RK_P_BYTEA(id),
                  RK_P_BYTEA(secret_hash(c->arena, user_code)), RK_P_BYTEA(rk_buf_str(&sealed)),
                  RK_P_C(client_id), RK_P_C(scope), RK_P_C(address), RK_P_INT(DEVICE_S));
    if (r == RK_EXISTS)
        return rk_fail(err, RK_CONFLICT, "a user code was drawn twice");
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    *out_device_code = device_code;
    memcpy(out_user_code, user_code, sizeof(user_code));
    return 0;
}

static int
read_device(struct call *c, const struct rk_pg_result *res, struct device *out, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf plain = { .max = 64 };
    struct device d;
    int r;

    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "no such device waits");
    d.id = rk_pg_bytes(res, 0, 0, c->arena);
    d.client_id = rk_arena_strn(c->arena, rk_pg_str(res, 0, 1));
    d.remote_ip = rk_arena_strn(c->arena, rk_pg_str(res, 0, 2));
    d.asked_us = rk_pg_time(res, 0, 4);
    r = rk_seal_get(c->seal, secret_name(c->arena, "device", d.id),
                    rk_pg_bytes(res, 0, 3, c->arena), &plain, err);
    if (r < 0 || !rk_str_copy(rk_buf_str(&plain), d.user_code, sizeof(d.user_code)))
        return rk_fail(err, RK_INTERNAL, "a user code cannot be read");
    *out = d;
    return 0;
}

int device_by_user_code(struct call *c, const char *typed, struct device *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char code[USER_CODE_LEN + 1];
    int r;

    if (!user_code_read(rk_str(typed), code))
        return rk_fail(err, RK_NOT_FOUND, "no such device waits");
    r = rk_pg_run(c->pg, &find_by_code, &res, err, RK_P_BYTEA(secret_hash(c->arena, code)));
    if (r < 0)
        return r;
    return read_device(c, res, out, err);
}

int device_by_id(struct call *c, struct rk_str id, struct device *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &find_by_id, &res, err, RK_P_BYTEA(id));

    if (r < 0)
        return r;
    return read_device(c, res, out, err);
}

int device_answer(struct call *c,
                  const struct device *d,
                  const struct session *s,
                  bool approved,
                  struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf json = { .max = CALL_MAX_OUT };
    int r;

    identity_write(&s->who, &json);
    r = rk_pg_run(c->pg, &answer_device, &res, err, RK_P_BYTEA(d->id),
                  RK_P_C(approved ? "approved" : "denied"), RK_P_C(s->who.user_id),
                  RK_P_C(s->who.connector_id), RK_P_STR(rk_buf_str(&json)),
                  RK_P_INT(s->auth_time_s));
    if (r == 0 && rk_pg_affected(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "the device does not wait any more");
    return r;
}

static int refuse(struct refusal *out, const char *error, const char *why)
{
    *out = (struct refusal){ error, why };
    return 0;
}

int device_poll(struct call *c,
                const char *device_code,
                const char *client_id,
                struct grant *g,
                struct refusal *out_why,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_str id = secret_hash(c->arena, device_code), answer;
    int r;

    r = rk_pg_run(c->pg, &lock_device, &res, err, RK_P_BYTEA(id), RK_P_INT(DEVICE_INTERVAL_S));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0 || !rk_str_eq(rk_pg_str(res, 0, 0), rk_str(client_id)))
        return refuse(out_why, "invalid_grant", "the device code is not known");
    answer = rk_pg_str(res, 0, 2);
    if (rk_str_eq(answer, RK_STR("denied")))
        return refuse(out_why, "access_denied", "the request was denied");
    if (!rk_pg_bool(res, 0, 5))
        return refuse(out_why, "expired_token", "the device code has expired");
    if (answer.n == 0) {
        if (rk_pg_bool(res, 0, 6))
            return refuse(out_why, "slow_down", "the device asks too often");
        (void)refuse(out_why, "authorization_pending", "nobody has approved the device yet");
        return rk_pg_run(c->pg, &note_poll, NULL, err, RK_P_BYTEA(id));
    }
    (void)scope_parse(rk_pg_str(res, 0, 1), &g->scope);
    g->auth_time_s = rk_pg_int(res, 0, 4);
    r = identity_read(rk_pg_str(res, 0, 3), c->arena, &g->who, err);
    if (r < 0)
        return r;
    return rk_pg_run(c->pg, &drop_device, NULL, err, RK_P_BYTEA(id));
}
