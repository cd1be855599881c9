#include "libcommon/account/model/model.h"

/* Counted rows and deltas: making, sharing, and freeing with everything they own. */

#include <stdlib.h>

#include "libcommon/base/alloc.h"

/* The four rows begin with their count; only the freeing of the content differs. */
#define ROW_COUNTED(name, content_free)                                                            \
    struct rk_##name *rk_##name##_ref(struct rk_##name *r)                                         \
    {                                                                                              \
        (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);                        \
        return r;                                                                                  \
    }                                                                                              \
    void rk_##name##_unref(struct rk_##name *r)                                                    \
    {                                                                                              \
        if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)               \
            return;                                                                                \
        content_free(r);                                                                           \
        free(r);                                                                                   \
    }

static void account_content_free(struct rk_account_row *r)
{
    free(r->dns_domain);
    free(r->auto_update_version);
    free(r->dns_disabled_groups.v);
}

static void strings_free(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    free(v);
}

static void peer_content_free(struct rk_peer_row *r)
{
    free(r->dns_label);
    strings_free(r->extra_dns_labels, r->extra_dns_labels_n);
    free(r->user_id);
    free(r->ssh_key);
    free(r->version);
    free(r->goos);
    free(r->os_version);
    free(r->kernel_version);
    strings_free(r->networks.v, r->networks.n);
    strings_free(r->processes.v, r->processes.n);
    free(r->location_ip);
    free(r->country_code);
    free(r->city_name);
}

static void group_content_free(struct rk_group_row *r)
{
    free(r->name);
    free(r->members);
    free(r->resources.v);
}

static void policy_content_free(struct rk_policy_row *r)
{
    for (size_t i = 0; i < r->rules_n; i++) {
        struct rk_rule *rule = &r->rules[i];

        free(rule->sources);
        free(rule->destinations);
        strings_free(rule->ports, rule->ports_n);
        free(rule->ranges);
        for (size_t k = 0; k < rule->authorized_n; k++)
            strings_free(rule->authorized[k].local_users.v, rule->authorized[k].local_users.n);
        free(rule->authorized);
        free(rule->authorized_user);
    }
    free(r->posture_checks.v);
    free(r->rules);
}

ROW_COUNTED(account_row, account_content_free)
ROW_COUNTED(peer_row, peer_content_free)
ROW_COUNTED(group_row, group_content_free)
ROW_COUNTED(policy_row, policy_content_free)

struct rk_account_row *rk_account_row_new(void)
{
    struct rk_account_row *r = rk_new(struct rk_account_row);

    atomic_init(&r->refs, 1);
    return r;
}

struct rk_peer_row *rk_peer_row_new(void)
{
    struct rk_peer_row *r = rk_new(struct rk_peer_row);

    atomic_init(&r->refs, 1);
    r->last_login_us = INT64_MIN;
    return r;
}

struct rk_group_row *rk_group_row_new(void)
{
    struct rk_group_row *r = rk_new(struct rk_group_row);

    atomic_init(&r->refs, 1);
    return r;
}

struct rk_policy_row *rk_policy_row_new(void)
{
    struct rk_policy_row *r = rk_new(struct rk_policy_row);

    atomic_init(&r->refs, 1);
    return r;
}

struct rk_delta *rk_delta_new(const char *account_id, uint64_t serial)
{
    struct rk_delta *d = rk_new(struct rk_delta);

    (void)rk_str_copy(rk_str(account_id), d->account_id, sizeof(d->account_id));
    d->serial = serial;
    d->committed_at_us = INT64_MIN;
    return d;
}

static void item_done(struct rk_delta_item *it)
{
    switch (it->kind) {
    case RK_OBJ_ACCOUNT:
        rk_account_row_unref(it->row.account);
        break;
    case RK_OBJ_PEER:
        rk_peer_row_unref(it->row.peer_row);
        break;
    case RK_OBJ_GROUP:
        rk_group_row_unref(it->row.group);
        break;
    case RK_OBJ_GROUP_PEER:
        break;
    case RK_OBJ_POLICY:
        rk_policy_row_unref(it->row.policy);
        break;
    case RK_OBJ_USER:
    case RK_OBJ_POSTURE_CHECK:
    case RK_OBJ_ROUTE:
    case RK_OBJ_NETWORK:
    case RK_OBJ_RESOURCE:
    case RK_OBJ_ROUTER:
    case RK_OBJ_NAMESERVER_GROUP:
    case RK_OBJ_ZONE:
        rk_row_unref(it->row.object);
        break;
    }
}

void rk_delta_free(struct rk_delta *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        item_done(&d->items[i]);
        free(d->items[i].id);
    }
    free(d->items);
    free(d->traces);
    free(d);
}

struct rk_delta_item *rk_delta_add(struct rk_delta *d, enum rk_object_kind kind, const char *id)
{
    struct rk_delta_item *it;

    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 8;
        d->items = rk_realloc(d->items, d->cap * sizeof(*d->items));
    }
    it = &d->items[d->n++];
    memset(it, 0, sizeof(*it));
    it->kind = kind;
    it->id = rk_strdup(id);
    return it;
}
