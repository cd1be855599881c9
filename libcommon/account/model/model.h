#pragma once

/*
 * The account model: rows as management and dashboard-api see them, read from Postgres and never
 * changed afterwards. Rows are counted, because successive snapshots share what did not change; the
 * count is atomic, everything else is immutable once the row is handed over. All strings are
 * NUL-terminated, valid UTF-8 and never NULL ("" when unset).
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/model/objects.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/id.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/box.h"
#include "libcommon/obs/trace.h"

/* Capabilities of an agent (PeerSystemMeta.capabilities), as bits. */
#define RK_CAP_SOURCE_PREFIXES (1u << 1)
#define RK_CAP_IPV6 (1u << 2)

/* Settings that reach the map. */
struct rk_account_row {
    _Atomic unsigned refs;
    char id[RK_XID_LEN + 1];
    char network_id[RK_XID_LEN + 1];
    uint8_t net4[4];
    uint8_t net4_bits; /* 16, or what the settings say: up to 28 */
    bool has_net6;
    uint8_t net6[16];
    uint8_t net6_bits; /* 64, or what the settings say: 48 to 120 */
    char *dns_domain;  /* effective: the account's own or the server's default; may be "" */
    bool peer_login_expiration_enabled;
    int64_t peer_login_expiration_s;
    bool routing_peer_dns_resolution_enabled;
    bool lazy_connection_enabled;
    bool metrics_push_enabled;
    char *auto_update_version; /* never "": "disabled" by default */
    bool auto_update_always;
    struct rk_ids dns_disabled_groups; /* their members get no DNS configuration */
};

struct rk_peer_row {
    _Atomic unsigned refs;
    char id[RK_XID_LEN + 1];
    uint8_t key[RK_KEY_LEN];
    char key_b64[RK_KEY_B64_LEN + 1]; /* canonical */
    uint8_t ip4[4];
    bool has_ip6;
    uint8_t ip6[16];
    char *dns_label;
    char **extra_dns_labels;
    size_t extra_dns_labels_n;
    char *user_id; /* "" for a peer enrolled by setup key */
    char *ssh_key;
    bool ssh_enabled;
    bool login_expiration_enabled;
    bool login_expired;
    bool requires_approval;
    bool ephemeral;
    bool allow_extra_dns_labels;
    int64_t last_login_us; /* RK_TIME_UNSET = never */
    /* From the agent's metadata, only what the map needs. */
    char *version;
    char *goos;
    uint32_t capabilities; /* RK_CAP_* */
    bool flag_disable_ipv6;
    bool flag_server_ssh_allowed;
    int32_t sync_message_version;
    /* What posture checks look at. */
    char *os_version, *kernel_version;
    struct rk_strings networks;  /* meta.networkAddresses, "address/bits" as sent */
    struct rk_strings processes; /* paths of files whose process runs */
    char *location_ip, *country_code, *city_name;
    uint8_t meta_hash[16]; /* rk_meta_hash of all of it, so a Sync with the same metadata needs no
                              query */
};

struct rk_group_row {
    _Atomic unsigned refs;
    char id[RK_XID_LEN + 1];
    char public_id[RK_XID_LEN + 1];
    char *name;
    bool is_all; /* the built-in group, by its name "All" */
    /* Members at loading; afterwards the snapshot's bitmap is the truth. Peer ids, each RK_XID_LEN
     * + 1 bytes. */
    char (*members)[RK_XID_LEN + 1];
    size_t members_n;
    struct rk_ids resources; /* network resources in the group */
};

enum rk_rule_action {
    RK_RULE_ACCEPT = 0, /* wire values of RuleAction */
    RK_RULE_DROP = 1,
};

enum rk_rule_protocol {
    RK_PROTO_ALL = 1, /* wire values of RuleProtocol */
    RK_PROTO_TCP = 2,
    RK_PROTO_UDP = 3,
    RK_PROTO_ICMP = 4,
    RK_PROTO_NETBIRD_SSH = 6,
};

struct rk_port_range {
    uint16_t start, end;
};

/* The users of a group, and the local users they may become; none named = any. */
struct rk_authorized {
    char group[RK_XID_LEN + 1];
    struct rk_strings local_users;
};

struct rk_rule {
    char id[RK_XID_LEN + 1];
    bool enabled;
    enum rk_rule_action action;
    enum rk_rule_protocol protocol;
    bool bidirectional;
    char (*sources)[RK_XID_LEN + 1]; /* group ids */
    size_t sources_n;
    char (*destinations)[RK_XID_LEN + 1];
    size_t destinations_n;
    char source_peer[RK_XID_LEN + 1];          /* sourceResource of type peer, or "" */
    char destination_peer[RK_XID_LEN + 1];     /* destinationResource of type peer, or "" */
    char destination_resource[RK_XID_LEN + 1]; /* destinationResource of another type, or "" */
    char **ports;                              /* decimal, verbatim */
    size_t ports_n;
    struct rk_port_range *ranges;
    size_t ranges_n;
    /* netbird-ssh: who may log in as whom. */
    struct rk_authorized *authorized;
    size_t authorized_n;
    char *authorized_user; /* "" = none */
};

struct rk_policy_row {
    _Atomic unsigned refs;
    char id[RK_XID_LEN + 1];
    char public_id[RK_XID_LEN + 1];
    bool enabled;
    struct rk_ids posture_checks; /* all must pass for a source */
    struct rk_rule *rules;
    size_t rules_n;
};

/* Each _new gives one reference; the creator fills the row (strings and arrays malloc'ed, freed
 * with the row). */
struct rk_account_row *rk_account_row_new(void);
struct rk_account_row *rk_account_row_ref(struct rk_account_row *r);
void rk_account_row_unref(struct rk_account_row *r);
RK_DEFINE_AUTO(struct rk_account_row, rk_account_row_unref)
struct rk_peer_row *rk_peer_row_new(void);
struct rk_peer_row *rk_peer_row_ref(struct rk_peer_row *r);
void rk_peer_row_unref(struct rk_peer_row *r);
RK_DEFINE_AUTO(struct rk_peer_row, rk_peer_row_unref)
struct rk_group_row *rk_group_row_new(void);
struct rk_group_row *rk_group_row_ref(struct rk_group_row *r);
void rk_group_row_unref(struct rk_group_row *r);
RK_DEFINE_AUTO(struct rk_group_row, rk_group_row_unref)
struct rk_policy_row *rk_policy_row_new(void);
struct rk_policy_row *rk_policy_row_ref(struct rk_policy_row *r);
void rk_policy_row_unref(struct rk_policy_row *r);
RK_DEFINE_AUTO(struct rk_policy_row, rk_policy_row_unref)

/*
 * What happened to an account between two serials, read in one repeatable-read transaction: each
 * named object as it is now, or gone. A full load is a delta with `full` set that carries every
 * object. Applying one twice changes nothing.
 */
struct rk_delta_item {
    enum rk_object_kind kind;
    char *id;                  /* owned; of the object; GROUP_PEER: the group */
    char peer[RK_XID_LEN + 1]; /* GROUP_PEER: the peer */
    bool present;              /* false: gone (GROUP_PEER: not a member) */
    union {
        struct rk_account_row *account;
        struct rk_peer_row *peer_row;
        struct rk_group_row *group;
        struct rk_policy_row *policy;
        struct rk_row *object; /* all other kinds */
    } row;                     /* owned; NULL unless present (and always NULL for GROUP_PEER) */
};

struct rk_delta {
    char account_id[RK_XID_LEN + 1];
    uint64_t serial; /* the account's serial in that transaction */
    bool full;
    bool account_gone; /* the account itself no longer exists */
    int64_t
        committed_at_us; /* of the oldest change in it, database clock; RK_TIME_UNSET when full */
    char (*traces)[RK_TRACE_LEN + 1]; /* what made each of them, in order, as far as it is known */
    size_t traces_n;
    struct rk_delta_item *items;
    size_t n, cap;
};

struct rk_delta *rk_delta_new(const char *account_id, uint64_t serial);
void rk_delta_free(struct rk_delta *d);
RK_DEFINE_AUTO(struct rk_delta, rk_delta_free)
struct rk_delta_item *rk_delta_add(struct rk_delta *d, enum rk_object_kind kind, const char *id);
