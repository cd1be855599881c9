/* Jobs from their making to their end, against a real server. */

#include "tests/support/account_rules.h"

#include "libcommon/account/rules/job.h"

#define PEER "peer000000000000000a"

static const struct rk_job_bundle bundle = {
    .bundle_for = true, .bundle_for_time = 5, .log_file_count = 1000, .anonymize = true
};

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    pg_must(pg, "INSERT INTO peer (id, account_id, key, ip, dns_label, name, meta) SELECT '" PEER
                "', id, 'key', '100.64.0.1', 'a', 'a', '{\"netbirdVersion\":\"0.77.1\"}' FROM "
                "account; INSERT INTO peer_status (peer_id, connected) VALUES ('" PEER "', true)");
    return 0;
}

static void a_bundle_waits_minutes_and_holds_files(void **state)
{
    static const struct {
        struct rk_job_bundle in;
        const char *message;
    } rows[] = {
        { { true, 0, 1, false }, "bundle_for_time must be between 1 and 5, got 0" },
        { { true, 6, 0, false }, "bundle_for_time must be between 1 and 5, got 6" },
        { { false, 6, 0, false }, "log-file-count must be between 1 and 1000, got 0" },
        { { false, 0, 1001, false }, "log-file-count must be between 1 and 1000, got 1001" },
        { { false, -1, -1, false }, "log-file-count must be between 1 and 1000, got -1" },
    };
    struct rk_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++)
        refused(rk_job_validate(&rows[i].in, &err), RK_BAD_REQUEST, &err, rows[i].message);
    assert_int_equal(rk_job_validate(&bundle, &err), 0);
}

static void only_an_agent_that_is_there_and_knows_jobs_gets_one(void **state)
{
    struct rk_err err = { 0 };
    char id[RK_UUID_LEN + 1];

    (void)state;
    refused(rk_job_create(pg, &actor, "nope", &bundle, id, &err), RK_NOT_FOUND, &err,
            "peer not found: nope");
    pg_must(pg, "UPDATE peer SET meta = '{\"netbirdVersion\":\"0.63.9\"}'");
    refused(rk_job_create(pg, &actor, PEER, &bundle, id, &err), RK_PRECONDITION, &err,
            "peer version 0.63.9 does not meet the minimum required version 0.64.0 for remote "
            "jobs");
    pg_must(pg, "UPDATE peer SET meta = '{\"netbirdVersion\":\"development\"}'; UPDATE peer_status "
                "SET connected = false");
    refused(rk_job_create(pg, &actor, PEER, &bundle, id, &err), RK_BAD_REQUEST, &err,
            "peer not connected");
    pg_must(pg, "DELETE FROM peer_status");
    refused(rk_job_create(pg, &actor, PEER, &bundle, id, &err), RK_BAD_REQUEST, &err,
            "peer not connected");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer_job"), 0);
    assert_int_equal(events("peer.job.create"), 0);
}

static void a_peer_has_one_job_at_a_time(void **state)
{
    struct rk_err err = { 0 };
    char id[RK_UUID_LEN + 1], second[RK_UUID_LEN + 1];
    int64_t was = serial();

    (void)state;
    done(rk_job_create(pg, &actor, PEER, &bundle, id, &err), &err);
    assert_true(rk_uuid_valid(rk_str(id)));
    assert_int_equal(serial(), was);
    assert_int_equal(events_with("peer.job.create", "for_peer_name", "a"), 1);
    assert_int_equal(events_with("peer.job.create", "job_type", "bundle"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM due d JOIN peer_job j ON j.id = d.object_id "
                                 "WHERE d.kind = 'job' AND d.at > now()"),
                     1);
    refused(rk_job_create(pg, &actor, PEER, &bundle, second, &err), RK_BAD_REQUEST, &err,
            "peer already has pending job");
    done(rk_job_finish(pg, PEER, id, true, RK_STR(""), RK_STR("key"), &err), &err);
    done(rk_job_create(pg, &actor, PEER, &bundle, second, &err), &err);
}

static void the_replica_gets_it_and_ends_it_once(void **state)
{
    struct rk_job_pending job;
    struct rk_err err = { 0 };
    char id[RK_UUID_LEN + 1], message[80];
    bool found;

    (void)state;
    done(rk_job_next(pg, PEER, &job, &found, &err), &err);
    assert_false(found);
    done(rk_job_create(pg, &actor, PEER, &bundle, id, &err), &err);
    done(rk_job_next(pg, PEER, &job, &found, &err), &err);
    assert_true(found);
    assert_string_equal(job.id, id);
    assert_true(job.bundle.bundle_for && job.bundle.anonymize);
    assert_int_equal(job.bundle.bundle_for_time, 5);
    assert_int_equal(job.bundle.log_file_count, 1000);
    snprintf(message, sizeof(message), "job %s not found", id);
    refused(rk_job_finish(pg, "another", id, true, RK_STR(""), RK_STR(""), &err), RK_NOT_FOUND,
            &err, message);
    done(rk_job_finish(pg, PEER, id, true, RK_STR("ignored"), RK_STR("u/key"), &err), &err);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_job WHERE status = 'succeeded' AND failed_reason = "
                    "'' AND completed_at IS NOT NULL AND workload = '{\"type\":\"bundle\","
                    "\"parameters\":{\"bundle_for\":true,\"bundle_for_time\":5,"
                    "\"log_file_count\":1000,\"anonymize\":true},\"result\":{\"upload_key\":"
                    "\"u/key\"}}'"),
        1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM due WHERE kind = 'job'"), 0);
    refused(rk_job_finish(pg, PEER, id, false, RK_STR(""), RK_STR(""), &err), RK_NOT_FOUND, &err,
            message);
    done(rk_job_next(pg, PEER, &job, &found, &err), &err);
    assert_false(found);
}

static void what_an_agent_says_is_cut_to_what_can_be_stored(void **state)
{
    char reason[RK_JOB_MAX_REASON + 10];
    struct rk_err err = { 0 };
    char id[RK_UUID_LEN + 1];

    (void)state;
    memset(reason, 'x', sizeof(reason));
    memcpy(reason + RK_JOB_MAX_REASON - 1, "\xc3\xbc", 2); /* would cross the limit */
    done(rk_job_create(pg, &actor, PEER, &bundle, id, &err), &err);
    done(rk_job_finish(pg, PEER, id, false, rk_strn(reason, sizeof(reason)), RK_STR("key"), &err),
         &err);
    assert_int_equal(
        pg_ask(&fx, "SELECT length(failed_reason) FROM peer_job WHERE status = 'failed' AND "
                    "workload->'result' = '{}'"),
        RK_JOB_MAX_REASON - 1);
    done(rk_job_create(pg, &actor, PEER, &bundle, id, &err), &err);
    done(rk_job_finish(pg, PEER, id, false, RK_STR("why\0not\xff"), RK_STR(""), &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer_job WHERE failed_reason = 'why'"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_waits_minutes_and_holds_files),
        cmocka_unit_test_setup(only_an_agent_that_is_there_and_knows_jobs_gets_one, fresh),
        cmocka_unit_test_setup(a_peer_has_one_job_at_a_time, fresh),
        cmocka_unit_test_setup(the_replica_gets_it_and_ends_it_once, fresh),
        cmocka_unit_test_setup(what_an_agent_says_is_cut_to_what_can_be_stored, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
