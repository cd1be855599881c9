#pragma once

/*
 * Edges: the relays and STUN servers that agents may be told of, as they have registered
 * (libcommon/edge), in memory.
 *
 * They are read anew when the doorbell rings, and when a lease runs out: most then turn out to have
 * been renewed. A read that fails changes nothing; and when nobody at all has renewed, it was the
 * database, or we, that was away, so nobody is taken for lost until all have had time to renew
 * again. When the lists change every session is looked at, some each turn, and whose list is
 * another one now is told. Loop thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/store/edges.h"
#include "services/management/edges/choice.h"

struct app;
struct edges;
struct session;

struct edges *edges_new(struct app *app);
void edges_start(struct edges *e); /* the schema is there */
/* RK_EDGE_DOORBELL, or it was silent for a while. */
void edges_heard(struct edges *e);
/* This agent's; how many in *out, whose strings hold until the next turn. */
size_t edges_choose(const struct edges *e,
                    enum rk_edge_kind kind,
                    struct rk_position place,
                    uint64_t who,
                    const struct edge *out[CHOICE_MAX]);
/* It has registered, whatever became of it: then it is not for a configured list to name it. */
bool edges_knows(const struct edges *e, struct rk_str url);
/* The session has been told its lists as they are now; it leaves by rk_list_remove. */
void edges_told(struct edges *e, struct session *s);
void edges_close(struct edges *e); /* frees on a later turn */

/* --- for tests --- */

/* How long until the next lease runs out, ms. */
uint64_t edges_sleep(const struct rk_edge_rows *rows);
/* Nobody has renewed for longer than anybody takes. */
bool edges_silent(const struct rk_edge_rows *rows);
/* `held`: nobody is lost now who was not before; `was_out`: it was. */
enum edge_state edges_state(const struct rk_edge_row *row, bool held, bool was_out);
