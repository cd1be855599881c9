/*
 * People who sign in with the embedded provider.
 *
 * `login_load flow ADDRESS:PORT LOGINS FILE PID...`: one after the other, from the address that the
 * dashboard opens to its tokens: the login page, the form, the code, the tokens. The owner's
 * password is the one that setup_token sets. The last access token is left in FILE.
 *
 * `login_load guess ADDRESS:PORT RATE MILLISECONDS`: passwords are tried at that rate, for users
 * that there are not, whose passwords are hashed all the same; each comes from an address of its
 * own (X-Forwarded-For, which the server must believe), or the limit for one address would come
 * first. Says how many were looked at (401) and how many were sent away (503, or 429).
 *
 * Any other answer ends the program. HTTP/1.1, a connection a request, one thread a try under way.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/watch.h"

#define ANSWER_MAX ((size_t)4 << 20)
#define COOKIES_MAX 4096
#define THREADS 128
#define VERIFIER "bench-bench-bench-bench-bench-bench-bench-bench"

static struct sockaddr_in server;
static char base[64]; /* http://ADDRESS:PORT */

/* --- a browser, as far as this needs one --- */

struct browser {
    char cookies[COOKIES_MAX]; /* as they are sent */
    char where[2048];          /* the path of the last request, or the address that was not asked */
    unsigned status;
    struct rk_buf answer;
    char *body;    /* in it */
    unsigned from; /* the address that it says it has */
};

static const char *header(const struct browser *b, const char *name, size_t *n)
{
    const char *at = strcasestr((const char *)b->answer.p, name), *end;

    if (!at || at >= b->body)
        return NULL;
    at += strlen(name);
    end = strstr(at, "\r\n");
    *n = (size_t)(end - at);
    return at;
}

/* Each cookie once, the newest. None of ours is ever taken back here. */
static void keep_cookies(struct browser *b)
{
    static const char name[] = "\r\nset-cookie: ";
    const char *at = (const char *)b->answer.p;

    while ((at = strcasestr(at, name)) && at < b->body) {
        const char *value, *end;
        size_t key_n;
        char *old;

        at += sizeof(name) - 1;
        value = strchr(at, '=');
        end = at + strcspn(at, ";\r");
        if (!value || value > end)
            bench_die("a cookie without a value");
        key_n = (size_t)(value - at) + 1;
        for (old = b->cookies; *old; old += strcspn(old, ";"), old += strspn(old, "; "))
            if (strncmp(old, at, key_n) == 0) {
                size_t n = strcspn(old, ";");

                n += strspn(old + n, "; ");
                memmove(old, old + n, strlen(old + n) + 1);
                break;
            }
        if (strlen(b->cookies) + (size_t)(end - at) + 3 > sizeof(b->cookies))
            bench_die("too many cookies");
        (void)snprintf(b->cookies + strlen(b->cookies), sizeof(b->cookies) - strlen(b->cookies),
                       "%.*s; ", (int)(end - at), at);
    }
}

static void request(struct browser *b, const char *path, const char *form)
{
    rk_auto(rk_cfree) char *text = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = { .tv_sec = 20 };
    ssize_t n;

    text = rk_asprintf(
        "%s %s HTTP/1.0\r\nHost: %s\r\nX-Forwarded-For: 10.%u.%u.%u\r\nCookie: %s\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s",
        form ? "POST" : "GET", path, base + 7, b->from >> 16 & 255, b->from >> 8 & 255,
        b->from & 255, b->cookies, form ? strlen(form) : 0, form ? form : "");
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&server, sizeof(server)) < 0 ||
        send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        bench_die("asking for %s: %s", path, strerror(errno));
    rk_buf_clear(&b->answer);
    do {
        uint8_t *to = rk_buf_reserve(&b->answer, 16384);

        if (!to)
            bench_die("an answer over %zu bytes", ANSWER_MAX);
        n = recv(fd, to, 16384, 0);
        if (n < 0)
            bench_die("%s: %s", path, strerror(errno));
        rk_buf_commit(&b->answer, (size_t)n);
    } while (n > 0);
    (void)close(fd);
    if (!rk_buf_put_u8(&b->answer, 0) || b->answer.n < 13)
        bench_die("%s: no answer", path);
    b->body = strstr((const char *)b->answer.p, "\r\n\r\n");
    if (!b->body)
        bench_die("%s: no end of the headers", path);
    b->body += 4;
    b->status = (unsigned)strtoul((const char *)b->answer.p + 9, NULL, 10);
    keep_cookies(b);
}

/* Goes on as redirects lead, as long as they lead to the server; `where` is then the last path, or
 * the whole address of somebody else, who was not asked. */
static void go(struct browser *b, const char *path, const char *form, const char *end)
{
    (void)snprintf(b->where, sizeof(b->where), "%s", path);
    request(b, path, form);
    for (unsigned turns = 0; b->status >= 300 && b->status < 400; turns++) {
        size_t n, own = strlen(base);
        const char *to = header(b, "\r\nlocation: ", &n);
        bool here;

        if (!to || n >= sizeof(b->where) || turns == 20)
            bench_die("%s leads nowhere", b->where);
        (void)snprintf(b->where, sizeof(b->where), "%.*s", (int)n, to);
        if (strncmp(b->where, end, strlen(end)) == 0)
            return;
        here = strncmp(b->where, base, own) == 0;
        if (!here && b->where[0] != '/')
            bench_die("led to %s", b->where);
        if (here)
            memmove(b->where, b->where + own, strlen(b->where + own) + 1);
        request(b, b->where, NULL);
    }
}

static void browser_init(struct browser *b, unsigned from)
{
    *b = (struct browser){ .from = from };
    rk_buf_init(&b->answer, ANSWER_MAX);
}

static void browser_done(struct browser *b)
{
    rk_buf_done(&b->answer);
}

/* --- a login --- */

/* What stands between `before` and a quotation mark, in the page; the text that follows in *rest.
 */
static char *between(const char *page, const char *before, const char **rest)
{
    const char *at = strstr(page, before);

    if (!at)
        bench_die("no %s in the page: %.2000s", before, page);
    at += strlen(before);
    if (rest)
        *rest = at;
    return rk_strndup(at, strcspn(at, "\""));
}

/* The page's form, with these fields after its hidden one. */
static void submit(struct browser *b, const char *fields, const char *end)
{
    const char *rest;
    rk_auto(rk_cfree) char *action = between(b->body, "action=\"", &rest);
    rk_auto(rk_cfree) char *name = between(rest, "type=\"hidden\" name=\"", &rest);
    rk_auto(rk_cfree) char *value = between(rest, "value=\"", NULL);
    rk_auto(rk_cfree) char *form = rk_asprintf("%s=%s%s", name, value, fields);

    go(b, action, form, end);
}

static char *authorize_path(void)
{
    uint8_t digest[32];
    char challenge[44];

    rk_sha256(VERIFIER, strlen(VERIFIER), digest);
    rk_b64url_encode(digest, sizeof(digest), challenge);
    return rk_asprintf(
        "/oauth2/auth?client_id=netbird-dashboard&response_type=code&scope=openid%%20"
        "profile%%20email%%20offline_access&state=bench&nonce=bench&code_challenge="
        "%s&code_challenge_method=S256&redirect_uri=http%%3A%%2F%%2F%s%%2Fnb-auth",
        challenge, base + 7);
}

static void log_in(struct browser *b, char **out_token)
{
    rk_auto(rk_cfree) char *end = rk_asprintf("%s/nb-auth", base), *path = authorize_path(),
                           *code = NULL, *form = NULL;
    json_t *tokens;
    const char *access;

    go(b, path, NULL, end);
    submit(b, "&login=owner%40rookery.test&password=Bench-2468-bench", end);
    if (strncmp(b->where, end, strlen(end)) != 0)
        bench_die("the login has ended at %s with %u: %.1000s", b->where, b->status, b->body);
    code = between(b->where, "code=", NULL);
    code[strcspn(code, "&")] = '\0';
    form = rk_asprintf("grant_type=authorization_code&client_id=netbird-dashboard&code=%s&code_"
                       "verifier=" VERIFIER "&redirect_uri=http%%3A%%2F%%2F%s%%2Fnb-auth",
                       code, base + 7);
    request(b, "/oauth2/token", form);
    tokens = json_loads(b->body, 0, NULL);
    access = json_string_value(json_object_get(tokens, "access_token"));
    if (b->status != 200 || !access)
        bench_die("the token endpoint: %u %s", b->status, b->body);
    *out_token = rk_strdup(access);
    json_decref(tokens);
}

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void flow(char **argv, int argc)
{
    unsigned logins = (unsigned)bench_number(argv[0], 1, 1000);
    double *ms = rk_new_array(double, logins);
    struct watch w;
    double cpu = 0;

    watch_init(&w, argv + 2, argc - 2);
    for (unsigned i = 0; i <= logins; i++) {
        rk_auto(rk_cfree) char *token = NULL;
        struct browser b;
        uint64_t from;

        if (i == 1) /* the first one warms up */
            cpu = watch_cpu_us(&w);
        browser_init(&b, i);
        from = rk_mono_ns();
        log_in(&b, &token);
        if (i > 0)
            ms[i - 1] = (double)(rk_mono_ns() - from) / 1e6;
        browser_done(&b);
        if (i == logins) {
            FILE *f = fopen(argv[1], "w");

            if (!f || fputs(token, f) < 0 || fclose(f) != 0)
                bench_die("%s: %s", argv[1], strerror(errno));
        }
    }
    cpu = watch_cpu_us(&w) - cpu;
    bench_value("cpu_us", cpu / logins);
    qsort(ms, logins, sizeof(*ms), order);
    bench_value("p50_ms", ms[logins / 2]);
    free(ms);
}

/* --- guesses --- */

struct guesser {
    pthread_t thread;
    unsigned number, guessers;
    uint64_t every_ns, from_ns, until_ns;
    uint64_t looked_at, sent_away;
};

static void *guess(void *arg)
{
    struct guesser *g = arg;
    rk_auto(rk_cfree) char *path = authorize_path(), *page = NULL;
    struct browser b;
    uint64_t due = g->from_ns + g->number * g->every_ns;

    browser_init(&b, (g->number + 1) << 12);
    go(&b, path, NULL, base);
    page = rk_strdup(b.body);
    for (unsigned n = 0; due < g->until_ns; n++, due += g->guessers * g->every_ns) {
        rk_auto(rk_cfree) char *fields =
            rk_asprintf("&login=g%u-%u%%40guess.test&password=Wrong-2468-wrong", g->number, n);
        uint64_t now = rk_mono_ns();

        if (due > now) {
            uint64_t wait = due - now;

            (void)nanosleep(&(struct timespec){ .tv_sec = (time_t)(wait / 1000000000),
                                                .tv_nsec = (long)(wait % 1000000000) },
                            NULL);
        } else if (now >= g->until_ns) {
            break;
        }
        b.from++;
        b.body = page;
        submit(&b, fields, base);
        if (b.status == 401)
            g->looked_at++;
        else if (b.status == 503 || b.status == 429)
            g->sent_away++;
        else
            bench_die("a guess was answered with %u: %.500s", b.status, b.body);
    }
    browser_done(&b);
    return NULL;
}

static void guesses(char **argv)
{
    static struct guesser g[THREADS];
    uint64_t rate = bench_number(argv[0], 1, 1000), ms = bench_number(argv[1], 100, 600000);
    uint64_t from = rk_mono_ns() + 500000000, looked_at = 0, sent_away = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        g[i] = (struct guesser){ .number = i,
                                 .guessers = THREADS,
                                 .every_ns = 1000000000 / rate,
                                 .from_ns = from,
                                 .until_ns = from + ms * 1000000 };
        if (pthread_create(&g[i].thread, NULL, guess, &g[i]) != 0)
            bench_die("a thread does not start");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(g[i].thread, NULL);
        looked_at += g[i].looked_at;
        sent_away += g[i].sent_away;
    }
    bench_value("looked_at_per_s", (double)looked_at * 1e3 / (double)ms);
    bench_value("sent_away_per_s", (double)sent_away * 1e3 / (double)ms);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        bench_die(
            "usage: login_load flow ADDRESS:PORT LOGINS FILE PID... | guess ADDRESS:PORT RATE "
            "MILLISECONDS");
    server = bench_address(argv[2]);
    (void)snprintf(base, sizeof(base), "http://%s", argv[2]);
    if (strcmp(argv[1], "flow") == 0 && argc >= 6)
        flow(argv + 3, argc - 3);
    else if (strcmp(argv[1], "guess") == 0)
        guesses(argv + 3);
    else
        bench_die("neither flow nor guess");
    return 0;
}
