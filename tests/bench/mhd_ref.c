/*
 * What a small REST answer costs libmicrohttpd at the least: one thread, its own epoll, the
 * Authorization header looked at, a constant answer, of as many bytes as the path says: `/80`.
 * `mhd_ref ADDRESS:PORT`; says "ready" when it listens.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "tests/bench/lib/report.h"

static char body[16384];

static enum MHD_Result answer(void *arg,
                              struct MHD_Connection *c,
                              const char *url,
                              const char *method,
                              const char *version,
                              const char *upload,
                              size_t *upload_n,
                              void **state)
{
    static int seen;
    unsigned long bytes = strtoul(url + 1, NULL, 10);
    struct MHD_Response *r;
    enum MHD_Result done;

    (void)arg;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_n;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (!MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"))
        return MHD_NO;
    r = MHD_create_response_from_buffer(bytes < sizeof(body) ? bytes : sizeof(body), body,
                                        MHD_RESPMEM_PERSISTENT);
    (void)MHD_add_response_header(r, "Content-Type", "application/json");
    done = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return done;
}

int main(int argc, char **argv)
{
    struct sockaddr_in self = bench_address(argc > 1 ? argv[1] : "");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    memset(body, 'x', sizeof(body));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0 || listen(fd, 128) < 0)
        bench_die("listening: %s", strerror(errno));
    if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL,
                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_END))
        bench_die("libmicrohttpd does not start");
    printf("ready\n");
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}
