#pragma once

/*
 * How posture checks change. Each call is one transaction on a worker thread. Errors carry the text
 * that goes on the wire.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/account/model/objects.h"

/* As sent; borrowed. Texts are never NULL where no other meaning is given. */
struct rk_posture_place {
    const char *country, *city; /* city "" = anywhere in the country */
};
struct rk_posture_paths {
    const char *linux_path, *mac_path, *windows_path;
};
struct rk_posture_input {
    const char *name;
    const char *description;
    const char *nb_min; /* NULL: no such check */
    bool has_os;
    const char *os_min[RK_OS_COUNT]; /* NULL: the system is not named */
    bool has_geo;
    const char *geo_action;
    const struct rk_posture_place *places;
    size_t places_n;
    bool has_ranges;
    const char *ranges_action;
    const struct rk_str *ranges;
    size_t ranges_n;
    bool has_processes;
    const struct rk_posture_paths *processes;
    size_t processes_n;
};

/* The checks of a body that need no database of ours, in their order. `geo`: a geo database is
 * loaded; a geo check without one is RK_PRECONDITION. Else RK_INVALID. Any thread. */
int rk_posture_validate(const struct rk_posture_input *in, bool geo, struct rk_err *err) RK_CHECKED;

/* RK_INVALID for a taken name. */
int rk_posture_create(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const struct rk_posture_input *in,
                      bool geo,
                      char out_id[RK_XID_LEN + 1],
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND: what an update answers before it looks at its body. */
int rk_posture_exists(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_err *err) RK_CHECKED;
int rk_posture_update(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      const struct rk_posture_input *in,
                      bool geo,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
/* RK_PRECONDITION while a policy asks for it. */
int rk_posture_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
