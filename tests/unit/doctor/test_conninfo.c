/* A conninfo with several hosts, taken apart. */

#include "tests/support/test.h"

#include <libpq-fe.h>
#include <string.h>

#include "tools/doctor/conninfo.h"

/* As libpq reads it. */
static void says(const char *conninfo, const char *key, const char *want)
{
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
    const char *value = NULL;

    assert_non_null(all);
    for (const PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, key) == 0)
            value = o->val;
    if (want)
        assert_string_equal(value, want);
    else
        assert_null(value);
    PQconninfoFree(all);
}

static void each_host_has_its_port_and_all_else(void **state)
{
    struct conninfo_host host[CONNINFO_HOSTS_MAX];
    unsigned n = 0;

    (void)state;
    assert_int_equal(conninfo_split("host=a,b port=1,2 dbname=d password='s \\\\ \\'x\\'' "
                                    "target_session_attrs=read-write",
                                    host, &n, NULL),
                     0);
    assert_int_equal(n, 2);
    assert_string_equal(host[0].name, "a:1");
    assert_string_equal(host[1].name, "b:2");
    says(host[1].conninfo, "host", "b");
    says(host[1].conninfo, "port", "2");
    says(host[1].conninfo, "dbname", "d");
    says(host[1].conninfo, "password", "s \\ 'x'");
    says(host[1].conninfo, "target_session_attrs", "any");
    for (unsigned i = 0; i < n; i++)
        conninfo_host_done(&host[i]);
}

static void one_port_stands_for_all(void **state)
{
    struct conninfo_host host[CONNINFO_HOSTS_MAX];
    unsigned n = 0;

    (void)state;
    assert_int_equal(conninfo_split("postgresql://u:p@a,b:7/d", host, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(host[0].name, "a:5432");
    assert_string_equal(host[1].name, "b:7");
    says(host[0].conninfo, "port", NULL);
    says(host[0].conninfo, "password", "p");
    for (unsigned i = 0; i < n; i++)
        conninfo_host_done(&host[i]);
    assert_int_equal(conninfo_split("hostaddr=10.0.0.1,10.0.0.2 port=6", host, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(host[1].name, "10.0.0.2:6");
    says(host[1].conninfo, "hostaddr", "10.0.0.2");
    says(host[1].conninfo, "port", "6");
    for (unsigned i = 0; i < n; i++)
        conninfo_host_done(&host[i]);
}

static void without_a_host_it_is_left_to_libpq(void **state)
{
    struct conninfo_host host[CONNINFO_HOSTS_MAX];
    struct rk_err err = { 0 };
    unsigned n = 0;

    (void)state;
    assert_int_equal(conninfo_split("dbname=d", host, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_string_equal(host[0].name, "");
    says(host[0].conninfo, "host", NULL);
    conninfo_host_done(&host[0]);
    assert_int_equal(conninfo_split("password=hush nonsense", host, &n, &err), RK_INVALID);
    assert_null(strstr(err.msg, "hush"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_host_has_its_port_and_all_else),
        cmocka_unit_test(one_port_stands_for_all),
        cmocka_unit_test(without_a_host_it_is_left_to_libpq),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
