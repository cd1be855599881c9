#pragma once

/* The identity provider as this service sees it: who verifies its tokens, and what agents are told
 * of it. Loop thread. */

struct app;

/* Makes app.verifier, which stays NULL where nobody signs in, and app.sign_in. */
void provider_open(struct app *app);
/* Makes app.keeper, which fetches keys; before the first call, when Postgres has the schema. */
void provider_start(struct app *app);
/* Every second: what agents' SSH servers check tokens with may be known by now, or be another; then
 * every stream is owed a map. */
void provider_tick(struct app *app);
/* The calls have ended; those that waited for keys go on the next turn, which must come before
 * provider_close. */
void provider_stop(struct app *app);
void provider_close(struct app *app);
