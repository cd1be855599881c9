#pragma once

/* For zone.c and zone_records.c. */

#include "libcommon/account/rules/zone.h"

/* Name and domain of a zone, in columns 0 and 1. RK_NOT_FOUND. Free *out. */
int zone_row(struct rk_pg *pg,
             const struct rk_actor *actor,
             const char *id,
             struct rk_pg_result **out,
             struct rk_err *err) RK_CHECKED;
/* The zone is what maps hold; its records go with it. */
int zone_finish(struct rk_change **ch,
                const struct rk_actor *actor,
                const char *zone_id,
                struct rk_bell *out_bell,
                struct rk_err *err) RK_CHECKED;
/* The event of one record. */
int zone_record_event(struct rk_change *ch,
                      const struct rk_actor *actor,
                      const char *code,
                      const char *id,
                      const struct rk_record_input *in,
                      const char *zone_id,
                      const char *zone_name,
                      struct rk_err *err) RK_CHECKED;
