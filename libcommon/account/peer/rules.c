/* See rules.h. */

#include "libcommon/account/peer/rules.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/clock.h"

static const struct rk_pg_stmt lock_stmt = {
    "peer_rule_lock",
    "SELECT p.name, host(p.ip), coalesce(host(p.ip6), ''), p.dns_label, p.user_id, p.ssh_enabled, "
    "p.login_expiration_enabled, p.inactivity_expiration_enabled, p.requires_approval,"
    " coalesce((a.settings->'extra'->>'peer_approval_enabled')::boolean, false)"
    " FROM peer p JOIN account a ON a.id = p.account_id WHERE p.account_id = $1 AND p.id = $2"
    " FOR UPDATE OF p"
};
enum {
    NAME,
    IP,
    IP6,
    LABEL,
    USER,
    SSH,
    LOGIN_EXP,
    INACTIVITY_EXP,
    WAITS,
    APPROVAL_ON,
};
static const struct rk_pg_stmt update_stmt = {
    "peer_rule_update",
    "UPDATE peer SET name = $3, dns_label = $4, ssh_enabled = $5, login_expiration_enabled = $6,"
    " inactivity_expiration_enabled = $7, requires_approval = $8 WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt label_taken_stmt = {
    "peer_rule_label_taken", "SELECT 1 FROM peer WHERE account_id = $1 AND dns_label = $2"
};
static const struct rk_pg_stmt net_stmt = {
    "peer_rule_net", "SELECT net4::text, coalesce(net6::text, ''), $2::inet <<= net4 AND "
                     "host($2::inet) NOT IN (host(network(net4)), host(broadcast(net4) - 1),"
                     " host(broadcast(net4))) FROM account WHERE id = $1"
};
static const struct rk_pg_stmt net6_stmt = {
    "peer_rule_net6", "SELECT coalesce(net6::text, ''), coalesce($2::inet <<= net6 AND "
                      "host($2::inet) <> host(network(net6)), false),"
                      " EXISTS (SELECT 1 FROM group_peer m WHERE m.peer_id = $3 AND "
                      "a.settings->'ipv6_enabled_groups' ? m.group_id)"
                      " FROM account a WHERE id = $1"
};
static const struct rk_pg_stmt ip_owner_stmt = {
    "peer_rule_ip_owner", "SELECT id, name FROM peer WHERE account_id = $1 AND id <> $3 AND (ip = "
                          "$2::inet OR ip6 = $2::inet) LIMIT 1"
};
static const struct rk_pg_stmt set_ip_stmt = {
    "peer_rule_set_ip", "UPDATE peer SET ip = $3::inet WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt set_ip6_stmt = {
    "peer_rule_set_ip6", "UPDATE peer SET ip6 = $3::inet WHERE account_id = $1 AND id = $2"
};

/* A peer as it stands during the change; strings point into `row` or into the request. */
struct subject {
    struct rk_change *ch;
    const struct rk_actor *actor;
    const char *id;
    const struct rk_pg_result *row;
    const char *name, *ip, *ip6;
    const char *old_ip, *old_ip6; /* NULL: as it was */
    bool waits;                   /* for approval */
    char label[RK_LABEL_MAX];
};

static int change_ip(struct subject *s, const char *ip, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *net = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *owner = NULL;
    struct rk_pg *pg = rk_change_pg(s->ch);
    int r;

    r = rk_pg_run(pg, &net_stmt, &net, err, RK_P_C(s->actor->account_id), RK_P_C(ip));
    if (r < 0)
        return r;
    if (rk_pg_rows(net) == 0 || !rk_pg_bool(net, 0, 2))
        return rk_fail(
            err, RK_INVALID,
            "update peer ip transaction: ip %s is not within the account network range %s", ip,
            rk_pg_rows(net) ? rk_pg_str(net, 0, 0).p : "");
    r = rk_pg_run(pg, &ip_owner_stmt, &owner, err, RK_P_C(s->actor->account_id), RK_P_C(ip),
                  RK_P_C(s->id));
    if (r < 0)
        return r;
    if (rk_pg_rows(owner) > 0)
        return rk_fail(err, RK_INVALID,
                       "update peer ip transaction: ip %s is already assigned to peer %s", ip,
                       rk_pg_str(owner, 0, 0).p);
    r = rk_pg_later(pg, &set_ip_stmt, NULL, err, RK_P_C(s->actor->account_id), RK_P_C(s->id),
                    RK_P_C(ip));
    if (r < 0)
        return r;
    s->old_ip = s->ip;
    s->ip = ip;
    return 0;
}

static int change_ip6(struct subject *s, const char *ip6, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *net = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *owner = NULL;
    struct rk_pg *pg = rk_change_pg(s->ch);
    uint8_t bytes[16];
    int r;

    /* Not before the other address has been looked at in full. */
    if (inet_pton(AF_INET6, ip6, bytes) != 1)
        return rk_fail(err, RK_INVALID, "invalid ipv6 address %s: not an ipv6 address", ip6);
    r = rk_pg_run(pg, &net6_stmt, &net, err, RK_P_C(s->actor->account_id), RK_P_C(ip6),
                  RK_P_C(s->id));
    if (r < 0)
        return r;
    if (rk_pg_rows(net) == 0 || rk_pg_str(net, 0, 0).n == 0)
        return rk_fail(err, RK_PRECONDITION,
                       "update peer ipv6 transaction: ipv6 is not configured for this account");
    if (!rk_pg_bool(net, 0, 1))
        return rk_fail(err, RK_INVALID, "ip %s is not within the account ipv6 range %s", ip6,
                       rk_pg_str(net, 0, 0).p);
    if (!rk_pg_bool(net, 0, 2))
        return rk_fail(err, RK_PRECONDITION, "peer is not in any ipv6-enabled group");
    r = rk_pg_run(pg, &ip_owner_stmt, &owner, err, RK_P_C(s->actor->account_id), RK_P_C(ip6),
                  RK_P_C(s->id));
    if (r < 0)
        return r;
    if (rk_pg_rows(owner) > 0)
        return rk_fail(err, RK_INVALID, "ipv6 %s is already assigned to peer %s", ip6,
                       rk_pg_str(owner, 0, 1).p);
    r = rk_pg_later(pg, &set_ip6_stmt, NULL, err, RK_P_C(s->actor->account_id), RK_P_C(s->id),
                    RK_P_C(ip6));
    if (r < 0)
        return r;
    s->old_ip6 = s->ip6;
    s->ip6 = ip6;
    return 0;
}

/* The DNS-safe form of the name; when a peer has it, and be it this one, with the last two octets
 * of the address. */
static int choose_label(struct subject *s, const char *name, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *taken = NULL;
    char label[RK_LABEL_MAX];
    uint8_t octets[4];
    int r;

    if (!rk_dns_label(rk_str(name), label))
        return rk_fail(err, RK_INVALID, "peer name %s can't be made a dns label", name);
    r = rk_pg_run(rk_change_pg(s->ch), &label_taken_stmt, &taken, err, RK_P_C(s->actor->account_id),
                  RK_P_C(label));
    if (r < 0)
        return r;
    if (inet_pton(AF_INET, s->ip, octets) != 1)
        return rk_fail(err, RK_INTERNAL, "peer %s has no IPv4 address", s->id);
    peer_label_for(label, rk_pg_rows(taken) > 0, octets, s->label);
    return 0;
}

struct told {
    bool happened;
    const char *code, *target, *old_ip;
};

/* The facts in the events are those of this moment. */
static int tell(struct subject *s, const struct told *events, size_t n, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct peer_facts facts;
    const struct rk_str id = rk_str(s->id);
    int r;

    r = peer_facts_load(s->ch, &id, 1, s->actor->default_domain, &res, err);
    if (r < 0)
        return r;
    peer_facts_read(res, 0, &facts);
    for (size_t i = 0; r == 0 && i < n; i++) {
        rk_auto(rk_buf_done) struct rk_buf meta;

        rk_buf_init(&meta, RK_META_MAX);
        if (!events[i].happened)
            continue;
        peer_facts_json(&facts, events[i].old_ip ? "old_ip" : NULL, rk_str(events[i].old_ip),
                        &meta);
        r = rk_change_event(s->ch, events[i].code, s->actor->user_id, events[i].target,
                            rk_buf_str(&meta), err);
    }
    return r;
}

/* The peer has its old name in them: a new one comes after its addresses. */
static int tell_addresses(struct subject *s, struct rk_err *err)
{
    const struct told events[] = {
        { s->old_ip, "peer.ip.update", s->id, s->old_ip },
        { s->old_ip6, "peer.ip.update", s->id, s->old_ip6 },
    };

    return s->old_ip || s->old_ip6 ? tell(s, events, RK_COUNT(events), err) : 0;
}

/* One event a difference. */
static int
tell_rest(struct subject *s, const struct rk_peer_input *in, bool renamed, struct rk_err *err)
{
    bool waited = rk_pg_bool(s->row, 0, WAITS);
    const struct told events[] = {
        { renamed, "peer.rename", s->id, NULL },
        { in->ssh_enabled != rk_pg_bool(s->row, 0, SSH),
          in->ssh_enabled ? "peer.ssh.enable" : "peer.ssh.disable", s->ip, NULL },
        { in->login_expiration_enabled != rk_pg_bool(s->row, 0, LOGIN_EXP),
          in->login_expiration_enabled ? "peer.login.expiration.enable"
                                       : "peer.login.expiration.disable",
          s->ip, NULL },
        { in->inactivity_expiration_enabled != rk_pg_bool(s->row, 0, INACTIVITY_EXP),
          in->inactivity_expiration_enabled ? "peer.inactivity.expiration.enable"
                                            : "peer.inactivity.expiration.disable",
          s->ip, NULL },
        { s->waits != waited, s->waits ? "peer.approval.revoke" : "peer.approve", s->id, NULL },
    };

    return tell(s, events, RK_COUNT(events), err);
}

static int
check_toggles(const struct rk_pg_result *row, const struct rk_peer_input *in, struct rk_err *err)
{
    bool has_user = rk_pg_str(row, 0, USER).n > 0;

    if (!has_user && in->login_expiration_enabled != rk_pg_bool(row, 0, LOGIN_EXP))
        return rk_fail(err, RK_PRECONDITION,
                       "this peer hasn't been added with the sso login, therefore the login "
                       "expiration can't be updated");
    if (!has_user && in->inactivity_expiration_enabled != rk_pg_bool(row, 0, INACTIVITY_EXP))
        return rk_fail(err, RK_PRECONDITION,
                       "this peer hasn't been added with the sso login, therefore the inactivity "
                       "expiration can't be updated");
    return 0;
}

/* Addresses in the form they are stored in, so that another spelling of the same one is no change.
 */
static bool same_address(int family, const char *a, const char *b)
{
    uint8_t x[16] = { 0 }, y[16] = { 0 };

    return inet_pton(family, a, x) == 1 && inet_pton(family, b, y) == 1 &&
           memcmp(x, y, sizeof(x)) == 0;
}

int rk_peer_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_peer_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    struct subject s = { .actor = actor, .id = id };
    uint8_t ip[4];
    bool renamed;
    int r;

    r = rk_change_begin(pg, actor->account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &lock_stmt, &row, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(row) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", id);
    if (in->ip && inet_pton(AF_INET, in->ip, ip) != 1)
        return rk_fail(err, RK_INVALID, "invalid ip address %s: not an ipv4 address", in->ip);
    s.ch = ch;
    s.row = row;
    s.name = rk_pg_str(row, 0, NAME).p;
    s.ip = rk_pg_str(row, 0, IP).p;
    s.ip6 = rk_pg_str(row, 0, IP6).p;
    /* Where nobody is asked, nobody can be made to wait. */
    s.waits =
        in->approval ? *in->approval && rk_pg_bool(row, 0, APPROVAL_ON) : rk_pg_bool(row, 0, WAITS);
    snprintf(s.label, sizeof(s.label), "%s", rk_pg_str(row, 0, LABEL).p);
    /* Some of its events name it by its address. */
    r = rk_change_watch(ch, RK_WATCH_PEER, id, in->ip ? in->ip : s.ip, err);
    if (r < 0)
        return r;

    if (in->ip && !same_address(AF_INET, in->ip, s.ip)) {
        r = change_ip(&s, in->ip, err);
        if (r < 0)
            return r;
    }
    if (in->ip6 && !same_address(AF_INET6, in->ip6, s.ip6)) {
        r = change_ip6(&s, in->ip6, err);
        if (r < 0)
            return r;
    }
    r = check_toggles(row, in, err);
    if (r < 0)
        return r;
    r = tell_addresses(&s, err);
    if (r < 0)
        return r;
    renamed = in->name[0] != '\0' && strcmp(in->name, s.name) != 0;
    if (renamed) {
        r = choose_label(&s, in->name, err);
        if (r < 0)
            return r;
        s.name = in->name;
    }
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(s.name), RK_P_C(s.label), RK_P_BOOL(in->ssh_enabled),
                    RK_P_BOOL(in->login_expiration_enabled),
                    RK_P_BOOL(in->inactivity_expiration_enabled), RK_P_BOOL(s.waits));
    if (r < 0)
        return r;
    r = rk_due_follow(pg, &(const struct rk_str){ id, strlen(id) }, 1, 0, err);
    if (r < 0)
        return r;
    r = tell_rest(&s, in, renamed, err);
    if (r < 0)
        return r;
    r = rk_change_touch(ch, RK_OBJ_PEER, id, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}
