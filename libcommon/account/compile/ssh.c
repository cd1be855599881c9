#include "libcommon/account/compile/int.h"

/*
 * Who may log in to the receiver by SSH, and as which of its local users. Each rule that has the
 * receiver as a destination adds to it, whatever its action or direction; only active users count,
 * so the rule that lets in everyone and the one that lets in a group need no order.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ANY_LOCAL_USER "*"

struct token_check {
    struct token_check *before; /* a compilation may still read it */
    struct rk_str jwt_config;
    const char *user_claim;
};
static _Atomic(struct token_check *) token_check;

bool rk_compile_set_ssh(struct rk_str jwt_config, const char *user_claim)
{
    struct token_check *was = atomic_load(&token_check), *t;

    if (was && rk_str_eq(was->jwt_config, jwt_config) && strcmp(was->user_claim, user_claim) == 0)
        return false;
    t = rk_new(struct token_check);
    t->before = was;
    t->jwt_config = rk_strn(rk_memdup(jwt_config.p, jwt_config.n), jwt_config.n);
    t->user_claim = rk_strdup(user_claim);
    atomic_store(&token_check, t);
    return true;
}

void compile_put_jwt_config(struct rk_buf *b)
{
    const struct token_check *t = atomic_load(&token_check);
    size_t at;

    if (!t || t->jwt_config.n == 0)
        return;
    at = rk_wire_begin(b, 3);
    rk_buf_put_str(b, t->jwt_config);
    rk_wire_end(b, at);
}

const char *compile_user_claim(void)
{
    const struct token_check *t = atomic_load(&token_check);

    return t && *t->user_claim ? t->user_claim : "sub";
}

/* Numbers of users that may become one local user. */
struct local_user {
    const char *name;
    struct rk_bitmap who;
};
struct local_users {
    struct local_user *v;
    size_t n;
};

static void local_users_done(struct local_users *l)
{
    for (size_t i = 0; i < l->n; i++)
        rk_bitmap_done(&l->v[i].who);
    free(l->v);
}
RK_DEFINE_AUTO_DONE(struct local_users, local_users_done)

static struct rk_bitmap *local_user(struct local_users *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].name, name) == 0)
            return &l->v[i].who;
    l->v = rk_realloc(l->v, (l->n + 1) * sizeof(*l->v));
    l->v[l->n] = (struct local_user){ .name = name };
    rk_bitmap_init(&l->v[l->n].who);
    return &l->v[l->n++].who;
}

static void add_all(const struct snap_users *u, struct rk_bitmap *who)
{
    for (size_t i = 0; i < u->n; i++)
        rk_bitmap_set(who, i);
}

static void add_group(const struct rk_snapshot *s, const char *id, struct rk_bitmap *who)
{
    const struct snap_group *group = snap_group_find(s, id);
    const struct snap_usergroup *g = snap_usergroup_find(s->users, id);

    if (group && group->row->is_all)
        add_all(s->users, who);
    for (size_t i = 0; g && i < g->n; i++)
        rk_bitmap_set(who, g->users[i]);
}

/* A group in which nobody is active lets nobody in, and names no local user. */
static void
add_authorized(const struct rk_snapshot *s, const struct rk_authorized *a, struct local_users *l)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap who;

    rk_bitmap_init(&who);
    add_group(s, a->group, &who);
    if (rk_bitmap_empty(&who))
        return;
    if (a->local_users.n == 0)
        rk_bitmap_or(local_user(l, ANY_LOCAL_USER), &who);
    for (size_t i = 0; i < a->local_users.n; i++)
        rk_bitmap_or(local_user(l, a->local_users.v[i]), &who);
}

static void
add_rule(const struct compile_view *v, const struct compile_rule *code, struct local_users *l)
{
    const struct rk_rule *r = code->row;
    size_t user;

    switch (code->ssh) {
    case COMPILE_SSH_NONE:
        break;
    case COMPILE_SSH_GROUPS:
        for (size_t i = 0; i < r->authorized_n; i++)
            add_authorized(v->s, &r->authorized[i], l);
        break;
    case COMPILE_SSH_USER:
        user = snap_user_find(v->s->users, r->authorized_user);
        if (user != SNAP_NO_USER)
            rk_bitmap_set(local_user(l, ANY_LOCAL_USER), user);
        break;
    case COMPILE_SSH_IMPLIED:
        if (v->me->row->ssh_enabled)
            add_all(v->s->users, local_user(l, ANY_LOCAL_USER));
        break;
    case COMPILE_SSH_ANYONE:
        add_all(v->s->users, local_user(l, ANY_LOCAL_USER));
        break;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct local_user *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void find(const struct compile_view *v, struct local_users *l)
{
    for (size_t i = 0; i < v->s->policies_n; i++) {
        const struct snap_policy *p = v->s->policies[i];

        for (size_t k = 0; p->code->ssh && k < p->code->row->rules_n; k++)
            if (rk_bitmap_test(&p->sides[k].dst, v->index))
                add_rule(v, &p->code->rules[k], l);
    }
    if (l->n > 1)
        qsort(l->v, l->n, sizeof(*l->v), by_name);
}

static void
put_local_user(const struct local_user *l, const struct rk_bitmap *all, struct rk_buf *b)
{
    size_t entry = rk_wire_begin(b, 3), value, list, place = 0;

    rk_wire_str(b, 1, rk_str(l->name));
    value = rk_wire_begin(b, 2);
    if (!rk_bitmap_empty(&l->who)) {
        list = rk_wire_begin(b, 1);
        for (size_t i = rk_bitmap_next(all, 0); i != SIZE_MAX;
             i = rk_bitmap_next(all, i + 1), place++)
            if (rk_bitmap_test(&l->who, i))
                rk_wire_varint(b, place);
        rk_wire_end(b, list);
    }
    rk_wire_end(b, value);
    rk_wire_end(b, entry);
}

void compile_put_ssh_auth(struct compile_view *v, struct rk_buf *b)
{
    rk_auto(local_users_done) struct local_users l = { NULL, 0 };
    rk_auto(rk_bitmap_done) struct rk_bitmap all;
    size_t at = rk_wire_begin(b, 13);

    rk_bitmap_init(&all);
    find(v, &l);
    for (size_t i = 0; i < l.n; i++)
        rk_bitmap_or(&all, &l.v[i].who);
    rk_wire_str(b, 1, rk_str(compile_user_claim()));
    for (size_t i = rk_bitmap_next(&all, 0); i != SIZE_MAX; i = rk_bitmap_next(&all, i + 1))
        rk_wire_bytes_always(b, 2, rk_strn(v->s->users->v[i].hash, SNAP_USER_HASH));
    for (size_t i = 0; i < l.n; i++)
        put_local_user(&l.v[i], &all, b);
    rk_wire_end(b, at);
}
