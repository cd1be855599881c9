#pragma once

/*
 * A process of the fleet: its agents, and what they are told to do in each step. The conductor
 * speaks to it in notes over a socket; what it has measured is in its tally when it says that a
 * step is done. One thread; it does not return.
 */

#include "tests/bench/fleet/fleet.h"

enum note_kind {
    /* To the player. */
    NOTE_STEP,    /* which; it begins */
    NOTE_CHANGED, /* group, change, when: REST has acknowledged it */
    NOTE_SETTLE,  /* no more changes in this step */
    NOTE_QUIT,
    /* To the conductor. */
    NOTE_READY,
    NOTE_DONE, /* which step */
};

struct note {
    uint32_t kind, which;
    uint64_t change, at_ns;
};

/* Agents `first` to before `end`, who connect to `management`. */
void player_run(const struct plan *plan,
                const char *management,
                struct tally *tally,
                uint32_t first,
                uint32_t end,
                int fd) __attribute__((noreturn));
