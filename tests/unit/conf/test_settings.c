/* The settings table: types and bounds, file, environment, secrets, and what each mistake is
 * answered with. */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/conf/settings.h"
#include "tests/support/test.h"

struct config {
    struct rk_common_config common;
    char *listen;
    char *needed;
    char *secret;
    char *secret_file;
    char *store;
    char *store_file;
    int64_t count;
    bool on;
};

#define AT(member) offsetof(struct config, member)

static const struct rk_setting rows[] = {
    { .key = "listen",
      .type = RK_SET_STRING,
      .offset = AT(listen),
      .def = "127.0.0.1:1",
      .help = "where" },
    { .key = "needed",
      .type = RK_SET_STRING,
      .offset = AT(needed),
      .help = "what is needed",
      .required = true },
    { .key = "secret", .type = RK_SET_SECRET, .offset = AT(secret), .help = "hush" },
    { .key = "secret_file",
      .type = RK_SET_SECRET_FILE,
      .offset = AT(secret_file),
      .secret_offset = AT(secret),
      .help = "file that holds it" },
    { .key = "store", .type = RK_SET_SECRET, .offset = AT(store), .def = "near", .help = "where" },
    { .key = "store_file",
      .type = RK_SET_SECRET_FILE,
      .offset = AT(store_file),
      .secret_offset = AT(store),
      .help = "file that holds it" },
    { .key = "count",
      .type = RK_SET_INT,
      .offset = AT(count),
      .def = "5",
      .help = "things",
      .min = -2,
      .max = 9 },
    { .key = "on", .type = RK_SET_BOOL, .offset = AT(on), .help = "or off" },
    /* Replaces the common row. */
    { .key = "admin_listen",
      .type = RK_SET_STRING,
      .offset = AT(common.admin_listen),
      .def = "127.0.0.1:7",
      .help = "other" },
};

static int check_both(const void *config, struct rk_err *err)
{
    const struct config *c = config;

    return c->on && c->count == 0 ? rk_fail(err, RK_INVALID, "on needs a count") : 0;
}

static const struct rk_settings_table table = { "test", "a test", rows, RK_COUNT(rows),
                                                check_both };

static void done(struct config *c)
{
    rk_settings_done(&table, c);
}
RK_DEFINE_AUTO_DONE(struct config, done)

static int parse(struct config *c, const char *text, struct rk_err *err)
{
    memset(c, 0, sizeof(*c));
    return rk_settings_parse(&table, c, "x.conf", rk_str(text), err);
}

/* The text is refused, and the message says each of up to three things. */
static void refused(const char *text, const char *one, const char *two, const char *three)
{
    rk_auto(done) struct config c;
    struct rk_err err = { 0 };

    assert_int_equal(parse(&c, text, &err), RK_INVALID);
    if (!strstr(err.msg, one) || (two && !strstr(err.msg, two)) ||
        (three && !strstr(err.msg, three)))
        fail_msg("\"%s\" was refused with \"%s\"", text, err.msg);
}

static void defaults_hold_for_what_is_not_said(void **state)
{
    rk_auto(done) struct config c;

    (void)state;
    assert_int_equal(parse(&c, "needed = x\n", NULL), 0);
    assert_string_equal(c.listen, "127.0.0.1:1");
    assert_string_equal(c.secret, "");
    assert_int_equal(c.count, 5);
    assert_false(c.on);
    assert_string_equal(c.common.log_level, "info");
    assert_string_equal(c.common.admin_listen, "127.0.0.1:7"); /* the table's own default */
    assert_int_equal(c.common.drain_ms, 10000);
    assert_non_null(strchr(c.common.instance, '-')); /* host and pid */
}

static void every_type_is_read(void **state)
{
    rk_auto(done) struct config c;

    (void)state;
    assert_int_equal(
        parse(&c,
              "# a comment\r\n\r\n  needed=  a = b # c  \r\n\tcount = -2\nsecret = s p a c e\n"
              "on = YES\n   # another\nlisten =\nlog_level = debug\ndrain_ms = 0\ninstance = me",
              NULL),
        0);
    assert_string_equal(c.needed, "a = b # c");
    assert_int_equal(c.count, -2);
    assert_string_equal(c.secret, "s p a c e");
    assert_true(c.on);
    assert_string_equal(c.listen, "");
    assert_string_equal(c.common.log_level, "debug");
    assert_int_equal(c.common.drain_ms, 0);
    assert_string_equal(c.common.instance, "me");
}

static void truth_has_several_spellings(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = { { "true", true },   { "True", true }, { "yes", true }, { "1", true },
                  { "false", false }, { "No", false },  { "0", false },  { "", false } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(done) struct config c;
        rk_auto(rk_free) char *text = rk_asprintf("needed = x\non = %s\n", cases[i].text);

        assert_int_equal(parse(&c, text, NULL), 0);
        assert_int_equal(c.on, cases[i].want);
    }
    refused("needed = x\non = maybe\n", "x.conf:2", "on = 'maybe'", "true or false");
    refused("needed = x\non = 2\n", "x.conf:2", NULL, NULL);
}

static void numbers_keep_to_their_bounds(void **state)
{
    (void)state;
    refused("needed = x\n\n# c\ncount = 10\n", "x.conf:4", "count = '10'", "from -2 to 9");
    refused("count = -3\n", "x.conf:1", NULL, NULL);
    refused("count = 1.5\n", "x.conf:1", NULL, NULL);
    refused("count = 0x1\n", "x.conf:1", NULL, NULL);
    refused("count = 99999999999999999999\n", "x.conf:1", NULL, NULL);
    refused("drain_ms = 600001\n", "drain_ms", "from 0 to 600000", NULL);
}

static void a_line_that_means_nothing_is_named(void **state)
{
    (void)state;
    refused("needed = x\nneedd = y\n", "x.conf:2", "unknown key 'needd'", "--help");
    refused("Needed = x\n", "x.conf:1", "unknown key", NULL);
    refused("just words\n", "x.conf:1", "key = value", NULL);
    refused("= 3\n", "x.conf:1", "unknown key ''", NULL);
    refused("needed = x\ncount = 1\ncount = 1\n", "x.conf:3", "line 2", "count");
    refused("[section]\n", "x.conf:1", "key = value", NULL);
    refused("", "needed is required", "what is needed", "ROOKERY_NEEDED");
    refused("needed =\n", "needed is required", NULL, NULL);
    refused("needed = x\nlog_level = loud\n", "log_level", "debug, info, warn or error", NULL);
    refused("needed = x\nadmin_listen = nowhere\n", "admin_listen", "nowhere", NULL);
    refused("needed = x\non = yes\ncount = 0\n", "on needs a count", NULL, NULL);
}

static void a_nul_byte_is_refused(void **state)
{
    rk_auto(done) struct config c = { 0 };
    struct rk_err err;

    (void)state;
    assert_int_equal(rk_settings_parse(&table, &c, "x.conf", RK_STR("needed = a\0b\n"), &err),
                     RK_INVALID);
    assert_non_null(strstr(err.msg, "NUL"));
}

/* A directory of its own for a test's files; *state names it. */
static int make_dir(void **state)
{
    char name[] = "/tmp/rk-settings-XXXXXX";

    assert_non_null(mkdtemp(name));
    *state = rk_strdup(name);
    return 0;
}

static char *write_file(const char *dir, const char *name, const char *text)
{
    char *path = rk_asprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static int remove_dir(void **state)
{
    static const char *const names[] = { "conf", "secret", "store", "other" };
    char *dir = *state;

    for (size_t i = 0; i < RK_COUNT(names); i++) {
        rk_auto(rk_free) char *path = rk_asprintf("%s/%s", dir, names[i]);

        (void)unlink(path);
    }
    (void)rmdir(dir);
    free(dir);
    (void)unsetenv("ROOKERY_NEEDED");
    (void)unsetenv("ROOKERY_COUNT");
    (void)unsetenv("ROOKERY_SECRET");
    (void)unsetenv("ROOKERY_SECRET_FILE");
    (void)unsetenv("ROOKERY_STORE_FILE");
    return 0;
}

static void the_environment_wins_over_the_file(void **state)
{
    rk_auto(rk_free) char *file = write_file(*state, "conf", "needed = file\ncount = 1\n");
    rk_auto(done) struct config c = { 0 };
    struct rk_err err;

    assert_int_equal(setenv("ROOKERY_NEEDED", " environment ", 1), 0);
    assert_int_equal(setenv("ROOKERY_COUNT", "", 1), 0); /* empty counts as not set */
    assert_int_equal(rk_settings_load(&table, &c, file, &err), 0);
    assert_string_equal(c.needed, "environment");
    assert_int_equal(c.count, 1);
    done(&c);
    assert_int_equal(setenv("ROOKERY_COUNT", "many", 1), 0);
    assert_int_equal(rk_settings_load(&table, &c, file, &err), RK_INVALID);
    assert_non_null(strstr(err.msg, "environment variable ROOKERY_COUNT"));
}

static void the_environment_alone_is_enough(void **state)
{
    rk_auto(done) struct config c = { 0 };

    (void)state;
    assert_int_equal(setenv("ROOKERY_NEEDED", "x", 1), 0);
    assert_int_equal(rk_settings_load(&table, &c, NULL, NULL), 0);
    assert_string_equal(c.needed, "x");
}

static void a_secret_may_come_from_a_file(void **state)
{
    rk_auto(rk_free) char *secret = write_file(*state, "secret", "\n from a file \n");
    rk_auto(rk_free) char *text = rk_asprintf("needed = x\nsecret_file = %s\n", secret);
    rk_auto(rk_free) char *both = rk_asprintf("%ssecret = here\n", text);
    rk_auto(done) struct config c;

    assert_int_equal(parse(&c, text, NULL), 0);
    assert_string_equal(c.secret, "from a file");
    done(&c);
    assert_int_equal(parse(&c, both, NULL), 0);
    assert_string_equal(c.secret, "here");
}

static void a_file_wins_over_what_a_secret_is_by_default(void **state)
{
    rk_auto(rk_free) char *store = write_file(*state, "store", "far\n");
    rk_auto(rk_free) char *text = rk_asprintf("needed = x\nstore_file = %s\n", store);
    rk_auto(rk_free) char *both = rk_asprintf("%sstore = here\n", text);
    rk_auto(done) struct config c;

    assert_int_equal(parse(&c, text, NULL), 0);
    assert_string_equal(c.store, "far");
    done(&c);
    assert_int_equal(parse(&c, both, NULL), 0);
    assert_string_equal(c.store, "here");
    done(&c);
    assert_int_equal(setenv("ROOKERY_NEEDED", "x", 1), 0);
    assert_int_equal(setenv("ROOKERY_STORE_FILE", store, 1), 0);
    assert_int_equal(rk_settings_load(&table, &c, NULL, NULL), 0);
    assert_string_equal(c.store, "far");
}

static void a_secret_file_of_the_environment_wins_over_a_secret_of_the_file(void **state)
{
    rk_auto(rk_free) char *secret = write_file(*state, "secret", "from the environment's file");
    rk_auto(rk_free) char *file = write_file(*state, "conf", "needed = x\nsecret = old\n");
    rk_auto(done) struct config c = { 0 };

    assert_int_equal(setenv("ROOKERY_SECRET_FILE", secret, 1), 0);
    assert_int_equal(rk_settings_load(&table, &c, file, NULL), 0);
    assert_string_equal(c.secret, "from the environment's file");
    done(&c);
    assert_int_equal(setenv("ROOKERY_SECRET", "said", 1), 0);
    assert_int_equal(rk_settings_load(&table, &c, file, NULL), 0);
    assert_string_equal(c.secret, "said");
}

static void a_secret_file_that_gives_no_secret_is_an_error(void **state)
{
    rk_auto(rk_free) char *empty = write_file(*state, "secret", " \n");
    rk_auto(rk_free) char *text = rk_asprintf("needed = x\nsecret_file = %s\n", empty);
    rk_auto(rk_free) char *dir = rk_asprintf("needed = x\nsecret_file = %s\n", (char *)*state);

    refused(text, "secret_file", empty, "empty");
    refused(dir, "secret_file", "not a regular file", NULL);
    refused("needed = x\nsecret_file = /nonexistent/s\n", "secret_file", "/nonexistent/s",
            "No such file");
}

static void a_file_that_is_none_is_named(void **state)
{
    rk_auto(rk_free) char *fifo = rk_asprintf("%s/other", (char *)*state);
    rk_auto(done) struct config c = { 0 };
    struct rk_err err;

    assert_int_equal(rk_settings_load(&table, &c, "/nonexistent/x.conf", &err), RK_INVALID);
    assert_non_null(strstr(err.msg, "/nonexistent/x.conf"));
    done(&c);
    assert_int_equal(mkfifo(fifo, 0600), 0); /* nobody writes to it: must not hang */
    assert_int_equal(rk_settings_load(&table, &c, fifo, &err), RK_INVALID);
    assert_non_null(strstr(err.msg, "not a regular file"));
}

/* What `print` writes. */
static char *printed(void (*print)(const struct config *, FILE *), const struct config *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    print(c, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void dump(const struct config *c, FILE *f)
{
    rk_settings_dump(&table, c, f);
}

static void help(const struct config *c, FILE *f)
{
    (void)c;
    rk_settings_help(&table, f);
}

static void the_dump_can_be_read_back_but_for_the_secrets(void **state)
{
    rk_auto(done) struct config c, back;
    rk_auto(rk_free) char *text = NULL;

    (void)state;
    assert_int_equal(parse(&c, "needed = n\nsecret = hush hush\ncount = 7\non = 1\n", NULL), 0);
    text = printed(dump, &c);
    assert_null(strstr(text, "hush"));
    assert_non_null(strstr(text, "# secret is set\n"));
    assert_int_equal(parse(&back, text, NULL), 0);
    assert_string_equal(back.needed, "n");
    assert_string_equal(back.common.instance, c.common.instance);
    assert_int_equal(back.count, 7);
    assert_true(back.on);
}

static void the_help_has_every_row_once(void **state)
{
    rk_auto(rk_free) char *text = printed(help, NULL);
    static const char *const lines[] = {
        "\n  listen (ROOKERY_LISTEN)\n      where; default 127.0.0.1:1\n",
        "\n  needed (ROOKERY_NEEDED)\n      what is needed; required\n",
        "\n  count (ROOKERY_COUNT)\n      things; default 5; -2 to 9\n",
        "\n  log_level (ROOKERY_LOG_LEVEL)\n",
        "\n  admin_listen (ROOKERY_ADMIN_LISTEN)\n      other; default 127.0.0.1:7\n",
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(lines); i++) {
        unsigned found = 0;

        for (size_t at = 0; text[at]; at++)
            found += strncmp(text + at, lines[i], strlen(lines[i])) == 0;
        assert_int_equal(found, 1);
    }
    assert_null(strstr(text, "127.0.0.1:9090")); /* the common row, replaced */
}

/* rk_settings_main with its output thrown away. */
static enum rk_settings_action run_main(int argc, char **argv, struct config *c, int *out_status)
{
    int out = dup(1), err = dup(2);
    enum rk_settings_action a;

    assert_true(out >= 0 && err >= 0);
    (void)fflush(NULL);
    assert_non_null(freopen("/dev/null", "w", stdout));
    assert_non_null(freopen("/dev/null", "w", stderr));
    a = rk_settings_main(&table, c, argc, argv, out_status);
    (void)fflush(NULL);
    assert_true(dup2(out, 1) == 1 && dup2(err, 2) == 2);
    (void)close(out);
    (void)close(err);
    return a;
}

static void the_command_line_is_answered(void **state)
{
    rk_auto(rk_free) char *good = write_file(*state, "conf", "needed = x\n");
    rk_auto(rk_free) char *bad = write_file(*state, "other", "nonsense\n");
    rk_auto(rk_free) char *joined = rk_asprintf("--config=%s", good);
    const struct {
        const char *args[4];
        enum rk_settings_action want;
        int status;
    } cases[] = {
        { { "--help" }, RK_SETTINGS_EXIT, 0 },
        { { "--config", bad, "-h" }, RK_SETTINGS_EXIT, 0 },
        { { "--version" }, RK_SETTINGS_EXIT, 0 },
        { { "--check-config", "--config", good }, RK_SETTINGS_EXIT, 0 },
        { { "--config", bad, "--check-config" }, RK_SETTINGS_EXIT, 1 },
        { { "--check-config" }, RK_SETTINGS_EXIT, 1 },            /* `needed` is missing */
        { { "--ready", "--config", good }, RK_SETTINGS_EXIT, 1 }, /* nobody listens */
        { { "--config" }, RK_SETTINGS_EXIT, 2 },
        { { "--frob" }, RK_SETTINGS_EXIT, 2 },
        { { "extra" }, RK_SETTINGS_EXIT, 2 },
        { { "--config", good }, RK_SETTINGS_RUN, -1 },
        { { joined }, RK_SETTINGS_RUN, -1 },
    };

    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(done) struct config c = { 0 };
        char *argv[6] = { rk_strdup("rookery-test") };
        int argc = 1, status = -1;

        for (; argc <= 4 && cases[i].args[argc - 1]; argc++)
            argv[argc] = rk_strdup(cases[i].args[argc - 1]);
        assert_int_equal(run_main(argc, argv, &c, &status), cases[i].want);
        assert_int_equal(status, cases[i].status);
        for (int k = 0; k < argc; k++)
            free(argv[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_for_what_is_not_said),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(truth_has_several_spellings),
        cmocka_unit_test(numbers_keep_to_their_bounds),
        cmocka_unit_test(a_line_that_means_nothing_is_named),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test_setup_teardown(the_environment_wins_over_the_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(the_environment_alone_is_enough, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_secret_may_come_from_a_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_file_wins_over_what_a_secret_is_by_default, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(
            a_secret_file_of_the_environment_wins_over_a_secret_of_the_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_secret_file_that_gives_no_secret_is_an_error, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_file_that_is_none_is_named, make_dir, remove_dir),
        cmocka_unit_test(the_dump_can_be_read_back_but_for_the_secrets),
        cmocka_unit_test(the_help_has_every_row_once),
        cmocka_unit_test_setup_teardown(the_command_line_is_answered, make_dir, remove_dir),
    };

    return RUN_TESTS(tests);
}
