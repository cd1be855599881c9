#pragma once

/*
 * The rules by which peers come, log in, change and go. Each call is one transaction (or none), top
 * to bottom on a worker. On success *out_bell says whom to tell.
 *
 * Errors of the agent's calls carry the very text that goes on the wire in err->msg, except
 * RK_INTERNAL and RK_UNAVAILABLE.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/account/model/model.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

/* Metadata of an agent as it is stored. Strings are borrowed, valid UTF-8, possibly "" but not
 * NULL. */
struct rk_peer_meta {
    const char *hostname, *goos, *kernel, *core, *platform, *os, *version, *ui_version,
        *kernel_version, *os_version, *serial_number, *product_name, *manufacturer, *cloud,
        *cloud_platform;
    struct {
        const char *net_ip, *mac;
    } const *addresses;
    size_t addresses_n;
    struct {
        const char *path;
        bool exist, running;
    } const *files;
    size_t files_n;
    uint32_t flags;        /* bit n = Flags field n */
    uint32_t capabilities; /* RK_CAP_* */
    int32_t sync_message_version;
};
/* The flags bit of a Flags field number. */
#define RK_META_FLAG(field) (1u << (field))
#define RK_META_FLAG_SERVER_SSH_ALLOWED RK_META_FLAG(3)
#define RK_META_FLAG_DISABLE_IPV6 RK_META_FLAG(16)

/* Over everything; over ui_version only when there is one (an empty one keeps the stored one). */
void rk_meta_hash(const struct rk_peer_meta *m, uint8_t out[16]);

struct rk_peer_registration {
    uint8_t key[RK_KEY_LEN];
    const char *setup_key; /* as sent */
    const char *user_id;   /* who signed in; then the setup key is not looked at. NULL: nobody */
    const struct rk_peer_meta *meta;
    const char *ssh_key;
    const struct rk_str *dns_labels;
    size_t dns_labels_n;
    const char *connection_ip;            /* text, or "" */
    const char *country_code, *city_name; /* of that address; NULL: not known */
    int64_t geoname_id;
    const char *default_domain; /* the server's dns_domain */
    int64_t ephemeral_s;        /* life of an ephemeral peer (due.h); 0: the default */
};

/*
 * Registers an unknown peer with a setup key: address, label, groups, one use of the key, event
 * peer.setupkey.add, in one transaction. Errors: RK_INVALID "couldn't add peer: setup key is
 * invalid" (unknown, revoked, expired, exhausted, also for the loser of a race), RK_PRECONDITION
 * for extra labels the key does not allow and for a key pair that is registered already,
 * RK_INTERNAL for an empty host name or when no free address is found after 10 attempts.
 *
 * Or for a user: the peer is theirs, its logins expire, it waits for approval where the account
 * wants that; event peer.user.add. RK_DENIED for a user who is blocked or waits for approval,
 * RK_NOT_FOUND for one who does not exist.
 */
int rk_peer_register(struct rk_pg *pg,
                     const struct rk_peer_registration *reg,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;

/*
 * The same for all who bring the key (or the user, the default domain, the ephemeral life) of
 * regs[0], in one transaction: those who come first get the last uses of the key. Each has its own
 * answer in out; an error of the call is everybody's, and nobody came in. *out_bell stays as it was
 * when nobody did.
 */
struct rk_registered {
    int r; /* 0: it is there now */
    struct rk_err err;
    bool known; /* refused because its key pair is registered already */
};
int rk_peer_register_all(struct rk_pg *pg,
                         const struct rk_peer_registration *regs,
                         size_t n,
                         struct rk_registered *out,
                         struct rk_bell *out_bell,
                         struct rk_err *err) RK_CHECKED;

/* Stores changed metadata (empty ui_version keeps the old; an all-empty meta changes nothing) and
 * touches the peer. */
int rk_peer_update_meta(struct rk_pg *pg,
                        const char *account_id,
                        const char *peer_id,
                        const struct rk_peer_meta *meta,
                        struct rk_bell *out_bell,
                        struct rk_err *err) RK_CHECKED;
/* Where a peer connects from, by the server's own eyes. Touches the peer when that has changed. */
struct rk_peer_location {
    const char *ip;                       /* text */
    const char *country_code, *city_name; /* "" = not known */
    int64_t geoname_id;
};
int rk_peer_update_location(struct rk_pg *pg,
                            const char *account_id,
                            const char *peer_id,
                            const struct rk_peer_location *at,
                            struct rk_bell *out_bell,
                            struct rk_err *err) RK_CHECKED;
/* Stores a changed SSH host key. */
int rk_peer_update_ssh_key(struct rk_pg *pg,
                           const char *account_id,
                           const char *peer_id,
                           const char *ssh_key,
                           struct rk_bell *out_bell,
                           struct rk_err *err) RK_CHECKED;

/* Deletes a peer: out of its groups, policies that name it as a resource go, events. An actor
 * without a user is the agent itself (Logout): its owner did it, or nobody ("sys"). RK_NOT_FOUND
 * when there is none. */
int rk_peer_delete(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *peer_id,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;

/*
 * Connection state, written in batches. `session` is the start of the Sync stream in ns of the wall
 * clock. A connect wins over an older session (and over its own, when its replica repeats it); a
 * disconnect over its own and over an older one, whose successor came and went within one batch.
 */
#define RK_REPLICA_LEN 64
struct rk_peer_presence {
    char peer_id[RK_XID_LEN + 1];
    bool connected;
    int64_t session;
    char replica[RK_REPLICA_LEN];
    char connection_ip[64]; /* "" = unknown */
};
/* One transaction for all, with the deadlines of those that went (due.h). *out_superseded[i] = a
 * newer session of that peer exists elsewhere (connects only); may be NULL. */
int rk_peer_store_presence(struct rk_pg *pg,
                           const struct rk_peer_presence *rows,
                           size_t n,
                           int64_t ephemeral_s,
                           bool *out_superseded,
                           struct rk_err *err) RK_CHECKED;

/* DNS label of a host name; false when it is empty. See label.c. */
#define RK_LABEL_MAX 64
bool rk_dns_label(struct rk_str hostname, char out[RK_LABEL_MAX]);
