#include "tests/bench/lib/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "tests/bench/lib/report.h"

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

        if (r <= 0)
            bench_die("REST: %s", strerror(errno));
        p += r;
        n -= (size_t)r;
    }
}

static void read_all(int fd, struct rk_buf *b)
{
    char part[16 * 1024];
    ssize_t n;

    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        rk_buf_put(b, part, (size_t)n);
    if (n < 0)
        bench_die("REST: %s", strerror(errno));
}

/* HTTP/1.0, so that the answer is not chunked and ends with its connection. */
json_t *rest_call(const struct rest *r, const char *method, const char *path, const char *body)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_cfree) char *request =
        rk_asprintf("%s %s HTTP/1.0\r\nHost: api\r\nAuthorization: Token %s\r\n"
                    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                    method, path, r->token, body ? strlen(body) : 0, body ? body : "");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const char *text;
    json_error_t why;
    json_t *answer;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&r->server, sizeof(r->server)) < 0)
        bench_die("REST: %s", strerror(errno));
    write_all(fd, request, strlen(request));
    rk_buf_init(&b, ANSWER_MAX);
    read_all(fd, &b);
    (void)close(fd);
    text = memmem(b.p, b.n, "\r\n\r\n", 4);
    if (b.n < 12 || memcmp(b.p + 8, " 200", 4) != 0 || !text)
        bench_die("%s %s: %.*s", method, path, (int)b.n, (const char *)b.p);
    text += 4;
    answer = json_loadb(text, b.n - (size_t)(text - (const char *)b.p), JSON_DECODE_ANY, &why);
    if (!answer)
        bench_die("%s %s: %s", method, path, why.text);
    return answer;
}
