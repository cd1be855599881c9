#include "libcommon/account/compile/rule.h"

/*
 * Port expansion. Ports win over ranges; ranges become single ports for receivers that know no
 * ranges (wider ones are dropped, which is narrower than the rule, never wider); a rule that opens
 * 22 may gain a copy for 22022, where agents' own SSH server listens.
 */

#include <stdlib.h>
#include <string.h>

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"

enum {
    PART_BYTES_MAX = 16 * 1024 * 1024
};
enum {
    SSH_PORT = 22,
    NATIVE_SSH_PORT = 22022
};

struct expansion {
    struct rk_buf b;
    struct compile_parts *out;
    const struct rk_rule *rule;
    unsigned direction;
    enum rk_rule_protocol protocol; /* on the wire */
};

static void put_port_info(struct rk_buf *b, uint16_t start, uint16_t end)
{
    size_t info = rk_wire_begin(b, 6),
           range = rk_wire_begin(b, 2); /* the range is there even when it is 0-0 */

    rk_wire_uint(b, 1, start);
    rk_wire_uint(b, 2, end);
    rk_wire_end(b, range);
    rk_wire_end(b, info);
}

/* One rule on the wire: port "" = PortInfo with the range (0-0: any port). */
static void add_part(struct expansion *x, const char *port, struct rk_port_range range)
{
    struct rk_buf *b = &x->b;

    rk_wire_uint(b, 2, x->direction);
    rk_wire_uint(b, 3, x->rule->action);
    rk_wire_uint(b, 4, x->protocol);
    rk_wire_str(b, 5, rk_str(port));
    if (rk_str(port).n == 0 && (x->protocol == RK_PROTO_TCP || x->protocol == RK_PROTO_UDP))
        put_port_info(b, range.start, range.end);
    rk_wire_str(b, 7, rk_str(x->rule->id));
    x->out->ends = rk_realloc(x->out->ends, (x->out->n + 1) * sizeof(*x->out->ends));
    x->out->ends[x->out->n++] = (uint32_t)b->n;
}

static void add_port(struct expansion *x, uint16_t port)
{
    char text[8];
    struct rk_buf b;

    rk_buf_init(&b, sizeof(text));
    (void)rk_buf_printf(&b, "%u", port);
    (void)rk_str_copy(rk_buf_str(&b), text, sizeof(text));
    rk_buf_done(&b);
    add_part(x, text, (struct rk_port_range){ 0, 0 });
}

static bool covers(const struct rk_rule *r, bool ranges_known, uint16_t port)
{
    for (size_t i = 0; i < r->ports_n; i++) {
        uint64_t v;

        if (rk_str_u64(rk_str(r->ports[i]), &v) && v == port)
            return true;
    }
    for (size_t i = 0; r->ports_n == 0 && i < r->ranges_n; i++) {
        const struct rk_port_range *g = &r->ranges[i];

        if ((ranges_known || g->start == g->end) && g->start <= port && port <= g->end)
            return true;
    }
    return false;
}

static void
expand(const struct rk_rule *r, unsigned direction, unsigned cls, struct compile_parts *out)
{
    struct expansion x = { .out = out, .rule = r, .direction = direction };
    bool ranges_known = cls & COMPILE_CLASS_RANGES;
    bool ssh = r->protocol == RK_PROTO_NETBIRD_SSH;

    rk_buf_init(&x.b, PART_BYTES_MAX);
    x.protocol = ssh ? RK_PROTO_TCP : r->protocol;
    for (size_t i = 0; i < r->ports_n; i++)
        if (rk_str(r->ports[i]).n > 0) /* an empty one would read as "any port" */
            add_part(&x, r->ports[i], (struct rk_port_range){ 0, 0 });
    for (size_t i = 0; r->ports_n == 0 && i < r->ranges_n; i++) {
        if (ranges_known)
            add_part(&x, "", r->ranges[i]);
        else if (r->ranges[i].start == r->ranges[i].end)
            add_port(&x, r->ranges[i].start);
    }
    if (r->ports_n == 0 && r->ranges_n == 0) {
        if (ssh) { /* SSH is what it allows, not every TCP port */
            add_port(&x, SSH_PORT);
            add_port(&x, NATIVE_SSH_PORT);
        } else {
            add_part(&x, "", (struct rk_port_range){ 0, 0 });
        }
    }
    if ((ssh || (r->protocol == RK_PROTO_TCP && (cls & COMPILE_CLASS_NATIVE_SSH))) &&
        covers(r, ranges_known, SSH_PORT) && !covers(r, ranges_known, NATIVE_SSH_PORT))
        add_port(&x, NATIVE_SSH_PORT);
    out->bytes = rk_realloc(x.b.p, x.b.n + COMPILE_SLACK);
    memset(out->bytes + x.b.n, 0, COMPILE_SLACK);
}

static bool parts_same(const struct compile_parts *a, const struct compile_parts *b)
{
    if (a->n != b->n)
        return false;
    if (a->n == 0)
        return true;
    return memcmp(a->ends, b->ends, a->n * sizeof(*a->ends)) == 0 &&
           memcmp(a->bytes, b->bytes, a->ends[a->n - 1]) == 0;
}

bool compile_rule_same(const struct compile_rule *a, const struct compile_rule *b)
{
    if (a == b)
        return true;
    if (a->grants_ssh != b->grants_ssh)
        return false;
    for (size_t d = 0; d < COMPILE_DIRECTIONS; d++)
        for (size_t c = 0; c < COMPILE_CLASSES; c++)
            if (!parts_same(&a->parts[d][c], &b->parts[d][c]))
                return false;
    return true;
}

/* Exactly these ports, or a range around them. */
static bool opens_ssh(const struct rk_rule *r)
{
    for (size_t i = 0; i < r->ports_n; i++)
        if (rk_str_eq(rk_str(r->ports[i]), RK_STR("22")) ||
            rk_str_eq(rk_str(r->ports[i]), RK_STR("22022")))
            return true;
    for (size_t i = 0; i < r->ranges_n; i++)
        if ((r->ranges[i].start <= SSH_PORT && SSH_PORT <= r->ranges[i].end) ||
            (r->ranges[i].start <= NATIVE_SSH_PORT && NATIVE_SSH_PORT <= r->ranges[i].end))
            return true;
    return false;
}

static enum compile_ssh ssh_of(const struct rk_rule *r)
{
    if (r->protocol == RK_PROTO_NETBIRD_SSH) {
        if (r->authorized_n > 0)
            return COMPILE_SSH_GROUPS;
        return rk_str(r->authorized_user).n > 0 ? COMPILE_SSH_USER : COMPILE_SSH_ANYONE;
    }
    if (r->protocol == RK_PROTO_ALL || (r->protocol == RK_PROTO_TCP && opens_ssh(r)))
        return COMPILE_SSH_IMPLIED;
    return COMPILE_SSH_NONE;
}

static bool authorized_same(const struct rk_authorized *a, const struct rk_authorized *b)
{
    if (strcmp(a->group, b->group) != 0 || a->local_users.n != b->local_users.n)
        return false;
    for (size_t i = 0; i < a->local_users.n; i++)
        if (strcmp(a->local_users.v[i], b->local_users.v[i]) != 0)
            return false;
    return true;
}

bool compile_rule_same_ssh(const struct compile_rule *a, const struct compile_rule *b)
{
    if (a->ssh != b->ssh)
        return false;
    if (a->ssh == COMPILE_SSH_USER)
        return strcmp(a->row->authorized_user, b->row->authorized_user) == 0;
    if (a->ssh != COMPILE_SSH_GROUPS)
        return true;
    if (a->row->authorized_n != b->row->authorized_n)
        return false;
    for (size_t i = 0; i < a->row->authorized_n; i++)
        if (!authorized_same(&a->row->authorized[i], &b->row->authorized[i]))
            return false;
    return true;
}

struct compile_policy *compile_policy_new(struct rk_policy_row *row)
{
    struct compile_policy *p = rk_new(struct compile_policy);

    atomic_init(&p->refs, 1);
    p->row = rk_policy_row_ref(row);
    p->rules = rk_new_array(struct compile_rule, row->rules_n);
    for (size_t i = 0; i < row->rules_n; i++) {
        struct compile_rule *r = &p->rules[i];

        r->row = &row->rules[i];
        r->ssh = ssh_of(r->row);
        p->ssh = p->ssh || r->ssh != COMPILE_SSH_NONE;
        r->grants_ssh = row->rules[i].protocol == RK_PROTO_NETBIRD_SSH;
        for (unsigned d = 0; d < COMPILE_DIRECTIONS; d++)
            for (unsigned c = 0; c < COMPILE_CLASSES; c++)
                expand(&row->rules[i], d, c, &r->parts[d][c]);
        for (r->twin = 0; r->twin < i; r->twin++)
            if (compile_rule_same(r, &p->rules[r->twin]))
                break;
    }
    return p;
}

struct compile_policy *compile_policy_ref(struct compile_policy *p)
{
    (void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void compile_policy_unref(struct compile_policy *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < p->row->rules_n; i++)
        for (size_t d = 0; d < COMPILE_DIRECTIONS; d++)
            for (size_t c = 0; c < COMPILE_CLASSES; c++) {
                free(p->rules[i].parts[d][c].bytes);
                free(p->rules[i].parts[d][c].ends);
            }
    free(p->rules);
    rk_policy_row_unref(p->row);
    free(p);
}
