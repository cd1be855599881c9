/* See posture.h. Checks are stored as REST shows them. */

#include "libcommon/account/rules/posture.h"

#include "libcommon/base/json.h"
#include "libcommon/base/prefix.h"

/* A body is far smaller. */
#define MAX_CHECKS ((size_t)8 << 20)

static const struct rk_pg_stmt get_stmt = {
    "posture_get", "SELECT name FROM posture_check WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt by_name_stmt = {
    "posture_by_name", "SELECT 1 FROM posture_check WHERE account_id = $1 AND name = $2 LIMIT 1"
};
static const struct rk_pg_stmt insert_stmt = {
    "posture_insert", "INSERT INTO posture_check (id, public_id, account_id, name, description, "
                      "checks) VALUES ($1, $2, $3, $4, $5, $6::jsonb)"
};
static const struct rk_pg_stmt update_stmt = {
    "posture_update", "UPDATE posture_check SET name = $3, description = $4, checks = $5::jsonb "
                      "WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "posture_delete", "DELETE FROM posture_check WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt linked_stmt = {
    "posture_linked", "SELECT name FROM policy WHERE account_id = $1 AND $2 = ANY "
                      "(source_posture_checks) ORDER BY id LIMIT 1"
};

/* In the order in which they are looked at; the words are those of the wire, spaces and all. */
static const struct {
    enum rk_posture_os os;
    const char *word;          /* of the refusal */
    const char *name, *member; /* of the object */
} systems[] = {
    { RK_OS_ANDROID, "android", "android", "min_version" },
    { RK_OS_IOS, "ios", "ios", "min_version" },
    { RK_OS_DARWIN, " darwin", "darwin", "min_version" },
    { RK_OS_LINUX, " linux kernel", "linux", "min_kernel_version" },
    { RK_OS_WINDOWS, " windows kernel", "windows", "min_kernel_version" },
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '~';
}

/* Dot-separated words of letters, digits, hyphens and tildes, none of them empty. */
static bool words_valid(struct rk_str s)
{
    struct rk_str word;

    while (rk_str_next(&s, '.', &word)) {
        if (word.n == 0)
            return false;
        for (size_t i = 0; i < word.n; i++)
            if (!is_digit(word.p[i]) && !is_letter(word.p[i]))
                return false;
    }
    return true;
}

/* "1.2.3": any number of parts, a v before it, a pre-release and a build after it. */
static bool version_valid(const char *version)
{
    struct rk_str build = rk_str(version), s, number;
    size_t n = 0;
    uint64_t v;

    (void)rk_str_next(&build, '+', &s);
    if (build.p && !words_valid(build))
        return false;
    if (s.n > 0 && s.p[0] == 'v')
        s = rk_strn(s.p + 1, s.n - 1);
    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.'))
        n++;
    number = rk_strn(s.p, n);
    s = rk_strn(s.p + n, s.n - n);
    if (s.n > 0 && (!is_letter(s.p[0]) || !words_valid(s)))
        return false;
    do {
        struct rk_str part;

        if (!rk_str_next(&number, '.', &part) || !rk_str_u64(part, &v) || v > INT64_MAX)
            return false;
    } while (number.p);
    return true;
}

static bool action_known(const char *action)
{
    return strcmp(action, "allow") == 0 || strcmp(action, "deny") == 0;
}

static bool range_parse(struct rk_str text, struct rk_prefix *out)
{
    return memchr(text.p, '/', text.n) && rk_prefix_parse(text, out);
}

static int validate_versions(const struct rk_posture_input *in, struct rk_err *err)
{
    bool any = false;

    if (in->nb_min && in->nb_min[0] == '\0')
        return rk_fail(err, RK_INVALID, "nbversioncheck minimum version shouldn't be empty");
    if (in->nb_min && !version_valid(in->nb_min))
        return rk_fail(err, RK_INVALID, "nbversioncheck version: %s is not valid", in->nb_min);
    if (!in->has_os)
        return 0;
    for (size_t i = 0; i < RK_OS_COUNT; i++)
        any |= in->os_min[i] != NULL;
    if (!any)
        return rk_fail(err, RK_INVALID, "osversioncheck at least one os version check is required");
    for (size_t i = 0; i < RK_COUNT(systems); i++) {
        const char *min = in->os_min[systems[i].os];

        if (min && !version_valid(min))
            return rk_fail(err, RK_INVALID, "osversioncheck %s version: %s is not valid",
                           systems[i].word, min);
    }
    return 0;
}

static bool code_valid(const char *code)
{
    return strlen(code) == 2 && is_letter(code[0]) && is_letter(code[1]) && !strpbrk(code, "-~");
}

static int validate_geo(const struct rk_posture_input *in, struct rk_err *err)
{
    if (in->geo_action[0] == '\0')
        return rk_fail(err, RK_INVALID, "geolocationcheck action shouldn't be empty");
    if (!action_known(in->geo_action))
        return rk_fail(err, RK_INVALID, "geolocationcheck action is not valid");
    if (in->places_n == 0)
        return rk_fail(err, RK_INVALID, "geolocationcheck locations shouldn't be empty");
    for (size_t i = 0; i < in->places_n; i++) {
        if (in->places[i].country[0] == '\0')
            return rk_fail(err, RK_INVALID, "geolocationcheck country code shouldn't be empty");
        if (!code_valid(in->places[i].country))
            return rk_fail(err, RK_INVALID,
                           "geolocationcheck country code must be 2 letters (iso 3166-1 alpha-2 "
                           "format)");
    }
    return 0;
}

static int validate_ranges(const struct rk_posture_input *in, struct rk_err *err)
{
    if (in->ranges_action[0] == '\0')
        return rk_fail(err, RK_INVALID, "action for peer network range check shouldn't be empty");
    if (!action_known(in->ranges_action))
        return rk_fail(err, RK_INVALID, "peernetworkrangecheck action is not valid");
    if (in->ranges_n == 0)
        return rk_fail(err, RK_INVALID, "peernetworkrangecheck network ranges shouldn't be empty");
    return 0;
}

static int validate_processes(const struct rk_posture_input *in, struct rk_err *err)
{
    if (in->processes_n == 0)
        return rk_fail(err, RK_INVALID, "processcheck processes shouldn't be empty");
    for (size_t i = 0; i < in->processes_n; i++) {
        const struct rk_posture_paths *p = &in->processes[i];

        if (p->linux_path[0] == '\0' && p->mac_path[0] == '\0' && p->windows_path[0] == '\0')
            return rk_fail(err, RK_INVALID, "processcheck path shouldn't be empty");
    }
    return 0;
}

int rk_posture_validate(const struct rk_posture_input *in, bool geo, struct rk_err *err)
{
    struct rk_prefix range;
    int r;

    if (in->has_geo && !geo)
        return rk_fail(err, RK_PRECONDITION,
                       "geo location database is not initialized. check the self-hosted geo "
                       "database documentation at https://docs.netbird.io/selfhosted/geo-support");
    for (size_t i = 0; in->has_ranges && i < in->ranges_n; i++)
        if (!range_parse(in->ranges[i], &range))
            return rk_fail(err, RK_INVALID, "invalid network prefix");
    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "posture checks name shouldn't be empty");
    if (!in->nb_min && !in->has_os && !in->has_geo && !in->has_ranges && !in->has_processes)
        return rk_fail(err, RK_INVALID, "posture checks shouldn't be empty");
    r = validate_versions(in, err);
    if (r == 0 && in->has_geo)
        r = validate_geo(in, err);
    if (r == 0 && in->has_ranges)
        r = validate_ranges(in, err);
    if (r == 0 && in->has_processes)
        r = validate_processes(in, err);
    return r;
}

static void write_os(struct rk_json *j, const struct rk_posture_input *in)
{
    rk_json_object(j, "os_version_check");
    for (size_t i = 0; i < RK_COUNT(systems); i++) {
        const char *min = in->os_min[systems[i].os];

        if (!min)
            continue;
        rk_json_object(j, systems[i].name);
        rk_json_cstr(j, systems[i].member, min);
        rk_json_object_end(j);
    }
    rk_json_object_end(j);
}

static void write_geo(struct rk_json *j, const struct rk_posture_input *in)
{
    rk_json_object(j, "geo_location_check");
    rk_json_cstr(j, "action", in->geo_action);
    rk_json_array(j, "locations");
    for (size_t i = 0; i < in->places_n; i++) {
        rk_json_object(j, NULL);
        rk_json_cstr(j, "country_code", in->places[i].country);
        rk_json_cstr(j, "city_name", in->places[i].city);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    rk_json_object_end(j);
}

/* Addresses in their usual form, host bits kept. */
static void write_ranges(struct rk_json *j, const struct rk_posture_input *in)
{
    rk_json_object(j, "peer_network_range_check");
    rk_json_cstr(j, "action", in->ranges_action);
    rk_json_array(j, "ranges");
    for (size_t i = 0; i < in->ranges_n; i++) {
        struct rk_prefix p;
        char text[RK_PREFIX_LEN];

        if (!range_parse(in->ranges[i], &p))
            continue; /* was validated */
        rk_prefix_format(&p, text);
        rk_json_cstr(j, NULL, text);
    }
    rk_json_array_end(j);
    rk_json_object_end(j);
}

static void write_processes(struct rk_json *j, const struct rk_posture_input *in)
{
    rk_json_object(j, "process_check");
    rk_json_array(j, "processes");
    for (size_t i = 0; i < in->processes_n; i++) {
        rk_json_object(j, NULL);
        rk_json_cstr(j, "linux_path", in->processes[i].linux_path);
        rk_json_cstr(j, "mac_path", in->processes[i].mac_path);
        rk_json_cstr(j, "windows_path", in->processes[i].windows_path);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    rk_json_object_end(j);
}

static void write_checks(struct rk_buf *b, const struct rk_posture_input *in)
{
    struct rk_json j;

    rk_json_init(&j, b);
    rk_json_object(&j, NULL);
    if (in->nb_min) {
        rk_json_object(&j, "nb_version_check");
        rk_json_cstr(&j, "min_version", in->nb_min);
        rk_json_object_end(&j);
    }
    if (in->has_os)
        write_os(&j, in);
    if (in->has_geo)
        write_geo(&j, in);
    if (in->has_ranges)
        write_ranges(&j, in);
    if (in->has_processes)
        write_processes(&j, in);
    rk_json_object_end(&j);
}

/* The event of a change of this check, the touch, and the commit. */
static int finish(struct rk_change **ch,
                  const struct rk_actor *actor,
                  const char *code,
                  const char *id,
                  const char *name,
                  struct rk_bell *out_bell,
                  struct rk_err *err)
{
    int r;

    r = rk_actor_tell(*ch, actor, code, id, err, "name", name, NULL);
    if (r < 0)
        return r;
    return rk_actor_finish(ch, actor, RK_OBJ_POSTURE_CHECK, id, out_bell, err);
}

int rk_posture_create(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const struct rk_posture_input *in,
                      bool geo,
                      char out_id[RK_XID_LEN + 1],
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *same = NULL;
    rk_auto(rk_buf_done) struct rk_buf checks = { 0 };
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    rk_buf_init(&checks, MAX_CHECKS);
    r = rk_posture_validate(in, geo, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_POSTURE_CHECK, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &by_name_stmt, &same, err, RK_P_C(actor->account_id), RK_P_C(in->name));
    if (r < 0)
        return r;
    if (rk_pg_rows(same) > 0)
        return rk_fail(err, RK_INVALID, "posture checks with name %s already exists", in->name);
    rk_xid_new(public_id);
    write_checks(&checks, in);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                    RK_P_C(actor->account_id), RK_P_C(in->name), RK_P_C(in->description),
                    RK_P_STR(rk_buf_str(&checks)));
    if (r < 0)
        return r;
    r = finish(&ch, actor, "posture.check.create", id, in->name, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    return 0;
}

int rk_posture_exists(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    return rk_actor_row(pg, actor, &get_stmt, "posture checks", id, &res, err);
}

int rk_posture_update(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      const struct rk_posture_input *in,
                      bool geo,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_buf_done) struct rk_buf checks = { 0 };
    int r;

    rk_buf_init(&checks, MAX_CHECKS);
    r = rk_posture_validate(in, geo, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_POSTURE_CHECK, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_posture_exists(pg, actor, id, err);
    if (r < 0)
        return r;
    write_checks(&checks, in);
    r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                    RK_P_C(in->name), RK_P_C(in->description), RK_P_STR(rk_buf_str(&checks)));
    if (r < 0)
        return r;
    return finish(&ch, actor, "posture.check.update", id, in->name, out_bell, err);
}

int rk_posture_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_bell *out_bell,
                      struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *linked = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_POSTURE_CHECK, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "posture checks", id, &row, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &linked_stmt, &linked, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    if (rk_pg_rows(linked) > 0)
        return rk_fail(err, RK_PRECONDITION, "posture checks have been linked to policy: %s",
                       rk_pg_str(linked, 0, 0).p);
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    return finish(&ch, actor, "posture.check.delete", id, rk_pg_str(row, 0, 0).p, out_bell, err);
}
