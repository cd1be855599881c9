/* The schema stays fit for the programs of the release before: past the version that says so,
 * migrations only add. */

#include "tests/support/test.h"

#include <strings.h>

#include "libcommon/account/store/migrations.h"
#include "libcommon/base/alloc.h"

/* What a program that does not know of it would stumble over. */
static const char *const takes_away[] = { "drop ",        "rename ",        " type ",
                                          "set not null", "add constraint", "add check" };

/* The word that must not be there, or NULL. A column that must be given is one, too. */
static const char *what_breaks(const char *sql)
{
    for (size_t i = 0; i < RK_COUNT(takes_away); i++)
        if (strcasestr(sql, takes_away[i]))
            return takes_away[i];
    for (const char *at = sql; (at = strcasestr(at, "add column")) != NULL; at++) {
        size_t n = strcspn(at, ",;");
        rk_auto(rk_cfree) char *column = rk_strndup(at, n);

        if (strcasestr(column, "not null") && !strcasestr(column, "default"))
            return "a column that must be given";
    }
    return NULL;
}

static void what_breaks_older_programs_is_found(void **state)
{
    static const struct {
        const char *sql;
        bool breaks;
    } cases[] = {
        { "CREATE TABLE t (id text NOT NULL)", false },
        { "ALTER TABLE t ADD COLUMN c text", false },
        { "ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT ''", false },
        { "ALTER TABLE t ADD COLUMN c text, ADD COLUMN d text NOT NULL", true },
        { "ALTER TABLE t DROP COLUMN c", true },
        { "alter table t rename column c to d", true },
        { "ALTER TABLE t ALTER COLUMN c TYPE bigint", true },
        { "ALTER TABLE t ALTER COLUMN c SET NOT NULL", true },
        { "ALTER TABLE t ADD CONSTRAINT c CHECK (d > 0)", true },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++)
        if ((what_breaks(cases[i].sql) != NULL) != cases[i].breaks)
            fail_msg("%s", cases[i].sql);
}

static void migrations_that_older_programs_may_meet_only_add(void **state)
{
    (void)state;
    assert_in_range(RK_MIGRATIONS_SERVE, 1, rk_migrations_count);
    for (size_t i = 0; i < rk_migrations_count; i++) {
        const struct rk_migration *m = &rk_migrations[i];
        const char *why = m->version > RK_MIGRATIONS_SERVE ? what_breaks(m->sql) : NULL;

        assert_int_equal(m->version, i + 1);
        if (why)
            fail_msg(
                "migration %d has '%s': raise RK_MIGRATIONS_SERVE if no program of the release "
                "before needs what goes, else do it one release later",
                m->version, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_breaks_older_programs_is_found),
        cmocka_unit_test(migrations_that_older_programs_may_meet_only_add),
    };

    return RUN_TESTS(tests);
}
