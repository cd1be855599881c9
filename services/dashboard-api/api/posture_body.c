/* See posture_body.h. */

#include "services/dashboard-api/api/posture_body.h"

/* The entry of a list: an object, or null for one without members. */
static const json_t *entry(struct body *b, const json_t *list, size_t i)
{
    const json_t *item = json_array_get(list, i);

    if (!json_is_object(item) && !json_is_null(item))
        b->bad = true;
    return item;
}

static const char *min_of(struct body *b, const json_t *of, const char *name, const char *member)
{
    const json_t *check = body_object(b, of, name);

    return check ? body_str(b, check, member) : NULL;
}

static void decode_os(struct body *b, const json_t *checks, struct rk_posture_input *out)
{
    const json_t *os = body_object(b, checks, "os_version_check");

    out->has_os = os != NULL;
    out->os_min[RK_OS_ANDROID] = min_of(b, os, "android", "min_version");
    out->os_min[RK_OS_DARWIN] = min_of(b, os, "darwin", "min_version");
    out->os_min[RK_OS_IOS] = min_of(b, os, "ios", "min_version");
    out->os_min[RK_OS_LINUX] = min_of(b, os, "linux", "min_kernel_version");
    out->os_min[RK_OS_WINDOWS] = min_of(b, os, "windows", "min_kernel_version");
}

static void decode_geo(struct body *b, const json_t *checks, struct rk_posture_input *out)
{
    const json_t *geo = body_object(b, checks, "geo_location_check");
    const json_t *list = body_array(b, geo, "locations");
    struct rk_posture_place *places = NULL;

    out->has_geo = geo != NULL;
    out->geo_action = body_str(b, geo, "action");
    out->places_n = json_array_size(list);
    if (out->places_n > 0)
        places = rk_arena_alloc(b->arena, out->places_n * sizeof(*places));
    for (size_t i = 0; i < out->places_n; i++) {
        const json_t *item = entry(b, list, i);

        places[i].country = body_str(b, item, "country_code");
        places[i].city = body_str(b, item, "city_name");
    }
    out->places = places;
}

static void decode_processes(struct body *b, const json_t *checks, struct rk_posture_input *out)
{
    const json_t *check = body_object(b, checks, "process_check");
    const json_t *list = body_array(b, check, "processes");
    struct rk_posture_paths *paths = NULL;

    out->has_processes = check != NULL;
    out->processes_n = json_array_size(list);
    if (out->processes_n > 0)
        paths = rk_arena_alloc(b->arena, out->processes_n * sizeof(*paths));
    for (size_t i = 0; i < out->processes_n; i++) {
        const json_t *item = entry(b, list, i);

        paths[i].linux_path = body_str(b, item, "linux_path");
        paths[i].mac_path = body_str(b, item, "mac_path");
        paths[i].windows_path = body_str(b, item, "windows_path");
    }
    out->processes = paths;
}

int posture_body_decode(struct rk_str text,
                        struct rk_arena *arena,
                        struct body *body,
                        struct rk_posture_input *out,
                        struct rk_err *err)
{
    const json_t *checks, *ranges;
    int r = body_parse(text, arena, body, err);

    if (r < 0)
        return r;
    *out = (struct rk_posture_input){
        .name = body_str(body, body->root, "name"),
        .description = body_str(body, body->root, "description"),
    };
    checks = body_object(body, body->root, "checks");
    out->nb_min = min_of(body, checks, "nb_version_check", "min_version");
    decode_os(body, checks, out);
    decode_geo(body, checks, out);
    ranges = body_object(body, checks, "peer_network_range_check");
    out->has_ranges = ranges != NULL;
    out->ranges_action = body_str(body, ranges, "action");
    out->ranges = body_strs(body, ranges, "ranges", &out->ranges_n, NULL);
    decode_processes(body, checks, out);
    return body_check(body, err);
}
