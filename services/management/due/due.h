#pragma once

/*
 * Due: has a worker act on deadlines (libcommon/account/peer/due.h) when they come. This replica
 * sleeps until the nearest one it knows of; it looks again soon after any change it hears of, since
 * that may have brought a nearer one, and every DUE_LOOK_MS at the latest, because a message may be
 * lost. Every replica does it all; who claims a row first acts. Loop thread.
 */

#include <stdint.h>

struct app;
struct due;

#define DUE_LOOK_MS 1000 /* with what acting takes: no deadline is met more than 2 s late */

struct due *due_new(struct app *app); /* begins once the schema is there */
void due_close(struct due *d);        /* frees on a later turn */
/* Something was changed, by us or by others. */
void due_heard(struct due *d);

/* How long to sleep after a look that said `next_ms` (-1: nothing to come). Pure. */
uint64_t due_sleep(int64_t next_ms);
