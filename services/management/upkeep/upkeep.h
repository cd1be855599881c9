#pragma once

/*
 * Upkeep: what some replica has to do every few seconds, whoever is alive. This replica's beat;
 * putting right what dead replicas left behind; deleting changes that nobody will read again;
 * giving back the memory of a rush. Every replica does all of it: each step is harmless when
 * another does it too. Loop thread.
 */

struct app;
struct upkeep;

#define UPKEEP_BEAT_MS 5000
#define UPKEEP_LEASE_S 20           /* without a beat for so long a replica is dead */
#define UPKEEP_PRUNE_MS 60000       /* how often old changes are looked for */
#define UPKEEP_KEEP_HEAP (8u << 20) /* what a rush of maps has freed beyond this goes back */

struct upkeep *upkeep_new(struct app *app);
/* The start-up job has beaten for the first time; what others left behind waits no longer. */
void upkeep_start(struct upkeep *u);
void upkeep_close(struct upkeep *u); /* frees on a later turn */
