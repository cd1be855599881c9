#pragma once

/* A password that somebody chooses, typed twice: setup, invitation, change. Worker thread. */

#include "services/dashboard-api/page/form.h"
#include "services/dashboard-api/page/page.h"

struct chosen {
    const char *password;
    enum text wrong;       /* TEXT_NONE when it is good */
    enum text wrong_again; /* of the repetition */
};
/* Fields password and password_again. */
struct chosen chosen_take(const struct form *f);
/* Of the form with these fields, and a word of why it is shown again: `wrong`, or no place to hash.
 */
void chosen_status(struct sheet *s, bool wrong);
bool chosen_good(const struct chosen *p);
/* For password managers: whose password it is. */
void chosen_whose(struct sheet *s, const char *email);
void chosen_fields(struct sheet *s, const struct chosen *p, bool focus);
