/* See settings.h. One table says what each member is, whether maps hold it, and which events
 * tell of it. */

#include "libcommon/account/rules/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "libcommon/account/model/domain.h"
#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/approval.h"
#include "libcommon/account/rules/settings_int.h"
#include "libcommon/account/rules/user_int.h"
#include "libcommon/base/alloc.h"

enum member_type {
    MEMBER_BOOL,
    MEMBER_INT,
    MEMBER_STR,
    MEMBER_LIST,          /* of strings; [] when missing */
    MEMBER_NULLABLE_LIST, /* null when missing */
    MEMBER_OBJECT,        /* stays out when missing */
};

struct member {
    const char *name;
    enum member_type type;
    bool in_map;
    const char *on_enable, *on_disable; /* events of a bool */
    const char *on_change;              /* event of the others */
};

static const struct member members[] = {
    { "peer_login_expiration_enabled", MEMBER_BOOL, true,
      "account.setting.peer.login.expiration.enable",
      "account.setting.peer.login.expiration.disable", NULL },
    { "peer_login_expiration", MEMBER_INT, true, NULL, NULL,
      "account.setting.peer.login.expiration.update" },
    { "peer_inactivity_expiration_enabled", MEMBER_BOOL, false,
      "account.peer.inactivity.expiration.enable", "account.peer.inactivity.expiration.disable",
      NULL },
    { "peer_inactivity_expiration", MEMBER_INT, false, NULL, NULL,
      "account.peer.inactivity.expiration.update" },
    { "regular_users_view_blocked", MEMBER_BOOL, false, NULL, NULL, NULL },
    { "groups_propagation_enabled", MEMBER_BOOL, false, "account.setting.group.propagation.enable",
      "account.setting.group.propagation.disable", NULL },
    { "jwt_groups_enabled", MEMBER_BOOL, false, NULL, NULL, NULL },
    { "jwt_groups_claim_name", MEMBER_STR, false, NULL, NULL, NULL },
    { "jwt_allow_groups", MEMBER_LIST, false, NULL, NULL, NULL },
    { "routing_peer_dns_resolution_enabled", MEMBER_BOOL, true,
      "account.setting.routing.peer.dns.resolution.enable",
      "account.setting.routing.peer.dns.resolution.disable", NULL },
    { "dns_domain", MEMBER_STR, true, NULL, NULL, "account.dns.domain.update" },
    { "network_range", MEMBER_STR, true, NULL, NULL, "account.network.range.update" },
    { "network_range_v6", MEMBER_STR, true, NULL, NULL, "account.network.range.update" },
    { "peer_expose_enabled", MEMBER_BOOL, false, "account.setting.peer.expose.enable",
      "account.setting.peer.expose.disable", NULL },
    { "peer_expose_groups", MEMBER_NULLABLE_LIST, false, NULL, NULL, NULL },
    { "extra", MEMBER_OBJECT, false, NULL, NULL, NULL },
    { "lazy_connection_enabled", MEMBER_BOOL, true, "account.setting.lazy.connection.enable",
      "account.setting.lazy.connection.disable", NULL },
    { "auto_update_version", MEMBER_STR, true, NULL, NULL, "account.settings.auto.version.update" },
    { "auto_update_always", MEMBER_BOOL, true, "account.setting.auto.update.always.enable",
      "account.setting.auto.update.always.disable", NULL },
    { "metrics_push_enabled", MEMBER_BOOL, true, "account.setting.metrics.push.enable",
      "account.setting.metrics.push.disable", NULL },
    { "agent_network_only", MEMBER_BOOL, false, NULL, NULL, NULL },
    { "dashboard_features", MEMBER_OBJECT, false, NULL, NULL, NULL },
    { "local_mfa_enabled", MEMBER_BOOL, false, "account.setting.local.mfa.enable",
      "account.setting.local.mfa.disable", NULL },
    { "ipv6_enabled_groups", MEMBER_NULLABLE_LIST, true, NULL, NULL, NULL },
};

static const struct member extra_members[] = {
    { "peer_approval_enabled", MEMBER_BOOL, false, NULL, NULL, NULL },
    { "user_approval_required", MEMBER_BOOL, false, NULL, NULL, NULL },
    { "network_traffic_logs_enabled", MEMBER_BOOL, false, NULL, NULL, NULL },
    { "network_traffic_logs_groups", MEMBER_NULLABLE_LIST, false, NULL, NULL, NULL },
    { "network_traffic_packet_counter_enabled", MEMBER_BOOL, false, NULL, NULL, NULL },
};

#define MIN_LOGIN_EXPIRATION_S 3600
#define MAX_LOGIN_EXPIRATION_S (180LL * 86400)

static const struct rk_pg_stmt lock_stmt = {
    "settings_lock",
    "SELECT settings::text, net4::text, coalesce(net6::text, ''), serial FROM account WHERE id = $1"
};
static const struct rk_pg_stmt store_stmt = {
    "settings_store", "UPDATE account SET settings = $2::jsonb WHERE id = $1"
};
static const struct rk_pg_stmt onboarding_stmt = {
    "settings_onboarding",
    "UPDATE account SET onboarding = jsonb_build_object('signup_form_pending', $2::boolean,"
    " 'onboarding_flow_pending', $3::boolean) WHERE id = $1"
};
static const struct rk_pg_stmt unknown_group_stmt = {
    "settings_unknown_group", "SELECT x FROM unnest($2::text[]) AS x WHERE NOT EXISTS (SELECT 1 "
                              "FROM account_group g WHERE g.account_id = $1 AND g.id = x)"
                              " LIMIT 1"
};
static const struct rk_pg_stmt zone_stmt = {
    "settings_zone",
    "SELECT 1 FROM zone WHERE account_id = $1 AND lower(domain) = lower($2) LIMIT 1"
};
static const struct rk_pg_stmt delete_lock_stmt = {
    "account_delete_lock", "SELECT serial FROM account WHERE id = $1 FOR UPDATE"
};
static const struct rk_pg_stmt delete_stmt = {
    "account_delete", "DELETE FROM account WHERE id = $1 RETURNING serial"
};

/* The last member of that name, whatever its case: what a Go server would have taken. */
static json_t *find(const json_t *object, const char *name)
{
    json_t *found = NULL, *value;
    const char *key;
    void *it = json_object_iter((json_t *)(uintptr_t)object);

    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
        key = json_object_iter_key(it);
        value = json_object_iter_value(it);
        if (rk_str_ieq(rk_str(key), rk_str(name)) && !json_is_null(value))
            found = value;
    }
    return found;
}

static json_t *string_list(const json_t *in)
{
    size_t i;
    json_t *item;

    if (!json_is_array(in))
        return NULL;
    json_array_foreach(in, i, item) if (!json_is_string(item)) return NULL;
    return json_copy((json_t *)(uintptr_t)in);
}

static bool decode_table(const json_t *in, const struct member *rows, size_t n, json_t **out);

/* What was left out stays out. */
static json_t *decode_features(const json_t *in)
{
    json_t *agent_network = find(in, "agent_network"), *out;

    if (agent_network && !json_is_boolean(agent_network))
        return NULL;
    out = json_object();
    if (agent_network)
        json_object_set(out, "agent_network", agent_network);
    return out;
}

/* NULL: of the wrong type. `value` is NULL when the member is missing. */
static json_t *decode_member(const struct member *m, const json_t *value)
{
    json_t *out = NULL;

    switch (m->type) {
    case MEMBER_BOOL:
        return !value                   ? json_false()
               : json_is_boolean(value) ? json_incref((json_t *)(uintptr_t)value)
                                        : NULL;
    case MEMBER_INT:
        return !value                   ? json_integer(0)
               : json_is_integer(value) ? json_incref((json_t *)(uintptr_t)value)
                                        : NULL;
    case MEMBER_STR:
        return !value                  ? json_string("")
               : json_is_string(value) ? json_incref((json_t *)(uintptr_t)value)
                                       : NULL;
    case MEMBER_LIST:
        return value ? string_list(value) : json_array();
    case MEMBER_NULLABLE_LIST:
        return value ? string_list(value) : json_null();
    case MEMBER_OBJECT:
        if (!json_is_object(value))
            return NULL;
        if (strcmp(m->name, "extra") == 0)
            return decode_table(value, extra_members, RK_COUNT(extra_members), &out) ? out : NULL;
        return decode_features(value);
    }
    return NULL;
}

static bool decode_table(const json_t *in, const struct member *rows, size_t n, json_t **out)
{
    rk_auto(json_decref) json_t *object = json_object();

    for (size_t i = 0; i < n; i++) {
        const json_t *value = in ? find(in, rows[i].name) : NULL;
        json_t *decoded;

        if (!value && rows[i].type == MEMBER_OBJECT)
            continue;
        decoded = decode_member(&rows[i], value);
        if (!decoded)
            return false;
        json_object_set_new(object, rows[i].name, decoded);
    }
    *out = rk_steal(object);
    return true;
}

bool rk_settings_decode(const json_t *in, json_t **out)
{
    if (in && !json_is_object(in))
        return false;
    return decode_table(in, members, RK_COUNT(members), out);
}

static bool flag(const json_t *settings, const char *name)
{
    return json_is_true(json_object_get(settings, name));
}

static int64_t number(const json_t *settings, const char *name)
{
    return json_integer_value(json_object_get(settings, name));
}

static const char *text(const json_t *settings, const char *name)
{
    const char *s = json_string_value(json_object_get(settings, name));

    return s ? s : "";
}

/* "1.2.3", with fewer parts, a leading v, and a suffix allowed. */
static bool version_valid(const char *v)
{
    unsigned parts = 0;

    if (*v == 'v')
        v++;
    do {
        if (!isdigit((unsigned char)*v) || ++parts > 3)
            return false;
        while (isdigit((unsigned char)*v))
            v++;
    } while (*v == '.' && v++);
    if (*v == '\0')
        return true;
    if ((*v != '-' && *v != '+') || v[1] == '\0')
        return false;
    for (v++; *v; v++)
        if (!isalnum((unsigned char)*v) && !strchr(".-+", *v))
            return false;
    return true;
}

/* ASCII, as it stands. */
static bool domain_valid(const char *domain)
{
    char parsed[RK_DOMAIN_SIZE];

    return rk_domain_parse(rk_str(domain), parsed) && !rk_domain_is_wildcard(parsed) &&
           rk_str_ieq(rk_str(parsed), rk_str(domain));
}

static int validate_range(const json_t *settings, const char *name, int family, struct rk_err *err)
{
    struct rk_prefix p;
    const char *range = text(settings, name);

    return range[0] == '\0' ? 0 : rk_prefix_parse_range(range, family, &p, err);
}

int rk_settings_validate(const json_t *settings, struct rk_err *err)
{
    const char *update = text(settings, "auto_update_version");
    int r;

    if (flag(settings, "peer_expose_enabled") &&
        json_array_size(json_object_get(settings, "peer_expose_groups")) == 0)
        return rk_fail(err, RK_INVALID, "peer expose requires at least one group");
    if (update[0] != '\0' && strcmp(update, "latest") != 0 && strcmp(update, "disabled") != 0 &&
        !version_valid(update))
        return rk_fail(err, RK_INVALID, "invalid autoupdateversion");
    if (flag(settings, "agent_network_only") &&
        !flag(json_object_get(settings, "dashboard_features"), "agent_network"))
        return rk_fail(
            err, RK_INVALID,
            "agent network only mode requires dashboard_features.agent_network to be enabled");
    r = validate_range(settings, "network_range", AF_INET, err);
    if (r < 0)
        return r;
    r = validate_range(settings, "network_range_v6", AF_INET6, err);
    if (r < 0)
        return r;
    return 0;
}

/* There is no traffic log, so nothing holds on to its groups. */
static void drop_traffic_log(json_t *settings)
{
    rk_auto(json_decref) json_t *extra = json_copy(json_object_get(settings, "extra"));

    if (!extra)
        return;
    json_object_set_new(extra, "network_traffic_logs_enabled", json_false());
    json_object_set_new(extra, "network_traffic_logs_groups", json_null());
    json_object_set_new(extra, "network_traffic_packet_counter_enabled", json_false());
    json_object_set(settings, "extra", extra);
}

/* The checks that come after those of the ranges against the peers. */
static int validate_rest(const json_t *settings, struct rk_err *err)
{
    const char *domain = text(settings, "dns_domain");
    int64_t expiration = number(settings, "peer_login_expiration");

    if (expiration > MAX_LOGIN_EXPIRATION_S)
        return rk_fail(err, RK_INVALID, "peer login expiration can't be larger than 180 days");
    if (expiration < MIN_LOGIN_EXPIRATION_S)
        return rk_fail(err, RK_INVALID, "peer login expiration can't be smaller than one hour");
    if (domain[0] != '\0' && !domain_valid(domain))
        return rk_fail(err, RK_INVALID, "invalid domain \"%s\" provided for dns domain", domain);
    return 0;
}

static int account_event(struct rk_change *ch,
                         const struct rk_actor *actor,
                         const char *code,
                         struct rk_str meta,
                         struct rk_err *err)
{
    return rk_change_event(ch, code, actor->user_id, actor->account_id, meta, err);
}

/* Members of a list as strings that live as long as it. */
static struct rk_str *list_strings(const json_t *list, size_t *out_n)
{
    struct rk_str *out = rk_new_array(struct rk_str, json_array_size(list) + 1);
    size_t i;
    json_t *item;

    *out_n = json_array_size(list);
    json_array_foreach(list, i, item) out[i] = rk_str(json_string_value(item));
    return out;
}

/* The domain that peers' names are in from now on is no zone's, however it is written. */
static int check_zones(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const json_t *was,
                       const json_t *next,
                       struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *domain = text(next, "dns_domain");
    int r;

    if (strcmp(text(was, "dns_domain"), domain) == 0)
        return 0;
    if (domain[0] == '\0')
        domain = actor->default_domain;
    r = rk_pg_run(rk_change_pg(ch), &zone_stmt, &res, err, RK_P_C(actor->account_id),
                  RK_P_C(domain));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_INVALID,
                       "peer dns domain %s conflicts with existing custom dns zone", domain);
    return 0;
}

static int
check_ipv6_groups(struct rk_change *ch, const struct rk_str *groups, size_t n, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (n == 0)
        return 0;
    r = rk_pg_run(rk_change_pg(ch), &unknown_group_stmt, &res, err,
                  RK_P_C(rk_change_account_id(ch)), RK_P_ARRAY(groups, n));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0)
        return rk_fail(err, RK_INVALID, "ipv6 enabled group %s does not exist",
                       rk_pg_str(res, 0, 0).p);
    return 0;
}

/* The range of one family: checked against the peers, put into effect, told. *out_to = set when it
 * changes. */
static int apply_range(struct rk_change *ch,
                       const struct rk_actor *actor,
                       json_t *next,
                       const char *name,
                       int family,
                       const char *current,
                       struct rk_prefix *out_to,
                       bool *out_changed,
                       struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta = { 0 };
    const char *range = text(next, name);
    bool v6 = family == AF_INET6;
    char masked[RK_PREFIX_LEN];
    int r;

    *out_changed = false;
    if (range[0] == '\0') {
        json_object_del(next, name);
        return 0;
    }
    r = rk_prefix_parse_range(range, family, out_to, err);
    if (r < 0)
        return r;
    rk_prefix_format(out_to, masked);
    json_object_set_new(next, name, json_string(masked));
    if (strcmp(masked, current) == 0)
        return 0;
    *out_changed = true;
    rk_buf_init(&meta, RK_META_MAX);
    return account_event(ch, actor, "account.network.range.update",
                         rk_event_meta(&meta, v6 ? "old_network_range_v6" : "old_network_range",
                                       current[0] != '\0' ? current : "invalid Prefix",
                                       v6 ? "new_network_range_v6" : "new_network_range", masked,
                                       NULL),
                         err);
}

static bool same_value(const json_t *a, const json_t *b)
{
    if (!a || !b)
        return (!a || json_is_null(a) || json_is_false(a)) &&
               (!b || json_is_null(b) || json_is_false(b));
    return json_equal(a, b) != 0;
}

static int member_event(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const struct member *m,
                        const json_t *was,
                        const json_t *now,
                        struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf meta = { 0 };
    struct rk_str none = { NULL, 0 };

    rk_buf_init(&meta, RK_META_MAX);
    if (m->type == MEMBER_BOOL && m->on_enable)
        return account_event(ch, actor, flag(now, m->name) ? m->on_enable : m->on_disable, none,
                             err);
    if (m->type == MEMBER_INT && m->on_change) {
        /* The inactivity period only counts while it is enabled. */
        if (strcmp(m->name, "peer_inactivity_expiration") == 0 &&
            !flag(now, "peer_inactivity_expiration_enabled"))
            return 0;
        return account_event(ch, actor, m->on_change, none, err);
    }
    if (strcmp(m->name, "dns_domain") == 0)
        return account_event(ch, actor, m->on_change,
                             rk_event_meta(&meta, "old_dns_domain", text(was, m->name),
                                           "new_dns_domain", text(now, m->name), NULL),
                             err);
    if (strcmp(m->name, "auto_update_version") == 0)
        return account_event(ch, actor, m->on_change,
                             rk_event_meta(&meta, "version", text(now, m->name), NULL), err);
    if (strcmp(m->name, "ipv6_enabled_groups") == 0) {
        bool had = json_array_size(json_object_get(was, m->name)) > 0;
        bool has = json_array_size(json_object_get(now, m->name)) > 0;

        if (had != has)
            return account_event(
                ch, actor, has ? "account.setting.ipv6.enable" : "account.setting.ipv6.disable",
                none, err);
    }
    return 0; /* network ranges are told where they are applied */
}

static int tell_members(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const json_t *was,
                        const json_t *now,
                        struct rk_err *err)
{
    bool in_map = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < RK_COUNT(members); i++) {
        if (same_value(json_object_get(was, members[i].name),
                       json_object_get(now, members[i].name)))
            continue;
        in_map |= members[i].in_map;
        r = member_event(ch, actor, &members[i], was, now, err);
    }
    if (r == 0 && in_map)
        r = rk_change_touch(ch, RK_OBJ_ACCOUNT, actor->account_id, err);
    return r;
}

static int check_capacity(
    struct rk_change *ch, const json_t *next, const char *name, int family, struct rk_err *err)
{
    struct rk_prefix range;
    int r;

    if (text(next, name)[0] == '\0')
        return 0;
    r = rk_prefix_parse_range(text(next, name), family, &range, err);
    return r < 0 ? r : rk_settings_check_capacity(ch, &range, err);
}

/* What needs the database, in its order. */
static int check_stored(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const json_t *was,
                        const json_t *next,
                        struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n;
    int r;

    r = check_capacity(ch, next, "network_range", AF_INET, err);
    if (r == 0)
        r = check_capacity(ch, next, "network_range_v6", AF_INET6, err);
    if (r == 0)
        r = validate_rest(next, err);
    if (r == 0)
        r = check_zones(ch, actor, was, next, err);
    if (r < 0)
        return r;
    ids = list_strings(json_object_get(next, "ipv6_enabled_groups"), &n);
    return check_ipv6_groups(ch, ids, n, err);
}

/* Addresses follow the ranges and the groups that have IPv6. */
static int apply_network(struct rk_change *ch,
                         const struct rk_actor *actor,
                         const json_t *was,
                         json_t *next,
                         const struct rk_pg_result *account,
                         struct rk_err *err)
{
    const json_t *groups = json_object_get(next, "ipv6_enabled_groups");
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n;
    struct rk_prefix to4, to6;
    bool new4, new6;
    int r;

    ids = list_strings(groups, &n);
    r = apply_range(ch, actor, next, "network_range", AF_INET, rk_pg_str(account, 0, 1).p, &to4,
                    &new4, err);
    if (r < 0)
        return r;
    r = apply_range(ch, actor, next, "network_range_v6", AF_INET6, rk_pg_str(account, 0, 2).p, &to6,
                    &new6, err);
    if (r < 0)
        return r;
    if (new4) {
        r = rk_settings_renumber4(ch, &to4, err);
        if (r < 0)
            return r;
    }
    if (new6 || !same_value(json_object_get(was, "ipv6_enabled_groups"), groups))
        return rk_settings_assign6(ch, new6 ? &to6 : NULL, ids, n, err);
    return 0;
}

/* What peers have to do with it: their deadlines, and who waits for approval. */
static int follow_settings(struct rk_change *ch,
                           const struct rk_actor *actor,
                           const json_t *was,
                           const json_t *next,
                           struct rk_err *err)
{
    static const char *const deadlines[] = { "peer_login_expiration_enabled",
                                             "peer_login_expiration",
                                             "peer_inactivity_expiration_enabled",
                                             "peer_inactivity_expiration" };
    bool moved = false;
    int r = 0;

    for (size_t i = 0; i < RK_COUNT(deadlines); i++)
        moved = moved || !same_value(json_object_get(was, deadlines[i]),
                                     json_object_get(next, deadlines[i]));
    if (moved)
        r = rk_due_follow_account(ch, err);
    if (r == 0 && flag(next, "groups_propagation_enabled") &&
        !flag(was, "groups_propagation_enabled"))
        r = user_propagate_groups(ch, err);
    if (r < 0)
        return r;
    return rk_approval_follow(ch, actor,
                              flag(json_object_get(was, "extra"), "peer_approval_enabled"),
                              flag(json_object_get(next, "extra"), "peer_approval_enabled"), err);
}

int rk_settings_update(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const json_t *settings,
                       const struct rk_onboarding *onboarding,
                       struct rk_bell *out_bell,
                       struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *account = NULL;
    rk_auto(json_decref) json_t *was = NULL;
    rk_auto(json_decref) json_t *next = json_copy((json_t *)(uintptr_t)settings);
    rk_auto(rk_free) char *dump = NULL;
    int r;

    r = rk_settings_validate(settings, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_ACCOUNT, actor->account_id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &lock_stmt, &account, err, RK_P_C(actor->account_id));
    if (r < 0)
        return r;
    was = json_loads(rk_pg_str(account, 0, 0).p, 0, NULL);
    if (!was)
        return rk_fail(err, RK_INTERNAL, "settings of account %s are not JSON", actor->account_id);
    if (!json_object_get(next, "extra") && json_object_get(was, "extra"))
        json_object_set(next, "extra", json_object_get(was, "extra"));
    drop_traffic_log(next);
    r = check_stored(ch, actor, was, next, err);
    if (r < 0)
        return r;
    r = apply_network(ch, actor, was, next, account, err);
    if (r < 0)
        return r;
    r = tell_members(ch, actor, was, next, err);
    if (r < 0)
        return r;
    dump = json_dumps(next, JSON_COMPACT);
    r = rk_pg_later(pg, &store_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(dump));
    if (r == 0)
        r = follow_settings(ch, actor, was, next, err);
    if (r < 0)
        return r;
    if (onboarding) {
        r = rk_pg_later(pg, &onboarding_stmt, NULL, err, RK_P_C(actor->account_id),
                        RK_P_BOOL(onboarding->signup_form_pending),
                        RK_P_BOOL(onboarding->onboarding_flow_pending));
        if (r < 0)
            return r;
    }
    return rk_actor_commit(&ch, actor, out_bell, err);
}

int rk_account_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &delete_lock_stmt, NULL, err, RK_P_C(actor->account_id));
    if (r < 0)
        return r;
    r = rk_pg_ask_guard(pg, err);
    if (r < 0)
        return r;
    /* Everything of the account goes with its row, its audit trail too. */
    r = rk_pg_run(pg, &delete_stmt, &res, err, RK_P_C(actor->account_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "account not found: %s", actor->account_id);
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    rk_bell_set(out_bell, actor->account_id, (uint64_t)rk_pg_int(res, 0, 0) + 1);
    return 0;
}
