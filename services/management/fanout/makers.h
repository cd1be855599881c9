#pragma once

/*
 * Makers: threads that make the maps of a change that concerns many, in batches. A session's order
 * leaves the loop only when a maker is about to have time for it, so that until then it stands for
 * the newest map; what comes back is a finished frame, which the loop has only to queue. Hubs take
 * turns.
 *
 * Bounds: at most MAKERS_BATCHES batches a thread are under way, counted until the loop has taken
 * what was made; a batch ends with the frame that makes it `batch_bytes` or more, and gives the
 * rest of its orders back. So finished frames that no stream has yet are at most that many times
 * `batch_bytes` and one more map; when the loop is slow to take them, makers wait. A stream then
 * has one map at most (session.h). Loop thread, except where a batch is with a maker.
 */

#include <stddef.h>

#define MAKERS_BATCHES 3
#define MAKERS_BATCH_BYTES (1024u * 1024)

struct app;
struct hub;
struct makers;

/* 0 threads: one a core, 4 at most. */
struct makers *makers_new(struct app *app, unsigned threads, size_t batch_bytes);
/* Every pending session of the hub gets its map, as far as its stream takes one; then the hub's
 * round is over (round_over). */
void makers_join(struct makers *m, struct hub *h);
/* The hub goes away: what is under way for it is for nobody. */
void makers_forget(struct hub *h);
size_t makers_under_way(const struct makers *m); /* batches */
/* Joins the threads. What they were at comes back on the loop's next turn; nothing new begins. */
void makers_stop(struct makers *m);
void makers_close(struct makers *m); /* after that turn */
