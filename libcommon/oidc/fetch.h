#pragma once

/*
 * One guarded HTTP request to somebody else's server, such as an identity provider. Any thread that
 * may wait: it blocks until the answer, at most 10 s. Never on a loop thread.
 *
 * https alone; http only to loopback, where that is allowed. The address that is connected to is
 * the one that was looked at: private, loopback, carrier, unique local, link-local, multicast and
 * metadata addresses are refused. `allow_private` opens private, carrier, unique local and loopback
 * ones; link-local, multicast, metadata and unspecified never open. No redirect is followed, no
 * proxy of the environment used, no cookie kept. Errors never repeat what the server sent.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define RK_FETCH_MS 10000
#define RK_FETCH_MAX_BYTES ((size_t)1 << 20)

struct rk_fetch_rules {
    bool allow_private;
    const char *ca_file; /* PEM, believed besides the system's; NULL or "" = none */
    const _Atomic bool
        *stop; /* set: the request ends within a second with RK_UNAVAILABLE; may be NULL */
};

struct rk_fetch_request {
    const char *url;
    struct rk_str form; /* p set: POST, application/x-www-form-urlencoded */
    /* One way to authenticate at most; NULL: none. Basic: the parts are form-encoded first, as RFC
     * 6749 2.3.1 says. */
    const char *basic_user;
    const char *basic_password;
    const char *bearer;
};

struct rk_fetch_answer {
    int status;
    struct rk_buf body;    /* at most RK_FETCH_MAX_BYTES */
    int64_t max_age_s;     /* of Cache-Control; -1: absent; 0 for no-store and no-cache too */
    char content_type[64]; /* lower case, without parameters; "" absent or too long */
};
void rk_fetch_answer_init(struct rk_fetch_answer *a);
void rk_fetch_answer_done(struct rk_fetch_answer *a); /* wipes the body */
RK_DEFINE_AUTO_DONE(struct rk_fetch_answer, rk_fetch_answer_done)

/*
 * 0 with an answer of any status. RK_DENIED: the URL or the address is not allowed. RK_UNAVAILABLE:
 * no answer, not in time. RK_EXHAUSTED: too long an answer. RK_INVALID: not a URL. *out was set up
 * by rk_fetch_answer_init.
 */
int rk_fetch(const struct rk_fetch_rules *rules,
             const struct rk_fetch_request *q,
             struct rk_fetch_answer *out,
             struct rk_err *err) RK_CHECKED;

/* The checks of a URL alone: absolute, https (or http to loopback with allow_private), a host, no
 * user and no fragment. What an administrator types is refused with it before it is stored. */
int rk_fetch_check_url(const struct rk_fetch_rules *rules,
                       const char *url,
                       struct rk_err *err) RK_CHECKED;

#define RK_FETCH_HOST_LEN 256
/* The host of a URL, "" when it is none. */
void rk_fetch_host(const char *url, char out[RK_FETCH_HOST_LEN]);

/* Appends name=value of a form or a query, percent-encoded, with '&' before it unless `out` is
 * empty. */
void rk_form_put(struct rk_buf *out, const char *name, struct rk_str value);
