#include "libcommon/account/snapshot/int.h"

/* Whose map may differ because users came, went, or moved between groups: the destinations of the
 * SSH rules that let them in. Rules that changed themselves are another matter. */

static const char *everyones_group(const struct rk_snapshot *s)
{
    for (size_t i = 0; i < s->groups_n; i++)
        if (s->groups[i]->row->is_all)
            return s->groups[i]->row->id;
    return "";
}

struct moved {
    const struct rk_snapshot *was, *now;
    bool people; /* other users are active */
    bool all;    /* another group is the group of everyone */
};

static bool
some_group_moved(const struct moved *m, const struct rk_rule *r, const char *was, const char *now)
{
    for (size_t i = 0; i < r->authorized_n; i++) {
        const char *id = r->authorized[i].group;
        bool in_was = strcmp(id, was) == 0, in_now = strcmp(id, now) == 0;

        if (in_was != in_now || (in_now && m->people) ||
            !snap_usergroup_same(m->was->users, m->now->users, id))
            return true;
    }
    return false;
}

static bool user_moved(const struct moved *m, const char *id)
{
    return (snap_user_find(m->was->users, id) == SNAP_NO_USER) !=
           (snap_user_find(m->now->users, id) == SNAP_NO_USER);
}

void snap_ssh_servers(const struct rk_snapshot *s,
                      const struct rk_bitmap *set,
                      struct rk_bitmap *out)
{
    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1))
        if (rk_bitmap_test(&s->used, i) && snap_slot(s, i)->peer->row->ssh_enabled)
            rk_bitmap_set(out, i);
}

static void changed_rule(const struct moved *m,
                         const struct compile_rule *code,
                         const struct snap_sides *sides,
                         struct rk_bitmap *out)
{
    switch (code->ssh) {
    case COMPILE_SSH_NONE:
        break;
    case COMPILE_SSH_GROUPS:
        if (some_group_moved(m, code->row, everyones_group(m->was), everyones_group(m->now)))
            rk_bitmap_or(out, &sides->dst);
        break;
    case COMPILE_SSH_USER:
        if (user_moved(m, code->row->authorized_user))
            rk_bitmap_or(out, &sides->dst);
        break;
    case COMPILE_SSH_ANYONE:
        if (m->people)
            rk_bitmap_or(out, &sides->dst);
        break;
    case COMPILE_SSH_IMPLIED:
        if (m->people)
            snap_ssh_servers(m->now, &sides->dst, out);
        break;
    }
}

void snap_affected_ssh(const struct rk_snapshot *was,
                       const struct rk_snapshot *now,
                       struct rk_bitmap *out)
{
    const struct moved m = { .was = was,
                             .now = now,
                             .people = !snap_users_same(was->users, now->users),
                             .all = strcmp(everyones_group(was), everyones_group(now)) != 0 };

    if (was->users == now->users && !m.all)
        return;
    for (size_t i = 0; i < now->policies_n; i++) {
        const struct snap_policy *p = now->policies[i];

        for (size_t k = 0; p->code->ssh && k < p->code->row->rules_n; k++)
            changed_rule(&m, &p->code->rules[k], &p->sides[k], out);
    }
}
