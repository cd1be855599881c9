/* See location.h. */

#include "services/management/rpc/location.h"

#include <math.h>
#include <string.h>

void location_find(struct request *q)
{
    q->place_known = rk_geo_lookup(q->app->geo, q->remote_ip, &q->place);
}

struct config_reader location_reader(const struct request *q)
{
    struct config_reader to = { 0 };

    if (q->place.located)
        to.place =
            (struct rk_position){ .known = true,
                                  .latitude_e4 = (int32_t)lround(q->place.latitude * 1e4),
                                  .longitude_e4 = (int32_t)lround(q->place.longitude * 1e4) };
    memcpy(&to.who, q->env.key, sizeof(to.who));
    return to;
}

bool location_differs(const struct request *q, const struct rk_peer_row *p)
{
    if (!*q->remote_ip)
        return false;
    if (strcmp(q->remote_ip, p->location_ip) != 0)
        return true;
    return q->place_known && (strcmp(q->place.country, p->country_code) != 0 ||
                              strcmp(q->place.city, p->city_name) != 0);
}

void location_store(struct request *q, struct worker *w)
{
    const struct rk_peer_location at = { .ip = q->remote_ip,
                                         .country_code = q->place.country,
                                         .city_name = q->place.city,
                                         .geoname_id = q->place.geoname_id };
    struct rk_bell bell = { .serial = 0 };

    q->r = rk_peer_update_location(w->pg, q->account_id, q->peer_id, &at, &bell, &q->err);
    if (q->r == 0 && (bell.serial > 0 || !*q->bell.account_id))
        q->bell = bell;
}
