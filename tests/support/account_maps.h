#pragma once

/* Compiling a map and reading it back with protobuf-c; packed again it must be the same bytes. */

#include "libcommon/account/compile/compile.h"
#include "proto/management.pb-c.h"
#include "tests/support/account_rows.h"
#include "tests/support/test.h"

#define NOW_US INT64_C(1700000000123456)

static RK_UNUSED Management__SyncResponse *decode(const struct rk_buf *b)
{
    Management__SyncResponse *m = management__sync_response__unpack(NULL, b->n, b->p);
    uint8_t *again;

    assert_false(b->overflow);
    assert_non_null(m);
    assert_int_equal(management__sync_response__get_packed_size(m), b->n);
    again = malloc(b->n + 1);
    assert_int_equal(management__sync_response__pack(m, again), b->n);
    assert_memory_equal(again, b->p, b->n);
    free(again);
    return m;
}

static RK_UNUSED Management__SyncResponse *compile(const struct rk_snapshot *s, const char *id)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t index = rk_snapshot_find_id(s, rk_str(id));

    assert_true(index != RK_NO_PEER);
    rk_buf_init(&b, 16 * 1024 * 1024);
    rk_compile_map(s, index, NOW_US, &b);
    return decode(&b);
}

static RK_UNUSED void done(Management__SyncResponse *m)
{
    management__sync_response__free_unpacked(m, NULL);
}

static RK_UNUSED void check_empty(Management__SyncResponse *m)
{
    Management__NetworkMap *n = m->networkmap;

    assert_true(m->remotepeersisempty);
    assert_true(n->remotepeersisempty && n->firewallrulesisempty && n->routesfirewallrulesisempty);
    assert_int_equal(n->n_remotepeers + n->n_offlinepeers + n->n_firewallrules + n->n_routes, 0);
    assert_false(n->dnsconfig->serviceenable);
    assert_int_equal(n->dnsconfig->n_customzones, 0);
    assert_null(n->sshauth);
}
