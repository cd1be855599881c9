#pragma once

/*
 * Settings: one table a service is the parser of the file and the environment, the --help, the
 * --check-config and the redacted dump. Start-up only, main thread.
 *
 * File: `key = value` lines; a line that begins with `#` is a comment; a key stands once.
 * Environment: ROOKERY_<KEY IN UPPER CASE>, which wins over the file; an empty variable counts as
 * not set. A value of type SECRET is never printed; its twin row `<key>_file` (type SECRET_FILE)
 * names a file that holds it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

enum rk_setting_type {
    RK_SET_STRING,      /* char * */
    RK_SET_INT,         /* int64_t, with min and max */
    RK_SET_BOOL,        /* bool: true/false/1/0/yes/no */
    RK_SET_SECRET,      /* char *, redacted */
    RK_SET_SECRET_FILE, /* char *: path; its content, trimmed, becomes the SECRET at `secret_offset`
                           unless that is set */
};

struct rk_setting {
    const char *key;
    enum rk_setting_type type;
    size_t offset;        /* of the member in the service's config struct */
    const char *def;      /* default as text; NULL = empty/0 */
    const char *help;     /* one line; names the unit */
    int64_t min, max;     /* RK_SET_INT */
    size_t secret_offset; /* RK_SET_SECRET_FILE */
    bool required;
};

/* Settings every service has; first member of each service's config struct. */
struct rk_common_config {
    char *log_level;
    char *instance;
    char *admin_listen;
    int64_t drain_ms;
};
/* Rows for a config struct that begins with struct rk_common_config. Every table has them without
 * naming them; a row of the same key in the table replaces the common one (another default). */
extern const struct rk_setting rk_common_settings[];
extern const size_t rk_common_settings_count;

struct rk_settings_table {
    const char *service; /* "signal" */
    const char *summary; /* one line for --help */
    const struct rk_setting *rows;
    size_t count;
    /* Checks that need several values; may be NULL. */
    int (*check)(const void *config, struct rk_err *err);
};

/* Fills *config (zeroed by the caller) from defaults, `file` (may be NULL) and the environment.
 * Errors name file, line and key, and what to write instead. */
int rk_settings_load(const struct rk_settings_table *t,
                     void *config,
                     const char *file,
                     struct rk_err *err);
/* The same from text in memory (tests, fuzzing), without the environment; `name` is what errors
 * call it. */
int rk_settings_parse(const struct rk_settings_table *t,
                      void *config,
                      const char *name,
                      struct rk_str text,
                      struct rk_err *err);
/* Wipes secrets and frees strings. */
void rk_settings_done(const struct rk_settings_table *t, void *config);
void rk_settings_help(const struct rk_settings_table *t, FILE *out);
void rk_settings_dump(const struct rk_settings_table *t,
                      const void *config,
                      FILE *out); /* redacted */

enum rk_settings_action {
    RK_SETTINGS_RUN,
    RK_SETTINGS_EXIT, /* --help, --version, --check-config, --ready or a mistake was answered: exit
                       with *out_status */
};
/* Handles --config FILE, --check-config, --ready, --help, --version of a main(). */
enum rk_settings_action rk_settings_main(
    const struct rk_settings_table *t, void *config, int argc, char **argv, int *out_status);
