#pragma once

/*
 * Presence: who is connected, written to Postgres in batches, and told to the other replicas so
 * that the newest stream of a peer wins everywhere. A row waits at most 200 ms; while Postgres is
 * away the newest state of each peer is kept and written when it is back. Loop thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

struct app;
struct session;
struct presence;

struct presence *presence_new(struct app *app);
/* What waits is lost (drain until presence_idle first); frees on a later turn. */
void presence_close(struct presence *p);

void presence_connected(struct app *app, struct session *s);
void presence_disconnected(struct app *app, struct session *s);
/* Writes "connected" once more for every stream here. */
void presence_repeat(struct app *app);
/* Nothing waits and nothing is being written. */
bool presence_idle(const struct presence *p);

#define PRESENCE_CHANNEL "rk:peer"
/* Another replica says that a peer connected there: "<key> <account id> <token> <instance>". */
void presence_heard(struct app *app, struct rk_str payload);
