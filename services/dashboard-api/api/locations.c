/* /api/locations: what the geo database knows, for those who choose from it */

#include "libcommon/geo/geo.h"
#include "services/dashboard-api/api/api.h"

#define NO_DATABASE "geo location database is not initialized"

int country_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_geo_lists_unref) struct rk_geo_lists *lists = rk_geo_lists_ref(c->geo);
    const struct rk_geo_country *countries;
    size_t n;

    if (!lists)
        return rk_fail(err, RK_PRECONDITION, NO_DATABASE);
    countries = rk_geo_countries(lists, &n);
    rk_json_array(&c->json, NULL);
    for (size_t i = 0; i < n; i++) {
        rk_json_object(&c->json, NULL);
        rk_json_cstr(&c->json, "country_code", countries[i].code);
        rk_json_cstr(&c->json, "country_name", countries[i].name);
        rk_json_object_end(&c->json);
    }
    rk_json_array_end(&c->json);
    return 0;
}

static bool is_letter(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

int city_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_geo_lists_unref) struct rk_geo_lists *lists = NULL;
    const struct rk_geo_country *country;
    struct rk_str code = rk_str(c->var[0]);

    if (code.n != RK_GEO_CODE_LEN || !is_letter(code.p[0]) || !is_letter(code.p[1]))
        return rk_fail(err, RK_INVALID, "invalid country code");
    lists = rk_geo_lists_ref(c->geo);
    if (!lists)
        return rk_fail(err, RK_PRECONDITION,
                       NO_DATABASE ". check the self-hosted geo database documentation at "
                                   "https://docs.netbird.io/selfhosted/geo-support");
    country = rk_geo_country_find(lists, code);
    rk_json_array(&c->json, NULL);
    for (size_t i = 0; country && i < country->cities_n; i++) {
        rk_json_object(&c->json, NULL);
        rk_json_uint(&c->json, "geoname_id", country->cities[i].geoname_id);
        rk_json_cstr(&c->json, "city_name", country->cities[i].name);
        rk_json_object_end(&c->json);
    }
    rk_json_array_end(&c->json);
    return 0;
}
