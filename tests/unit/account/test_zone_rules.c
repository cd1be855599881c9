/* The rules of zones and their records, against a real server. */

#include "tests/support/account_rules.h"

#include "libcommon/account/rules/zone.h"

static char group[RK_XID_LEN + 1], zone[RK_XID_LEN + 1];
static struct rk_str groups[1];

static struct rk_zone_input good(void)
{
    return (struct rk_zone_input){
        .name = "corp", .domain = "corp.io", .enabled = true, .groups = groups, .groups_n = 1
    };
}

static int fresh(void **state)
{
    const struct rk_zone_input in = good();
    struct rk_err err = { 0 };

    if (account_fresh(state) < 0)
        return -1;
    make_group("g", group);
    groups[0] = rk_str(group);
    return rk_zone_create(pg, &actor, &in, zone, &bell, &err);
}

static void a_zone_has_a_name_a_plain_domain_and_groups(void **state)
{
    static const char *const domains[] = { "",    "*.corp.io", "\xc3\xbc.de", "corp.io.",
                                           "a b", "-a.io",     "a..b",        "." };
    char name[RK_ZONE_MAX_NAME + 2];
    struct rk_zone_input in = good();
    struct rk_err err = { 0 };

    (void)state;
    in.name = "";
    refused(rk_zone_validate(&in, &err), RK_INVALID, &err, "zone name is required");
    memset(name, 'x', sizeof(name));
    name[RK_ZONE_MAX_NAME + 1] = '\0';
    in.name = name;
    refused(rk_zone_validate(&in, &err), RK_INVALID, &err,
            "zone name exceeds maximum length of 255 characters");
    name[RK_ZONE_MAX_NAME] = '\0';
    assert_int_equal(rk_zone_validate(&in, &err), 0);
    for (size_t i = 0; i < RK_COUNT(domains); i++) {
        in.domain = domains[i];
        refused(rk_zone_validate(&in, &err), RK_INVALID, &err, "invalid zone domain format");
    }
    in.domain = "corp";
    in.groups_n = 0;
    refused(rk_zone_validate(&in, &err), RK_INVALID, &err,
            "at least one distribution group is required");
}

static void a_domain_is_one_zone_and_not_the_peers(void **state)
{
    const struct rk_str unknown = RK_STR("nope");
    struct rk_zone_input in = good();
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];
    int64_t was = serial();

    (void)state;
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_EXISTS, &err,
            "zone with domain corp.io already exists");
    in.domain = "Corp.IO";
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_EXISTS, &err,
            "zone with domain Corp.IO already exists");
    in.domain = "d.test";
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
            "zone domain d.test conflicts with peer dns domain");
    in.domain = "D.test";
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
            "zone domain D.test conflicts with peer dns domain");
    in.groups = &unknown; /* is looked at last */
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
            "zone domain D.test conflicts with peer dns domain");
    in.domain = "other.io";
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
            "group: nope not found");
    /* Whose peers have a domain of their own may come back to the server's. */
    pg_must(pg, "UPDATE account SET settings = settings || '{\"dns_domain\": \"other.io\"}'");
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
            "zone domain other.io conflicts with peer dns domain");
    in.domain = "d.test";
    refused(rk_zone_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
            "zone domain d.test conflicts with peer dns domain");
    pg_must(pg, "UPDATE account SET settings = settings - 'dns_domain'");
    assert_int_equal(serial(), was);
    in.domain = "a.d.test";
    in.groups = groups;
    done(rk_zone_create(pg, &actor, &in, id, &bell, &err), &err);
    assert_int_equal(events_with("dns.zone.create", "domain", "a.d.test"), 1);
    assert_int_equal(touched("zone"), 1);
}

static void a_zone_keeps_its_domain(void **state)
{
    const struct rk_str unknown = RK_STR("nope");
    struct rk_zone_input in = good();
    struct rk_err err = { 0 };

    (void)state;
    in.name = "renamed";
    in.enabled = false;
    in.enable_search_domain = true;
    done(rk_zone_update(pg, &actor, zone, &in, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM zone WHERE name = 'renamed' AND NOT enabled "
                                 "AND enable_search_domain AND domain = 'corp.io'"),
                     1);
    assert_int_equal(events_with("dns.zone.update", "name", "renamed"), 1);
    assert_int_equal(touched("zone"), 1);
    in.domain = "other.io";
    refused(rk_zone_update(pg, &actor, zone, &in, &bell, &err), RK_INVALID, &err,
            "zone domain cannot be updated");
    in.domain = "corp.io";
    in.groups = &unknown;
    refused(rk_zone_update(pg, &actor, zone, &in, &bell, &err), RK_INVALID, &err,
            "group: nope not found");
    refused(rk_zone_update(pg, &actor, "nope", &in, &bell, &err), RK_NOT_FOUND, &err,
            "failed to get zone: zone: nope not found");
}

static void a_record_is_well_formed(void **state)
{
    static const struct {
        struct rk_record_input in;
        const char *message; /* NULL: fine */
    } rows[] = {
        { { "", "A", "1.2.3.4", 1 }, "record name is required" },
        { { "a.corp.io.", "A", "1.2.3.4", 1 }, "invalid record name format" },
        { { "a.*.corp.io", "A", "1.2.3.4", 1 }, "invalid record name format" },
        { { "b\xc3\xbc.corp.io", "A", "1.2.3.4", 1 }, "invalid record name format" },
        { { "a.corp.io", "", "1.2.3.4", 1 }, "record type is required" },
        { { "a.corp.io", "MX", "1.2.3.4", 1 }, "invalid record type, must be a, aaaa, or cname" },
        { { "a.corp.io", "a", "1.2.3.4", 1 }, "invalid record type, must be a, aaaa, or cname" },
        { { "a.corp.io", "A", "", 1 }, "a record is required" },
        { { "a.corp.io", "AAAA", "", 1 }, "aaaa record is required" },
        { { "a.corp.io", "CNAME", "", 1 }, "invalid cname target format" },
        { { "a.corp.io", "A", "::1", 1 }, "a record must be a valid ipv4 address" },
        { { "a.corp.io", "A", "01.2.3.4", 1 }, "a record must be a valid ipv4 address" },
        { { "a.corp.io", "AAAA", "1.2.3.4", 1 }, "aaaa record must be a valid ipv6 address" },
        { { "a.corp.io", "AAAA", "::ffff:1.2.3.4", 1 },
          "aaaa record must be a valid ipv6 address" },
        { { "a.corp.io", "CNAME", "*.x.io", 1 }, "invalid cname target format" },
        { { "a.corp.io", "CNAME", "x.io.", 1 }, "invalid cname target format" },
        { { "a.corp.io", "A", "1.2.3.4", -1 }, "ttl cannot be negative" },
        { { "a.corp.io", "A", "1.2.3.4", 0 }, NULL },
        { { "*.corp.io", "AAAA", "2001:db8::1", 300 }, NULL },
        { { "_srv._tcp.Corp.io", "CNAME", "X.io", 300 }, NULL },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_err err = { 0 };
        int r = rk_record_validate(&rows[i].in, &err);

        if (rows[i].message)
            refused(r, RK_INVALID, &err, rows[i].message);
        else
            done(r, &err);
    }
}

static int record(const char *name,
                  const char *type,
                  const char *content,
                  char id[RK_XID_LEN + 1],
                  struct rk_err *err)
{
    const struct rk_record_input in = { name, type, content, 300 };

    return rk_record_create(pg, &actor, zone, &in, id, &bell, err);
}

static void records_of_one_name_agree(void **state)
{
    struct rk_err err = { 0 };
    char a[RK_XID_LEN + 1], c[RK_XID_LEN + 1], id[RK_XID_LEN + 1];
    const char *exists = "an a, aaaa, or cname record with name c.corp.io already exists";

    (void)state;
    done(record("a.corp.io", "A", "1.2.3.4", a, &err), &err);
    done(record("a.corp.io", "A", "1.2.3.5", id, &err), &err);
    done(record("a.corp.io", "AAAA", "2001:db8::1", id, &err), &err);
    done(record("corp.io", "A", "1.2.3.4", id, &err), &err);
    done(record("c.corp.io", "CNAME", "x.io", c, &err), &err);
    assert_int_equal(touched("zone"), 1);
    assert_int_equal(events_with("dns.zone.record.create", "zone_name", "corp"), 5);
    assert_int_equal(events_with("dns.zone.record.create", "ttl", "300"), 5);
    refused(record("a.corp.io", "A", "1.2.3.4", id, &err), RK_EXISTS, &err,
            "identical record already exists");
    refused(record("c.corp.io", "CNAME", "x.io", id, &err), RK_EXISTS, &err,
            "identical record already exists");
    refused(record("c.corp.io", "CNAME", "y.io", id, &err), RK_INVALID, &err, exists);
    refused(record("c.corp.io", "A", "1.2.3.4", id, &err), RK_INVALID, &err, exists);
    refused(record("xcorp.io", "A", "1.2.3.4", id, &err), RK_INVALID, &err,
            "record name does not belong to zone");
    refused(rk_record_update(pg, &actor, zone, a,
                             &(struct rk_record_input){ "c.corp.io", "A", "9.9.9.9", 1 }, &bell,
                             &err),
            RK_INVALID, &err, exists);
    done(rk_record_update(pg, &actor, zone, c,
                          &(struct rk_record_input){ "c.corp.io", "CNAME", "x.io", 60 }, &bell,
                          &err),
         &err);
    assert_int_equal(events_with("dns.zone.record.update", "ttl", "60"), 1);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM event WHERE code = 'dns.zone.record.update' AND "
                            "changes = '{\"ttl\":{\"before\":300,\"after\":60}}'"),
                     1);
}

static void records_are_found_in_their_zone_only(void **state)
{
    const struct rk_record_input in = { "a.corp.io", "A", "1.2.3.4", 1 };
    struct rk_zone_input other = good();
    struct rk_err err = { 0 };
    char second[RK_XID_LEN + 1], id[RK_XID_LEN + 1], none[RK_XID_LEN + 1], text[100];
    int64_t was;

    (void)state;
    other.domain = "other.io";
    done(rk_zone_create(pg, &actor, &other, second, &bell, &err), &err);
    done(record("a.corp.io", "A", "1.2.3.4", id, &err), &err);
    was = serial();
    refused(rk_record_create(pg, &actor, "nope", &in, none, &bell, &err), RK_NOT_FOUND, &err,
            "failed to get zone: zone: nope not found");
    refused(rk_record_update(pg, &actor, "nope", id, &in, &bell, &err), RK_NOT_FOUND, &err,
            "failed to get zone: zone: nope not found");
    snprintf(text, sizeof(text), "failed to get record: dns record: %s not found", id);
    refused(rk_record_delete(pg, &actor, second, id, &bell, &err), RK_NOT_FOUND, &err, text);
    refused(rk_record_delete(pg, &actor, zone, "nope", &bell, &err), RK_NOT_FOUND, &err,
            "failed to get record: dns record: nope not found");
    assert_int_equal(serial(), was);
    done(rk_record_delete(pg, &actor, zone, id, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(events_with("dns.zone.record.delete", "content", "1.2.3.4"), 1);
}

static void a_zone_takes_its_records_along(void **state)
{
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];
    int64_t was;

    (void)state;
    done(record("a.corp.io", "A", "1.2.3.4", id, &err), &err);
    done(record("b.corp.io", "A", "1.2.3.4", id, &err), &err);
    was = serial();
    done(rk_zone_delete(pg, &actor, zone, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM zone_record"), 0);
    assert_int_equal(events("dns.zone.record.delete"), 2);
    assert_int_equal(events("dns.zone.delete"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'dns.zone.record.delete' AND changes "
                    "? 'content'"),
        2);
    refused(rk_zone_delete(pg, &actor, "nope", &bell, &err), RK_NOT_FOUND, &err,
            "failed to get zone: zone: nope not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zone_has_a_name_a_plain_domain_and_groups),
        cmocka_unit_test_setup(a_domain_is_one_zone_and_not_the_peers, fresh),
        cmocka_unit_test_setup(a_zone_keeps_its_domain, fresh),
        cmocka_unit_test(a_record_is_well_formed),
        cmocka_unit_test_setup(records_of_one_name_agree, fresh),
        cmocka_unit_test_setup(records_are_found_in_their_zone_only, fresh),
        cmocka_unit_test_setup(a_zone_takes_its_records_along, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
