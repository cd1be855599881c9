#pragma once

/* Rows and deltas of an account for tests and benches, with the defaults of a new account. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/model/model.h"
#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"

#define ROWS_ACCOUNT "acct"

static RK_UNUSED struct rk_account_row *rows_account(void)
{
    struct rk_account_row *a = rk_account_row_new();

    (void)rk_str_copy(RK_STR(ROWS_ACCOUNT), a->id, sizeof(a->id));
    a->net4[0] = 100;
    a->net4[1] = 64;
    a->net4_bits = 16;
    a->net6_bits = 64;
    a->dns_domain = rk_strdup("nb.test");
    a->peer_login_expiration_enabled = true;
    a->peer_login_expiration_s = 24 * 3600;
    a->routing_peer_dns_resolution_enabled = true;
    a->lazy_connection_enabled = true;
    a->auto_update_version = rk_strdup("disabled");
    return a;
}

static RK_UNUSED void rows_set(char **field, const char *value)
{
    free(*field);
    *field = rk_strdup(value);
}

/* Peer number n (from 1): address 100.64.<n / 256>.<n % 256>, label = the id in lower case. */
static RK_UNUSED struct rk_peer_row *rows_peer(const char *id, unsigned n)
{
    struct rk_peer_row *p = rk_peer_row_new();

    (void)rk_str_copy(rk_str(id), p->id, sizeof(p->id));
    p->key[0] = (uint8_t)(n * 37);
    p->key[1] = (uint8_t)(n >> 8);
    p->key[2] = (uint8_t)n;
    memcpy(p->key + 8, p->id, RK_XID_LEN);
    rk_b64_encode(p->key, RK_KEY_LEN, p->key_b64);
    p->ip4[0] = 100;
    p->ip4[1] = 64;
    p->ip4[2] = (uint8_t)(n >> 8);
    p->ip4[3] = (uint8_t)n;
    p->dns_label = rk_strdup(id);
    for (char *c = p->dns_label; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    p->user_id = rk_strdup("");
    p->ssh_key = rk_strdup("");
    p->os_version = rk_strdup("");
    p->kernel_version = rk_strdup("");
    p->location_ip = rk_strdup("");
    p->country_code = rk_strdup("");
    p->city_name = rk_strdup("");
    p->version = rk_strdup("0.77.1");
    p->goos = rk_strdup("linux");
    p->capabilities = RK_CAP_SOURCE_PREFIXES;
    return p;
}

static RK_UNUSED struct rk_group_row *rows_group(const char *id, const char *name)
{
    struct rk_group_row *g = rk_group_row_new();

    (void)rk_str_copy(rk_str(id), g->id, sizeof(g->id));
    g->name = rk_strdup(name);
    g->is_all = strcmp(name, "All") == 0;
    return g;
}

static RK_UNUSED void rows_ids_add(char (**ids)[RK_XID_LEN + 1], size_t *n, const char *id)
{
    *ids = rk_realloc(*ids, (*n + 1) * sizeof(**ids));
    (void)rk_str_copy(rk_str(id), (*ids)[(*n)++], RK_XID_LEN + 1);
}

static RK_UNUSED void rows_member(struct rk_group_row *g, const char *peer)
{
    rows_ids_add(&g->members, &g->members_n, peer);
}

static RK_UNUSED struct rk_policy_row *rows_policy(const char *id)
{
    struct rk_policy_row *p = rk_policy_row_new();

    (void)rk_str_copy(rk_str(id), p->id, sizeof(p->id));
    p->enabled = true;
    return p;
}

/* A new enabled accept rule with the policy's id; good until the next one is added. */
static RK_UNUSED struct rk_rule *
rows_rule(struct rk_policy_row *p, enum rk_rule_protocol protocol, bool bidirectional)
{
    struct rk_rule *r;

    p->rules = rk_realloc(p->rules, (p->rules_n + 1) * sizeof(*p->rules));
    r = &p->rules[p->rules_n++];
    memset(r, 0, sizeof(*r));
    memcpy(r->id, p->id, sizeof(r->id));
    r->enabled = true;
    r->protocol = protocol;
    r->bidirectional = bidirectional;
    r->authorized_user = rk_strdup("");
    return r;
}

static RK_UNUSED void rows_source(struct rk_rule *r, const char *group)
{
    rows_ids_add(&r->sources, &r->sources_n, group);
}

static RK_UNUSED void rows_destination(struct rk_rule *r, const char *group)
{
    rows_ids_add(&r->destinations, &r->destinations_n, group);
}

static RK_UNUSED void rows_port(struct rk_rule *r, const char *port)
{
    r->ports = rk_realloc(r->ports, (r->ports_n + 1) * sizeof(*r->ports));
    r->ports[r->ports_n++] = rk_strdup(port);
}

static RK_UNUSED void rows_range(struct rk_rule *r, uint16_t start, uint16_t end)
{
    r->ranges = rk_realloc(r->ranges, (r->ranges_n + 1) * sizeof(*r->ranges));
    r->ranges[r->ranges_n++] = (struct rk_port_range){ start, end };
}

static RK_UNUSED void rows_string(struct rk_strings *s, const char *value)
{
    s->v = rk_realloc(s->v, (s->n + 1) * sizeof(*s->v));
    s->v[s->n++] = rk_strdup(value);
}

/* The delta takes the row. */
static RK_UNUSED void rows_add_object(struct rk_delta *d, struct rk_row *row)
{
    struct rk_delta_item *it = rk_delta_add(d, row->kind, row->id);

    it->present = true;
    it->row.object = row;
}

static RK_UNUSED void rows_add_account(struct rk_delta *d, struct rk_account_row *a)
{
    struct rk_delta_item *it = rk_delta_add(d, RK_OBJ_ACCOUNT, a->id);

    it->present = true;
    it->row.account = a;
}

static RK_UNUSED void rows_add_peer(struct rk_delta *d, struct rk_peer_row *p)
{
    struct rk_delta_item *it = rk_delta_add(d, RK_OBJ_PEER, p->id);

    it->present = true;
    it->row.peer_row = p;
}

static RK_UNUSED void rows_add_group(struct rk_delta *d, struct rk_group_row *g)
{
    struct rk_delta_item *it = rk_delta_add(d, RK_OBJ_GROUP, g->id);

    it->present = true;
    it->row.group = g;
}

static RK_UNUSED void rows_add_policy(struct rk_delta *d, struct rk_policy_row *p)
{
    struct rk_delta_item *it = rk_delta_add(d, RK_OBJ_POLICY, p->id);

    it->present = true;
    it->row.policy = p;
}

static RK_UNUSED void
rows_add_membership(struct rk_delta *d, const char *group, const char *peer, bool present)
{
    struct rk_delta_item *it = rk_delta_add(d, RK_OBJ_GROUP_PEER, group);

    (void)rk_str_copy(rk_str(peer), it->peer, sizeof(it->peer));
    it->present = present;
}

static RK_UNUSED struct rk_delta *rows_full(uint64_t serial)
{
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, serial);

    d->full = true;
    return d;
}

/* The next snapshot; the delta and the reference to the old one are used up. */
static RK_UNUSED struct rk_snapshot *rows_apply(struct rk_snapshot *was, struct rk_delta *d)
{
    struct rk_snapshot *s = rk_snapshot_apply(was, d);

    rk_delta_free(d);
    rk_snapshot_unref(was);
    return s;
}
