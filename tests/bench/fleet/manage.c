/*
 * Each operation is two calls on one stream of ours: GetServerKey, and when that has answered what
 * the stream is for. What a status means to an agent is in one function for each kind.
 */

#include "tests/bench/fleet/manage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/cursor.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/grpc/status.h"
#include "proto/management.pb-c.h"
#include "tests/bench/fleet/relayer.h"
#include "tests/bench/lib/mapwire.h"

#define SERVICE "/management.ManagementService/"
#define KEY_MS 5000
#define DIAL_MS 30000
#define DIAL_TRIES_MS 10000
#define LOGIN_MS 10000
#define LOGOUT_MS 15000
#define ENROL_TRIES_MS 120000
#define SEALED_MAX (64 * 1024)
#define TOKEN_MAX 170 /* binary, of the relay */
#define TOKEN_HEAD 33 /* its algorithm and its signature */

enum login_step {
    LOGIN_PROBE,
    LOGIN_PROBE_AGAIN,
    LOGIN_REGISTER,
    LOGIN_KNOWN,
    LOGIN_LOGOUT,
};

static void open_key(struct stream *s);

static bool is_current(const struct stream *s, const struct rk_grpc_client_call *call)
{
    return s->call == call;
}

/* -- envelope -- */

/* What is in an EncryptedMessage, in the fleet's scratch; p NULL: a fault, counted. */
static struct rk_str open_sealed(struct agent *a, struct rk_str message)
{
    struct rk_buf *plain = &a->fleet->plain;
    struct rk_str body;

    rk_buf_clear(plain);
    if (!mapwire_body(message, &body) || !rk_buf_reserve(plain, body.n) ||
        rk_box_open(&a->box, body.p, body.n, plain->p) < 0) {
        tally_fault(a->fleet->tally, FAULT_NOT_AUTHENTIC, "agent %u: %zu bytes do not open",
                    a->number, message.n);
        return (struct rk_str){ NULL, 0 };
    }
    return rk_strn(plain->p, body.n - RK_BOX_OVERHEAD);
}

static void send_sealed(struct agent *a, struct stream *s, struct rk_str plain, bool half_close)
{
    rk_auto(rk_buf_done) struct rk_buf sealed;

    rk_buf_init(&sealed, SEALED_MAX);
    mapwire_seal(a->fleet->plan->keys[a->number], &a->box, plain, &sealed);
    rk_grpc_call_send(s->call, rk_buf_str(&sealed), half_close);
}

static bool take_server_key(struct agent *a, struct rk_str message)
{
    struct rk_cursor c = rk_cursor(message.p, message.n);
    uint8_t key[RK_KEY_LEN];
    struct rk_keypair own;
    bool good;

    if (rk_cursor_varint(&c) != (1 << 3 | 2) ||
        !rk_key_parse(rk_cursor_take(&c, (size_t)rk_cursor_varint(&c)), key))
        return false;
    if (memcmp(key, a->server_key, sizeof(key)) == 0)
        return true;
    identity_keypair(&a->fleet->plan->id, a->number, &own);
    good = rk_box_init(&a->box, &own, key);
    rk_wipe(&own, sizeof(own));
    if (good)
        memcpy(a->server_key, key, sizeof(key));
    return good;
}

/* -- Login -- */

static void retry_enrolment(struct agent *a, int status, const char *message)
{
    struct stream *s = &a->stream[STREAM_LOGIN];

    agent_failed_call(a, status);
    if (rk_mono_ns() - a->since_ns > (uint64_t)ENROL_TRIES_MS * 1000000) {
        agent_stuck(a, "enrolling", status, message);
        return;
    }
    link_close(&a->management);
    s->step = a->fleet->plan->scenario.direct ? LOGIN_REGISTER : LOGIN_PROBE;
    stream_again(s, &backoff_dial);
}

static void login_failed(struct agent *a, int status, const char *message)
{
    struct stream *s = &a->stream[STREAM_LOGIN];
    bool refused = status == RK_GRPC_PERMISSION_DENIED || status == RK_GRPC_INVALID_ARGUMENT;

    switch ((enum login_step)s->step) {
    case LOGIN_PROBE:
    case LOGIN_PROBE_AGAIN:
        if (!refused) {
            retry_enrolment(a, status, message);
            return;
        }
        s->step++;
        open_key(s);
        return;
    case LOGIN_REGISTER:
        if (refused)
            agent_stuck(a, "enrolling", status, message);
        else
            retry_enrolment(a, status, message);
        return;
    case LOGIN_KNOWN:
        if (status == RK_GRPC_PERMISSION_DENIED) {
            agent_stuck(a, "logging in", status, message);
            return;
        }
        agent_failed_call(a, status);
        if (!link_is_up(&a->management) && rk_mono_ms() - a->dial_ms < DIAL_TRIES_MS)
            stream_again(s, &backoff_dial);
        else
            agent_again(a);
        return;
    case LOGIN_LOGOUT:
        agent_failed_call(a, status);
        stream_again(s, &backoff_dial);
        return;
    }
}

static void take_target(struct fleet *f, int r, const struct rk_err *err)
{
    if (r < 0)
        fleet_fatal(f, "Login told of a server that cannot be used: %s", err->msg);
}

static void take_relay(struct agent *a, const Management__RelayConfig *relay)
{
    struct fleet *f = a->fleet;
    struct rk_err err = { 0 };
    uint8_t token[TOKEN_MAX];
    size_t n, payload = relay->tokenpayload ? strlen(relay->tokenpayload) : 0;

    if (!rk_b64_decode(rk_str(relay->tokensignature), token + 1, TOKEN_HEAD - 1, &n) ||
        n != TOKEN_HEAD - 1 || payload > sizeof(token) - TOKEN_HEAD) {
        tally_fault(f->tally, FAULT_UNREADABLE, "agent %u: its relay token is none", a->number);
        return;
    }
    token[0] = 1;
    memcpy(token + TOKEN_HEAD, relay->tokenpayload, payload);
    free(a->relay_token);
    a->relay_token_n = (uint16_t)(TOKEN_HEAD + payload);
    a->relay_token = rk_memdup(token, a->relay_token_n);
    for (size_t i = 0; f->relays == 0 && i < relay->n_urls && i < RK_TARGETS_MAX; i++)
        take_target(f, rk_targets_get(&f->targets, rk_str(relay->urls[i]), &f->relay[i], &err),
                    &err);
    if (f->relays == 0)
        f->relays = (unsigned)(relay->n_urls < RK_TARGETS_MAX ? relay->n_urls : RK_TARGETS_MAX);
}

/* Servers are the same for all, so the first answer tells. */
static void take_config(struct agent *a, const Management__NetbirdConfig *config)
{
    struct fleet *f = a->fleet;
    struct rk_err err = { 0 };

    if (config->signal && !f->signal)
        take_target(f,
                    rk_targets_get_bare(&f->targets, rk_str(config->signal->uri), 0,
                                        config->signal->protocol ==
                                            MANAGEMENT__HOST_CONFIG__PROTOCOL__HTTPS,
                                        SOCK_STREAM, &f->signal, &err),
                    &err);
    if (config->n_stuns > 0 && !f->stun)
        take_target(f,
                    rk_targets_get_bare(&f->targets, rk_str(config->stuns[0]->uri), 3478, false,
                                        SOCK_DGRAM, &f->stun, &err),
                    &err);
    if (config->relay)
        take_relay(a, config->relay);
}

/* What Sync tells anew: the relays' secret may be another one. */
static void take_new_config(struct agent *a, struct rk_str bytes)
{
    Management__NetbirdConfig *config =
        management__netbird_config__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);

    if (!config) {
        tally_fault(a->fleet->tally, FAULT_UNREADABLE, "agent %u: its NetbirdConfig", a->number);
        return;
    }
    take_config(a, config);
    management__netbird_config__free_unpacked(config, NULL);
}

static void take_peer_config(struct agent *a, const Management__PeerConfig *peer)
{
    char text[256];
    uint64_t sum;

    (void)snprintf(text, sizeof(text), "%s %s", peer->address, peer->fqdn);
    sum = identity_sum(&a->fleet->plan->id, text, strlen(text));
    if (a->address != 0 && sum != a->address)
        tally_fault(a->fleet->tally, FAULT_ADDRESS, "agent %u is %s now, and was somebody else",
                    a->number, text);
    a->address = sum;
}

static void on_login(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);
    Management__LoginResponse *m;
    struct rk_str plain;

    if (!is_current(s, call))
        return;
    plain = open_sealed(a, message);
    m = plain.p ? management__login_response__unpack(NULL, plain.n, (const uint8_t *)plain.p)
                : NULL;
    if (!m || !m->netbirdconfig || !m->peerconfig) {
        if (plain.p)
            tally_fault(a->fleet->tally, FAULT_UNREADABLE, "agent %u: its LoginResponse",
                        a->number);
    } else {
        take_config(a, m->netbirdconfig);
        take_peer_config(a, m->peerconfig);
    }
    if (m)
        management__login_response__free_unpacked(m, NULL);
}

static void logged_in(struct agent *a)
{
    struct stream *s = &a->stream[STREAM_LOGIN];
    bool direct = a->fleet->plan->scenario.direct;

    a->enrolled = true;
    if (s->step != LOGIN_KNOWN && !direct) {
        /* Enrolled by one program; the service then connects on its own. */
        link_close(&a->management);
        s->step = LOGIN_KNOWN;
        open_key(s);
        return;
    }
    backoff_reset(&s->backoff);
    a->phase = PHASE_RELAY;
    if (a->fleet->plan->scenario.planes & PLANE_RELAY && a->fleet->relays > 0 && a->relay_token)
        relayer_start(a);
    else
        agent_relay_tried(a);
}

static void login_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);

    if (!is_current(s, call))
        return;
    s->call = NULL;
    if (s->step == LOGIN_LOGOUT && (status == 0 || status == RK_GRPC_NOT_FOUND)) {
        a->enrolled = false;
        agent_stop(a);
        a->fleet->on_left(a);
        return;
    }
    if (status != 0) {
        login_failed(a, status, message);
        return;
    }
    tally_time(a->fleet->tally, METRIC_LOGIN, rk_mono_ns() - s->opened_ns);
    logged_in(a);
}

static const struct rk_grpc_client_ops login_ops = { .on_message = on_login,
                                                     .on_done = login_done };

static void ignore(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    (void)call;
    (void)message;
    (void)arg;
}

static const struct rk_grpc_client_ops logout_ops = { .on_message = ignore, .on_done = login_done };

/* -- Sync -- */

static void apply(struct agent *a, struct stream *s, const struct map_facts *m)
{
    bool fresh = !s->ready;
    uint32_t before = a->change;

    if (a->has_map && m->serial < a->serial) {
        /* An agent passes over it; on one stream it must not come at all. */
        if (!fresh)
            tally_fault(a->fleet->tally, FAULT_SERIAL_BACK, "agent %u: serial %llu after %llu",
                        a->number, (unsigned long long)m->serial, (unsigned long long)a->serial);
    } else {
        if (m->has_change && a->has_change && m->change < a->change)
            tally_fault(a->fleet->tally, FAULT_CHANGE_BACK,
                        "agent %u: change %u after %u, serial %llu after %llu", a->number,
                        m->change, a->change, (unsigned long long)m->serial,
                        (unsigned long long)a->serial);
        if (fresh && a->checking && m->digest != a->digest)
            tally_fault(a->fleet->tally, FAULT_DIFFERS,
                        "agent %u: a fresh map of serial %llu is another than it had of %llu",
                        a->number, (unsigned long long)m->serial, (unsigned long long)a->serial);
        a->has_map = true;
        a->map_ns = rk_mono_ns();
        a->serial = m->serial;
        a->digest = m->digest;
        a->members = m->members;
        if (m->has_change)
            a->change = m->change;
        a->has_change = a->has_change || m->has_change;
    }
    if (fresh) {
        tally_time(a->fleet->tally, METRIC_MAP, rk_mono_ns() - s->opened_ns);
        s->ready = true;
        agent_look(a);
    }
    a->fleet->on_map(a, m, before, fresh);
}

static void on_map(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);
    struct fleet *f = a->fleet;
    struct rk_err err = { 0 };
    struct map_scope scope;
    struct map_facts facts;
    enum fault fault;
    struct rk_str plain;

    if (!is_current(s, call))
        return;
    plain = open_sealed(a, message);
    if (!plain.p)
        return;
    scope = (struct map_scope){ .id = &f->plan->id,
                                .keys = f->plan->keys,
                                .agents = (uint32_t)f->plan->scenario.agents,
                                .self = a->number,
                                .policy = f->plan->groups[a->group].policy,
                                .rule = f->plan->groups[a->group].rule,
                                .seen = f->seen,
                                .stamp = f->stamp };
    plan_span(f->plan, a->number, &scope.first, &scope.end);
    f->stamp++;
    if (!map_read(&scope, plain, &facts, &fault, &err)) {
        tally_fault(f->tally, fault, "%s", err.msg);
        return;
    }
    if (facts.config.n > 0)
        take_new_config(a, facts.config);
    if (!facts.is_map) {
        f->tally->count[COUNT_PUSHES]++;
        return;
    }
    f->tally->count[COUNT_MAPS]++;
    f->tally->count[COUNT_MAP_BYTES] += message.n;
    apply(a, s, &facts);
}

/* Sync and Job have ended. */
static void
stream_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);

    (void)message;
    if (!is_current(s, call))
        return;
    s->call = NULL;
    s->ready = false;
    if (link_is_up(&a->management))
        a->fleet->tally->count[COUNT_STREAM_END]++;
    if (status == RK_GRPC_PERMISSION_DENIED) {
        agent_failed_call(a, status);
        agent_again(a);
        return;
    }
    if (status == RK_GRPC_UNIMPLEMENTED && s->kind == STREAM_JOB)
        return;
    if (status != 0)
        agent_failed_call(a, status);
    if (s->kind == STREAM_SYNC)
        agent_lost(a);
    stream_again(s, &backoff_stream);
}

static const struct rk_grpc_client_ops sync_ops = { .on_message = on_map, .on_done = stream_done };
static const struct rk_grpc_client_ops job_ops = { .on_message = ignore, .on_done = stream_done };

/* -- GetServerKey, and what comes after it -- */

static void open_login(struct agent *a, struct stream *s, const struct mapwire_agent *self)
{
    rk_auto(rk_buf_done) struct rk_buf plain;
    const char *key = s->step == LOGIN_REGISTER ? a->fleet->plan->groups[a->group].key : NULL;

    rk_buf_init(&plain, SEALED_MAX);
    if (s->step == LOGIN_LOGOUT) {
        s->call = rk_grpc_call(a->management.grpc, SERVICE "Logout", NULL, NULL, LOGOUT_MS,
                               &logout_ops, s);
    } else {
        s->call =
            rk_grpc_call(a->management.grpc, SERVICE "Login", NULL, NULL, LOGIN_MS, &login_ops, s);
        mapwire_login(self, key, &plain);
    }
    s->opened_ns = rk_mono_ns();
    send_sealed(a, s, rk_buf_str(&plain), true);
}

static void open_stream(struct agent *a, struct stream *s, const struct mapwire_agent *self)
{
    rk_auto(rk_buf_done) struct rk_buf plain;
    char uuid[RK_UUID_LEN + 1];

    rk_buf_init(&plain, SEALED_MAX);
    backoff_reset(&s->backoff); /* whatever the answer will be */
    s->opened_ns = rk_mono_ns();
    if (s->kind == STREAM_SYNC) {
        s->call = rk_grpc_call(a->management.grpc, SERVICE "Sync", NULL, NULL, 0, &sync_ops, s);
        mapwire_sync(self, &plain);
    } else {
        s->call = rk_grpc_call(a->management.grpc, SERVICE "Job", NULL, NULL, 0, &job_ops, s);
        rk_uuid_new(uuid);
        rk_wire_str(&plain, 1, rk_str(uuid));
    }
    send_sealed(a, s, rk_buf_str(&plain), s->kind == STREAM_SYNC);
}

static void key_failed(struct agent *a, struct stream *s, int status, const char *message)
{
    if (s->kind == STREAM_LOGIN) {
        login_failed(a, status, message);
    } else {
        agent_failed_call(a, status);
        if (s->kind == STREAM_SYNC)
            agent_lost(a);
        stream_again(s, &backoff_stream);
    }
}

static void on_key(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);

    if (is_current(s, call) && !take_server_key(a, message))
        tally_fault(a->fleet->tally, FAULT_UNREADABLE, "agent %u: GetServerKey gave no key",
                    a->number);
}

static void key_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);
    char name[IDENTITY_NAME];
    struct mapwire_agent self = { name, a->fleet->plan->scenario.sync_version ? 1 : 0 };

    if (!is_current(s, call))
        return;
    s->call = NULL;
    if (status != 0 || !a->management.grpc) {
        key_failed(a, s, status != 0 ? status : RK_GRPC_UNAVAILABLE, message);
        return;
    }
    tally_time(a->fleet->tally, METRIC_KEY, rk_mono_ns() - s->opened_ns);
    identity_name(&a->fleet->plan->id, a->number, name);
    if (s->kind == STREAM_LOGIN)
        open_login(a, s, &self);
    else
        open_stream(a, s, &self);
}

static const struct rk_grpc_client_ops key_ops = { .on_message = on_key, .on_done = key_done };

static void open_key(struct stream *s)
{
    struct agent *a = agent_of_stream(s);
    uint64_t wait_ms = 0;
    struct rk_grpc_client *grpc = link_get(&a->management, a->fleet->management, &wait_ms);

    if (!grpc) {
        alarm_set(&a->fleet->wheel, &s->retry, wait_ms);
        return;
    }
    s->opened_ns = rk_mono_ns();
    s->call = rk_grpc_call(grpc, SERVICE "GetServerKey", NULL, NULL,
                           link_is_up(&a->management) ? KEY_MS : DIAL_MS, &key_ops, s);
    rk_grpc_call_send(s->call, RK_STR(""), true);
}

static void on_retry(struct alarm *alarm)
{
    struct stream *s = rk_container_of(alarm, struct stream, retry);
    struct agent *a = agent_of_stream(s);

    if (a->phase == PHASE_WAIT)
        manage_start(a);
    else
        open_key(s);
}

/* -- */

void manage_init(struct agent *a)
{
    alarm_init(&a->stream[STREAM_LOGIN].retry, on_retry);
    alarm_init(&a->stream[STREAM_SYNC].retry, on_retry);
    alarm_init(&a->stream[STREAM_JOB].retry, on_retry);
}

void manage_start(struct agent *a)
{
    struct stream *s = &a->stream[STREAM_LOGIN];

    a->phase = PHASE_LOGIN;
    a->dial_ms = rk_mono_ms();
    s->step = a->enrolled                       ? LOGIN_KNOWN
              : a->fleet->plan->scenario.direct ? LOGIN_REGISTER
                                                : LOGIN_PROBE;
    open_key(s);
}

void manage_again(struct agent *a)
{
    alarm_set(&a->fleet->wheel, &a->stream[STREAM_LOGIN].retry,
              backoff_next(&a->engine, &backoff_engine));
}

void manage_engine(struct agent *a)
{
    backoff_reset(&a->engine);
    open_key(&a->stream[STREAM_SYNC]);
    open_key(&a->stream[STREAM_JOB]);
}

void agent_check(struct agent *a)
{
    stream_stop(&a->stream[STREAM_SYNC]);
    stream_stop(&a->stream[STREAM_JOB]);
    link_close(&a->management);
    a->checking = true;
    manage_engine(a);
}

void agent_leave(struct agent *a)
{
    agent_stop(a);
    a->phase = PHASE_LEAVING;
    a->stream[STREAM_LOGIN].step = LOGIN_LOGOUT;
    open_key(&a->stream[STREAM_LOGIN]);
}
