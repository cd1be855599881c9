#include "libcommon/account/model/posture.h"

/* One function a sub-check. */

#include <arpa/inet.h>
#include <string.h>

#include "libcommon/account/model/version_bound.h"
#include "libcommon/base/prefix.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool nb_version(const struct rk_posture_row *c, const struct rk_peer_row *p)
{
    return rk_version_meets(rk_version_cut(rk_str(p->version)), rk_version_cut(rk_str(c->nb_min)));
}

static bool os_version(const struct rk_posture_row *c, const struct rk_peer_row *p)
{
    static const char *const names[RK_OS_COUNT] = {
        [RK_OS_ANDROID] = "android", [RK_OS_DARWIN] = "darwin",   [RK_OS_IOS] = "ios",
        [RK_OS_LINUX] = "linux",     [RK_OS_WINDOWS] = "windows",
    };
    struct rk_str version = rk_str(p->os_version);
    size_t os = 0;

    while (os < RK_OS_COUNT && !same(names[os], p->goos))
        os++;
    if (os == RK_OS_COUNT) /* a system that a check cannot name */
        return true;
    if (!c->os_min[os])
        return false;
    if (os == RK_OS_LINUX) /* "6.1.0-18-amd64" */
        version = rk_version_cut(rk_str(p->kernel_version));
    if (os == RK_OS_WINDOWS)
        version = rk_str(p->kernel_version);
    return rk_version_meets(version, rk_str(c->os_min[os]));
}

static bool geo(const struct rk_posture_row *c, const struct rk_peer_row *p)
{
    if (rk_str(p->country_code).n == 0 && rk_str(p->city_name).n == 0)
        return false;
    for (size_t i = 0; i < c->locations_n; i++) {
        const struct rk_geo_location *at = &c->locations[i];

        if (same(at->country, p->country_code) &&
            (rk_str(at->city).n == 0 || same(at->city, p->city_name)))
            return c->geo_allow;
    }
    return !c->geo_allow;
}

static bool in_ranges(const struct rk_posture_row *c, const struct rk_prefix *prefix, bool *any)
{
    *any = true;
    for (size_t i = 0; i < c->ranges_n; i++)
        if (rk_prefix_contains(&c->ranges[i], prefix))
            return true;
    return false;
}

/* ::ffff:192.0.2.1 is 192.0.2.1. */
static void unmap(struct rk_prefix *p)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (p->family != AF_INET6 || p->bits != 128 || memcmp(p->addr, mapped, sizeof(mapped)) != 0)
        return;
    memmove(p->addr, p->addr + sizeof(mapped), 4);
    memset(p->addr + 4, 0, sizeof(p->addr) - 4);
    p->family = AF_INET;
    p->bits = 32;
}

static bool network_range(const struct rk_posture_row *c, const struct rk_peer_row *p)
{
    struct rk_prefix prefix;
    bool any = false;

    for (size_t i = 0; i < p->networks.n; i++)
        if (rk_prefix_parse(rk_str(p->networks.v[i]), &prefix) && in_ranges(c, &prefix, &any))
            return c->ranges_allow;
    if (rk_prefix_parse(rk_str(p->location_ip), &prefix)) {
        unmap(&prefix);
        if (in_ranges(c, &prefix, &any))
            return c->ranges_allow;
    }
    return any && !c->ranges_allow;
}

static bool runs(const struct rk_peer_row *p, const char *path)
{
    if (rk_str(path).n == 0)
        return false;
    for (size_t i = 0; i < p->processes.n; i++)
        if (same(p->processes.v[i], path))
            return true;
    return false;
}

static bool process(const struct rk_posture_row *c, const struct rk_peer_row *p)
{
    bool linux_os = same(p->goos, "linux"), mac = same(p->goos, "darwin");

    if (!linux_os && !mac && !same(p->goos, "windows"))
        return false;
    for (size_t i = 0; i < c->processes_n; i++) {
        const struct rk_posture_process *x = &c->processes[i];

        if (!runs(p, linux_os ? x->linux_path : mac ? x->mac_path : x->windows_path))
            return false;
    }
    return true;
}

enum rk_posture_part rk_posture_failing(const struct rk_posture_row *check,
                                        const struct rk_peer_row *peer)
{
    if (check->has_nb_version && !nb_version(check, peer))
        return RK_POSTURE_NB_VERSION;
    if (check->has_os_version && !os_version(check, peer))
        return RK_POSTURE_OS_VERSION;
    if (check->has_geo && !geo(check, peer))
        return RK_POSTURE_GEO;
    if (check->has_ranges && !network_range(check, peer))
        return RK_POSTURE_NETWORK_RANGE;
    if (check->has_processes && !process(check, peer))
        return RK_POSTURE_PROCESS;
    return RK_POSTURE_PASSES;
}

static bool same_list(const struct rk_strings *a, const struct rk_strings *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same(a->v[i], b->v[i]))
            return false;
    return true;
}

bool rk_posture_same_peer(const struct rk_peer_row *a, const struct rk_peer_row *b)
{
    return same(a->version, b->version) && same(a->goos, b->goos) &&
           same(a->os_version, b->os_version) && same(a->kernel_version, b->kernel_version) &&
           same(a->location_ip, b->location_ip) && same(a->country_code, b->country_code) &&
           same(a->city_name, b->city_name) && same_list(&a->networks, &b->networks) &&
           same_list(&a->processes, &b->processes);
}
