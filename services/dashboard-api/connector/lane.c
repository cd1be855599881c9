/* See lane.h. */

#include "services/dashboard-api/connector/lane.h"

#include <pthread.h>
#include <time.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/cond.h"
#include "libcommon/base/map.h"

#define MAX_IDLE 1024 /* lanes remembered because they failed */

struct lane {
    char *name;
    unsigned inside, waiting;
    bool failed;      /* the last one to leave had no answer */
    uint64_t full_ms; /* since when there has been no place */
};

struct lanes {
    pthread_mutex_t lock;
    pthread_cond_t left;
    struct rk_map *by_name;
    unsigned places, benches; /* of a lane: inside and waiting at most */
    uint64_t patience_ms;
};

struct lanes *lanes_new(unsigned threads, uint64_t patience_ms)
{
    struct lanes *l = rk_new(struct lanes);

    pthread_mutex_init(&l->lock, NULL);
    rk_cond_init(&l->left);
    l->by_name = rk_map_new();
    l->places = threads > 1 ? threads / 2 : 1;
    l->benches = threads > 4 ? threads / 4 : 1;
    l->patience_ms = patience_ms;
    return l;
}

static void free_lane(struct lane *lane)
{
    rk_free(lane->name);
    rk_free(lane);
}

void lanes_free(struct lanes *l)
{
    size_t it = 0;
    void *lane;

    if (!l)
        return;
    while (rk_map_each(l->by_name, &it, &lane))
        free_lane(lane);
    rk_map_free(l->by_name);
    pthread_cond_destroy(&l->left);
    pthread_mutex_destroy(&l->lock);
    rk_free(l);
}

static bool idle(const struct lane *lane)
{
    return lane->inside == 0 && lane->waiting == 0;
}

/* Makes room for one more; whichever idle one it meets is forgotten. */
static void forget_one(struct lanes *l)
{
    size_t it = 0;
    void *v;

    if (rk_map_count(l->by_name) < MAX_IDLE)
        return;
    while (rk_map_each(l->by_name, &it, &v)) {
        struct lane *lane = v;

        if (idle(lane)) {
            (void)rk_map_del(l->by_name, rk_str(lane->name));
            free_lane(lane);
            return;
        }
    }
}

static struct lane *find(struct lanes *l, const char *name)
{
    struct lane *lane = rk_map_get(l->by_name, rk_str(name));

    if (!lane) {
        forget_one(l);
        lane = rk_new(struct lane);
        lane->name = rk_strdup(name);
        (void)rk_map_put(l->by_name, rk_str(lane->name), lane);
    }
    return lane;
}

static unsigned places(const struct lanes *l, const struct lane *lane)
{
    return lane->failed ? 1 : l->places;
}

static void wait_until(struct lanes *l, uint64_t until_ms)
{
    struct timespec ts = { .tv_sec = (time_t)(until_ms / 1000),
                           .tv_nsec = (long)(until_ms % 1000) * 1000000 };

    (void)pthread_cond_timedwait(&l->left, &l->lock, &ts);
}

/* Whether a place comes free in time. */
static bool wait_for_place(struct lanes *l, struct lane *lane)
{
    uint64_t end = rk_mono_ms() + l->patience_ms;

    if (lane->failed || lane->waiting >= l->benches)
        return false;
    lane->waiting++;
    while (lane->inside >= places(l, lane)) {
        uint64_t until =
            lane->full_ms + l->patience_ms < end ? lane->full_ms + l->patience_ms : end;

        if (lane->failed || rk_mono_ms() >= until)
            break;
        wait_until(l, until);
    }
    lane->waiting--;
    return lane->inside < places(l, lane);
}

static void drop_if_dull(struct lanes *l, struct lane *lane)
{
    if (!idle(lane) || lane->failed)
        return;
    (void)rk_map_del(l->by_name, rk_str(lane->name));
    free_lane(lane);
}

int lane_enter(struct lanes *l, const char *name, struct lane **out, struct rk_err *err)
{
    struct lane *lane;
    bool in;

    pthread_mutex_lock(&l->lock);
    lane = find(l, name);
    in = lane->inside < places(l, lane) || wait_for_place(l, lane);
    if (in && ++lane->inside >= places(l, lane))
        lane->full_ms = rk_mono_ms();
    if (!in)
        drop_if_dull(l, lane);
    pthread_mutex_unlock(&l->lock);
    if (!in)
        return rk_fail(err, RK_UNAVAILABLE, "it is slow, and enough others wait for it");
    *out = lane;
    return 0;
}

void lane_leave(struct lanes *l, struct lane *lane, bool answered)
{
    pthread_mutex_lock(&l->lock);
    lane->inside--;
    lane->failed = !answered;
    drop_if_dull(l, lane);
    pthread_cond_broadcast(&l->left);
    pthread_mutex_unlock(&l->lock);
}
