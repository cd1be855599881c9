/* The text exposition format, read by a strict reader of its own; and sums that several threads add
 * to. */

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/obs/build.h"
#include "libcommon/obs/metrics.h"
#include "tests/support/test.h"

static const char *const hostile[] = { "plain",     "a\"quote", "back\\slash",
                                       "new\nline", "\xc3\xa4", NULL };
static const char *const one_value[] = { "x\"y", NULL };
static const double bounds[] = { 0.001, 0.5, 2, 0 };

static struct rk_metric rows[] = {
    { .name = "test_plain_total", .help = "A counter.", .type = RK_COUNTER },
    { .name = "test_labelled",
      .help = "Back\\slash and\nnew line.",
      .type = RK_GAUGE,
      .label = "how",
      .values = hostile },
    { .name = "test_seconds", .help = "A histogram.", .type = RK_HISTOGRAM, .buckets = bounds },
    { .name = "test_labelled_seconds",
      .help = "Another.",
      .type = RK_HISTOGRAM,
      .label = "op",
      .values = one_value,
      .buckets = bounds },
};
enum {
    PLAIN,
    LABELLED,
    SECONDS,
    LABELLED_SECONDS
};

static struct rk_buf text;

static const char *print(void)
{
    rk_buf_clear(&text);
    rk_metrics_print(&text);
    assert_true(rk_buf_put_u8(&text, 0));
    return (const char *)text.p;
}

static void says(const char *line)
{
    const char *all = print(), *at = strstr(all, line);

    if (!at || (at > all && at[-1] != '\n'))
        fail_msg("no line \"%s\" in:\n%s", line, all);
}

/* The end of a metric or label name that begins at s; s itself when there is none. */
static const char *name_end(const char *s)
{
    if (isdigit((unsigned char)*s))
        return s;
    while (isalnum((unsigned char)*s) || *s == '_' || *s == ':')
        s++;
    return s;
}

/* {name="escaped",...}: the end, or NULL. */
static const char *labels_end(const char *s)
{
    do {
        const char *end = name_end(++s);

        if (end == s || end[0] != '=' || end[1] != '"')
            return NULL;
        for (s = end + 2; *s != '"'; s++) {
            if (*s == '\\' && !strchr("\\\"n", *++s))
                return NULL;
            if (*s == 0 || *s == '\n')
                return NULL;
        }
        s++;
    } while (*s == ',');
    return *s == '}' ? s + 1 : NULL;
}

/* One line; the family that the last TYPE line opened is kept in `family`. */
static void check_line(char *line, char family[64], char types[32][64], size_t *type_count)
{
    static const char *const suffixes[] = { "", "_bucket", "_sum", "_count" };
    char want[80], *number_end;
    const char *at;
    bool known = false;

    if (strncmp(line, "# HELP ", 7) == 0) {
        assert_true(name_end(line + 7) > line + 7 && *name_end(line + 7) == ' ');
        return;
    }
    if (strncmp(line, "# TYPE ", 7) == 0) {
        at = name_end(line + 7);
        (void)snprintf(family, 64, "%.*s", (int)(at - (line + 7)), line + 7);
        assert_true(strcmp(at, " counter") == 0 || strcmp(at, " gauge") == 0 ||
                    strcmp(at, " histogram") == 0);
        for (size_t i = 0; i < *type_count; i++)
            assert_string_not_equal(types[i], family);
        assert_true(*type_count < 32);
        (void)snprintf(types[(*type_count)++], 64, "%s", family);
        return;
    }
    at = name_end(line);
    assert_true(at > line);
    for (size_t i = 0; i < RK_COUNT(suffixes); i++) {
        (void)snprintf(want, sizeof(want), "%s%s", family, suffixes[i]);
        known = known ||
                (strlen(want) == (size_t)(at - line) && strncmp(want, line, strlen(want)) == 0);
    }
    if (!known)
        fail_msg("\"%s\" stands under %s", line, family);
    if (*at == '{')
        at = labels_end(at);
    assert_non_null(at);
    assert_int_equal(*at, ' ');
    (void)strtod(at + 1, &number_end);
    assert_true(number_end > at + 1 && *number_end == 0);
}

static void the_whole_is_valid_exposition_text(void **state)
{
    char family[64] = "", types[32][64];
    size_t count = 0;
    struct rk_str all, line;

    (void)state;
    (void)print();
    all = rk_strn(text.p, text.n - 1);
    assert_true(rk_str_ends(all, RK_STR("\n")));
    all.n--;
    while (rk_str_next(&all, '\n', &line)) {
        char copy[512];

        assert_true(rk_str_copy(line, copy, sizeof(copy)));
        check_line(copy, family, types, &count);
    }
    assert_int_equal(count, RK_COUNT(rows) + 6); /* and six of the process */
}

static void counters_and_gauges_show_what_they_hold(void **state)
{
    (void)state;
    rk_metric_add(&rows[PLAIN], 3);
    rk_metric_add(&rows[PLAIN], 4);
    says("test_plain_total 7\n");
    rk_metric_set(&rows[LABELLED], -5);
    rk_metric_add_at(&rows[LABELLED], 3, 9);
    says("test_labelled{how=\"plain\"} -5\n");
    says("test_labelled{how=\"a\\\"quote\"} 0\n");
    says("test_labelled{how=\"back\\\\slash\"} 0\n");
    says("test_labelled{how=\"new\\nline\"} 9\n");
    says("test_labelled{how=\"\xc3\xa4\"} 0\n");
    says("# HELP test_labelled Back\\\\slash and\\nnew line.\n");
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
    static const double seen[] = { 0, 0.001, 0.0011, 0.5, 1, 2, 2.5, 1000 };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(seen); i++) {
        rk_metric_observe(&rows[SECONDS], seen[i]);
        rk_metric_observe(&rows[LABELLED_SECONDS], seen[i]);
    }
    says("test_seconds_bucket{le=\"0.001\"} 2\n");
    says("test_seconds_bucket{le=\"0.5\"} 4\n");
    says("test_seconds_bucket{le=\"2\"} 6\n");
    says("test_seconds_bucket{le=\"+Inf\"} 8\n");
    says("test_seconds_count 8\n");
    says("test_seconds_sum 1006.002100\n");
    says("test_labelled_seconds_bucket{op=\"x\\\"y\",le=\"2\"} 6\n");
    says("test_labelled_seconds_bucket{op=\"x\\\"y\",le=\"+Inf\"} 8\n");
    says("test_labelled_seconds_sum{op=\"x\\\"y\"} 1006.002100\n");
    says("test_labelled_seconds_count{op=\"x\\\"y\"} 8\n");
}

static size_t lines(const char *p)
{
    size_t n = 0;

    while ((p = strchr(p, '\n'))) {
        p++;
        n++;
    }
    return n;
}

static void registering_a_table_again_changes_nothing(void **state)
{
    size_t before;

    (void)state;
    before = lines(print());
    assert_true(before > 0);
    rk_metrics_register(rows, RK_COUNT(rows));
    assert_int_equal(lines(print()), before);
}

static void the_process_is_told_about(void **state)
{
    const char *all = print();
    static const char *const names[] = { "\nprocess_cpu_seconds_total ",
                                         "\nprocess_resident_memory_bytes ", "\nprocess_open_fds ",
                                         "\nprocess_max_fds ", "\nprocess_start_time_seconds " };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(names); i++) {
        const char *at = strstr(all, names[i]);

        assert_non_null(at);
        assert_true(strtod(at + strlen(names[i]), NULL) > 0);
    }
}

static void the_open_descriptors_are_those_that_are_open(void **state)
{
    static const char name[] = "\nprocess_open_fds ";
    unsigned open = 0;
    int fd[50];

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(fd); i++)
        fd[i] = dup(0);
    for (int i = 0; i < 4096; i++)
        open += fcntl(i, F_GETFD) >= 0;
    assert_int_equal(strtod(strstr(print(), name) + strlen(name), NULL), open);
    for (unsigned i = 0; i < RK_COUNT(fd); i++)
        (void)close(fd[i]);
}

static void *add(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        rk_metric_add_at(&rows[LABELLED], 1, 1);
        rk_metric_observe(&rows[SECONDS], 1);
    }
    return NULL;
}

static void the_program_says_which_it_is(void **state)
{
    char build[RK_BUILD_LEN + 1];

    (void)state;
    rk_build_id(build);
    assert_int_equal(strspn(build, "0123456789abcdef"), RK_BUILD_LEN);
    assert_non_null(strstr(print(), build));
}

static void several_threads_lose_nothing(void **state)
{
    pthread_t t[3];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, add, NULL), 0);
    for (size_t i = 0; i < RK_COUNT(t); i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    says("test_labelled{how=\"a\\\"quote\"} 30000\n");
    says("test_seconds_count 30008\n");
    says("test_seconds_sum 31006.002100\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_show_what_they_hold),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(registering_a_table_again_changes_nothing),
        cmocka_unit_test(the_whole_is_valid_exposition_text),
        cmocka_unit_test(the_process_is_told_about),
        cmocka_unit_test(the_open_descriptors_are_those_that_are_open),
        cmocka_unit_test(the_program_says_which_it_is),
        cmocka_unit_test(several_threads_lose_nothing),
    };
    int failed;

    rk_buf_init(&text, 65536);
    rk_metrics_register(rows, RK_COUNT(rows));
    failed = RUN_TESTS(tests);
    rk_buf_done(&text);
    return failed;
}
