#pragma once

/* What the pages of the second step have in common. Worker thread. */

#include "services/dashboard-api/login/step.h"
#include "services/dashboard-api/page/form.h"
#include "services/dashboard-api/page/page.h"

/* The step of the query. 1: there is none, and a page says so. */
int second_find(struct call *c, struct step *s, struct rk_err *err) RK_CHECKED;
/* One failure more. 1: it was the last, and a page says so. */
int second_failed(struct call *c, struct step *s, struct rk_err *err) RK_CHECKED;
/* Whether this user may try a code or passkey now; counts it. 1: no, and a page says so. */
int second_try(struct call *c, struct step *s, struct rk_err *err) RK_CHECKED;
/* It was right: signed in. */
int second_right(struct call *c, struct step *s, struct rk_err *err) RK_CHECKED;

/* Whether passkeys work where people reach us: by https, or at localhost. */
bool second_passkeys_work(struct call *c);
