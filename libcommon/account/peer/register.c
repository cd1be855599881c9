/*
 * Registration, with a setup key or by a user who signed in. The account's row is locked first, as
 * for every change; then the key's, so that of two peers that race for its last use one finds it
 * spent.
 */

#include "libcommon/account/peer/peers.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/hash.h"

#define ATTEMPTS 10
#define MAX_EXTRA_LABELS 32
#define META_MAX_BYTES ((size_t)4 << 20)

static const char key_invalid[] = "couldn't add peer: setup key is invalid";

#define KEY_VALID                                                                                  \
    " NOT revoked AND (expires_at IS NULL OR now() <= expires_at) AND (usage_limit = 0 OR "        \
    "used_times < usage_limit)"

static const struct rk_pg_stmt find_key = {
    "register_find_key", "SELECT account_id FROM setup_key WHERE hash = $1 AND" KEY_VALID
};
/* What the account says about a newcomer with a row k: its groups, whether they have IPv6,
 * networks, domain. */
#define NEWCOMER                                                                                   \
    "SELECT k.id, k.name, k.ephemeral, k.allow_extra_dns_labels, g.ids, "                          \
    "coalesce(a.settings->'ipv6_enabled_groups' ?| g.ids, false), "                                \
    "host(network(a.net4)), masklen(a.net4), host(network(a.net6)), "                              \
    "coalesce(nullif(a.settings->>'dns_domain', ''), $3), "                                        \
    "coalesce((a.settings->'extra'->>'peer_approval_enabled')::boolean, false) "                   \
    "FROM k JOIN account a ON a.id = $2 CROSS JOIN LATERAL ("                                      \
    "SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids FROM account_group "                  \
    "WHERE account_id = $2 AND (id = ANY(k.auto_groups) OR name = 'All')) g"
static const struct rk_pg_stmt spend_key = {
    "register_spend_key",
    "WITH k AS (UPDATE setup_key SET used_times = used_times + 1, last_used = now() "
    "WHERE hash = $1 AND account_id = $2 AND" KEY_VALID
    " RETURNING id, name, ephemeral, allow_extra_dns_labels, auto_groups) " NEWCOMER
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
    "WITH k AS (SELECT id, name, false AS ephemeral, false AS "
    "allow_extra_dns_labels, auto_groups FROM users WHERE id = $1) " NEWCOMER
};
/* A guest of theirs: in All alone, and gone soon. */
static const struct rk_pg_stmt take_guest = {
    "register_take_guest",
    "WITH k AS (SELECT id, name, true AS ephemeral, false AS allow_extra_dns_labels, "
    "'{}'::text[] AS auto_groups FROM users WHERE id = $1 AND account_id = $2) " NEWCOMER
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
    KEY_DOMAIN,
    KEY_APPROVAL,
};
/* DO NOTHING instead of an error keeps the transaction alive for the next attempt. */
static const struct rk_pg_stmt add_peer = {
    "register_add_peer",
    "WITH p AS (INSERT INTO peer (id, account_id, key, ip, ip6, dns_label, extra_dns_labels, name, "
    "ssh_key, ephemeral, allow_extra_dns_labels, last_login, meta, meta_hash, user_id, "
    "login_expiration_enabled, inactivity_expiration_enabled, requires_approval, location_ip, "
    "country_code, city_name, geoname_id) "
    "VALUES ($1, $2, $3, $4::inet, $5::inet, $6, $7, $8, $9, $10, $11, now(), "
    "$12::jsonb || $13::jsonb, $14, $17, $22, $22, $18, $15, $19, $20, $21) "
    "ON CONFLICT DO NOTHING RETURNING id, created_at), "
    "s AS (INSERT INTO peer_status (peer_id, connection_ip) SELECT id, $15 FROM p), "
    "m AS (INSERT INTO group_peer (group_id, peer_id) SELECT g, p.id FROM p, unnest($16::text[]) "
    "g) "
    "SELECT created_at FROM p"
};
static const struct rk_pg_stmt taken = {
    "register_taken", "SELECT EXISTS (SELECT FROM peer WHERE key = $1), EXISTS (SELECT FROM peer "
                      "WHERE account_id = $2 AND dns_label = $3)"
};
static const struct rk_pg_stmt free_ip = {
    "register_free_ip",
    "SELECT host(host(network(a.net4))::inet + o) FROM account a, "
    "generate_series(1, (1::bigint << (32 - masklen(a.net4))) - 3) o WHERE a.id = $1 "
    "AND NOT EXISTS (SELECT 1 FROM peer p WHERE p.account_id = $1 "
    "AND p.ip = host(network(a.net4))::inet + o) LIMIT 1"
};
struct registering {
    struct rk_pg *pg;
    const struct rk_peer_registration *reg;
    struct rk_change *ch;
    char hash[45];
    char key_b64[RK_KEY_B64_LEN + 1];
    char account_id[RK_XID_LEN + 1];
    char peer_id[RK_XID_LEN + 1];
    char label[RK_LABEL_MAX];
    char labels_text[MAX_EXTRA_LABELS][PEER_EXTRA_LABEL_MAX];
    struct rk_str labels[MAX_EXTRA_LABELS];
    struct rk_pg_result *key; /* row of spend_key or take_user */
    struct rk_str *group_ids;
    size_t groups_n;
    bool ephemeral, requires_approval;
    bool guest; /* the change is the caller's */
    uint8_t net4[4], net6[16];
    unsigned net4_bits;
    bool has_net6; /* for this peer */
    struct rk_buf meta;
    int64_t created_at_us;
    bool suffixed; /* own_label has the end of the address */
    char ip[INET_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN], own_label[RK_LABEL_MAX];
};

static void registering_done(struct registering *g)
{
    if (!g->guest)
        rk_change_abort(g->ch);
    rk_pg_result_free(g->key);
    free(g->group_ids);
    rk_buf_done(&g->meta);
}
RK_DEFINE_AUTO_DONE(struct registering, registering_done)

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

/* What needs no database: names, labels, metadata. */
static int check_request(struct registering *g, struct rk_err *err)
{
    const struct rk_peer_registration *reg = g->reg;
    size_t i;

    if (!reg->user_id && !hash_key(reg->setup_key, g->hash))
        return rk_fail(err, RK_INVALID, "%s", key_invalid);
    rk_key_format(reg->key, g->key_b64);
    if (!rk_dns_label(rk_str(reg->meta->hostname), g->label))
        return rk_fail(err, RK_INTERNAL, "registration without a host name");
    if (reg->dns_labels_n > MAX_EXTRA_LABELS)
        return rk_fail(err, RK_INTERNAL, "more than %d extra DNS labels", MAX_EXTRA_LABELS);
    for (i = 0; i < reg->dns_labels_n; i++) {
        if (!peer_extra_label(reg->dns_labels[i], g->labels_text[i]))
            return rk_fail(err, RK_INTERNAL, "malformed extra DNS label");
        g->labels[i] = rk_str(g->labels_text[i]);
    }
    peer_meta_json(reg->meta, &g->meta);
    if (g->meta.overflow)
        return rk_fail(err, RK_INTERNAL, "peer metadata is too large");
    return 0;
}

/* What the row of spend_key or take_user says, in our own terms. */
static int read_key(struct registering *g, struct rk_err *err)
{
    const struct rk_pg_result *k = g->key;

    g->ephemeral = rk_pg_bool(k, 0, KEY_EPHEMERAL);
    /* Whoever made a setup key has approved what comes with it. */
    g->requires_approval = g->reg->user_id && !g->guest && rk_pg_bool(k, 0, KEY_APPROVAL);
    if (g->reg->dns_labels_n > 0 && !rk_pg_bool(k, 0, KEY_EXTRA_LABELS))
        return rk_fail(err, RK_PRECONDITION,
                       "couldn't add peer: setup key doesn't allow extra DNS labels");
    rk_pg_array(k, 0, KEY_GROUPS, &g->group_ids, &g->groups_n);
    if (inet_pton(AF_INET, rk_pg_str(k, 0, KEY_NET4).p, g->net4) != 1)
        return rk_fail(err, RK_INTERNAL, "account %s has no network", g->account_id);
    g->net4_bits = (unsigned)rk_pg_int(k, 0, KEY_NET4_BITS);
    g->has_net6 = rk_pg_bool(k, 0, KEY_GROUPS_IP6) && !rk_pg_null(k, 0, KEY_NET6) &&
                  inet_pton(AF_INET6, rk_pg_str(k, 0, KEY_NET6).p, g->net6) == 1;
    return 0;
}

static int take_key(struct registering *g, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL;
    int r;

    r = rk_pg_run(g->pg, &find_key, &found, err, RK_P_C(g->hash));
    if (r < 0)
        return r;
    if (rk_pg_rows(found) == 0 ||
        !rk_str_copy(rk_pg_str(found, 0, 0), g->account_id, sizeof(g->account_id)))
        return rk_fail(err, RK_INVALID, "%s", key_invalid);
    r = rk_change_begin(g->pg, g->account_id, &g->ch, err);
    if (r == RK_NOT_FOUND)
        return rk_fail(err, RK_INVALID, "%s", key_invalid);
    if (r < 0)
        return r;
    r = rk_pg_run(g->pg, &spend_key, &g->key, err, RK_P_C(g->hash), RK_P_C(g->account_id),
                  RK_P_C(g->reg->default_domain));
    if (r < 0)
        return r;
    if (rk_pg_rows(g->key) == 0)
        return rk_fail(err, RK_INVALID, "%s", key_invalid);
    return read_key(g, err);
}

/* Nobody who may not sign in may add peers. */
static int find_owner(struct registering *g, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL, *user = NULL;
    const char *id = g->reg->user_id;
    int r;

    r = rk_pg_run(g->pg, &find_user, &found, err, RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(found) == 0 ||
        !rk_str_copy(rk_pg_str(found, 0, 0), g->account_id, sizeof(g->account_id)))
        return rk_fail(err, RK_NOT_FOUND, "failed adding new peer: user not found");
    r = rk_change_begin(g->pg, g->account_id, &g->ch, err);
    if (r == 0)
        r = rk_pg_run(g->pg, &check_user, &user, err, RK_P_C(id), RK_P_C(g->account_id));
    if (r < 0 && r != RK_NOT_FOUND)
        return r;
    if (r == RK_NOT_FOUND || rk_pg_rows(user) == 0 || rk_pg_bool(user, 0, 2))
        return rk_fail(err, RK_NOT_FOUND, "failed adding new peer: user not found");
    if (rk_pg_bool(user, 0, 1))
        return rk_fail(err, RK_DENIED, "user pending approval cannot add peers");
    if (rk_pg_bool(user, 0, 0))
        return rk_fail(err, RK_DENIED, "user is blocked");
    r = rk_pg_run(g->pg, &take_user, &g->key, err, RK_P_C(id), RK_P_C(g->account_id),
                  RK_P_C(g->reg->default_domain));
    return r < 0 ? r : read_key(g, err);
}

/* One attempt, with status and memberships. Stores whether the peer stands. */
static int
try_insert(struct registering *g, const uint8_t ip4[4], bool *out_added, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const struct rk_peer_registration *reg = g->reg;
    uint8_t ip6[16], hash[16];
    int r;

    inet_ntop(AF_INET, ip4, g->ip, sizeof(g->ip));
    if (g->has_net6) {
        peer_random_ip6(g->net6, ip6);
        inet_ntop(AF_INET6, ip6, g->ip6, sizeof(g->ip6));
    }
    peer_label_for(g->label, g->suffixed, ip4, g->own_label);
    rk_meta_hash(reg->meta, hash);
    r = rk_pg_run(g->pg, &add_peer, &res, err, RK_P_C(g->peer_id), RK_P_C(g->account_id),
                  RK_P_C(g->key_b64), RK_P_C(g->ip), RK_P_C(g->ip6[0] ? g->ip6 : NULL),
                  RK_P_C(g->own_label), RK_P_ARRAY(g->labels, reg->dns_labels_n),
                  RK_P_C(reg->meta->hostname), RK_P_C(reg->ssh_key), RK_P_BOOL(g->ephemeral),
                  RK_P_STR(rk_pg_str(g->key, 0, KEY_EXTRA_LABELS)), RK_P_C("{\"uiVersion\":\"\"}"),
                  RK_P_STR(rk_buf_str(&g->meta)), RK_P_BYTEA(rk_strn(hash, sizeof(hash))),
                  RK_P_C(reg->connection_ip), RK_P_ARRAY(g->group_ids, g->groups_n),
                  RK_P_C(reg->user_id ? reg->user_id : ""), RK_P_BOOL(g->requires_approval),
                  RK_P_C(reg->country_code ? reg->country_code : ""),
                  RK_P_C(reg->city_name ? reg->city_name : ""), RK_P_INT(reg->geoname_id),
                  RK_P_BOOL(reg->user_id && !g->guest));
    if (r < 0)
        return r;
    *out_added = rk_pg_rows(res) > 0;
    if (*out_added)
        g->created_at_us = rk_pg_time(res, 0, 0);
    return 0;
}

/* What kept the peer out: its key, its name, which the next attempt makes longer, or the address.
 */
static int look_why(struct registering *g, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(g->pg, &taken, &res, err, RK_P_C(g->key_b64), RK_P_C(g->account_id),
                      RK_P_C(g->own_label));

    if (r < 0)
        return r;
    if (rk_pg_bool(res, 0, 0))
        return rk_fail(err, RK_PRECONDITION, "peer has been already registered");
    g->suffixed = g->suffixed || rk_pg_bool(res, 0, 1);
    return 0;
}

/* A nearly full network: the first address that nobody has. We hold the account's row, so it stays
 * free. */
static int first_free_ip(struct registering *g, uint8_t out[4], struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(g->pg, &free_ip, &res, err, RK_P_C(g->account_id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0 || inet_pton(AF_INET, rk_pg_str(res, 0, 0).p, out) != 1)
        return rk_fail(err, RK_INTERNAL, "account %s has no free address", g->account_id);
    return 0;
}

static int insert_peer(struct registering *g, struct rk_err *err)
{
    bool added = false;
    uint8_t ip4[4];
    int attempt, r;

    rk_xid_new(g->peer_id);
    g->suffixed = g->ephemeral;
    for (attempt = 0; attempt < ATTEMPTS && peer_random_ip4(g->net4, g->net4_bits, ip4);
         attempt++) {
        r = try_insert(g, ip4, &added, err);
        if (r < 0 || added)
            return r;
        r = look_why(g, err);
        if (r < 0)
            return r;
    }
    r = first_free_ip(g, ip4, err);
    if (r < 0)
        return r;
    g->suffixed = g->suffixed || attempt == 0;
    r = try_insert(g, ip4, &added, err);
    if (r < 0 || added)
        return r;
    return rk_fail(err, RK_INTERNAL, "account %s: no free name for the peer", g->account_id);
}

/* A key's use names the key, a user's own peer whether it waits for approval. */
static int tell_event(struct registering *g, struct rk_err *err)
{
    const struct rk_peer_registration *reg = g->reg;
    const struct peer_facts facts = {
        .name = rk_str(reg->meta->hostname),
        .label = rk_str(g->own_label),
        .domain = rk_pg_str(g->key, 0, KEY_DOMAIN),
        .ip = rk_str(g->ip),
        .ip6 = rk_str(g->ip6),
        .created_at_us = g->created_at_us,
        .connection_ip = rk_str(reg->connection_ip),
        .country_code = rk_str(reg->country_code),
        .city_name = rk_str(reg->city_name),
        .geoname_id = reg->geoname_id,
    };
    rk_auto(rk_buf_done) struct rk_buf meta;

    rk_buf_init(&meta, 64 * 1024);
    if (reg->user_id)
        peer_facts_json(&facts, g->requires_approval ? "pending_approval" : NULL, RK_STR("true"),
                        &meta);
    else
        peer_facts_json(&facts, "setup_key_name", rk_pg_str(g->key, 0, KEY_NAME), &meta);
    return rk_change_event(g->ch, reg->user_id ? "peer.user.add" : "peer.setupkey.add",
                           rk_pg_str(g->key, 0, KEY_ID).p, g->peer_id, rk_buf_str(&meta), err);
}

static int tell(struct registering *g, struct rk_err *err)
{
    const struct rk_str id = rk_str(g->peer_id);
    int r = rk_change_touch(g->ch, RK_OBJ_PEER, g->peer_id, err);

    for (size_t i = 0; r == 0 && i < g->groups_n; i++)
        r = rk_change_touch_member(g->ch, g->group_ids[i].p, g->peer_id, err);
    if (r == 0 && (g->ephemeral || g->reg->user_id))
        r = rk_due_follow(g->pg, &id, 1,
                          g->reg->ephemeral_s ? g->reg->ephemeral_s : RK_EPHEMERAL_LIFE_S, err);
    return r < 0 || g->guest ? r : tell_event(g, err);
}

int rk_peer_register(struct rk_pg *pg,
                     const struct rk_peer_registration *reg,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(registering_done) struct registering g = { .pg = pg, .reg = reg };
    struct rk_bell bell = { .serial = 0 };
    int r;

    rk_buf_init(&g.meta, META_MAX_BYTES);
    r = check_request(&g, err);
    if (r < 0)
        return r;
    r = reg->user_id ? find_owner(&g, err) : take_key(&g, err);
    if (r < 0)
        return r;
    r = insert_peer(&g, err);
    if (r < 0)
        return r;
    r = tell(&g, err);
    if (r < 0)
        return r;
    memcpy(bell.account_id, g.account_id, sizeof(bell.account_id));
    r = rk_change_commit(&g.ch, &bell.serial, err);
    if (r < 0)
        return r;
    *out_bell = bell;
    return 0;
}

int peer_register_guest(struct rk_change *ch,
                        const struct rk_peer_registration *reg,
                        char out_id[RK_XID_LEN + 1],
                        struct rk_err *err)
{
    rk_auto(registering_done) struct registering g = {
        .pg = rk_change_pg(ch), .reg = reg, .ch = ch, .guest = true
    };
    int r;

    rk_buf_init(&g.meta, META_MAX_BYTES);
    (void)rk_str_copy(rk_str(rk_change_account_id(ch)), g.account_id, sizeof(g.account_id));
    r = check_request(&g, err);
    if (r < 0)
        return r;
    r = look_why(&g, err);
    if (r < 0)
        return r;
    r = rk_pg_run(g.pg, &take_guest, &g.key, err, RK_P_C(reg->user_id), RK_P_C(g.account_id),
                  RK_P_C(reg->default_domain));
    if (r < 0)
        return r;
    if (rk_pg_rows(g.key) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user: %s not found", reg->user_id);
    r = read_key(&g, err);
    if (r < 0)
        return r;
    r = insert_peer(&g, err);
    if (r < 0)
        return r;
    r = tell(&g, err);
    if (r < 0)
        return r;
    memcpy(out_id, g.peer_id, sizeof(g.peer_id));
    return 0;
}
