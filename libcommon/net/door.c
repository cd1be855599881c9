/* See door.h. */

#include "libcommon/net/door.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fds.h"
#include "libcommon/conf/addr.h"
#include "libcommon/loop/slice.h"
#include "libcommon/net/tls_int.h"
#include "libcommon/obs/log.h"
#include "libcommon/obs/metrics.h"

#define EVENTS 64
#define REST_MIN_NS 100000
#define NO_ROOM_MS 250          /* no descriptor is left: until the next try */
#define IN_VAIN_MAX_NS 50000000 /* however many are hung up on at once */

/* How far strangers are. */
enum stage {
    SILENT,    /* has said nothing */
    ANNOUNCED, /* a hello, which has not come whole */
    BEGUN,
    STAGES,
};

struct stranger {
    struct rk_list node;  /* of its stage, the oldest first */
    struct rk_guest self; /* without ssl while SILENT */
    unsigned said;        /* of self.first */
    enum stage stage;
    uint64_t limit_ms;
};

struct waiting {
    struct rk_list list;
    unsigned count, max; /* max: before a turn */
};

struct rk_door {
    struct rk_door_terms terms;
    pthread_t thread;
    _Atomic bool closing;
    int wake_fd;
    int epfd;
    uint64_t due_ns; /* nothing for strangers before */
    uint64_t young_until_ns;
    bool young;
    bool no_room; /* the last look at the listening socket found no descriptor left */
    struct waiting waiting[STAGES];
};

/* --- metrics --- */

enum {
    METRIC_HANDSHAKES,
    METRIC_IN_FLIGHT,
    METRIC_END,
};

enum outcome {
    OUTCOME_DONE,
    OUTCOME_FAILED,
    OUTCOME_LATE,
    OUTCOME_DISPLACED,
};

static const char *const outcomes[] = { "done", "failed", "late", "displaced", NULL };

static struct rk_metric metrics[METRIC_END] = {
    [METRIC_HANDSHAKES] = { .name = "rookery_tls_handshakes_total",
                            .help = "TLS handshakes of those who dialled, by how they ended; "
                                    "displaced: too many others came after it.",
                            .type = RK_COUNTER,
                            .label = "outcome",
                            .values = outcomes },
    [METRIC_IN_FLIGHT] = { .name = "rookery_tls_handshakes_in_flight",
                           .help = "Connections whose TLS handshake is not done yet.",
                           .type = RK_GAUGE },
};

void rk_door_metrics_register(void)
{
    rk_metrics_register(metrics, METRIC_END);
}

/* --- strangers --- */

static void enter(struct rk_door *d, struct stranger *s, enum stage stage)
{
    s->stage = stage;
    rk_list_append(&d->waiting[stage].list, &s->node);
    d->waiting[stage].count++;
}

static void leave(struct rk_door *d, struct stranger *s)
{
    rk_list_remove(&s->node);
    d->waiting[s->stage].count--;
}

/* It is off its list, and what it had is closed or somebody else's. */
static void stranger_free(struct stranger *s, enum outcome how)
{
    rk_metric_add_at(&metrics[METRIC_HANDSHAKES], how, 1);
    rk_metric_add(&metrics[METRIC_IN_FLIGHT], -1);
    free(s);
}

/* Who was taken in in vain was work for the kernel, often more than for the door: of those there is
 * one in RK_DOOR_IN_VAIN_NS, whatever the door has saved up, and the others wait with the kernel.
 * But not in a young process, as below: those may be agents who have waited for too long. */
static void in_vain(struct rk_door *d)
{
    uint64_t now = rk_mono_ns();

    if (d->young)
        return;
    if (d->due_ns < now)
        d->due_ns = now;
    if (d->due_ns - now < IN_VAIN_MAX_NS)
        d->due_ns += RK_DOOR_IN_VAIN_NS;
}

static void hang_up(struct rk_door *d, struct stranger *s, enum outcome how, const char *why)
{
    char text[RK_ADDR_LEN];

    in_vain(d);
    rk_addr_format((const struct sockaddr *)&s->self.peer, text);
    rk_debug((&(struct rk_logctx){ .remote = text }), "connection closed: %s", why);
    leave(d, s);
    SSL_free(s->self.ssl);
    (void)close(s->self.fd); /* leaves the epoll set with it */
    stranger_free(s, how);
}

static struct stranger *oldest(const struct waiting *w)
{
    return w->count > 0 ? rk_list_entry(w->list.next, struct stranger, node) : NULL;
}

static void watch(const struct rk_door *d, int op, int fd, uint32_t events, void *what)
{
    struct epoll_event ev = { .events = events, .data.ptr = what };

    (void)epoll_ctl(d->epfd, op, fd, &ev);
}

bool rk_accept_no_room(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void take_one(struct rk_door *d)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t n = sizeof(ss);
    int fd = accept4(d->terms.listen_fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct stranger *s;

    if (fd < 0) {
        d->no_room = rk_accept_no_room(errno);
        if (!d->no_room)
            return;
        rk_warn(NULL, "cannot accept: %s", strerror(errno));
        d->due_ns = rk_mono_ns() + (uint64_t)NO_ROOM_MS * 1000000;
        return;
    }
    s = rk_new(struct stranger);
    s->self.fd = fd;
    s->limit_ms = rk_mono_ms() + d->terms.limit_ms;
    memcpy(&s->self.peer, &ss, sizeof(s->self.peer)); /* the larger of both families */
    enter(d, s, SILENT);
    rk_metric_add(&metrics[METRIC_IN_FLIGHT], 1);
    watch(d, EPOLL_CTL_ADD, fd, EPOLLIN, s);
}

/* Between two parts of a handshake, none of which is much longer than 0.1 ms. */
static void on_part(const SSL *ssl, int where, int ret)
{
    (void)ssl;
    (void)ret;
    if (where & SSL_CB_LOOP)
        rk_slice_yield();
}

static void begin(struct rk_door *d, struct stranger *s)
{
    leave(d, s);
    s->self.ssl = rk_tls_end(d->terms.tls);
    if (!d->young)
        SSL_set_info_callback(s->self.ssl, on_part);
    if (SSL_set_fd(s->self.ssl, s->self.fd) != 1)
        abort(); /* memory is out */
    enter(d, s, BEGUN);
}

static void through(struct rk_door *d, struct stranger *s)
{
    leave(d, s);
    watch(d, EPOLL_CTL_DEL, s->self.fd, 0, NULL);
    SSL_set_info_callback(s->self.ssl, NULL);
    d->terms.on_guest(&s->self, d->terms.arg);
    stranger_free(s, OUTCOME_DONE);
}

/* What OpenSSL holds for a hello, it holds as soon as its length has come; there may be a second
 * one. */
static void look_for_hello(struct rk_door *d, struct stranger *s)
{
    enum stage stage = SSL_get_state(s->self.ssl) == TLS_ST_SR_CLNT_HELLO ? ANNOUNCED : BEGUN;

    if (stage == s->stage)
        return;
    leave(d, s);
    enter(d, s, stage);
}

/* OpenSSL wants something, or says why it goes no further. */
static void not_yet(struct rk_door *d, struct stranger *s, int r, const char *what)
{
    struct rk_err err = { 0 };

    if (SSL_get_shutdown(s->self.ssl) & SSL_RECEIVED_SHUTDOWN) {
        hang_up(d, s, OUTCOME_FAILED, "hung up, or asked TLS for too much");
        return;
    }
    look_for_hello(d, s);
    switch (SSL_get_error(s->self.ssl, r)) {
    case SSL_ERROR_WANT_READ:
        watch(d, EPOLL_CTL_MOD, s->self.fd, EPOLLIN, s);
        return;
    case SSL_ERROR_WANT_WRITE:
        watch(d, EPOLL_CTL_MOD, s->self.fd, EPOLLOUT, s);
        return;
    default: /* it has told the client, where there is something to tell */
        rk_tls_fail(&err, RK_INVALID, what);
        hang_up(d, s, OUTCOME_FAILED, err.msg);
    }
}

static void listen_to(struct rk_door *d, struct stranger *s)
{
    while (s->said < RK_DOOR_FIRST) {
        int r = SSL_read(s->self.ssl, s->self.first + s->said, (int)(RK_DOOR_FIRST - s->said));

        if (r <= 0) {
            not_yet(d, s, r, "TLS read");
            return;
        }
        s->said += (unsigned)r;
    }
    through(d, s);
}

/* True when it is done; s may be gone where it is not. */
static bool shake(struct rk_door *d, struct stranger *s)
{
    int r = SSL_do_handshake(s->self.ssl);

    if (r != 1)
        not_yet(d, s, r, "TLS handshake");
    else if (!rk_tls_alpn_ok(s->self.ssl))
        hang_up(d, s, OUTCOME_FAILED, "no common protocol (ALPN)");
    else
        return true;
    return false;
}

static void step(struct rk_door *d, struct stranger *s)
{
    if (s->stage == SILENT)
        begin(d, s);
    ERR_clear_error();
    if (SSL_is_init_finished(s->self.ssl) || shake(d, s))
        listen_to(d, s);
}

static void give_way(const struct rk_door *d)
{
    if (!d->young)
        rk_slice_yield();
}

static void make_room(struct rk_door *d, const struct waiting *w, uint64_t now_ms)
{
    struct stranger *s;

    while ((s = oldest(w)) != NULL && s->limit_ms <= now_ms) {
        hang_up(d, s, OUTCOME_LATE, "not open in time");
        give_way(d); /* many may be late at once */
    }
    while (w->count > w->max) {
        hang_up(d, oldest(w), OUTCOME_DISPLACED, "too many TLS handshakes");
        give_way(d);
    }
}

/* The oldest of those who are least far. */
static void free_descriptor(struct rk_door *d)
{
    for (enum stage i = 0; i < STAGES; i++)
        if (d->waiting[i].count > 0) {
            hang_up(d, oldest(&d->waiting[i]), OUTCOME_DISPLACED, "no descriptor is left");
            return;
        }
}

/* Before a turn: nobody is hung up on whose event waits. */
static void tidy(struct rk_door *d)
{
    uint64_t now = rk_mono_ms();

    for (enum stage i = 0; i < STAGES; i++)
        make_room(d, &d->waiting[i], now);
    if (d->no_room)
        free_descriptor(d);
    d->no_room = false;
}

/* --- the thread --- */

/* By the clock, not by what of a core it took: where others had it meanwhile, strangers rest for
 * that as well. */
uint64_t rk_door_due_ns(uint64_t due_ns, uint64_t from_ns, uint64_t now_ns)
{
    uint64_t took_ns = now_ns - from_ns;

    if (due_ns + RK_DOOR_BURST_NS < from_ns)
        due_ns = from_ns - RK_DOOR_BURST_NS;
    /* Longer than any piece is: the process was stopped in the middle of one. */
    if (took_ns > RK_DOOR_PIECE_NS)
        took_ns = RK_DOOR_PIECE_NS;
    return due_ns + RK_DOOR_SHARE * took_ns;
}

/* After a piece: until the next one is due. Small pieces are paid for together. */
static void rest(struct rk_door *d, uint64_t from_ns)
{
    struct pollfd wake = { .fd = d->wake_fd, .events = POLLIN };
    uint64_t now = rk_mono_ns(), ns;
    struct timespec t;

    d->due_ns = rk_door_due_ns(d->due_ns, from_ns, now);
    ns = d->due_ns > now ? d->due_ns - now : 0;
    if (ns < REST_MIN_NS) {
        give_way(d);
        return;
    }
    t = (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
    (void)ppoll(&wake, 1, &t, NULL); /* or the door closes */
}

/* A young process has nobody yet to keep waiting, and perhaps all agents of one that was killed
 * before the door: its door goes before who computes. */
static void grow_up(struct rk_door *d)
{
    if (!d->young || rk_mono_ns() <= d->young_until_ns)
        return;
    d->young = false;
    rk_slice_last();
}

static int sleep_ms(const struct rk_door *d)
{
    uint64_t now = rk_mono_ms(), due = UINT64_MAX;
    const struct stranger *s;

    for (enum stage i = 0; i < STAGES; i++)
        if ((s = oldest(&d->waiting[i])) != NULL && s->limit_ms < due)
            due = s->limit_ms;
    return due == UINT64_MAX ? -1 : due <= now ? 0 : (int)(due - now);
}

static bool closing(const struct rk_door *d)
{
    return atomic_load_explicit(&d->closing, memory_order_acquire);
}

/* Of those who are ready, each has a step, and one more comes in; a rest after each. Who has hung
 * up costs a step too: let go for nothing, a crowd of them would be taken in as fast as it dials,
 * and the kernel's work for that is everybody's. */
static void turn(struct rk_door *d)
{
    struct epoll_event ev[EVENTS];
    int n = epoll_wait(d->epfd, ev, EVENTS, sleep_ms(d));

    for (int i = 0; i < n && !closing(d); i++) {
        uint64_t from = rk_mono_ns();

        if (ev[i].data.ptr == d)
            take_one(d);
        else if (ev[i].data.ptr)
            step(d, ev[i].data.ptr);
        rest(d, from);
    }
}

static void *run(void *arg)
{
    struct rk_door *d = arg;

    rk_slice_short();
    while (!closing(d)) {
        grow_up(d);
        tidy(d);
        turn(d);
    }
    return NULL;
}

/* An eighth of the descriptors that the process may have, for each. */
static unsigned fitting(unsigned most)
{
    uint64_t eighth = rk_fds_max() / 8;

    return eighth >= most ? most : eighth > RK_DOOR_LEAST ? (unsigned)eighth : RK_DOOR_LEAST;
}

static struct rk_door_terms with_defaults(const struct rk_door_terms *given)
{
    struct rk_door_terms t = *given;

    if (t.limit_ms == 0)
        t.limit_ms = RK_DOOR_LIMIT_MS;
    if (t.young_ms == 0)
        t.young_ms = RK_DOOR_YOUNG_MS;
    if (t.max_silent == 0)
        t.max_silent = fitting(RK_DOOR_MAX_SILENT);
    if (t.max_announced == 0)
        t.max_announced = fitting(RK_DOOR_MAX_ANNOUNCED);
    if (t.max_begun == 0)
        t.max_begun = fitting(RK_DOOR_MAX_BEGUN);
    return t;
}

/* In a turn one comes in at most, and each of EVENTS may begin. */
static void waiting_init(struct rk_door *d)
{
    d->waiting[SILENT].max = d->terms.max_silent - 1;
    d->waiting[ANNOUNCED].max = d->terms.max_announced - EVENTS;
    d->waiting[BEGUN].max = d->terms.max_begun - EVENTS;
    for (enum stage i = 0; i < STAGES; i++)
        rk_list_init(&d->waiting[i].list);
}

struct rk_door *rk_door_open(const struct rk_door_terms *terms)
{
    struct rk_door *d = rk_new(struct rk_door);

    d->terms = with_defaults(terms);
    d->young = true;
    d->young_until_ns = rk_mono_ns() + d->terms.young_ms * 1000000;
    waiting_init(d);
    d->epfd = epoll_create1(EPOLL_CLOEXEC);
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->epfd < 0 || d->wake_fd < 0)
        abort(); /* no descriptors at start-up */
    watch(d, EPOLL_CTL_ADD, d->wake_fd, EPOLLIN, NULL);
    watch(d, EPOLL_CTL_ADD, terms->listen_fd, EPOLLIN, d);
    if (pthread_create(&d->thread, NULL, run, d) != 0)
        abort(); /* no thread at start-up */
    return d;
}

static void hang_up_on_all(struct rk_door *d)
{
    struct stranger *s;

    for (enum stage i = 0; i < STAGES; i++)
        while ((s = oldest(&d->waiting[i])) != NULL)
            hang_up(d, s, OUTCOME_FAILED, "shutting down");
}

void rk_door_close(struct rk_door *d)
{
    static const uint64_t one = 1;
    ssize_t n;

    if (!d)
        return;
    atomic_store_explicit(&d->closing, true, memory_order_release);
    n = write(d->wake_fd, &one, sizeof(one));
    (void)n; /* its counter is 0 */
    (void)pthread_join(d->thread, NULL);
    hang_up_on_all(d);
    (void)close(d->wake_fd);
    (void)close(d->epfd);
    free(d);
}
