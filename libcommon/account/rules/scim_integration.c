/* Integrations, as an administrator sets them up. */

#include "libcommon/account/rules/scim_int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/crypto/hash.h"

#define MAX_TEXT 255

static const struct rk_pg_stmt count_stmt = {
    "scim_count", "SELECT count(*) FROM scim_integration WHERE account_id = $1"
};
static const struct rk_pg_stmt connector_stmt = {
    "scim_connector", "SELECT 1 FROM connector WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt insert_stmt = {
    "scim_insert",
    "INSERT INTO scim_integration (account_id, enabled, prefix, provider, connector_id, "
    "group_prefixes, user_group_prefixes, token_hash, token_masked) VALUES ($1, $2, $3, $4, $5, "
    "$6::text[], $7::text[], $8, $9) RETURNING id"
};
static const struct rk_pg_stmt update_stmt = {
    "scim_update",
    "UPDATE scim_integration SET enabled = coalesce($3::boolean, enabled), prefix = coalesce($4, "
    "prefix), provider = coalesce($5, provider), connector_id = coalesce($6, connector_id), "
    "group_prefixes = coalesce($7::text[], group_prefixes), user_group_prefixes = "
    "coalesce($8::text[], user_group_prefixes) WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt rotate_stmt = {
    "scim_rotate",
    "UPDATE scim_integration SET token_hash = $3, token_masked = $4 WHERE account_id = $1 AND id = "
    "$2"
};
static const struct rk_pg_stmt release_users_stmt = {
    "scim_release_users", "UPDATE users SET issued = 'api' FROM scim_user s WHERE users.id = "
                          "s.user_id AND s.integration_id = $1"
};
static const struct rk_pg_stmt release_groups_stmt = {
    "scim_release_groups", "UPDATE account_group SET issued = 'api' FROM scim_group s WHERE "
                           "account_group.id = s.group_id AND s.integration_id = $1"
};
static const struct rk_pg_stmt delete_stmt = {
    "scim_delete", "DELETE FROM scim_integration WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt people_stmt = {
    "scim_all_people", "SELECT id FROM scim_user WHERE integration_id = $1"
};
static const struct rk_pg_stmt groups_stmt = {
    "scim_all_groups", "SELECT id FROM scim_group WHERE integration_id = $1 ORDER BY seq"
};

static int check_text(const char *what, const char *text, struct rk_err *err)
{
    if (text && strlen(text) > MAX_TEXT)
        return rk_fail(err, RK_INVALID, "%s is longer than %d characters", what, MAX_TEXT);
    return 0;
}

static int check_list(const char *what, const struct rk_str *list, size_t n, struct rk_err *err)
{
    if (n > RK_SCIM_PREFIXES_MAX)
        return rk_fail(err, RK_INVALID, "%s has more than %d entries", what, RK_SCIM_PREFIXES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (list[i].n == 0)
            return rk_fail(err, RK_INVALID, "%s has an empty entry", what);
        if (list[i].n > MAX_TEXT)
            return rk_fail(err, RK_INVALID, "an entry of %s is longer than %d characters", what,
                           MAX_TEXT);
    }
    return 0;
}

static int check(struct rk_change *ch, const struct rk_scim_input *in, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = check_text("prefix", in->prefix, err);
    if (r == 0)
        r = check_text("provider", in->provider, err);
    if (r == 0)
        r = check_list("group_prefixes", in->group_prefixes, in->group_prefixes_n, err);
    if (r == 0)
        r = check_list("user_group_prefixes", in->user_group_prefixes, in->user_group_prefixes_n,
                       err);
    if (r < 0 || !in->connector_id || in->connector_id[0] == '\0')
        return r;
    r = rk_pg_run(rk_change_pg(ch), &connector_stmt, &res, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_C(in->connector_id));
    if (r == 0 && rk_pg_rows(res) == 0)
        return rk_fail(err, RK_INVALID, "connector %.100s not found", in->connector_id);
    return r;
}

static void draw(char token[RK_PAT_LEN + 1], char hash[45], char masked[16])
{
    rk_pat_new(RK_SCIM_PREFIX, token);
    rk_sha256_b64(rk_str(token), hash);
    snprintf(masked, 16, "%.8s****", token);
}

static int tell(struct rk_change *ch,
                const struct rk_actor *actor,
                const char *code,
                int64_t id,
                const char *provider,
                struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta;
    char text[24];

    rk_buf_init(&meta, RK_META_MAX);
    snprintf(text, sizeof(text), "%lld", (long long)id);
    return rk_change_event(ch, code, actor->user_id, text,
                           provider
                               ? rk_event_meta(&meta, "type", "scim", "provider", provider, NULL)
                               : rk_event_meta(&meta, "type", "scim", NULL),
                           err);
}

int rk_scim_create(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const struct rk_scim_input *in,
                   int64_t *out_id,
                   char out_token[RK_PAT_LEN + 1],
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *count = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *made = NULL;
    char token[RK_PAT_LEN + 1], hash[45], masked[16];
    int64_t id;
    int r;

    r = rk_change_begin(pg, actor->account_id, &ch, err);
    if (r == 0)
        r = check(ch, in, err);
    if (r == 0)
        r = rk_pg_run(pg, &count_stmt, &count, err, RK_P_C(actor->account_id));
    if (r < 0)
        return r;
    if (rk_pg_int(count, 0, 0) >= RK_SCIM_MAX)
        return rk_fail(err, RK_INVALID, "the account has %d scim integrations already",
                       RK_SCIM_MAX);
    draw(token, hash, masked);
    r = rk_pg_run(pg, &insert_stmt, &made, err, RK_P_C(actor->account_id),
                  RK_P_BOOL(!in->enabled || *in->enabled), RK_P_C(in->prefix ? in->prefix : ""),
                  RK_P_C(in->provider ? in->provider : ""),
                  RK_P_C(in->connector_id ? in->connector_id : ""),
                  RK_P_ARRAY(in->group_prefixes, in->group_prefixes_n),
                  RK_P_ARRAY(in->user_group_prefixes, in->user_group_prefixes_n), RK_P_C(hash),
                  RK_P_C(masked));
    if (r < 0)
        return r;
    id = rk_pg_int(made, 0, 0);
    r = tell(ch, actor, "integration.create", id, in->provider, err);
    if (r == 0)
        r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    *out_id = id;
    memcpy(out_token, token, sizeof(token));
    return 0;
}

/* What is asked for has changed: every group is placed, if its names are, and everybody settled. */
static int settle_all(struct rk_scim_change *sc, bool names, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *groups = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *people = NULL;
    struct rk_pg *pg = rk_change_pg(sc->ch);
    int r = names ? rk_pg_run(pg, &groups_stmt, &groups, err, RK_P_INT(sc->scim.id)) : 0;

    for (int i = 0; r == 0 && groups && i < rk_pg_rows(groups); i++) {
        struct rk_err inner = { 0 };
        bool changed;

        r = scim_group_place(sc, rk_pg_str(groups, i, 0).p, &changed, &inner);
        if (r == RK_EXISTS) /* the others need not wait for it */
            r = rk_scim_note(sc, RK_SCIM_ERROR, err, "%s", inner.msg);
        else if (r < 0)
            return rk_fail(err, r, "%s", inner.msg);
    }
    if (r == 0)
        r = rk_pg_run(pg, &people_stmt, &people, err, RK_P_INT(sc->scim.id));
    if (r == 0)
        scim_dirty_rows(sc, people);
    return r;
}

static struct rk_scim of(const struct rk_actor *actor, int64_t id)
{
    struct rk_scim scim = { .id = id, .default_domain = actor->default_domain };

    (void)rk_str_copy(rk_str(actor->account_id), scim.account_id, sizeof(scim.account_id));
    return scim;
}

int rk_scim_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   int64_t id,
                   const struct rk_scim_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    struct rk_scim scim = of(actor, id);
    bool enabled;
    int r = scim_begin(pg, &scim, actor->user_id, &sc, &enabled, err);

    if (r == 0)
        r = check(sc->ch, in, err);
    if (r == 0)
        r = rk_pg_run(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_INT(id),
                      in->enabled ? RK_P_BOOL(*in->enabled) : RK_P_NULL, RK_P_C(in->prefix),
                      RK_P_C(in->provider), RK_P_C(in->connector_id),
                      in->has_group_prefixes ? RK_P_ARRAY(in->group_prefixes, in->group_prefixes_n)
                                             : RK_P_NULL,
                      in->has_user_group_prefixes
                          ? RK_P_ARRAY(in->user_group_prefixes, in->user_group_prefixes_n)
                          : RK_P_NULL);
    if (r == 0)
        r = tell(sc->ch, actor, "integration.update", id, in->provider, err);
    if (r == 0)
        r = scim_load(sc, err);
    if (r == 0 && (in->has_group_prefixes || in->has_user_group_prefixes || in->connector_id))
        r = settle_all(sc, in->has_group_prefixes, err);
    return r < 0 ? r : rk_scim_commit(&sc, out_bell, err);
}

int rk_scim_delete(struct rk_pg *pg, const struct rk_actor *actor, int64_t id, struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    struct rk_scim scim = of(actor, id);
    bool enabled;
    int r = scim_begin(pg, &scim, actor->user_id, &sc, &enabled, err);

    if (r == 0)
        r = rk_pg_run(pg, &release_users_stmt, NULL, err, RK_P_INT(id));
    if (r == 0)
        r = rk_pg_run(pg, &release_groups_stmt, NULL, err, RK_P_INT(id));
    if (r == 0)
        r = rk_pg_run(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_INT(id));
    if (r == 0)
        r = tell(sc->ch, actor, "integration.delete", id, NULL, err);
    return r < 0 ? r : rk_change_commit(&sc->ch, NULL, err);
}

int rk_scim_rotate(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   int64_t id,
                   char out_token[RK_PAT_LEN + 1],
                   struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    struct rk_scim scim = of(actor, id);
    char token[RK_PAT_LEN + 1], hash[45], masked[16];
    bool enabled;
    int r = scim_begin(pg, &scim, actor->user_id, &sc, &enabled, err);

    if (r < 0)
        return r;
    draw(token, hash, masked);
    r = rk_pg_run(pg, &rotate_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_INT(id),
                  RK_P_C(hash), RK_P_C(masked));
    if (r == 0)
        r = tell(sc->ch, actor, "integration.update", id, NULL, err);
    if (r == 0)
        r = rk_scim_note(sc, RK_SCIM_INFO, err, "the token was replaced");
    if (r == 0)
        r = rk_change_commit(&sc->ch, NULL, err);
    if (r == 0)
        memcpy(out_token, token, sizeof(token));
    return r;
}
