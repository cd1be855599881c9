#pragma once

/*
 * Answers that were given and may be given again. Each was made when its account was at some
 * version (check.h), and is found only for that version: who asks has just been told by Postgres
 * that nothing has changed since. Loop thread only.
 *
 * Bounded: by bytes in all (what was asked for longest ago goes first), no answer over a quarter of
 * them, and by age, so that a change made past the rules, by hand, is seen after a few seconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/list.h"
#include "libcommon/base/str.h"
#include "services/dashboard-api/http/etag.h"

#define KEPT_AGE_MAX_MS 5000
#define KEPT_VERSION_MAX 32

struct kept;

/* Counted; what clients see of it never changes. */
struct kept_answer {
    unsigned refs;
    struct MHD_Response **idle; /* made for it, and given to nobody now */
    unsigned idle_n;
    struct rk_list by_use;
    char *key;
    size_t key_n;
    char version[2 * KEPT_VERSION_MAX];
    uint64_t made_ms;
    uint8_t *body;
    size_t body_n;
    char etag[ETAG_LEN + 1];
    bool paged;
    uint64_t total; /* with paged */
    char *link;
};

struct kept *kept_new(size_t max_bytes);
void kept_free(struct kept *k);
RK_DEFINE_AUTO(struct kept, kept_free)
/* NULL when there is none of this version, or it is too old. The caller's own reference. */
struct kept_answer *
kept_find(struct kept *k, struct rk_str key, const char *version, uint64_t now_ms) RK_CHECKED;
/* Replaces what was kept for that key; takes no reference. */
void kept_put(
    struct kept *k, struct rk_str key, const char *version, uint64_t now_ms, struct kept_answer *a);
void kept_clear(struct kept *k);
/* Responses that were made for a kept answer are used again: making one, and its headers, costs
 * more than all else about it. NULL when none is idle. The caller's own until it comes back, once
 * its request has been completed. */
struct MHD_Response *kept_lend(struct kept *k, struct kept_answer *a) RK_CHECKED;
void kept_take_back(struct kept *k, struct kept_answer *a, struct MHD_Response *r);
size_t kept_bytes(const struct kept *k);

/* `body` is taken over, `link` copied. */
struct kept_answer *kept_answer_new(uint8_t *body, size_t n, const char *etag, const char *link);
struct kept_answer *kept_answer_ref(struct kept_answer *a);
void kept_answer_unref(struct kept_answer *a);
RK_DEFINE_AUTO(struct kept_answer, kept_answer_unref)
