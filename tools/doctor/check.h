#pragma once

/*
 * Check: a piece of work that asks one server and says what it found. It runs on a thread of its
 * own (doctor.h), so it may wait.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/crypto/box.h"
#include "services/management/config.h"

enum verdict {
    VERDICT_OK,
    VERDICT_WARN,
    VERDICT_FAIL,
};

struct finding {
    enum verdict verdict;
    const char *topic;  /* "redis" */
    char *subject;      /* which one, where there may be several; "" */
    char *detail;       /* what is so */
    const char *advice; /* what to do; NULL when all is well */
};

#define FINDINGS_MAX 16

/* What checks bring home to be compared with what others did. */
struct facts {
    bool has_key, has_build;
    uint8_t key[RK_KEY_LEN]; /* the server's public key */
    char service[32], version[32], build[64];
};

struct check {
    const struct config *config;
    const char *ca_file; /* NULL: the system's certificates */
    const char *topic;   /* of what is said when it does not come to an end */
    char *subject;       /* what it asks, as it may be shown */
    char *arg;           /* the same as it is used: may hold a password */
    void (*run)(struct check *c);
    struct finding finding[FINDINGS_MAX];
    unsigned findings;
    struct facts facts;
};

/* The longest that one answer is waited for. */
#define ANSWER_MS 4000

void check_init(struct check *c, const char *topic, const char *subject, const char *arg);
void check_done(struct check *c); /* wipes `arg` */
RK_DEFINE_AUTO_DONE(struct check, check_done)

/* `topic` and `advice` are static text, advice NULL when nothing need be done. What is too much for
 * FINDINGS_MAX is not said. */
void check_say(struct check *c,
               enum verdict verdict,
               const char *topic,
               const char *advice,
               const char *fmt,
               ...) RK_PRINTF(5, 6);

/* The checks, one for each kind of server. What `arg` is, is in parentheses. */
void check_postgres_host(struct check *c); /* (a conninfo with one host) */
void check_postgres(struct check *c);      /* () */
void check_redis(struct check *c);         /* () */
void check_admin(struct check *c);         /* (URL of an admin port) */
void check_management(struct check *c);    /* (URL) */
void check_signal(struct check *c);        /* (URL) */
void check_relay(struct check *c);         /* (URL) */
void check_stun(struct check *c);          /* (stun:host:port) */
