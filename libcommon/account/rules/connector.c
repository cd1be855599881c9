/* See connector.h. */

#include "libcommon/account/rules/connector.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/crypto/box.h"

#define COLUMNS                                                                                    \
    "SELECT id, account_id, type, name, issuer, client_id, sealed_secret, own_redirect_uri FROM "  \
    "connector"
enum {
    ID,
    ACCOUNT,
    TYPE,
    NAME,
    ISSUER,
    CLIENT,
    SECRET,
    OWN_REDIRECT
};

static const struct rk_pg_stmt get_stmt = { "connector_get",
                                            COLUMNS " WHERE account_id = $1 AND id = $2" };
static const struct rk_pg_stmt find_stmt = { "connector_find", COLUMNS " WHERE id = $1" };
static const struct rk_pg_stmt count_stmt = {
    "connector_count", "SELECT count(*) FROM connector WHERE account_id = $1"
};
static const struct rk_pg_stmt insert_stmt = {
    "connector_insert",
    "INSERT INTO connector (id, account_id, type, name, issuer, client_id, sealed_secret, "
    "own_redirect_uri) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
};
static const struct rk_pg_stmt update_stmt = {
    "connector_update", "UPDATE connector SET name = $3, issuer = $4, client_id = $5,"
                        " sealed_secret = coalesce($6, sealed_secret),"
                        " own_redirect_uri = coalesce($7, own_redirect_uri)"
                        " WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "connector_delete", "DELETE FROM connector WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt sign_out_stmt = {
    "connector_sign_out", "WITH s AS (DELETE FROM oauth_session WHERE connector_id = $1),"
                          " g AS (DELETE FROM oauth_grant WHERE connector_id = $1),"
                          " c AS (DELETE FROM oauth_code WHERE connector_id = $1)"
                          " DELETE FROM oauth_device WHERE connector_id = $1"
};

#define MAX_SECRET ((size_t)8192)

static const struct {
    const char *name;
    bool own_issuer; /* the kind knows it */
} kinds[RK_CONNECTOR_KINDS] = {
    [RK_CONNECTOR_OIDC] = { "oidc", false },
    [RK_CONNECTOR_ZITADEL] = { "zitadel", false },
    [RK_CONNECTOR_ENTRA] = { "entra", false },
    [RK_CONNECTOR_GOOGLE] = { "google", true },
    [RK_CONNECTOR_OKTA] = { "okta", false },
    [RK_CONNECTOR_POCKETID] = { "pocketid", false },
    [RK_CONNECTOR_MICROSOFT] = { "microsoft", true },
    [RK_CONNECTOR_AUTHENTIK] = { "authentik", false },
    [RK_CONNECTOR_KEYCLOAK] = { "keycloak", false },
    [RK_CONNECTOR_ADFS] = { "adfs", false },
};

const char *rk_connector_kind_name(enum rk_connector_kind kind)
{
    return kinds[kind].name;
}

bool rk_connector_kind_parse(const char *name, enum rk_connector_kind *out)
{
    for (enum rk_connector_kind k = 0; k < RK_CONNECTOR_KINDS; k++) {
        if (strcmp(kinds[k].name, name) == 0) {
            *out = k;
            return true;
        }
    }
    return false;
}

/* What can be asked at all; who may be asked is looked at when it happens. */
static bool is_url(const char *s)
{
    struct rk_str rest = rk_str(s);
    size_t scheme = rk_str_starts(rest, RK_STR("https://"))  ? 8
                    : rk_str_starts(rest, RK_STR("http://")) ? 7
                                                             : 0;

    for (const char *p = s; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == '\x7f' || *p == '?' || *p == '#')
            return false;
    return scheme > 0 && rest.n > scheme && rest.p[scheme] != '/';
}

int rk_connector_validate(const struct rk_connector_input *in, bool creates, struct rk_err *err)
{
    enum rk_connector_kind kind;

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "identity provider name is required");
    if (in->type[0] == '\0')
        return rk_fail(err, RK_INVALID, "identity provider type is required");
    if (!rk_connector_kind_parse(in->type, &kind))
        return rk_fail(err, RK_INVALID, "unsupported identity provider type");
    if (creates && !kinds[kind].own_issuer && in->issuer[0] == '\0')
        return rk_fail(err, RK_INVALID, "identity provider issuer is required");
    if (in->issuer[0] != '\0' && !is_url(in->issuer))
        return rk_fail(err, RK_INVALID, "identity provider issuer must be a valid url");
    if (in->client_id[0] == '\0')
        return rk_fail(err, RK_INVALID, "identity provider client id is required");
    return 0;
}

static void secret_name(const char *id, char out[64])
{
    snprintf(out, 64, "connector/%s", id);
}

static int open_secret(const struct rk_seal *seal,
                       const struct rk_pg_result *row,
                       struct rk_arena *arena,
                       const char **out,
                       struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf plain = { 0 };
    char name[64];
    int r;

    rk_buf_init(&plain, MAX_SECRET);
    secret_name(rk_pg_str(row, 0, ID).p, name);
    r = rk_seal_get(seal, name, rk_pg_bytes(row, 0, SECRET, arena), &plain, err);
    if (r < 0)
        return r;
    *out = rk_arena_strn(arena, rk_buf_str(&plain));
    if (plain.n > 0)
        rk_wipe(plain.p, plain.n);
    return 0;
}

int rk_connector_read(struct rk_pg *pg,
                      const char *account_id,
                      const char *id,
                      const struct rk_seal *seal,
                      struct rk_arena *arena,
                      struct rk_connector *out,
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct rk_connector c = { .client_secret = "" };
    int r;

    r = account_id ? rk_pg_run(pg, &get_stmt, &row, err, RK_P_C(account_id), RK_P_C(id))
                   : rk_pg_run(pg, &find_stmt, &row, err, RK_P_C(id));
    if (r < 0)
        return r;
    /* A kind that this version does not know is one that it cannot use. */
    if (rk_pg_rows(row) == 0 || !rk_connector_kind_parse(rk_pg_str(row, 0, TYPE).p, &c.kind))
        return rk_fail(err, RK_NOT_FOUND, "identity provider not found");
    c.id = rk_arena_strn(arena, rk_pg_str(row, 0, ID));
    c.account_id = rk_arena_strn(arena, rk_pg_str(row, 0, ACCOUNT));
    c.name = rk_arena_strn(arena, rk_pg_str(row, 0, NAME));
    c.issuer = rk_arena_strn(arena, rk_pg_str(row, 0, ISSUER));
    c.client_id = rk_arena_strn(arena, rk_pg_str(row, 0, CLIENT));
    c.own_redirect_uri = rk_pg_bool(row, 0, OWN_REDIRECT);
    if (seal) {
        r = open_secret(seal, row, arena, &c.client_secret, err);
        if (r < 0)
            return r;
    }
    *out = c;
    return 0;
}

/* With nobody else changing it: changes of one account wait for one another. */
static int
count(struct rk_change *ch, const struct rk_actor *actor, int64_t *out_n, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(rk_change_pg(ch), &count_stmt, &res, err, RK_P_C(actor->account_id));

    if (r == 0)
        *out_n = rk_pg_int(res, 0, 0);
    return r;
}

int rk_connector_create(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_seal *seal,
                        const struct rk_connector_input *in,
                        char out_id[RK_CONNECTOR_ID_MAX],
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_buf_done) struct rk_buf sealed = { 0 };
    char id[RK_CONNECTOR_ID_MAX], xid[RK_XID_LEN + 1], name[64];
    int64_t have;
    int r;

    r = rk_connector_validate(in, true, err);
    if (r < 0)
        return r;
    rk_xid_new(xid);
    if (strcmp(in->type, kinds[RK_CONNECTOR_OIDC].name) == 0)
        snprintf(id, sizeof(id), "%s", xid);
    else
        snprintf(id, sizeof(id), "%.9s-%s", in->type, xid);
    rk_buf_init(&sealed, MAX_SECRET);
    secret_name(id, name);
    rk_seal_put(seal, name, rk_str(in->client_secret), &sealed);
    r = rk_actor_begin(pg, actor, RK_WATCH_CONNECTOR, id, NULL, &ch, err);
    if (r == 0)
        r = count(ch, actor, &have, err);
    if (r < 0)
        return r;
    if (have >= RK_CONNECTORS_MAX)
        return rk_fail(err, RK_PRECONDITION, "an account has at most %d identity providers",
                       RK_CONNECTORS_MAX);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(actor->account_id),
                    RK_P_C(in->type), RK_P_C(in->name), RK_P_C(in->issuer), RK_P_C(in->client_id),
                    RK_P_BYTEA(rk_buf_str(&sealed)),
                    RK_P_BOOL(in->own_redirect_uri && *in->own_redirect_uri));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "identityprovider.create", id, err, "name", in->name, "type",
                      in->type, "issuer", in->issuer, NULL);
    if (r < 0)
        return r;
    r = rk_change_commit(&ch, NULL, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

/* The connector, the same way. */
static int stored(struct rk_change *ch,
                  const struct rk_actor *actor,
                  const char *id,
                  struct rk_pg_result **out,
                  struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r =
        rk_pg_run(rk_change_pg(ch), &get_stmt, &row, err, RK_P_C(actor->account_id), RK_P_C(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(row) == 0)
        return rk_fail(err, RK_NOT_FOUND, "identity provider not found");
    *out = rk_steal(row);
    return 0;
}

int rk_connector_update(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_seal *seal,
                        const char *id,
                        const struct rk_connector_input *in,
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_buf_done) struct rk_buf sealed = { 0 };
    const char *issuer;
    char name[64];
    int r;

    r = rk_connector_validate(in, false, err);
    if (r < 0)
        return r;
    rk_buf_init(&sealed, MAX_SECRET);
    secret_name(id, name);
    if (in->client_secret[0] != '\0')
        rk_seal_put(seal, name, rk_str(in->client_secret), &sealed);
    r = rk_actor_begin(pg, actor, RK_WATCH_CONNECTOR, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = stored(ch, actor, id, &row, err);
    if (r < 0)
        return r;
    if (!rk_str_eq(rk_pg_str(row, 0, TYPE), rk_str(in->type)))
        return rk_fail(err, RK_INVALID, "identity provider type cannot be changed");
    issuer = in->issuer[0] != '\0' ? in->issuer : rk_pg_str(row, 0, ISSUER).p;
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(in->name), RK_P_C(issuer), RK_P_C(in->client_id),
                    in->client_secret[0] != '\0' ? RK_P_BYTEA(rk_buf_str(&sealed)) : RK_P_NULL,
                    in->own_redirect_uri ? RK_P_BOOL(*in->own_redirect_uri) : RK_P_NULL);
    if (r < 0)
        return r;
    if (!rk_str_eq(rk_pg_str(row, 0, ISSUER), rk_str(issuer)) ||
        !rk_str_eq(rk_pg_str(row, 0, CLIENT), rk_str(in->client_id))) {
        r = rk_pg_later(pg, &sign_out_stmt, NULL, err, RK_P_C(id));
        if (r < 0)
            return r;
    }
    r = rk_actor_tell(ch, actor, "identityprovider.update", id, err, "name", in->name, "type",
                      in->type, "issuer", issuer, NULL);
    if (r < 0)
        return r;
    return rk_change_commit(&ch, NULL, err);
}

int rk_connector_delete(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        bool keep_one,
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int64_t have;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_CONNECTOR, id, NULL, &ch, err);
    if (r == 0)
        r = stored(ch, actor, id, &row, err);
    if (r == 0)
        r = count(ch, actor, &have, err);
    if (r < 0)
        return r;
    if (keep_one && have == 1)
        return rk_fail(err, RK_PRECONDITION,
                       "the last identity provider stays while local authentication is disabled");
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &sign_out_stmt, NULL, err, RK_P_C(id));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "identityprovider.delete", id, err, "name",
                      rk_pg_str(row, 0, NAME).p, "type", rk_pg_str(row, 0, TYPE).p, "issuer",
                      rk_pg_str(row, 0, ISSUER).p, NULL);
    if (r < 0)
        return r;
    return rk_change_commit(&ch, NULL, err);
}
