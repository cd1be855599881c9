/* See temporary.h. */

#include "libcommon/account/rules/temporary.h"

#include <stdio.h>

#include "libcommon/account/store/int.h"
#include "libcommon/crypto/box.h"

#define SSH_PORT 22022 /* of the agent's own server */
#define MAX_RULES 100
#define RULE_NAME "Temporary access rule"

static const struct rk_pg_stmt peer_stmt = {
    "temporary_peer", "SELECT name FROM peer WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt policy_stmt = {
    "temporary_policy",
    "WITH p AS (INSERT INTO policy (id, public_id, account_id, name, description, enabled) VALUES "
    "($1, $2, $3, $4, $4, true) RETURNING id) INSERT INTO policy_rule (policy_id, position, id, "
    "name, description, enabled, action, protocol, bidirectional, source_resource_id, "
    "source_resource_type, destination_resource_id, destination_resource_type, port_ranges, "
    "authorized_user) SELECT id, 0, id, '" RULE_NAME "', '" RULE_NAME "', true, 'accept', $5, "
    "false, $6, 'peer', $7, 'peer', $8::text[], $9 FROM p"
};

static bool parse_port(struct rk_str text, uint16_t *out)
{
    uint64_t v;

    if (!rk_str_u64(text, &v) || v < 1 || v > 65535)
        return false;
    *out = (uint16_t)v;
    return true;
}

/* "80" or "80-90". */
static bool parse_ports(struct rk_str text, struct rk_temporary_rule *out)
{
    struct rk_str first;

    if (!rk_str_next(&text, '-', &first) || !parse_port(first, &out->first))
        return false;
    if (!text.p) {
        out->last = out->first;
        return true;
    }
    return parse_port(text, &out->last) && out->first <= out->last;
}

bool rk_temporary_rule_parse(struct rk_str text, struct rk_temporary_rule *out)
{
    static const struct {
        const char *name;
        enum {
            NO_PORTS,
            PORTS,
            OWN_PORT
        } ports;
    } protocols[] = { { "all", NO_PORTS },
                      { "icmp", NO_PORTS },
                      { "tcp", PORTS },
                      { "udp", PORTS },
                      { "netbird-ssh", OWN_PORT } };
    struct rk_str name;

    if (!rk_str_next(&text, '/', &name))
        return false;
    for (size_t i = 0; i < RK_COUNT(protocols); i++) {
        if (!rk_str_ieq(name, rk_str(protocols[i].name)))
            continue;
        *out = (struct rk_temporary_rule){ .protocol = protocols[i].name };
        switch (protocols[i].ports) {
        case NO_PORTS:
            return text.p == NULL;
        case PORTS:
            return text.p != NULL && parse_ports(text, out);
        case OWN_PORT:
            out->first = out->last = SSH_PORT;
            return true;
        }
    }
    return false;
}

static int
validate(const struct rk_temporary_input *in, uint8_t key[RK_KEY_LEN], struct rk_err *err)
{
    char label[RK_LABEL_MAX];

    if (!rk_dns_label(rk_str(in->name), label))
        return rk_fail(err, RK_INVALID, "peer name shouldn't be empty");
    if (!rk_key_parse(rk_str(in->wg_pub_key), key))
        return rk_fail(err, RK_INVALID, "invalid wireguard public key");
    if (in->rules_n > MAX_RULES)
        return rk_fail(err, RK_INVALID, "more than %d rules", MAX_RULES);
    for (size_t i = 0; i < in->rules_n; i++) {
        struct rk_temporary_rule rule;

        if (!rk_temporary_rule_parse(in->rules[i], &rule))
            return rk_fail(err, RK_INVALID, "invalid rule: %.*s", RK_STR_FMT(in->rules[i]));
    }
    return 0;
}

/* From the guest to the peer, one way. */
static int add_policy(struct rk_change *ch,
                      const struct rk_actor *actor,
                      const char *guest,
                      const char *peer_id,
                      const char *name,
                      const struct rk_temporary_rule *rule,
                      struct rk_err *err)
{
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1], text[16];
    bool ssh = strcmp(rule->protocol, "netbird-ssh") == 0;
    struct rk_str ports;
    int r;

    rk_xid_new(id);
    rk_xid_new(public_id);
    r = rk_change_watch(ch, RK_WATCH_POLICY, id, NULL, err);
    if (r < 0)
        return r;
    snprintf(text, sizeof(text), "%u-%u", rule->first, rule->last);
    ports = rk_str(text);
    r = rk_pg_later(rk_change_pg(ch), &policy_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                    RK_P_C(actor->account_id), RK_P_C(name), RK_P_C(rule->protocol), RK_P_C(guest),
                    RK_P_C(peer_id), RK_P_ARRAY(&ports, rule->first ? 1 : 0),
                    RK_P_C(ssh ? actor->user_id : ""));
    if (r < 0)
        return r;
    r = rk_actor_tell(ch, actor, "policy.add", id, err, "name", name, NULL);
    if (r < 0)
        return r;
    return rk_change_touch(ch, RK_OBJ_POLICY, id, err);
}

static int add_policies(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *guest,
                        const char *peer_id,
                        const struct rk_temporary_input *in,
                        struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf name;
    int r = 0;

    rk_buf_init(&name, RK_META_MAX);
    rk_buf_put_c(&name, "Temporary access policy for peer ");
    rk_buf_put_c(&name, in->name);
    rk_buf_put_u8(&name, 0);
    for (size_t i = 0; r == 0 && i < in->rules_n; i++) {
        struct rk_temporary_rule rule;

        if (rk_temporary_rule_parse(in->rules[i], &rule))
            r = add_policy(ch, actor, guest, peer_id, (const char *)name.p, &rule, err);
    }
    return r;
}

int rk_temporary_access(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *peer_id,
                        const struct rk_temporary_input *in,
                        char out_id[RK_XID_LEN + 1],
                        struct rk_bell *out_bell,
                        struct rk_err *err)
{
    const struct rk_peer_meta meta = { .hostname = in->name,
                                       .goos = "js",
                                       .kernel = "",
                                       .core = "",
                                       .platform = "",
                                       .os = "js",
                                       .version = "",
                                       .ui_version = "",
                                       .kernel_version = "wasm",
                                       .os_version = "",
                                       .serial_number = "",
                                       .product_name = "",
                                       .manufacturer = "",
                                       .cloud = "",
                                       .cloud_platform = "" };
    struct rk_peer_registration reg = { .user_id = actor->user_id,
                                        .meta = &meta,
                                        .ssh_key = "",
                                        .connection_ip = "",
                                        .default_domain = actor->default_domain };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *peer = NULL;
    char id[RK_XID_LEN + 1];
    int r;

    r = rk_change_begin(pg, actor->account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &peer_stmt, &peer, err, RK_P_C(actor->account_id), RK_P_C(peer_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(peer) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", peer_id);
    r = validate(in, reg.key, err);
    if (r < 0)
        return r;
    r = peer_register_guest(ch, &reg, id, err);
    if (r < 0)
        return r;
    r = add_policies(ch, actor, id, peer_id, in, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}
