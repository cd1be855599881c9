/* Who may have a stream. */

#include "services/management/hub/access.h"

#include <stdio.h>

#include "libcommon/base/clock.h"
#include "libcommon/grpc/status.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/fanout/session.h"
#include "services/management/hub/hub.h"
#include "services/management/jobs/jobs.h"

int access_check(const struct rk_snapshot *s,
                 size_t index,
                 int64_t now_us,
                 char out_text[ACCESS_TEXT_MAX])
{
    const struct rk_peer_row *p = rk_snapshot_peer(s, index);
    const struct rk_user_row *owner = *p->user_id ? rk_snapshot_user(s, p->user_id) : NULL;

    if (owner && owner->blocked) {
        snprintf(out_text, ACCESS_TEXT_MAX, "user is blocked");
        return RK_GRPC_PERMISSION_DENIED;
    }
    if (*p->user_id && !owner) {
        snprintf(out_text, ACCESS_TEXT_MAX, "user: %s not found", p->user_id);
        return RK_GRPC_NOT_FOUND;
    }
    if (rk_snapshot_login_expired(s, index, now_us)) {
        snprintf(out_text, ACCESS_TEXT_MAX, "peer login has expired, please log in once more");
        return RK_GRPC_PERMISSION_DENIED;
    }
    return RK_GRPC_OK;
}

static void enforce(struct hub *h, struct session *s)
{
    struct rk_logctx ctx = { .peer = s->key_b64, .account = h->id };
    char text[ACCESS_TEXT_MAX];

    if (access_check(h->snap, s->index, rk_wall_us(), text) == RK_GRPC_OK)
        return;
    rk_info(&ctx, "stream ends: %s", text);
    hub_detach(h, s);
    session_end(h->app, s, RK_GRPC_OK, NULL);
}

void access_enforce(struct hub *h, const struct rk_delta *d)
{
    char text[ACCESS_TEXT_MAX];
    struct rk_list *n, *tmp;
    bool all = d->full;

    /* Peers one by one; an account or a user may mean any of them. */
    for (size_t i = 0; i < d->n && !d->full; i++) {
        const struct rk_delta_item *it = &d->items[i];
        size_t index;

        all = all || it->kind == RK_OBJ_USER || it->kind == RK_OBJ_ACCOUNT;
        if (it->kind != RK_OBJ_PEER)
            continue;
        index = rk_snapshot_find_id(h->snap, rk_str(it->id));
        if (index == RK_NO_PEER || access_check(h->snap, index, rk_wall_us(), text) != RK_GRPC_OK)
            jobs_end(h->app, it->id);
        if (index != RK_NO_PEER && index < h->by_index_n && h->by_index[index])
            enforce(h, h->by_index[index]);
    }
    if (!all)
        return;
    rk_list_each(&h->sessions, n, tmp) enforce(h, rk_list_entry(n, struct session, by_hub));
}
