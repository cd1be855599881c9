/* Who may have a stream: owners that are blocked or gone, logins that are too old. */

#include "tests/support/test.h"

#include "libcommon/grpc/status.h"
#include "services/management/hub/access.h"
#include "tests/support/account_rows.h"

#define LOGIN_US INT64_C(1700000000000000)
#define DAY_US (INT64_C(24) * 3600 * 1000000)

static void add_user(struct rk_delta *d, const char *id, bool active, bool blocked)
{
    struct rk_delta_item *it = rk_delta_add(d, RK_OBJ_USER, id);
    struct rk_row *row = rk_row_new(RK_OBJ_USER, id);

    ((struct rk_user_row *)(void *)row)->active = active;
    ((struct rk_user_row *)(void *)row)->blocked = blocked;
    it->present = true;
    it->row.object = row;
}

static void
add_peer(struct rk_delta *d, const char *id, unsigned n, const char *owner, bool flagged)
{
    struct rk_peer_row *p = rows_peer(id, n);

    rows_set(&p->user_id, owner);
    p->login_expiration_enabled = *owner != '\0';
    p->login_expired = flagged;
    p->last_login_us = LOGIN_US;
    rows_add_peer(d, p);
}

static struct rk_snapshot *snapshot(void)
{
    struct rk_delta *d = rows_full(1);

    rows_add_account(d, rows_account());
    add_user(d, "ann", true, false);
    add_user(d, "bob", false, true);
    add_user(d, "bot", false, false); /* a service user */
    add_peer(d, "keyed", 1, "", false);
    add_peer(d, "anns", 2, "ann", false);
    add_peer(d, "flagged", 3, "ann", true);
    add_peer(d, "bobs", 4, "bob", true);
    add_peer(d, "orphan", 5, "eve", false);
    add_peer(d, "guest", 6, "bot", false);
    return rows_apply(NULL, d);
}

static void
check(const struct rk_snapshot *s, const char *id, int64_t at, int status, const char *say)
{
    char text[ACCESS_TEXT_MAX] = "";

    assert_int_equal(access_check(s, rk_snapshot_find_id(s, rk_str(id)), at, text), status);
    assert_string_equal(text, say);
}

static void the_first_reason_is_told(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = snapshot();
    static const char expired[] = "peer login has expired, please log in once more";

    (void)state;
    check(s, "keyed", LOGIN_US + 1000 * DAY_US, RK_GRPC_OK, "");
    check(s, "anns", LOGIN_US, RK_GRPC_OK, "");
    check(s, "anns", LOGIN_US + DAY_US - 1, RK_GRPC_OK, "");
    check(s, "anns", LOGIN_US + DAY_US, RK_GRPC_PERMISSION_DENIED, expired);
    check(s, "guest", LOGIN_US, RK_GRPC_OK, "");
    check(s, "flagged", LOGIN_US, RK_GRPC_PERMISSION_DENIED, expired);
    check(s, "bobs", LOGIN_US, RK_GRPC_PERMISSION_DENIED, "user is blocked");
    check(s, "orphan", LOGIN_US, RK_GRPC_NOT_FOUND, "user: eve not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_reason_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
