/* Rounds of maps, begun by a timer and ended when all streams that take a map have theirs. */

#include "services/management/fanout/round.h"

#include "libcommon/base/clock.h"
#include "services/management/app.h"
#include "services/management/fanout/makers.h"
#include "services/management/fanout/order.h"
#include "services/management/fanout/session.h"
#include "services/management/metrics.h"

#define TURN_MS 5
/* As many are made in place: for so few, waking a thread and being woken costs more than it gains.
 */
#define IN_PLACE 8

void round_arm(struct hub *h)
{
    if (h->fan_armed || rk_list_empty(&h->pending))
        return;
    h->fan_armed = true;
    h->round_late_us = -1;
    rk_timer_start(&h->fan, pace_wait(&h->pace, rk_mono_ms()), 0);
}

/* A stream that still has bytes of the last map stays pending; on_writable brings it back. So does
 * one whose map is being made. */
static bool takes_a_map(const struct session *s)
{
    return s->call && !s->order && rk_grpc_queued(s->call) == 0;
}

static bool few(struct hub *h)
{
    struct rk_list *n, *tmp;
    size_t count = 0;

    rk_list_each(&h->pending, n, tmp)
    {
        count += takes_a_map(rk_list_entry(n, struct session, by_pending));
        if (count > IN_PLACE)
            return false;
    }
    return true;
}

size_t round_take(struct hub *h, struct session **out, size_t max)
{
    struct rk_list *n, *tmp;
    size_t count = 0;

    rk_list_each(&h->pending, n, tmp)
    {
        struct session *s = rk_list_entry(n, struct session, by_pending);

        if (count == max)
            break;
        if (!takes_a_map(s))
            continue;
        rk_list_remove(n);
        out[count++] = s;
    }
    return count;
}

/* `since_us`: when the oldest change of this map was committed. */
static void written(struct hub *h, int64_t since_us)
{
    int64_t late = since_us == RK_TIME_UNSET ? -1 : rk_wall_us() - since_us;

    if (late > h->round_late_us)
        h->round_late_us = late;
}

void round_settle(struct hub *h, struct order *o)
{
    if (session_settle(h->app, o))
        written(h, o->owed_since_us);
}

void round_over(struct hub *h)
{
    uint64_t now = rk_mono_ms();

    pace_done(&h->pace, now, now - h->round_started_ms);
    h->fan_armed = false;
    if (h->round_late_us >= 0)
        rk_metric_observe(&metrics[METRIC_PROPAGATION], (double)h->round_late_us / 1e6);
}

void round_on_timer(struct rk_timer *t)
{
    struct hub *h = rk_container_of(t, struct hub, fan);
    bool in_place = few(h);
    struct session *s;

    h->round_started_ms = rk_mono_ms();
    while (in_place) {
        int64_t since_us;

        if (round_take(h, &s, 1) == 0) {
            round_over(h);
            return;
        }
        since_us = s->owes_since_us;
        if (session_push(h->app, s))
            written(h, since_us);
        in_place = rk_mono_ms() - h->round_started_ms < TURN_MS;
    }
    makers_join(h->app->makers, h);
}
