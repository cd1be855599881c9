#include "services/relay/core/core_int.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/loop/slice.h"
#include "libcommon/obs/log.h"
#include "services/relay/core/mail.h"
#include "services/relay/transport/ws/conn.h"

#define EVENTS 64
#define ACCEPTS_A_TURN 8
#define HOUSEKEEPING_MS 5000
#define MAIL_BATCH 512
#define WAITING_BYTES (256u << 20)
#define NO_SLOT UINT32_MAX

struct cores {
    struct core_config cfg;
    uint32_t count;
    struct core **core;
    _Atomic int64_t connections;
    _Atomic bool drain;
};

uint32_t core_count(const struct core *c)
{
    return c->all->count;
}

const struct core_config *core_config(const struct core *c)
{
    return &c->all->cfg;
}

bool core_admit(struct core *c)
{
    if (atomic_fetch_add_explicit(&c->all->connections, 1, memory_order_relaxed) >=
        c->all->cfg.max_connections) {
        atomic_fetch_sub_explicit(&c->all->connections, 1, memory_order_relaxed);
        count_add(&c->counts, COUNT_REFUSED, 1);
        return false;
    }
    c->connection_count++;
    count_add(&c->counts, COUNT_CONNECTIONS, 1);
    return true;
}

void core_dismiss(struct core *c)
{
    atomic_fetch_sub_explicit(&c->all->connections, 1, memory_order_relaxed);
    c->connection_count--;
    count_add(&c->counts, COUNT_CONNECTIONS, -1);
}

/* -- slots: names for sessions that other cores may hold -- */

struct handle core_slot_take(struct core *c, struct session *s)
{
    uint32_t i = c->slot_free;

    if (i == NO_SLOT) {
        uint32_t more = c->slot_count ? c->slot_count : 64;

        c->slots = rk_realloc(c->slots, sizeof(*c->slots) * (c->slot_count + more));
        for (i = c->slot_count; i < c->slot_count + more; i++)
            c->slots[i] =
                (struct slot){ .next_free = i + 1 < c->slot_count + more ? i + 1 : NO_SLOT };
        i = c->slot_count;
        c->slot_count += more;
    }
    c->slot_free = c->slots[i].next_free;
    c->slots[i].session = s;
    return (struct handle){ .core = c->index, .slot = i, .gen = ++c->slots[i].gen };
}

void core_slot_give(struct core *c, struct handle h)
{
    c->slots[h.slot].session = NULL;
    c->slots[h.slot].next_free = c->slot_free;
    c->slot_free = h.slot;
}

struct session *core_session(struct core *c, struct handle h)
{
    if (h.core != c->index || h.slot >= c->slot_count || c->slots[h.slot].gen != h.gen)
        return NULL;
    return c->slots[h.slot].session;
}

/* -- messages -- */

static void
deliver(struct core *c, struct session *s, const struct relay_id *from, const struct incoming *m)
{
    if (!s) {
        count_add(&c->counts, COUNT_DROP_ABSENT, 1);
        return;
    }
    s->ops->forward(s, from, m);
}

void core_forward(struct core *c,
                  const struct relay_id *to,
                  const struct relay_id *from,
                  const struct incoming *m)
{
    const struct handle *h = directory_find(c->directory, to);

    if (!h)
        count_add(&c->counts, COUNT_DROP_ABSENT, 1);
    else if (h->core == c->index)
        deliver(c, core_session(c, *h), from, m);
    else if (!mail_transport(&c->mail[h->core], *h, from, m))
        count_add(&c->counts, COUNT_DROP_RING, 1);
}

void core_tell(struct core *c,
               uint32_t core,
               enum directory_event what,
               const struct relay_id *id,
               struct handle h)
{
    mail_directory(&c->mail[core], what, id, h);
}

static void handle_mail(struct core *c, const struct mail *mail)
{
    static const uint8_t clear[4];
    struct incoming m;

    switch ((enum mail_kind)mail->kind) {
    case MAIL_DIRECTORY:
        directory_handle(c->directory, (enum directory_event)mail->event, &mail->id, mail->handle);
        break;
    case MAIL_TRANSPORT:
        m = (struct incoming){ .p = mail->payload - RELAY_HEAD_LEN, .n = mail->n };
        memcpy(m.mask, clear, sizeof(clear));
        deliver(c, core_session(c, mail->handle), &mail->id, &m);
        break;
    }
}

void core_mail(struct core *c)
{
    for (uint32_t i = 0; i < c->all->count; i++) {
        struct mail *mail;
        size_t n;

        if (i == c->index)
            continue;
        /* A bounded batch: a flood from one core must not starve our own sockets. */
        for (unsigned k = 0; k < MAIL_BATCH && (mail = ring_peek(c->mail[i].in, &n)) != NULL; k++) {
            handle_mail(c, mail);
            ring_pop(c->mail[i].in);
        }
    }
}

static bool mail_waits(const struct core *c)
{
    for (uint32_t i = 0; i < c->all->count; i++)
        if (i != c->index && !ring_empty(c->mail[i].in))
            return true;
    return false;
}

static void ring_bell(const struct core *c)
{
    static const uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof(one));

    (void)n; /* full counter: it is awake already */
}

/* The exchange on `sleeping` orders our ring writes before the other's last look, or sees that it
 * sleeps. */
static void wake(struct core *other)
{
    if (atomic_exchange_explicit(&other->sleeping, 0, memory_order_acq_rel) == 1)
        ring_bell(other);
}

/* True when no directory event waits for room. */
static bool poke(struct core *c)
{
    bool clean = true;

    for (uint32_t i = 0; i < c->all->count; i++) {
        if (i == c->index)
            continue;
        clean &= mail_retry(&c->mail[i]);
        if (c->mail[i].poke) {
            c->mail[i].poke = false;
            wake(c->all->core[i]);
        }
    }
    return clean;
}

void core_poke(struct core *c)
{
    poke(c);
}

/* -- the loop -- */

/* From the door to the core. */
struct guest {
    struct rk_list node;
    struct rk_guest self;
};

/* On the door's thread. */
static void on_guest(const struct rk_guest *self, void *arg)
{
    struct guest *g = rk_new(struct guest);
    struct core *c = arg;

    g->self = *self;
    pthread_mutex_lock(&c->guests_lock);
    rk_list_append(&c->guests, &g->node);
    pthread_mutex_unlock(&c->guests_lock);
    ring_bell(c);
}

static struct guest *next_guest(struct core *c)
{
    struct guest *g = NULL;

    pthread_mutex_lock(&c->guests_lock);
    if (!rk_list_empty(&c->guests)) {
        g = rk_list_entry(c->guests.next, struct guest, node);
        rk_list_remove(&g->node);
    }
    pthread_mutex_unlock(&c->guests_lock);
    return g;
}

static void take_guests(struct core *c)
{
    struct guest *g;

    while ((g = next_guest(c)) != NULL) {
        ws_conn_guest(c, &g->self);
        free(g);
    }
}

static void on_wake(struct watch *w, uint32_t events)
{
    struct core *c = rk_container_of(w, struct core, wake_watch);
    uint64_t n;
    ssize_t r = read(c->wake_fd, &n, sizeof(n));

    (void)r;
    (void)events;
    if (c->door)
        take_guests(c);
}

static void on_listen(struct watch *w, uint32_t events)
{
    struct core *c = rk_container_of(w, struct core, listen_watch);

    (void)events;
    /* A bounded batch, so that a crowd at the door does not hold up those inside. */
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage ss;
        socklen_t n = sizeof(ss);
        int fd = accept4(c->listen_fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            ws_conn_accept(c, fd, (const struct sockaddr *)&ss);
            continue;
        }
        if (rk_accept_no_room(errno)) {
            rk_warn(NULL, "cannot accept: %s", strerror(errno));
            epoll_ctl(c->epfd, EPOLL_CTL_DEL, c->listen_fd, NULL);
            c->accept_paused = true;
            return;
        }
        if (errno == EAGAIN)
            return;
    }
}

static void
watch_add(struct core *c, int fd, struct watch *w, void (*on_ready)(struct watch *, uint32_t))
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };
    int r;

    w->on_ready = on_ready;
    r = epoll_ctl(c->epfd, EPOLL_CTL_ADD, fd, &ev);
    assert(r == 0);
    (void)r;
}

static void listen_begin(struct core *c)
{
    struct rk_door_terms terms = {
        .listen_fd = c->listen_fd, .tls = core_config(c)->tls, .on_guest = on_guest, .arg = c
    };

    if (terms.tls)
        c->door = rk_door_open(&terms);
    else
        watch_add(c, c->listen_fd, &c->listen_watch, on_listen);
}

static void begin_drain(struct core *c)
{
    c->draining = true;
    c->drain_from_ms = c->now_ms;
    rk_door_close(c->door);
    c->door = NULL;
    take_guests(c);
    c->drain_total = c->connection_count;
    close(c->listen_fd); /* leaves the epoll set with it */
    c->listen_fd = -1;
}

/* CLOSE goes out spread over most of the drain time, at least one connection every 10 ms, so that
 * agents, whose quick reconnect has no jitter, do not all come back to the other relays in one
 * instant. */
static void drain_some(struct core *c)
{
    uint64_t limit = core_config(c)->drain_ms, window = limit * 8 / 10,
             gone = c->now_ms - c->drain_from_ms;
    size_t due = c->drain_total;

    if (window > c->drain_total * 10)
        window = c->drain_total * 10;
    if (gone < window)
        due = (size_t)((double)c->drain_total * ((double)gone / (double)window)) + 1;
    for (; c->drain_told < due; c->drain_told++)
        if (!ws_conn_drain_one(c))
            break;
    if (c->connection_count == 0) {
        c->done = true;
    } else if (gone >= limit) {
        ws_conn_close_all(c, "drain time is over");
        c->done = true;
    }
}

static void housekeeping(struct core *c)
{
    int64_t idle = 0;

    for (uint32_t i = 0; i < c->slot_count; i++) {
        const struct session *s = c->slots[i].session;

        if (s && (s->state == SESSION_ONLINE || s->state == SESSION_PUBLISHING) &&
            c->now_ms - s->last_transport_ms >= IDLE_MS)
            idle++;
    }
    count_set(&c->counts, COUNT_PEERS_IDLE, idle);
    c->housekeeping_due_ms = c->now_ms + HOUSEKEEPING_MS;
}

static void on_timer(struct wheel_timer *t)
{
    ws_conn_on_timer(t);
}

static void tick(struct core *c)
{
    uint64_t before = c->wheel.tick;

    wheel_run(&c->wheel, c->now_ms, on_timer);
    if (c->wheel.tick == before)
        return;
    if (c->now_ms >= c->housekeeping_due_ms)
        housekeeping(c);
    if (c->accept_paused && c->listen_fd >= 0) {
        c->accept_paused = false;
        listen_begin(c);
    }
}

static int sleep_ms(const struct core *c, bool clean)
{
    if (!rk_list_empty(&c->dead))
        return 0;
    if (!clean)
        return 1;
    if (c->draining)
        return 10;
    return (int)(WHEEL_TICK_MS - c->now_ms % WHEEL_TICK_MS);
}

static void turn(struct core *c, bool clean)
{
    struct epoll_event ev[EVENTS];
    int n, timeout = sleep_ms(c, clean);

    atomic_exchange_explicit(&c->sleeping, 1, memory_order_acq_rel);
    if (mail_waits(c))
        timeout = 0;
    n = epoll_wait(c->epfd, ev, EVENTS, timeout);
    atomic_store_explicit(&c->sleeping, 0, memory_order_relaxed);
    c->now_ms = rk_mono_ms();
    core_mail(c);
    for (int i = 0; i < n; i++) {
        struct watch *w = ev[i].data.ptr;

        w->on_ready(w, ev[i].events);
    }
    tick(c);
    if (!c->draining && atomic_load_explicit(&c->all->drain, memory_order_acquire))
        begin_drain(c);
    if (c->draining)
        drain_some(c);
}

static void *run(void *arg)
{
    struct core *c = arg;
    bool clean = true;

    rk_slice_short();
    while (!c->done) {
        turn(c, clean);
        ws_conn_end_turn(c);
        clean = poke(c);
    }
    core_config(c)->on_drained(core_config(c)->arg);
    return NULL;
}

static struct core *core_new(struct cores *all, uint32_t index, int listen_fd)
{
    struct core *c = rk_new(struct core);

    c->all = all;
    c->index = index;
    c->listen_fd = listen_fd;
    c->now_ms = rk_mono_ms();
    c->epfd = epoll_create1(EPOLL_CLOEXEC);
    c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(c->epfd >= 0 && c->wake_fd >= 0);
    c->slot_free = NO_SLOT;
    c->mail = rk_new_array(struct mailbox, all->count);
    c->scratch = rk_alloc(2 * RELAY_MAX_MESSAGE + SCRATCH_BYTES + TLS_RECORD);
    if (all->cfg.tls)
        c->sealed = rk_alloc(SCRATCH_BYTES);
    c->directory = directory_new(c);
    wheel_init(&c->wheel, c->now_ms);
    c->housekeeping_due_ms = c->now_ms + HOUSEKEEPING_MS;
    rk_list_init(&c->connections);
    rk_list_init(&c->dirty);
    rk_list_init(&c->dead);
    pthread_mutex_init(&c->guests_lock, NULL);
    rk_list_init(&c->guests);
    watch_add(c, c->wake_fd, &c->wake_watch, on_wake);
    if (listen_fd >= 0)
        listen_begin(c);
    return c;
}

static void core_free(struct core *c)
{
    ws_conn_end_turn(c);
    directory_free(c->directory);
    for (uint32_t i = 0; i < c->all->count; i++) {
        ring_free(c->mail[i].in);
        rk_buf_done(&c->mail[i].waiting);
    }
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    close(c->wake_fd);
    close(c->epfd);
    chunk_pool_done(&c->chunks);
    pthread_mutex_destroy(&c->guests_lock);
    free(c->mail);
    free(c->slots);
    free(c->scratch);
    free(c->sealed);
    free(c);
}

struct cores *cores_new(uint32_t count, const int *listen_fds, const struct core_config *cfg)
{
    struct cores *all = rk_new(struct cores);

    all->cfg = *cfg;
    all->count = count;
    all->core = rk_new_array(struct core *, count);
    for (uint32_t i = 0; i < count; i++)
        all->core[i] = core_new(all, i, listen_fds[i]);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) {
            struct mailbox *to = &all->core[i]->mail[j];

            rk_buf_init(&to->waiting, WAITING_BYTES);
            if (i == j)
                continue;
            to->out = ring_new(all->cfg.ring_bytes);
            all->core[j]->mail[i].in = to->out;
        }
    return all;
}

struct core *cores_at(struct cores *all, uint32_t i)
{
    return all->core[i];
}

struct cores *cores_start(uint32_t count, const int *listen_fds, const struct core_config *cfg)
{
    struct cores *all = cores_new(count, listen_fds, cfg);

    for (uint32_t i = 0; i < count; i++) {
        int r = pthread_create(&all->core[i]->thread, NULL, run, all->core[i]);

        assert(r == 0);
        (void)r;
    }
    return all;
}

void cores_drain(struct cores *all)
{
    atomic_store_explicit(&all->drain, true, memory_order_release);
    for (uint32_t i = 0; i < all->count; i++)
        wake(all->core[i]);
}

void cores_free(struct cores *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        core_free(all->core[i]);
    free(all->core);
    free(all);
}

void cores_join_free(struct cores *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        pthread_join(all->core[i]->thread, NULL);
    cores_free(all);
}

void cores_counts(struct cores *all, int64_t sums[COUNT_END])
{
    for (unsigned k = 0; k < COUNT_END; k++) {
        sums[k] = 0;
        for (uint32_t i = 0; i < all->count; i++)
            sums[k] += atomic_load_explicit(&all->core[i]->counts.v[k], memory_order_relaxed);
    }
}
