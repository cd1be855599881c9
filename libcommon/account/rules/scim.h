#pragma once

/*
 * Provisioning: a directory says over SCIM who there is, who may come in, and which groups they are
 * in. What it says is kept as it was said (scim_user, scim_group, scim_member); what follows from
 * it for users, groups and peers of the account is settled in the same transaction, as sets. Worker
 * thread.
 *
 * A person becomes a user of the account as soon as the id under which they sign in is known:
 * subject(externalId, connector), or the first sign-in (scim_bind.h). Somebody has access when the
 * directory says they are active and, where the integration asks for that, when they are in a group
 * whose name begins right. Roles are never touched, and the owner is never locked out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/account/rules/scim_bind.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/token.h"

#define RK_SCIM_PREFIX "nbs_"
#define RK_SCIM_MAX 50           /* integrations of an account */
#define RK_SCIM_PREFIXES_MAX 100 /* of one list */
#define RK_SCIM_LOG_MAX 1000     /* entries of an integration; older ones go */

/* === Integrations === */

/* As sent; NULL keeps what there is. Borrowed. */
struct rk_scim_input {
    const bool *enabled;
    const char *prefix, *provider, *connector_id;
    const struct rk_str *group_prefixes, *user_group_prefixes; /* NULL with n = 0 keeps */
    size_t group_prefixes_n, user_group_prefixes_n;
    bool has_group_prefixes, has_user_group_prefixes;
};

/* RK_INVALID: too many, too long, no such connector. */
int rk_scim_create(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const struct rk_scim_input *in,
                   int64_t *out_id,
                   char out_token[RK_PAT_LEN + 1],
                   struct rk_err *err) RK_CHECKED;
/* Other prefixes are settled at once. RK_NOT_FOUND. */
int rk_scim_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   int64_t id,
                   const struct rk_scim_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;
/* Users and groups stay, and are the administrator's from then on. */
int rk_scim_delete(struct rk_pg *pg, const struct rk_actor *actor, int64_t id, struct rk_err *err)
    RK_CHECKED;
/* The old token is dead at once. */
int rk_scim_rotate(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   int64_t id,
                   char out_token[RK_PAT_LEN + 1],
                   struct rk_err *err) RK_CHECKED;

/* === What a directory does === */

/* Whose token it is. */
struct rk_scim {
    int64_t id;
    char account_id[RK_XID_LEN + 1];
    const char *default_domain; /* the server's dns_domain */
};
/* RK_UNAUTHENTICATED; RK_DENIED when the integration is switched off. */
int rk_scim_find(struct rk_pg *pg, struct rk_str token, struct rk_scim *out, struct rk_err *err)
    RK_CHECKED;

enum rk_scim_level {
    RK_SCIM_INFO,
    RK_SCIM_WARN,
    RK_SCIM_ERROR,
};
/* By itself, or as a part of the transaction that is open. */
int rk_scim_log(struct rk_pg *pg,
                int64_t integration_id,
                enum rk_scim_level level,
                const char *message,
                struct rk_err *err) RK_CHECKED;

/* One request: a transaction that holds the account. RK_DENIED as above. */
struct rk_scim_change;
int rk_scim_begin(struct rk_pg *pg,
                  const struct rk_scim *scim,
                  struct rk_scim_change **out,
                  struct rk_err *err) RK_CHECKED;
void rk_scim_abort(struct rk_scim_change *sc);
RK_DEFINE_AUTO(struct rk_scim_change, rk_scim_abort)
/* Settles, and leaves NULL. */
int rk_scim_commit(struct rk_scim_change **sc,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;
int rk_scim_note(struct rk_scim_change *sc,
                 enum rk_scim_level level,
                 struct rk_err *err,
                 const char *fmt,
                 ...) RK_PRINTF(4, 5) RK_CHECKED;

/* Borrowed. */
struct rk_scim_person {
    const char *user_name;
    const char *external_id; /* "" = none */
    const char *name, *email;
    const struct rk_str *email_keys;
    size_t email_keys_n;
    bool active;
    struct rk_str resource; /* as JSON; of no concern here */
};
/* RK_EXISTS for a userName or externalId that somebody else has. */
int rk_scim_user_create(struct rk_scim_change *sc,
                        const struct rk_scim_person *in,
                        char out_id[RK_UUID_LEN + 1],
                        struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND; RK_PRECONDITION when it would lock the owner out. */
int rk_scim_user_update(struct rk_scim_change *sc,
                        const char *id,
                        const struct rk_scim_person *in,
                        struct rk_err *err) RK_CHECKED;
/* With the user of the account and its peers; a user one of whose peers routes for a network stays,
 * blocked. RK_NOT_FOUND, RK_PRECONDITION as above. */
int rk_scim_user_delete(struct rk_scim_change *sc, const char *id, struct rk_err *err) RK_CHECKED;

/* RK_EXISTS when there is such a group, or one of the account that is not the integration's. */
int rk_scim_group_create(struct rk_scim_change *sc,
                         const char *name,
                         const char *external_id,
                         char out_id[RK_UUID_LEN + 1],
                         struct rk_err *err) RK_CHECKED;
/* NULL keeps. RK_NOT_FOUND, RK_EXISTS. */
int rk_scim_group_update(struct rk_scim_change *sc,
                         const char *id,
                         const char *name,
                         const char *external_id,
                         struct rk_err *err) RK_CHECKED;
enum rk_scim_members {
    RK_SCIM_ADD,
    RK_SCIM_REMOVE,
    RK_SCIM_REPLACE,
};
/* Ids that nobody has are passed over, with an entry in the log. The group exists. */
int rk_scim_group_members(struct rk_scim_change *sc,
                          const char *id,
                          enum rk_scim_members how,
                          const struct rk_str *ids,
                          size_t n,
                          struct rk_err *err) RK_CHECKED;
/* The account's group goes too, unless something uses it: then it is left, empty. */
int rk_scim_group_delete(struct rk_scim_change *sc, const char *id, struct rk_err *err) RK_CHECKED;
