/* Log lines are read back from stderr: one JSON object each, whatever the message holds. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <pthread.h>

#include "libcommon/base/alloc.h"
#include "libcommon/obs/log.h"
#include "tests/support/test.h"

/* Standard error, while a test looks at it. */
static struct {
    FILE *file;
    int saved;
} err_out;

static void capture(void)
{
    (void)fflush(stderr);
    err_out.saved = dup(STDERR_FILENO);
    err_out.file = tmpfile();
    assert_true(err_out.saved >= 0 && err_out.file);
    assert_int_equal(dup2(fileno(err_out.file), STDERR_FILENO), STDERR_FILENO);
}

/* What was written since, as an array of the lines' objects; NULL when a line is no object. */
static json_t *captured(void)
{
    json_t *all = json_array();
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    assert_int_equal(dup2(err_out.saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(err_out.saved);
    rewind(err_out.file);
    while (all && (n = getline(&line, &cap, err_out.file)) > 0) {
        json_t *one = line[n - 1] == '\n'
                          ? json_loadb(line, (size_t)n - 1, JSON_REJECT_DUPLICATES, NULL)
                          : NULL;

        if (json_is_object(one)) {
            json_array_append_new(all, one);
            continue;
        }
        print_message("not an object: %s\n", line);
        json_decref(one);
        json_decref(all);
        all = NULL;
    }
    free(line);
    (void)fclose(err_out.file);
    return all;
}

static const char *field(const json_t *lines, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(lines, i), key));
}

static void a_line_has_time_level_service_and_context(void **state)
{
    const struct rk_logctx ctx = { .peer = "p", .account = "a", .remote = "192.0.2.1:5" };
    json_t *lines;

    (void)state;
    assert_int_equal(rk_log_init("svc", "inst", "info", NULL), 0);
    capture();
    rk_info(&ctx, "hello %d", 7);
    rk_warn(NULL, "bare");
    lines = captured();
    assert_int_equal(json_array_size(lines), 2);
    assert_int_equal(strlen(field(lines, 0, "ts")), strlen("2026-01-02T03:04:05.678Z"));
    assert_string_equal(field(lines, 0, "level"), "info");
    assert_string_equal(field(lines, 0, "svc"), "svc");
    assert_string_equal(field(lines, 0, "inst"), "inst");
    assert_string_equal(field(lines, 0, "peer"), "p");
    assert_string_equal(field(lines, 0, "account"), "a");
    assert_string_equal(field(lines, 0, "remote"), "192.0.2.1:5");
    assert_string_equal(field(lines, 0, "msg"), "hello 7");
    assert_string_equal(field(lines, 1, "level"), "warn");
    assert_null(field(lines, 1, "peer"));
    json_decref(lines);
}

static void lines_below_the_level_are_not_written(void **state)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(levels); i++) {
        json_t *lines;

        assert_int_equal(rk_log_init("svc", "inst", levels[i], NULL), 0);
        capture();
        rk_debug(NULL, "d");
        rk_info(NULL, "i");
        rk_warn(NULL, "w");
        rk_error(NULL, "e");
        lines = captured();
        assert_int_equal(json_array_size(lines), 4 - i);
        assert_string_equal(field(lines, 0, "level"), levels[i]);
        json_decref(lines);
    }
}

static void a_level_that_does_not_exist_is_refused(void **state)
{
    struct rk_err err;

    (void)state;
    assert_int_equal(rk_log_init("svc", "inst", "verbose", &err), RK_INVALID);
    assert_non_null(strstr(err.msg, "'verbose'"));
    assert_int_equal(rk_log_init("svc", "inst", "", &err), RK_INVALID);
    assert_int_equal(rk_log_init("svc", "inst", "INFO", &err), RK_INVALID);
}

static void hostile_text_stays_inside_its_line(void **state)
{
    const struct rk_logctx ctx = { .peer = "\"},{\"level\":\"fake", .remote = "\xff\xfe" };
    json_t *lines;

    (void)state;
    assert_int_equal(rk_log_init("svc", "inst", "info", NULL), 0);
    capture();
    rk_info(&ctx, "%s", "two\nlines\r\x1b[31m \xc3( \xed\xa0\x80 \"quoted\" \\");
    lines = captured();
    assert_int_equal(json_array_size(lines), 1);
    assert_string_equal(
        field(lines, 0, "msg"),
        "two\nlines\r\x1b[31m \xef\xbf\xbd( \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \"quoted\" \\");
    assert_string_equal(field(lines, 0, "peer"), "\"},{\"level\":\"fake");
    assert_string_equal(field(lines, 0, "remote"), "\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(lines);
}

static void a_long_message_is_cut_and_a_long_context_left_out(void **state)
{
    rk_auto(rk_free) char *longer = rk_alloc(20001);
    const struct rk_logctx ctx = { .peer = longer };
    json_t *lines;

    (void)state;
    memset(longer, '\x01', 20000); /* each becomes six characters */
    longer[20000] = 0;
    capture();
    rk_info(NULL, "%s", longer);
    rk_info(&ctx, "all the same");
    rk_info(&ctx, "%s", longer);
    lines = captured();
    assert_int_equal(json_array_size(lines), 3);
    assert_int_equal(strlen(field(lines, 0, "msg")), 2047);
    assert_string_equal(field(lines, 1, "msg"), "all the same");
    assert_null(field(lines, 1, "peer"));
    assert_int_equal(strlen(field(lines, 2, "msg")), 2047);
    json_decref(lines);
}

static void the_ready_line_names_both_addresses(void **state)
{
    json_t *lines;

    (void)state;
    capture();
    rk_log_ready("127.0.0.1:1", "127.0.0.1:2");
    lines = captured();
    assert_string_equal(field(lines, 0, "msg"), "ready");
    assert_string_equal(field(lines, 0, "listen"), "127.0.0.1:1");
    assert_string_equal(field(lines, 0, "admin"), "127.0.0.1:2");
    json_decref(lines);
}

static void *chatter(void *arg)
{
    const struct rk_logctx ctx = { .peer = arg };

    for (int i = 0; i < 500; i++)
        rk_info(&ctx, "%0200d", i);
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    static char names[4][2] = { "0", "1", "2", "3" };
    unsigned next[4] = { 0 };
    pthread_t t[4];
    json_t *lines;

    (void)state;
    capture();
    for (size_t i = 0; i < RK_COUNT(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, chatter, names[i]), 0);
    for (size_t i = 0; i < RK_COUNT(t); i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    lines = captured();
    assert_int_equal(json_array_size(lines), 2000);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        unsigned who = (unsigned)(field(lines, i, "peer")[0] - '0');

        assert_int_equal(strtoul(field(lines, i, "msg"), NULL, 10), next[who]);
        next[who]++;
    }
    json_decref(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_service_and_context),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_level_that_does_not_exist_is_refused),
        cmocka_unit_test(hostile_text_stays_inside_its_line),
        cmocka_unit_test(a_long_message_is_cut_and_a_long_context_left_out),
        cmocka_unit_test(the_ready_line_names_both_addresses),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };

    return RUN_TESTS(tests);
}
