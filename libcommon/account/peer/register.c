/*
 * Registration, with a setup key or by a user who signed in; of peers that bring the same key as
 * many as there are, in four round trips. Whoever makes or uses a key holds the account's row, as
 * for every change, so that of two peers that race for its last use one finds it spent.
 */

#include "libcommon/account/peer/peers.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/hash.h"

#define ATTEMPTS 10
#define MAX_EXTRA_LABELS 32
#define META_MAX_BYTES ((size_t)4 << 20)

static const char key_invalid[] = "couldn't add peer: setup key is invalid";

#define KEY_VALID                                                                                  \
    " NOT revoked AND (expires_at IS NULL OR now() <= expires_at) AND (usage_limit = 0 OR "        \
    "used_times < usage_limit)"

/*
 * Before anything is locked: whose key it is, and who is there already. Here as wherever rows of
 * peers are named, each one is looked up by itself: `key = ANY($2)`, planned while the table was
 * small, would be kept as a way through all of it that compares each row with each name.
 */
#define THOSE_WITH_KEY " CROSS JOIN LATERAL (SELECT p.key FROM peer p WHERE p.key = k LIMIT 1) p"
static const struct rk_pg_stmt find_key = {
    "register_find_key", "SELECT (SELECT account_id FROM setup_key WHERE hash = $1 AND" KEY_VALID
                         "), ARRAY(SELECT p.key FROM unnest($2::text[]) k" THOSE_WITH_KEY ")"
};
/* What the account says about newcomers with a row k: their groups, whether they have IPv6,
 * networks, domain. */
#define NEWCOMER                                                                                   \
    "SELECT k.id, k.name, k.ephemeral, k.allow_extra_dns_labels, g.ids, "                          \
    "coalesce(a.settings->'ipv6_enabled_groups' ?| g.ids, false), "                                \
    "host(network(a.net4)), masklen(a.net4), host(network(a.net6)), masklen(a.net6), "             \
    "coalesce(nullif(a.settings->>'dns_domain', ''), $3), "                                        \
    "coalesce((a.settings->'extra'->>'peer_approval_enabled')::boolean, false), "                  \
    "k.uses_left, now() "                                                                          \
    "FROM k JOIN account a ON a.id = $2 CROSS JOIN LATERAL ("                                      \
    "SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids FROM account_group "                  \
    "WHERE account_id = $2 AND (id = ANY(k.auto_groups) OR name = 'All')) g"
static const struct rk_pg_stmt take_key = {
    "register_take_key",
    "WITH k AS (SELECT id, name, ephemeral, allow_extra_dns_labels, auto_groups, "
    "CASE WHEN usage_limit > 0 THEN usage_limit - used_times END AS uses_left "
    "FROM setup_key WHERE hash = $1 AND account_id = $2 AND" KEY_VALID ") " NEWCOMER
};
static const struct rk_pg_stmt find_user = { "register_find_user",
                                             "SELECT account_id FROM users WHERE id = $1" };
static const struct rk_pg_stmt check_user = {
    "register_check_user",
    "SELECT blocked, pending_approval, is_service_user FROM users WHERE id = $1 "
    "AND account_id = $2"
};
static const struct rk_pg_stmt take_user = {
    "register_take_user",
    "WITH k AS (SELECT id, name, false AS ephemeral, false AS allow_extra_dns_labels, "
    "auto_groups, NULL::bigint AS uses_left FROM users WHERE id = $1) " NEWCOMER
};
/* A guest of theirs: in All alone, and gone soon. */
static const struct rk_pg_stmt take_guest = {
    "register_take_guest",
    "WITH k AS (SELECT id, name, true AS ephemeral, false AS allow_extra_dns_labels, "
    "'{}'::text[] AS auto_groups, NULL::bigint AS uses_left FROM users WHERE id = $1 AND "
    "account_id = $2) " NEWCOMER
};
enum {
    KEY_ID,
    KEY_NAME,
    KEY_EPHEMERAL,
    KEY_EXTRA_LABELS,
    KEY_GROUPS,
    KEY_GROUPS_IP6,
    KEY_NET4,
    KEY_NET4_BITS,
    KEY_NET6,
    KEY_NET6_BITS,
    KEY_DOMAIN,
    KEY_APPROVAL,
    KEY_USES_LEFT, /* NULL: no end to them */
    KEY_NOW,       /* of the transaction: when those who come with it were created */
};
/* Of these keys and names, those that somebody has. */
static const struct rk_pg_stmt taken = {
    "register_taken", "SELECT ARRAY(SELECT p.key FROM unnest($1::text[]) k" THOSE_WITH_KEY
                      "), ARRAY(SELECT p.dns_label FROM unnest($3::text[]) l CROSS JOIN LATERAL "
                      "(SELECT dns_label FROM peer WHERE account_id = $2 AND dns_label = l LIMIT "
                      "1) p)"
};
/*
 * All that a newcomer is, for as many as there are, one use of the key for each (not a user's: $3
 * is NULL) and its event ($4 is NULL: none). DO NOTHING instead of an error keeps the transaction
 * alive for the next attempt.
 */
static const struct rk_pg_stmt add_peers = {
    "register_add_peers",
    "WITH n AS MATERIALIZED (SELECT * FROM json_to_recordset($7::json) AS t(id text, key text, ip "
    "inet, ip6 inet, label text, labels text[], name text, ssh_key text, meta jsonb, meta_hash "
    "bytea, at text, country text, city text, geoname bigint, event jsonb)), "
    "p AS (INSERT INTO peer (id, account_id, key, ip, ip6, dns_label, extra_dns_labels, name, "
    "ssh_key, ephemeral, allow_extra_dns_labels, last_login, meta, meta_hash, user_id, "
    "login_expiration_enabled, inactivity_expiration_enabled, requires_approval, location_ip, "
    "country_code, city_name, geoname_id) "
    "SELECT id, $1, key, ip, ip6, label, labels, name, ssh_key, $8, $9, now(), "
    "'{\"uiVersion\":\"\"}'::jsonb || meta, meta_hash, $6, $10, $10, $11, at, country, city, "
    "geoname FROM n ON CONFLICT DO NOTHING RETURNING id), "
    "s AS (INSERT INTO peer_status (peer_id, connection_ip) SELECT p.id, n.at FROM p JOIN n ON "
    "n.id = p.id), "
    "m AS (INSERT INTO group_peer (group_id, peer_id) SELECT g, p.id FROM p, unnest($2::text[]) "
    "g), "
    "k AS (UPDATE setup_key SET used_times = used_times + x.n, last_used = now() FROM (SELECT "
    "count(*) AS n FROM p) x WHERE id = $3::text AND x.n > 0), "
    "e AS (INSERT INTO event (account_id, code, initiator_id, target_id, meta) SELECT $1, "
    "$4::text, $5, "
    "p.id, n.event FROM p JOIN n ON n.id = p.id WHERE $4::text IS NOT NULL) "
    "SELECT id FROM p"
};
static const struct rk_pg_stmt free_ip = {
    "register_free_ip",
    "SELECT host(host(network(a.net4))::inet + o) FROM account a, "
    "generate_series(1, (1::bigint << (32 - masklen(a.net4))) - 3) o WHERE a.id = $1 "
    "AND NOT EXISTS (SELECT 1 FROM peer p WHERE p.account_id = $1 "
    "AND p.ip = host(network(a.net4))::inet + o) LIMIT 1"
};

struct newcomer {
    const struct rk_peer_registration *reg;
    struct rk_registered *out;
    bool waits; /* neither registered nor refused */
    bool added;
    bool suffixed; /* own_label has the end of the address */
    char key_b64[RK_KEY_B64_LEN + 1];
    char peer_id[RK_XID_LEN + 1];
    char label[RK_LABEL_MAX], own_label[RK_LABEL_MAX];
    char (*labels)[PEER_EXTRA_LABEL_MAX];
    uint8_t ip4[4];
    char ip[INET_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN];
};

struct registering {
    struct rk_pg *pg;
    const struct rk_peer_registration *first; /* what is said of all is said there */
    struct newcomer *v;
    size_t n;
    struct rk_change *ch;
    char hash[45];
    char account_id[RK_XID_LEN + 1];
    struct rk_pg_result *key; /* row of take_key or take_user */
    struct rk_str *group_ids;
    size_t groups_n;
    bool ephemeral, requires_approval;
    bool guest; /* the change is the caller's */
    uint8_t net4[4], net6[16];
    unsigned net4_bits, net6_bits;
    bool has_net6;
};

static void registering_init(struct registering *g,
                             struct rk_pg *pg,
                             const struct rk_peer_registration *regs,
                             size_t n,
                             struct rk_registered *out)
{
    *g = (struct registering){ .pg = pg, .first = regs, .n = n };
    g->v = rk_zalloc_array(n, sizeof(*g->v));
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct rk_registered){ .r = 0 };
        g->v[i].reg = &regs[i];
        g->v[i].out = &out[i];
        g->v[i].waits = true;
    }
}

static void registering_done(struct registering *g)
{
    if (!g->guest)
        rk_change_abort(g->ch);
    rk_pg_result_free(g->key);
    free(g->group_ids);
    for (size_t i = 0; i < g->n; i++)
        free(g->v[i].labels);
    free(g->v);
}
RK_DEFINE_AUTO_DONE(struct registering, registering_done)

static void refuse(struct newcomer *p, int r, const char *text)
{
    p->out->r = rk_fail(&p->out->err, r, "%s", text);
    p->waits = false;
}

static void refuse_all(struct registering *g, int r, const char *text)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->v[i].waits)
            refuse(&g->v[i], r, text);
    }
}

static void refuse_known(struct newcomer *p)
{
    refuse(p, RK_PRECONDITION, "peer has been already registered");
    p->out->known = true;
}

static size_t waiting(const struct registering *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n; i++)
        n += g->v[i].waits;
    return n;
}

/* Setup keys are stored as the hash of their upper-case form. */
static bool hash_key(const char *key, char out[45])
{
    char upper[RK_UUID_LEN + 1];

    if (!rk_uuid_valid(rk_str(key)))
        return false;
    for (size_t i = 0; i <= RK_UUID_LEN; i++)
        upper[i] = (char)(key[i] >= 'a' && key[i] <= 'z' ? key[i] - 32 : key[i]);
    rk_sha256_b64(rk_strn(upper, RK_UUID_LEN), out);
    return true;
}

/* What needs no database: names and labels. */
static void check_request(struct newcomer *p)
{
    const struct rk_peer_registration *reg = p->reg;

    rk_xid_new(p->peer_id);
    rk_key_format(reg->key, p->key_b64);
    if (!rk_dns_label(rk_str(reg->meta->hostname), p->label)) {
        refuse(p, RK_INTERNAL, "registration without a host name");
        return;
    }
    if (reg->dns_labels_n > MAX_EXTRA_LABELS) {
        refuse(p, RK_INTERNAL, "too many extra DNS labels");
        return;
    }
    if (reg->dns_labels_n > 0)
        p->labels = rk_zalloc_array(reg->dns_labels_n, sizeof(*p->labels));
    for (size_t i = 0; i < reg->dns_labels_n; i++) {
        if (!peer_extra_label(reg->dns_labels[i], p->labels[i])) {
            refuse(p, RK_INTERNAL, "malformed extra DNS label");
            return;
        }
    }
}

static void check_requests(struct registering *g)
{
    for (size_t i = 0; i < g->n; i++)
        check_request(&g->v[i]);
}

/* The strings `of` of those who wait, for a statement. */
static size_t strings(const struct registering *g, size_t of, struct rk_str *out)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n; i++) {
        if (g->v[i].waits)
            out[n++] = rk_str((const char *)&g->v[i] + of);
    }
    return n;
}

static bool among(const char *s, const struct rk_str *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rk_str_eq(rk_str(s), v[i]))
            return true;
    }
    return false;
}

static void refuse_those_known(struct registering *g, const struct rk_pg_result *res, int col)
{
    rk_auto(rk_free) struct rk_str *keys = NULL;
    size_t n = 0;

    rk_pg_array(res, 0, col, &keys, &n);
    for (size_t i = 0; i < g->n; i++) {
        if (g->v[i].waits && among(g->v[i].key_b64, keys, n))
            refuse_known(&g->v[i]);
    }
}

/* A name that somebody has, or one before in this list, gets the end of the address behind it. */
static void suffix_those_taken(struct registering *g, const struct rk_pg_result *res, int col)
{
    rk_auto(rk_free) struct rk_str *labels = NULL;
    size_t n = 0;

    rk_pg_array(res, 0, col, &labels, &n);
    for (size_t i = 0; i < g->n; i++) {
        struct newcomer *p = &g->v[i];

        if (!p->waits || p->suffixed)
            continue;
        p->suffixed = g->ephemeral || among(p->label, labels, n);
        for (size_t k = 0; k < i && !p->suffixed; k++)
            p->suffixed = g->v[k].waits && !g->v[k].suffixed && !strcmp(g->v[k].label, p->label);
    }
}

static int ask_taken(struct registering *g, struct rk_pg_result **out, struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *keys = rk_new_array(struct rk_str, 2 * g->n);
    struct rk_str *labels = keys + g->n;
    size_t n = strings(g, offsetof(struct newcomer, key_b64), keys);

    (void)strings(g, offsetof(struct newcomer, label), labels);
    return rk_pg_run(g->pg, &taken, out, err, RK_P_ARRAY(keys, n), RK_P_C(g->account_id),
                     RK_P_ARRAY(labels, n));
}

static void settle_taken(struct registering *g, const struct rk_pg_result *res)
{
    refuse_those_known(g, res, 0);
    suffix_those_taken(g, res, 1);
}

/* What the row of take_key or take_user says, in our own terms; to whom it says no. */
static int read_key(struct registering *g, struct rk_err *err)
{
    const struct rk_pg_result *k = g->key;
    bool counted = !rk_pg_null(k, 0, KEY_USES_LEFT);
    int64_t left = rk_pg_int(k, 0, KEY_USES_LEFT);

    g->ephemeral = rk_pg_bool(k, 0, KEY_EPHEMERAL);
    /* Whoever made a setup key has approved what comes with it. */
    g->requires_approval = g->first->user_id && !g->guest && rk_pg_bool(k, 0, KEY_APPROVAL);
    rk_pg_array(k, 0, KEY_GROUPS, &g->group_ids, &g->groups_n);
    if (inet_pton(AF_INET, rk_pg_str(k, 0, KEY_NET4).p, g->net4) != 1)
        return rk_fail(err, RK_INTERNAL, "account %s has no network", g->account_id);
    g->net4_bits = (unsigned)rk_pg_int(k, 0, KEY_NET4_BITS);
    g->has_net6 = rk_pg_bool(k, 0, KEY_GROUPS_IP6) && !rk_pg_null(k, 0, KEY_NET6) &&
                  inet_pton(AF_INET6, rk_pg_str(k, 0, KEY_NET6).p, g->net6) == 1;
    g->net6_bits = (unsigned)rk_pg_int(k, 0, KEY_NET6_BITS);
    for (size_t i = 0; i < g->n; i++) {
        struct newcomer *p = &g->v[i];

        if (!p->waits)
            continue;
        if (p->reg->dns_labels_n > 0 && !rk_pg_bool(k, 0, KEY_EXTRA_LABELS))
            refuse(p, RK_PRECONDITION,
                   "couldn't add peer: setup key doesn't allow extra DNS labels");
        else if (counted && left-- <= 0)
            refuse(p, RK_INVALID, key_invalid);
    }
    return 0;
}

/* Under the account's lock, which comes with the first of these questions. */
static int ask_key(struct registering *g, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_change_begin_later(g->pg, g->account_id, &g->ch, err);

    if (r == 0)
        r = rk_pg_later(g->pg, &take_key, &g->key, err, RK_P_C(g->hash), RK_P_C(g->account_id),
                        RK_P_C(g->first->default_domain));
    if (r == 0)
        r = ask_taken(g, &res, err);
    if (r < 0)
        return r;
    if (rk_pg_rows(g->key) == 0) {
        refuse_all(g, RK_INVALID, key_invalid);
        return 0;
    }
    refuse_those_known(g, res, 0); /* who is there already uses nothing up */
    r = read_key(g, err);
    if (r == 0)
        suffix_those_taken(g, res, 1);
    return r;
}

static int find_account(struct registering *g, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL;
    rk_auto(rk_free) struct rk_str *keys = rk_new_array(struct rk_str, g->n);
    size_t n = strings(g, offsetof(struct newcomer, key_b64), keys);
    int r = rk_pg_run(g->pg, &find_key, &found, err, RK_P_C(g->hash), RK_P_ARRAY(keys, n));

    if (r < 0)
        return r;
    refuse_those_known(g, found, 1);
    if (rk_pg_null(found, 0, 0) ||
        !rk_str_copy(rk_pg_str(found, 0, 0), g->account_id, sizeof(g->account_id)))
        refuse_all(g, RK_INVALID, key_invalid);
    return 0;
}

static int find_by_key(struct registering *g, struct rk_err *err)
{
    int r;

    if (!hash_key(g->first->setup_key, g->hash))
        refuse_all(g, RK_INVALID, key_invalid);
    if (waiting(g) == 0)
        return 0;
    r = find_account(g, err);
    if (r < 0 || waiting(g) == 0)
        return r;
    return ask_key(g, err);
}

/* Nobody who may not sign in may add peers. */
static int find_owner(struct registering *g, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL, *user = NULL, *res = NULL;
    const char *id = g->first->user_id;
    int r;

    if (waiting(g) == 0)
        return 0;
    r = rk_pg_run(g->pg, &find_user, &found, err, RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(found) == 0 ||
        !rk_str_copy(rk_pg_str(found, 0, 0), g->account_id, sizeof(g->account_id)))
        return rk_fail(err, RK_NOT_FOUND, "failed adding new peer: user not found");
    r = rk_change_begin_later(g->pg, g->account_id, &g->ch, err);
    if (r == 0)
        r = rk_pg_later(g->pg, &check_user, &user, err, RK_P_C(id), RK_P_C(g->account_id));
    if (r == 0)
        r = rk_pg_later(g->pg, &take_user, &g->key, err, RK_P_C(id), RK_P_C(g->account_id),
                        RK_P_C(g->first->default_domain));
    if (r == 0)
        r = ask_taken(g, &res, err);
    if (r < 0)
        return r;
    if (rk_pg_rows(user) == 0 || rk_pg_rows(g->key) == 0 || rk_pg_bool(user, 0, 2))
        return rk_fail(err, RK_NOT_FOUND, "failed adding new peer: user not found");
    if (rk_pg_bool(user, 0, 1))
        return rk_fail(err, RK_DENIED, "user pending approval cannot add peers");
    if (rk_pg_bool(user, 0, 0))
        return rk_fail(err, RK_DENIED, "user is blocked");
    r = read_key(g, err);
    if (r == 0)
        settle_taken(g, res);
    return r;
}

/* A key's use names the key, a user's own peer whether it waits for approval. */
static void put_event(const struct registering *g, const struct newcomer *p, struct rk_buf *out)
{
    const struct rk_peer_registration *reg = p->reg;
    const struct peer_facts facts = {
        .name = rk_str(reg->meta->hostname),
        .label = rk_str(p->own_label),
        .domain = rk_pg_str(g->key, 0, KEY_DOMAIN),
        .ip = rk_str(p->ip),
        .ip6 = rk_str(p->ip6),
        .created_at_us = rk_pg_time(g->key, 0, KEY_NOW),
        .connection_ip = rk_str(reg->connection_ip),
        .country_code = rk_str(reg->country_code),
        .city_name = rk_str(reg->city_name),
        .geoname_id = reg->geoname_id,
    };

    if (reg->user_id)
        peer_facts_json(&facts, g->requires_approval ? "pending_approval" : NULL, RK_STR("true"),
                        out);
    else
        peer_facts_json(&facts, "setup_key_name", rk_pg_str(g->key, 0, KEY_NAME), out);
}

static void put_newcomer(const struct registering *g, const struct newcomer *p, struct rk_json *j)
{
    const struct rk_peer_registration *reg = p->reg;
    rk_auto(rk_buf_done) struct rk_buf part;
    uint8_t hash[16];
    char hex[2 + 2 * sizeof(hash) + 1] = "\\x";

    rk_buf_init(&part, META_MAX_BYTES);
    rk_json_object(j, NULL);
    rk_json_cstr(j, "id", p->peer_id);
    rk_json_cstr(j, "key", p->key_b64);
    rk_json_cstr(j, "ip", p->ip);
    rk_json_cstr(j, "ip6", p->ip6[0] ? p->ip6 : NULL);
    rk_json_cstr(j, "label", p->own_label);
    rk_json_array(j, "labels");
    for (size_t i = 0; i < reg->dns_labels_n; i++)
        rk_json_cstr(j, NULL, p->labels[i]);
    rk_json_array_end(j);
    rk_json_cstr(j, "name", reg->meta->hostname);
    rk_json_cstr(j, "ssh_key", reg->ssh_key);
    peer_meta_json(reg->meta, &part);
    rk_json_raw(j, "meta", rk_buf_str(&part));
    peer_meta_hash_of(rk_buf_str(&part), hash);
    rk_hex_encode(hash, sizeof(hash), hex + 2);
    rk_json_cstr(j, "meta_hash", hex);
    rk_json_cstr(j, "at", reg->connection_ip);
    rk_json_cstr(j, "country", reg->country_code ? reg->country_code : "");
    rk_json_cstr(j, "city", reg->city_name ? reg->city_name : "");
    rk_json_int(j, "geoname", reg->geoname_id);
    rk_buf_clear(&part);
    put_event(g, p, &part);
    rk_json_raw(j, "event", rk_buf_str(&part));
    rk_json_object_end(j);
}

/* Who got in waits no more. */
static void mark_added(struct registering *g, const struct rk_pg_result *res)
{
    for (int k = 0; k < rk_pg_rows(res); k++) {
        for (size_t i = 0; i < g->n; i++) {
            if (rk_str_eq(rk_pg_str(res, k, 0), rk_str(g->v[i].peer_id))) {
                g->v[i].added = true;
                g->v[i].waits = false;
            }
        }
    }
}

/* One attempt for those between who wait and have an address. */
static int try_insert(struct registering *g, size_t from, size_t to, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf b;
    bool by_key = !g->first->user_id;
    struct rk_json j;
    int r;

    rk_buf_init(&b, 2 * META_MAX_BYTES * g->n);
    rk_json_init(&j, &b);
    rk_json_array(&j, NULL);
    for (size_t i = from; i < to; i++) {
        struct newcomer *p = &g->v[i];
        uint8_t ip6[16];

        if (!p->waits)
            continue;
        inet_ntop(AF_INET, p->ip4, p->ip, sizeof(p->ip));
        if (g->has_net6 && peer_random_ip6(g->net6, g->net6_bits, ip6))
            inet_ntop(AF_INET6, ip6, p->ip6, sizeof(p->ip6));
        peer_label_for(p->label, p->suffixed, p->ip4, p->own_label);
        put_newcomer(g, p, &j);
    }
    rk_json_array_end(&j);
    if (b.overflow)
        return rk_fail(err, RK_INTERNAL, "peer metadata is too large");
    r = rk_pg_run(g->pg, &add_peers, &res, err, RK_P_C(g->account_id),
                  RK_P_ARRAY(g->group_ids, g->groups_n),
                  by_key ? RK_P_STR(rk_pg_str(g->key, 0, KEY_ID)) : RK_P_NULL,
                  RK_P_C(g->guest ? NULL
                         : by_key ? "peer.setupkey.add"
                                  : "peer.user.add"),
                  RK_P_STR(rk_pg_str(g->key, 0, KEY_ID)), RK_P_C(by_key ? "" : g->first->user_id),
                  RK_P_STR(rk_buf_str(&b)), RK_P_BOOL(g->ephemeral),
                  RK_P_STR(rk_pg_str(g->key, 0, KEY_EXTRA_LABELS)), RK_P_BOOL(!by_key && !g->guest),
                  RK_P_BOOL(g->requires_approval));
    if (r == 0)
        mark_added(g, res);
    return r;
}

/* A nearly full network: the first address that nobody has. We hold the account's row, so it stays
 * free. */
static int insert_into_gap(struct registering *g, size_t i, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct newcomer *p = &g->v[i];
    int r = rk_pg_run(g->pg, &free_ip, &res, err, RK_P_C(g->account_id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0 || inet_pton(AF_INET, rk_pg_str(res, 0, 0).p, p->ip4) != 1) {
        p->out->r =
            rk_fail(&p->out->err, RK_INTERNAL, "account %s has no free address", g->account_id);
        p->waits = false;
        return 0;
    }
    r = try_insert(g, i, i + 1, err);
    if (r == 0 && p->waits) {
        p->out->r = rk_fail(&p->out->err, RK_INTERNAL, "account %s: no free name for the peer",
                            g->account_id);
        p->waits = false;
    }
    return r;
}

static bool random_addresses(struct registering *g)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->v[i].waits && !peer_random_ip4(g->net4, g->net4_bits, g->v[i].ip4))
            return false;
    }
    return true;
}

/* What keeps somebody out is asked before the next attempt: their key, their name, which becomes
 * longer then, or the address. */
static int insert_peers(struct registering *g, struct rk_err *err)
{
    int r = 0;

    for (int attempt = 0; attempt < ATTEMPTS && waiting(g) > 0 && random_addresses(g); attempt++) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

        r = try_insert(g, 0, g->n, err);
        if (r < 0 || waiting(g) == 0)
            return r;
        r = ask_taken(g, &res, err);
        if (r < 0)
            return r;
        settle_taken(g, res);
    }
    for (size_t i = 0; r == 0 && i < g->n; i++) {
        if (g->v[i].waits)
            r = insert_into_gap(g, i, err);
    }
    return r;
}

/* Of those who got in. *out_n = how many they are. */
static int tell(struct registering *g, size_t *out_n, struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *ids = rk_new_array(struct rk_str, g->n);
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < g->n && r == 0; i++) {
        const struct newcomer *p = &g->v[i];

        if (!p->added)
            continue;
        ids[n++] = rk_str(p->peer_id);
        r = rk_change_touch(g->ch, RK_OBJ_PEER, p->peer_id, err);
        for (size_t k = 0; r == 0 && k < g->groups_n; k++)
            r = rk_change_touch_member(g->ch, g->group_ids[k].p, p->peer_id, err);
    }
    if (r == 0 && n > 0 && (g->ephemeral || g->first->user_id))
        r = rk_due_follow(g->pg, ids, n,
                          g->first->ephemeral_s ? g->first->ephemeral_s : RK_EPHEMERAL_LIFE_S, err);
    *out_n = n;
    return r;
}

int rk_peer_register_all(struct rk_pg *pg,
                         const struct rk_peer_registration *regs,
                         size_t n,
                         struct rk_registered *out,
                         struct rk_bell *out_bell,
                         struct rk_err *err)
{
    rk_auto(registering_done) struct registering g;
    struct rk_bell bell = { .serial = 0 };
    size_t added = 0;
    int r;

    registering_init(&g, pg, regs, n, out);
    check_requests(&g);
    r = regs->user_id ? find_owner(&g, err) : find_by_key(&g, err);
    if (r < 0 || waiting(&g) == 0)
        return r;
    r = insert_peers(&g, err);
    if (r == 0)
        r = tell(&g, &added, err);
    if (r < 0 || added == 0)
        return r;
    memcpy(bell.account_id, g.account_id, sizeof(bell.account_id));
    r = rk_change_commit(&g.ch, &bell.serial, err);
    if (r == 0)
        *out_bell = bell;
    return r;
}

int rk_peer_register(struct rk_pg *pg,
                     const struct rk_peer_registration *reg,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    struct rk_registered out;
    int r = rk_peer_register_all(pg, reg, 1, &out, out_bell, err);

    if (r < 0 || out.r == 0)
        return r;
    *err = out.err;
    return out.r;
}

int peer_register_guest(struct rk_change *ch,
                        const struct rk_peer_registration *reg,
                        char out_id[RK_XID_LEN + 1],
                        struct rk_err *err)
{
    rk_auto(registering_done) struct registering g;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_registered out;
    size_t added;
    int r;

    registering_init(&g, rk_change_pg(ch), reg, 1, &out);
    g.ch = ch;
    g.guest = true;
    (void)rk_str_copy(rk_str(rk_change_account_id(ch)), g.account_id, sizeof(g.account_id));
    check_requests(&g);
    r = rk_pg_later(g.pg, &take_guest, &g.key, err, RK_P_C(reg->user_id), RK_P_C(g.account_id),
                    RK_P_C(reg->default_domain));
    if (r == 0)
        r = ask_taken(&g, &res, err);
    if (r < 0)
        return r;
    if (rk_pg_rows(g.key) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user: %s not found", reg->user_id);
    r = read_key(&g, err);
    if (r < 0)
        return r;
    settle_taken(&g, res);
    r = insert_peers(&g, err);
    if (r == 0 && out.r < 0) {
        *err = out.err;
        r = out.r;
    }
    if (r == 0)
        r = tell(&g, &added, err);
    if (r == 0)
        memcpy(out_id, g.v->peer_id, sizeof(g.v->peer_id));
    return r;
}
