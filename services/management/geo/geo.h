#pragma once

/* Geo: keeps the geo database (libcommon/geo) what the operator's file is. Loop thread, but for
 * geo_refresh. */

struct app;
struct geo;

#define GEO_LOOK_MS 2000

struct geo *geo_new(struct app *app); /* NULL where no database is set */
void geo_close(struct geo *g);        /* NULL is fine; frees on a later turn */
/* Worker thread, one call at a time: looks at the file, and logs what came of it. */
void geo_refresh(struct app *app);
