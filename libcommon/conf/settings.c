#include "libcommon/conf/settings.h"

/*
 * One row a setting. Values are applied in order: default, file, environment; then secret files are
 * read, required rows are looked at, and the table's own check sees the whole.
 */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/conf/addr.h"
#include "libcommon/conf/probe.h"

#define MAX_FILE ((size_t)1024 * 1024)
#define MAX_SECRET ((size_t)64 * 1024)
#define MAX_ROWS 128
#define MAX_KEY 64

const struct rk_setting rk_common_settings[] = {
    { .key = "log_level",
      .type = RK_SET_STRING,
      .offset = offsetof(struct rk_common_config, log_level),
      .def = "info",
      .help = "debug, info, warn or error" },
    { .key = "instance",
      .type = RK_SET_STRING,
      .offset = offsetof(struct rk_common_config, instance),
      .help = "name of this replica in logs and registries (default: host name and pid)" },
    { .key = "admin_listen",
      .type = RK_SET_STRING,
      .offset = offsetof(struct rk_common_config, admin_listen),
      .def = "127.0.0.1:9090",
      .help = "address of /livez, /readyz and /metrics" },
    { .key = "drain_ms",
      .type = RK_SET_INT,
      .offset = offsetof(struct rk_common_config, drain_ms),
      .def = "10000",
      .help = "longest time to finish what is in flight after SIGTERM, in milliseconds",
      .max = 600000 },
};
const size_t rk_common_settings_count = RK_COUNT(rk_common_settings);

struct row_iter {
    const struct rk_settings_table *t;
    size_t i;
};

static const struct rk_setting *table_row(const struct rk_settings_table *t, struct rk_str key)
{
    for (size_t i = 0; i < t->count; i++)
        if (rk_str_eq(rk_str(t->rows[i].key), key))
            return &t->rows[i];
    return NULL;
}

/* The common rows that the table does not replace, then the table's. NULL at the end. */
static const struct rk_setting *next_row(struct row_iter *it)
{
    while (it->i < rk_common_settings_count) {
        const struct rk_setting *row = &rk_common_settings[it->i++];

        if (!table_row(it->t, rk_str(row->key)))
            return row;
    }
    if (it->i - rk_common_settings_count < it->t->count)
        return &it->t->rows[it->i++ - rk_common_settings_count];
    return NULL;
}

static const struct rk_setting *
find_row(const struct rk_settings_table *t, struct rk_str key, size_t *out_index)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;
    size_t i = 0;

    while ((row = next_row(&it))) {
        if (rk_str_eq(rk_str(row->key), key)) {
            *out_index = i;
            return row;
        }
        i++;
    }
    return NULL;
}

static void *member(void *config, size_t offset)
{
    return (char *)config + offset;
}

static char **string_at(void *config, size_t offset)
{
    return member(config, offset);
}

static const char *string_of(const void *config, size_t offset)
{
    char *s;

    memcpy(&s, (const char *)config + offset, sizeof(s));
    return s ? s : "";
}

static void env_name(const char *key, char out[MAX_KEY + 16])
{
    size_t at = (size_t)snprintf(out, 16, "ROOKERY_");

    for (; *key && at < MAX_KEY + 15; key++)
        out[at++] = (char)toupper((unsigned char)*key);
    out[at] = 0;
}

static void replace_string(char **s, struct rk_str v)
{
    if (*s) {
        explicit_bzero(*s, strlen(*s));
        free(*s);
    }
    *s = rk_strndup(v.p, v.n);
}

/* `where` says to the reader where the value stands: "FILE:3", "environment variable X". */
static int apply(const struct rk_setting *row,
                 void *config,
                 struct rk_str v,
                 const char *where,
                 struct rk_err *err)
{
    int64_t n;
    bool yes;

    if (v.n > 0 && memchr(v.p, 0, v.n))
        return rk_fail(err, RK_INVALID, "%s: %s holds a NUL byte", where, row->key);
    switch (row->type) {
    case RK_SET_INT:
        if (v.n == 0)
            v = RK_STR("0");
        if (!rk_str_i64(v, &n) || n < row->min || n > row->max)
            return rk_fail(err, RK_INVALID,
                           "%s: %s = '%.*s': write a number from %" PRId64 " to %" PRId64, where,
                           row->key, v.n > 64 ? 64 : (int)v.n, v.p, row->min, row->max);
        *(int64_t *)member(config, row->offset) = n;
        return 0;
    case RK_SET_BOOL:
        yes = rk_str_ieq(v, RK_STR("true")) || rk_str_ieq(v, RK_STR("yes")) ||
              rk_str_eq(v, RK_STR("1"));
        if (!yes && v.n > 0 && !rk_str_ieq(v, RK_STR("false")) && !rk_str_ieq(v, RK_STR("no")) &&
            !rk_str_eq(v, RK_STR("0")))
            return rk_fail(err, RK_INVALID, "%s: %s = '%.*s': write true or false", where, row->key,
                           v.n > 64 ? 64 : (int)v.n, v.p);
        *(bool *)member(config, row->offset) = yes;
        return 0;
    case RK_SET_STRING:
    case RK_SET_SECRET:
    case RK_SET_SECRET_FILE:
        replace_string(string_at(config, row->offset), v);
        return 0;
    }
    return rk_fail(err, RK_INTERNAL, "%s: setting of unknown type", row->key);
}

static int apply_defaults(const struct rk_settings_table *t, void *config, struct rk_err *err)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;
    int r;

    while ((row = next_row(&it))) {
        if (!row->def && (row->type == RK_SET_INT || row->type == RK_SET_BOOL))
            continue; /* zeroed by the caller */
        r = apply(row, config, row->def ? rk_str(row->def) : RK_STR(""), "default", err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int apply_text(const struct rk_settings_table *t,
                      void *config,
                      const char *name,
                      struct rk_str text,
                      struct rk_err *err)
{
    unsigned seen[MAX_ROWS] = { 0 }; /* line of the first occurrence */
    unsigned line_number = 0;
    const struct rk_setting *row;
    struct rk_str line, key;
    char where[512];
    size_t index;
    int r;

    while (rk_str_next(&text, '\n', &line)) {
        line_number++;
        line = rk_str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        (void)snprintf(where, sizeof(where), "%s:%u", name, line_number);
        (void)rk_str_next(&line, '=', &key);
        if (!line.p)
            return rk_fail(err, RK_INVALID, "%s: write key = value", where);
        key = rk_str_trim(key);
        row = find_row(t, key, &index);
        if (!row || index >= MAX_ROWS)
            return rk_fail(err, RK_INVALID,
                           "%s: unknown key '%.*s'; --help lists the keys of rookery-%s", where,
                           key.n > 64 ? 64 : (int)key.n, key.p, t->service);
        if (seen[index])
            return rk_fail(err, RK_INVALID, "%s: %s stands on line %u already; keep one of them",
                           where, row->key, seen[index]);
        seen[index] = line_number;
        r = apply(row, config, rk_str_trim(line), where, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A secret's file named by the environment wins over the secret that the settings file holds. */
static void forget_what_the_environment_names(const struct rk_settings_table *t, void *config)
{
    char name[MAX_KEY + 16];
    const char *v;

    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].type != RK_SET_SECRET_FILE)
            continue;
        env_name(t->rows[i].key, name);
        v = getenv(name);
        if (v && *v)
            replace_string(string_at(config, t->rows[i].secret_offset), RK_STR(""));
    }
}

static int apply_environment(const struct rk_settings_table *t, void *config, struct rk_err *err)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;
    char name[MAX_KEY + 16], where[MAX_KEY + 64];
    const char *v;
    int r;

    forget_what_the_environment_names(t, config);
    while ((row = next_row(&it))) {
        env_name(row->key, name);
        v = getenv(name);
        if (!v || !*v)
            continue;
        (void)snprintf(where, sizeof(where), "environment variable %s", name);
        r = apply(row, config, rk_str_trim(rk_str(v)), where, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whole regular file into *out (init by the caller with its limit). */
static int read_file(const char *path, struct rk_buf *out, struct rk_err *err)
{
    /* O_NONBLOCK: a FIFO named by mistake must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    uint8_t chunk[4096];
    ssize_t n;

    if (fd < 0)
        return rk_fail(err, RK_INVALID, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return rk_fail(err, RK_INVALID, "%s: not a regular file", path);
    }
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        if (!rk_buf_put(out, chunk, (size_t)n))
            break;
    explicit_bzero(chunk, sizeof(chunk));
    (void)close(fd);
    if (n < 0)
        return rk_fail(err, RK_INVALID, "%s: cannot be read", path);
    if (out->overflow)
        return rk_fail(err, RK_INVALID, "%s: larger than %zu bytes", path, out->max);
    return 0;
}

static int read_secret_file(const struct rk_setting *row, void *config, struct rk_err *err)
{
    const char *path = string_of(config, row->offset);
    rk_auto(rk_buf_done) struct rk_buf content;
    struct rk_str secret;
    struct rk_err why;
    int r;

    rk_buf_init(&content, MAX_SECRET);
    r = read_file(path, &content, &why);
    secret = rk_str_trim(rk_buf_str(&content));
    if (r == 0 && (secret.n == 0 || memchr(secret.p, 0, secret.n)))
        r = rk_fail(&why, RK_INVALID, "%s: empty or not text", path);
    if (r == 0)
        replace_string(string_at(config, row->secret_offset), secret);
    if (content.p)
        explicit_bzero(content.p, content.n);
    return r < 0 ? rk_fail(err, r, "%s: %s", row->key, why.msg) : 0;
}

static int check_common(const struct rk_common_config *c, struct rk_err *err)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    struct rk_addr addr;
    struct rk_err why;
    bool known = false;

    for (size_t i = 0; i < RK_COUNT(levels); i++)
        known = known || strcmp(c->log_level, levels[i]) == 0;
    if (!known)
        return rk_fail(err, RK_INVALID, "log_level = '%.64s': write debug, info, warn or error",
                       c->log_level);
    if (rk_addr_parse(rk_str(c->admin_listen), &addr, &why) < 0)
        return rk_fail(err, RK_INVALID, "admin_listen: %.400s", why.msg);
    return 0;
}

static bool is_empty(const struct rk_setting *row, const void *config)
{
    return row->type != RK_SET_INT && row->type != RK_SET_BOOL &&
           *string_of(config, row->offset) == 0;
}

/* By file or environment, to something else than its default. */
static bool secret_is_set(const struct rk_settings_table *t, const void *config, size_t offset)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;
    const char *v = string_of(config, offset);

    while ((row = next_row(&it)))
        if (row->type == RK_SET_SECRET && row->offset == offset && row->def)
            return *v && strcmp(v, row->def) != 0;
    return *v;
}

static bool has_file_twin(const struct rk_settings_table *t, const struct rk_setting *secret)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i].type == RK_SET_SECRET_FILE && t->rows[i].secret_offset == secret->offset)
            return true;
    return false;
}

static int finish(const struct rk_settings_table *t, void *config, struct rk_err *err)
{
    struct rk_common_config *common = config;
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;
    char name[MAX_KEY + 16];
    int r;

    for (size_t i = 0; i < t->count; i++) {
        row = &t->rows[i];
        if (row->type != RK_SET_SECRET_FILE || is_empty(row, config) ||
            secret_is_set(t, config, row->secret_offset))
            continue;
        r = read_secret_file(row, config, err);
        if (r < 0)
            return r;
    }
    while ((row = next_row(&it))) {
        if (!row->required || !is_empty(row, config))
            continue;
        env_name(row->key, name);
        return rk_fail(err, RK_INVALID,
                       "%s is required (%s): write '%s = ...' in the file or set %s%s", row->key,
                       row->help, row->key, name,
                       has_file_twin(t, row) ? ", or name a file that holds it with the key that "
                                               "ends in _file"
                                             : "");
    }
    if (!*common->instance) {
        char host[64] = "";

        (void)gethostname(host, sizeof(host) - 1);
        free(common->instance);
        common->instance = rk_asprintf("%s-%d", *host ? host : t->service, (int)getpid());
    }
    r = check_common(common, err);
    if (r < 0)
        return r;
    return t->check ? t->check(config, err) : 0;
}

int rk_settings_parse(const struct rk_settings_table *t,
                      void *config,
                      const char *name,
                      struct rk_str text,
                      struct rk_err *err)
{
    int r = apply_defaults(t, config, err);

    if (r == 0)
        r = apply_text(t, config, name, text, err);
    return r < 0 ? r : finish(t, config, err);
}

int rk_settings_load(const struct rk_settings_table *t,
                     void *config,
                     const char *file,
                     struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf text;
    int r = apply_defaults(t, config, err);

    rk_buf_init(&text, MAX_FILE);
    if (r == 0 && file) {
        r = read_file(file, &text, err);
        if (r == 0)
            r = apply_text(t, config, file, rk_buf_str(&text), err);
        if (text.p)
            explicit_bzero(text.p, text.n);
    }
    if (r == 0)
        r = apply_environment(t, config, err);
    return r < 0 ? r : finish(t, config, err);
}

void rk_settings_done(const struct rk_settings_table *t, void *config)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;

    while ((row = next_row(&it))) {
        char **s;

        if (row->type == RK_SET_INT || row->type == RK_SET_BOOL)
            continue;
        s = string_at(config, row->offset);
        if (*s)
            explicit_bzero(*s, strlen(*s));
        free(*s);
        *s = NULL;
    }
}

void rk_settings_help(const struct rk_settings_table *t, FILE *out)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;
    char name[MAX_KEY + 16];

    (void)fprintf(
        out,
        "rookery-%s: %s\n\n"
        "usage: rookery-%s [--config FILE] [--check-config | --ready] [--help] [--version]\n\n"
        "--check-config prints the settings and runs nothing; --ready asks the process that runs "
        "with "
        "these settings\nwhether it is ready, and exits with 0 when it is.\n\n"
        "The file holds `key = value` lines; a line that begins with # is a comment. Each "
        "key can also be\ngiven as an environment variable, which wins over the file.\n",
        t->service, t->summary, t->service);
    while ((row = next_row(&it))) {
        env_name(row->key, name);
        (void)fprintf(out, "\n  %s (%s)\n      %s", row->key, name, row->help);
        if (row->required)
            (void)fputs("; required", out);
        if (row->def && *row->def)
            (void)fprintf(out, "; default %s", row->def);
        if (row->type == RK_SET_INT)
            (void)fprintf(out, "; %" PRId64 " to %" PRId64, row->min, row->max);
        (void)fputc('\n', out);
    }
}

void rk_settings_dump(const struct rk_settings_table *t, const void *config, FILE *out)
{
    struct row_iter it = { t, 0 };
    const struct rk_setting *row;

    while ((row = next_row(&it))) {
        const char *at = (const char *)config + row->offset;
        int64_t n;

        switch (row->type) {
        case RK_SET_INT:
            memcpy(&n, at, sizeof(n));
            (void)fprintf(out, "%s = %" PRId64 "\n", row->key, n);
            break;
        case RK_SET_BOOL:
            (void)fprintf(out, "%s = %s\n", row->key, *(const bool *)at ? "true" : "false");
            break;
        case RK_SET_SECRET:
            (void)fprintf(out, "# %s is %s\n", row->key, is_empty(row, config) ? "empty" : "set");
            break;
        case RK_SET_STRING:
        case RK_SET_SECRET_FILE:
            (void)fprintf(out, "%s = %s\n", row->key, string_of(config, row->offset));
            break;
        }
    }
}

static enum rk_settings_action answer(int status, int *out_status)
{
    *out_status = status;
    return RK_SETTINGS_EXIT;
}

enum rk_settings_action rk_settings_main(
    const struct rk_settings_table *t, void *config, int argc, char **argv, int *out_status)
{
    const char *file = NULL;
    bool check = false, ready = false;
    struct rk_err err;
    int r;

    for (int i = 1; i < argc; i++) {
        struct rk_str a = rk_str(argv[i]);

        if (rk_str_eq(a, RK_STR("--help")) || rk_str_eq(a, RK_STR("-h"))) {
            rk_settings_help(t, stdout);
            return answer(0, out_status);
        }
        if (rk_str_eq(a, RK_STR("--version"))) {
            printf("rookery-%s %s\n", t->service, RK_VERSION);
            return answer(0, out_status);
        }
        if (rk_str_eq(a, RK_STR("--check-config"))) {
            check = true;
        } else if (rk_str_eq(a, RK_STR("--ready"))) {
            ready = true;
        } else if (rk_str_eq(a, RK_STR("--config")) && i + 1 < argc) {
            file = argv[++i];
        } else if (rk_str_starts(a, RK_STR("--config="))) {
            file = argv[i] + strlen("--config=");
        } else {
            (void)fprintf(stderr, "rookery-%s: '%s'? See --help.\n", t->service, argv[i]);
            return answer(2, out_status);
        }
    }
    r = rk_settings_load(t, config, file, &err);
    if (r == 0 && ready)
        r = rk_probe_ready(((const struct rk_common_config *)config)->admin_listen, &err);
    if (r < 0) {
        (void)fprintf(stderr, "rookery-%s: %s\n", t->service, err.msg);
        return answer(1, out_status);
    }
    if (ready)
        return answer(0, out_status);
    if (check) {
        rk_settings_dump(t, config, stdout);
        return answer(0, out_status);
    }
    return RK_SETTINGS_RUN;
}
