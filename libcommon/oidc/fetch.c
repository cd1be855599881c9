#include "libcommon/oidc/fetch.h"

/*
 * libcurl, one handle a request. The URL is parsed once, by curl itself, and that parse is both
 * checked and used, so no two readers can disagree about the host. Each address is looked at in the
 * moment its socket would be made: whatever a name resolves to later does not matter.
 */

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"
#include "libcommon/obs/trace.h"
#include "libcommon/oidc/address.h"

#define MAX_URL 2048
#define MAX_FORM 65536
#define MAX_AGE_CAP 31536000
#define AGENT "rookery/" RK_VERSION

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void init_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, global_init);
}

/* One request while it runs. */
struct fetch {
    const struct rk_fetch_rules *rules;
    struct rk_fetch_answer *out;
    bool plain;   /* http: loopback alone */
    bool refused; /* an address was not allowed, */
    bool opened;  /* and another one was */
    char host[RK_FETCH_HOST_LEN];
};

struct target {
    CURLU *url;
    bool plain;
    char host[RK_FETCH_HOST_LEN];
};

static void target_done(struct target *t)
{
    curl_url_cleanup(t->url);
}
RK_DEFINE_AUTO_DONE(struct target, target_done)

void rk_fetch_answer_init(struct rk_fetch_answer *a)
{
    *a = (struct rk_fetch_answer){ .max_age_s = -1 };
    rk_buf_init(&a->body, RK_FETCH_MAX_BYTES);
}

void rk_fetch_answer_done(struct rk_fetch_answer *a)
{
    if (a->body.p)
        explicit_bzero(a->body.p, a->body.n);
    rk_buf_done(&a->body);
}

static bool part_copy(CURLU *u, CURLUPart part, char *out, size_t size)
{
    char *text = NULL;
    bool ok = curl_url_get(u, part, &text, 0) == CURLUE_OK && rk_str_copy(rk_str(text), out, size);

    curl_free(text);
    return ok;
}

static bool part_absent(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool absent = curl_url_get(u, part, &text, 0) != CURLUE_OK;

    curl_free(text);
    return absent;
}

/* The names of loopback that may be spoken to without TLS. */
static bool host_is_loopback(const char *host)
{
    struct rk_str h = rk_str(host);

    return rk_str_ieq(h, RK_STR("localhost")) || rk_str_eq(h, RK_STR("[::1]")) ||
           (rk_str_starts(h, RK_STR("127.")) && strspn(host, "0123456789.") == h.n);
}

static bool printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f || *s == '\\')
            return false;
    return true;
}

/* Fills *t, which the caller has set to zero. */
static int target_read(const struct rk_fetch_rules *rules,
                       const char *url,
                       struct target *t,
                       struct rk_err *err)
{
    const char *host = url ? strchr(url, ':') : NULL;
    char scheme[8];

    init_once();
    /* curl would take a host from behind one slash, or three. */
    if (!host || strncmp(host, "://", 3) != 0 || host[3] == '/' || strlen(url) > MAX_URL ||
        !printable(url))
        return rk_fail(err, RK_INVALID, "not a URL: write https://host/path");
    t->url = curl_url();
    if (!t->url ||
        curl_url_set(t->url, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        !part_copy(t->url, CURLUPART_SCHEME, scheme, sizeof(scheme)) ||
        !part_copy(t->url, CURLUPART_HOST, t->host, sizeof(t->host)) || t->host[0] == '\0')
        return rk_fail(err, RK_INVALID, "not a URL: write https://host/path");
    if (!part_absent(t->url, CURLUPART_USER) || !part_absent(t->url, CURLUPART_PASSWORD) ||
        !part_absent(t->url, CURLUPART_FRAGMENT) || !part_absent(t->url, CURLUPART_ZONEID) ||
        strchr(url, '#'))
        return rk_fail(err, RK_INVALID, "a URL with a user, a zone or a fragment is not accepted");
    t->plain = strcmp(scheme, "http") == 0;
    if (!t->plain && strcmp(scheme, "https") != 0)
        return rk_fail(err, RK_DENIED, "only https:// is accepted");
    if (t->plain && !(rules->allow_private && host_is_loopback(t->host)))
        return rk_fail(err, RK_DENIED, "%s: only https:// is accepted%s", t->host,
                       host_is_loopback(t->host) ? " unless private addresses are allowed" : "");
    return 0;
}

int rk_fetch_check_url(const struct rk_fetch_rules *rules, const char *url, struct rk_err *err)
{
    rk_auto(target_done) struct target t = { 0 };

    return target_read(rules, url, &t, err);
}

void rk_fetch_host(const char *url, char out[RK_FETCH_HOST_LEN])
{
    const struct rk_fetch_rules any = { .allow_private = true };
    rk_auto(target_done) struct target t = { 0 };

    out[0] = '\0';
    if (target_read(&any, url, &t, NULL) == 0)
        memcpy(out, t.host, RK_FETCH_HOST_LEN);
}

/* --- curl's callbacks --- */

static bool allowed(const struct fetch *f, const struct sockaddr *sa)
{
    switch (rk_address_reach(sa)) {
    case RK_REACH_PUBLIC:
        return !f->plain;
    case RK_REACH_LOOPBACK:
        return f->rules->allow_private;
    case RK_REACH_PRIVATE:
        return f->rules->allow_private && !f->plain;
    case RK_REACH_NEVER:
        return false;
    }
    return false;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct fetch *f = arg;

    if (purpose != CURLSOCKTYPE_IPCXN || !allowed(f, &a->addr)) {
        f->refused = true;
        return CURL_SOCKET_BAD;
    }
    f->opened = true;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;

    return rk_buf_put(&f->out->body, p, size * n) ? size * n : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct fetch *f = arg;

    (void)a, (void)b, (void)c, (void)d;
    return f->rules->stop && atomic_load_explicit(f->rules->stop, memory_order_relaxed);
}

/* --- what is sent --- */

void rk_form_put(struct rk_buf *out, const char *name, struct rk_str value)
{
    if (out->n > 0)
        rk_buf_put_u8(out, '&');
    rk_url_put(out, rk_str(name));
    rk_buf_put_u8(out, '=');
    rk_url_put(out, value);
}

/* The Authorization header; empty without credentials. */
static void put_authorization(struct rk_buf *out, const struct rk_fetch_request *q)
{
    struct rk_buf pair;
    uint8_t *to;

    if (q->bearer) {
        rk_buf_printf(out, "Authorization: Bearer %s", q->bearer);
        return;
    }
    if (!q->basic_user)
        return;
    rk_buf_init(&pair, out->max);
    rk_url_put(&pair, rk_str(q->basic_user));
    rk_buf_put_u8(&pair, ':');
    rk_url_put(&pair, rk_str(q->basic_password));
    rk_buf_put_c(out, "Authorization: Basic ");
    to = rk_buf_reserve(out, RK_B64_LEN(pair.n) + 1);
    if (to) {
        rk_b64_encode(pair.p, pair.n, (char *)to);
        rk_buf_commit(out, RK_B64_LEN(pair.n));
    }
    out->overflow |= pair.overflow;
    if (pair.p)
        explicit_bzero(pair.p, pair.n);
    rk_buf_done(&pair);
}

static int
put_headers(struct curl_slist **list, const struct rk_fetch_request *q, struct rk_err *err)
{
    const struct rk_trace *trace = rk_trace_current();
    struct rk_buf b;
    bool ok;

    *list = curl_slist_append(NULL, "Accept: application/json");
    if (trace) {
        char header[sizeof("traceparent: ") + RK_TRACEPARENT_LEN] = "traceparent: ";

        rk_trace_format(trace, header + strlen(header));
        *list = curl_slist_append(*list, header);
    }
    rk_buf_init(&b, 32768);
    put_authorization(&b, q);
    ok = !b.overflow && (b.n == 0 || (!memchr(b.p, '\n', b.n) && !memchr(b.p, '\r', b.n)));
    if (ok && b.n > 0) {
        rk_buf_put_u8(&b, 0);
        ok = !b.overflow;
        if (ok)
            *list = curl_slist_append(*list, (char *)b.p);
    }
    if (b.p)
        explicit_bzero(b.p, b.n);
    rk_buf_done(&b);
    return ok ? 0 : rk_fail(err, RK_INVALID, "credentials that do not fit into a header");
}

/* --- what came back --- */

static int64_t max_age(struct rk_str value, int64_t so_far)
{
    struct rk_str part;
    uint64_t n;

    while (rk_str_next(&value, ',', &part)) {
        struct rk_str name;

        part = rk_str_trim(part);
        if (rk_str_ieq(part, RK_STR("no-store")) || rk_str_ieq(part, RK_STR("no-cache")))
            return 0;
        if (!rk_str_next(&part, '=', &name) || !rk_str_ieq(rk_str_trim(name), RK_STR("max-age")) ||
            !part.p || so_far >= 0)
            continue;
        part = rk_str_trim(part);
        if (part.n >= 2 && part.p[0] == '"' && part.p[part.n - 1] == '"')
            part = rk_strn(part.p + 1, part.n - 2);
        if (rk_str_u64(part, &n))
            so_far = n > MAX_AGE_CAP ? MAX_AGE_CAP : (int64_t)n;
    }
    return so_far;
}

static void read_headers(CURL *h, struct rk_fetch_answer *out)
{
    struct curl_header *header;
    const char *type = NULL;
    struct rk_str rest, first;
    size_t i = 0;

    while (out->max_age_s != 0 &&
           curl_easy_header(h, "Cache-Control", i++, CURLH_HEADER, -1, &header) == CURLHE_OK)
        out->max_age_s = max_age(rk_str(header->value), out->max_age_s);
    if (curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type) != CURLE_OK || !type)
        return;
    rest = rk_str(type);
    if (!rk_str_next(&rest, ';', &first) ||
        !rk_str_copy(rk_str_trim(first), out->content_type, sizeof(out->content_type)))
        return;
    for (char *c = out->content_type; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 'a' - 'A');
}

static int outcome(const struct fetch *f, CURLcode code, struct rk_err *err)
{
    if (code == CURLE_OK)
        return 0;
    if (f->out->body.overflow || code == CURLE_FILESIZE_EXCEEDED)
        return rk_fail(err, RK_EXHAUSTED, "%s: its answer is over 1 MiB", f->host);
    if (f->refused && !f->opened)
        return rk_fail(err, RK_DENIED,
                       "%s: it has a private or special address, which is not allowed", f->host);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return rk_fail(err, RK_UNAVAILABLE, "%s: stopping", f->host);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return rk_fail(err, RK_UNAVAILABLE, "%s: no answer within %d s", f->host,
                       RK_FETCH_MS / 1000);
    return rk_fail(err, RK_UNAVAILABLE, "%s: %s", f->host, curl_easy_strerror(code));
}

static void set_up(CURL *h, struct fetch *f, const struct target *t)
{
    curl_easy_setopt(h, CURLOPT_CURLU, t->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, t->plain ? "http" : "https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_USERAGENT, AGENT);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    /* A name server that never answers would hold up the end of the request otherwise. */
    curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)RK_FETCH_MS);
    curl_easy_setopt(h, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)RK_FETCH_MAX_BYTES);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, f);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    if (f->rules->ca_file && f->rules->ca_file[0] != '\0')
        curl_easy_setopt(h, CURLOPT_CAINFO, f->rules->ca_file);
}

int rk_fetch(const struct rk_fetch_rules *rules,
             const struct rk_fetch_request *q,
             struct rk_fetch_answer *out,
             struct rk_err *err)
{
    rk_auto(target_done) struct target t = { 0 };
    struct fetch f = { .rules = rules, .out = out };
    struct curl_slist *headers = NULL;
    CURLcode code;
    CURL *h;
    long status = 0;
    int r;

    r = target_read(rules, q->url, &t, err);
    if (r < 0)
        return r;
    if (q->form.n > MAX_FORM)
        return rk_fail(err, RK_INVALID, "a form over 64 KiB");
    f.plain = t.plain;
    memcpy(f.host, t.host, sizeof(f.host));
    r = put_headers(&headers, q, err);
    if (r < 0) {
        curl_slist_free_all(headers);
        return r;
    }
    h = curl_easy_init();
    set_up(h, &f, &t);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    if (q->form.p) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->form.n);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, q->form.p);
    }
    code = curl_easy_perform(h);
    r = outcome(&f, code, err);
    if (r == 0) {
        curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
        out->status = (int)status;
        read_headers(h, out);
    }
    curl_easy_cleanup(h);
    for (struct curl_slist *s = headers; s; s = s->next)
        explicit_bzero(s->data, strlen(s->data));
    curl_slist_free_all(headers);
    return r;
}
