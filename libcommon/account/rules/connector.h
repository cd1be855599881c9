#pragma once

/*
 * Connectors: the identity providers through which people sign in at the embedded one. A connector
 * belongs to one account, and only its users come in by it. Each change is one transaction on a
 * worker thread. Errors carry the text that goes on the wire.
 */

#include <stdbool.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/seal.h"

enum rk_connector_kind {
    RK_CONNECTOR_OIDC,
    RK_CONNECTOR_ZITADEL,
    RK_CONNECTOR_ENTRA,
    RK_CONNECTOR_GOOGLE,
    RK_CONNECTOR_OKTA,
    RK_CONNECTOR_POCKETID,
    RK_CONNECTOR_MICROSOFT,
    RK_CONNECTOR_AUTHENTIK,
    RK_CONNECTOR_KEYCLOAK,
    RK_CONNECTOR_ADFS,
    RK_CONNECTOR_KINDS,
};
const char *rk_connector_kind_name(enum rk_connector_kind kind); /* "oidc" */
bool rk_connector_kind_parse(const char *name, enum rk_connector_kind *out);

/* Of an id, with its NUL: "<kind>-<xid>", and the bare xid for the kind oidc. It is a part of the
 * subject of every user who comes by this connector, so it never changes. */
#define RK_CONNECTOR_ID_MAX 32

/* As sent; borrowed, never NULL. */
struct rk_connector_input {
    const char *type;
    const char *name;
    const char *issuer;
    const char *client_id;
    const char *client_secret;
    const bool *own_redirect_uri; /* NULL: not said */
};

/* The checks that ask nobody, in their order; RK_INVALID. `creates`: nothing is stored yet that an
 * empty issuer could mean. */
int rk_connector_validate(const struct rk_connector_input *in,
                          bool creates,
                          struct rk_err *err) RK_CHECKED;

/* One as it is stored. Strings of the arena. */
struct rk_connector {
    const char *id;
    const char *account_id;
    enum rk_connector_kind kind;
    const char *name;
    const char *issuer; /* as entered; "" = the kind's own */
    const char *client_id;
    const char *client_secret; /* "" unless read with a seal */
    bool own_redirect_uri;     /* people come back from it at an address that no other has */
};

/* RK_NOT_FOUND "identity provider not found". `account_id` NULL: whoever's it is. `seal` NULL:
 * without the secret. The arena's memory is not wiped. */
int rk_connector_read(struct rk_pg *pg,
                      const char *account_id,
                      const char *id,
                      const struct rk_seal *seal,
                      struct rk_arena *arena,
                      struct rk_connector *out,
                      struct rk_err *err) RK_CHECKED;

/* RK_PRECONDITION: the account has RK_CONNECTORS_MAX, as many as a page for signing in shows. */
#define RK_CONNECTORS_MAX 50
int rk_connector_create(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_seal *seal,
                        const struct rk_connector_input *in,
                        char out_id[RK_CONNECTOR_ID_MAX],
                        struct rk_err *err) RK_CHECKED;
/* Empty texts, and what is not said, keep what is stored. RK_INVALID for another type. Another
 * issuer or client means other people: who is signed in through the connector is signed out. */
int rk_connector_update(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_seal *seal,
                        const char *id,
                        const struct rk_connector_input *in,
                        struct rk_err *err) RK_CHECKED;
/* Who is signed in through it is signed out; its users stay, and cannot sign in any more.
 * RK_PRECONDITION: `keep_one`, and it is the account's last. */
int rk_connector_delete(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        bool keep_one,
                        struct rk_err *err) RK_CHECKED;
