#include "libcommon/account/snapshot/users.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/crypto/hash.h"

struct membership {
    const char *group;
    uint32_t user;
};

static int by_group(const void *a, const void *b)
{
    const struct membership *x = a, *y = b;
    int c = strcmp(x->group, y->group);

    return c != 0 ? c : (x->user > y->user) - (x->user < y->user);
}

/* One slice a group of the memberships sorted by group; a user named twice counts once. */
static void make_groups(struct snap_users *u, const struct membership *m, size_t n)
{
    u->groups = rk_new_array(struct snap_usergroup, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct snap_usergroup *g = u->groups_n > 0 ? &u->groups[u->groups_n - 1] : NULL;

        if (!g || strcmp(g->id, m[i].group) != 0) {
            size_t end = i;

            while (end < n && strcmp(m[end].group, m[i].group) == 0)
                end++;
            g = &u->groups[u->groups_n++];
            (void)rk_str_copy(rk_str(m[i].group), g->id, sizeof(g->id));
            g->users = rk_new_array(uint32_t, end - i);
        }
        if (g->n == 0 || g->users[g->n - 1] != m[i].user)
            g->users[g->n++] = m[i].user;
    }
}

static void find_groups(struct snap_users *u)
{
    struct membership *m;
    size_t n = 0;

    for (size_t i = 0; i < u->n; i++)
        n += u->v[i].row->auto_groups.n;
    m = rk_new_array(struct membership, n + 1);
    n = 0;
    for (size_t i = 0; i < u->n; i++)
        for (size_t k = 0; k < u->v[i].row->auto_groups.n; k++)
            m[n++] = (struct membership){ u->v[i].row->auto_groups.v[k], (uint32_t)i };
    qsort(m, n, sizeof(*m), by_group);
    make_groups(u, m, n);
    free(m);
}

struct snap_users *snap_users_new(const struct snap_rows *rows, const struct snap_users *was)
{
    struct snap_users *u = rk_new(struct snap_users);
    size_t old = 0;

    atomic_init(&u->refs, 1);
    u->v = rk_new_array(struct snap_user, rows->n + 1);
    for (size_t i = 0; i < rows->n; i++) {
        struct rk_user_row *row = (struct rk_user_row *)rows->v[i];
        struct snap_user *to = &u->v[u->n];

        if (!row->active)
            continue;
        to->row = (struct rk_user_row *)rk_row_ref(&row->row);
        while (was && old < was->n && strcmp(was->v[old].row->row.id, row->row.id) < 0)
            old++;
        if (was && old < was->n && strcmp(was->v[old].row->row.id, row->row.id) == 0)
            memcpy(to->hash, was->v[old].hash, sizeof(to->hash));
        else
            rk_blake2b_16(row->row.id, rk_str(row->row.id).n, to->hash);
        u->n++;
    }
    find_groups(u);
    return u;
}

struct snap_users *snap_users_ref(struct snap_users *u)
{
    (void)atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    return u;
}

void snap_users_unref(struct snap_users *u)
{
    if (!u || atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < u->n; i++)
        rk_row_unref(&u->v[i].row->row);
    for (size_t i = 0; i < u->groups_n; i++)
        free(u->groups[i].users);
    free(u->groups);
    free(u->v);
    free(u);
}

size_t snap_user_find(const struct snap_users *u, const char *id)
{
    size_t lo = 0, hi = u->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(u->v[mid].row->row.id, id);

        if (c == 0)
            return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return SNAP_NO_USER;
}

const struct snap_usergroup *snap_usergroup_find(const struct snap_users *u, const char *id)
{
    size_t lo = 0, hi = u->groups_n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(u->groups[mid].id, id);

        if (c == 0)
            return &u->groups[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

bool snap_users_same(const struct snap_users *a, const struct snap_users *b)
{
    if (a == b)
        return true;
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i].row->row.id, b->v[i].row->row.id) != 0)
            return false;
    return true;
}

bool snap_usergroup_same(const struct snap_users *a, const struct snap_users *b, const char *group)
{
    const struct snap_usergroup *x = snap_usergroup_find(a, group);
    const struct snap_usergroup *y = snap_usergroup_find(b, group);

    if (a == b || (!x && !y))
        return true;
    if (!x || !y || x->n != y->n)
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (strcmp(a->v[x->users[i]].row->row.id, b->v[y->users[i]].row->row.id) != 0)
            return false;
    return true;
}
