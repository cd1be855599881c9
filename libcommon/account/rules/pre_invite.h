#pragma once

/*
 * People who are users before they have ever signed in: the provider is not ours, so nobody can
 * make them there, but who comes with their e-mail gets the role and the groups that wait for it.
 * Until then the user has an id of ours in place of a subject. Worker threads.
 */

#include <stdbool.h>

#include "libcommon/account/rules/actor.h"

/*
 * Inside the change that would make the user, whose row is not there yet. With a verified e-mail
 * that the account has invited, the invited user becomes this one: *out_adopted is true, events are
 * told, and the caller makes no user of its own. Else nothing has happened. Only the account that
 * the person would have joined anyway is looked at: no account gets hold of somebody by inviting.
 */
int rk_pre_invite_adopt(struct rk_change *ch,
                        const char *user_id,
                        const char *email,
                        bool email_verified,
                        bool *out_adopted,
                        struct rk_err *err) RK_CHECKED;

/* Tells in the trail that the user was invited once more; mails go out through nobody.
 * RK_NOT_FOUND; RK_PRECONDITION for somebody who has signed in. */
int rk_pre_invite_again(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        struct rk_err *err) RK_CHECKED;
