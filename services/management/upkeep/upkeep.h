#pragma once

/*
 * Upkeep: what some replica has to do every few seconds, whoever is alive. This replica's beat;
 * putting right what dead replicas left behind; deleting changes that nobody will read again;
 * giving back the memory of a rush. Every replica does all of it: each step is harmless when
 * another does it too. Loop thread.
 */

#include <stdbool.h>
#include <stdint.h>

struct app;
struct upkeep;

#define UPKEEP_BEAT_MS 5000
#define UPKEEP_LEASE_S 20           /* without a beat for so long a replica is dead */
#define UPKEEP_PRUNE_MS 60000       /* how often old changes are looked for */
#define UPKEEP_KEEP_CHANGES_S 3600  /* a snapshot older than this is loaded anew */
#define UPKEEP_KEEP_HEAP (8u << 20) /* what a rush of maps has freed beyond this goes back */

struct upkeep *upkeep_new(struct app *app); /* the start-up job has beaten for the first time */
void upkeep_close(struct upkeep *u);        /* frees on a later turn */

/* Whether this beat may sweep: after a silence of our own (Postgres was away, or we slept) the
 * others may not have beaten again yet, so they get a lease's time first. Pure. */
bool upkeep_may_sweep(bool lived, uint64_t now_ms, uint64_t *sweep_after_ms);
