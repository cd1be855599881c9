#pragma once

/*
 * Snapshots of accounts, for the few questions that need the maps themselves (what a peer holds,
 * who reaches whom). Kept between requests, so that asking again costs only what has changed since.
 * Bounded: the accounts asked for last, and of those no more than a number of peers in all.
 * Any thread.
 */

#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/base/arena.h"
#include "libcommon/pg/pg.h"
#include "proto/management.pb-c.h"

struct pictures;

struct pictures *pictures_new(const char *default_domain); /* borrowed */
void pictures_free(struct pictures *p);

/* The account as it is now, in *out (unref it). Blocks on `pg`. RK_NOT_FOUND: no such account. */
int picture_get(struct pictures *p,
                struct rk_pg *pg,
                const char *account_id,
                struct rk_snapshot **out,
                struct rk_err *err) RK_CHECKED;

/* The map that the peer at `index` holds now, read back; lives in the arena. RK_INTERNAL: too large
 * to be read there. */
int picture_map(const struct rk_snapshot *s,
                size_t index,
                struct rk_arena *arena,
                const Management__SyncResponse **out,
                struct rk_err *err) RK_CHECKED;
