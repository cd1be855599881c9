#pragma once

/*
 * One simulated agent: what it holds of management, signal and relay, and when it tries what again.
 * It does what a stock agent does, in that order: dial, Login, one try at a relay, signal, then
 * Sync and Job. Streams that end come back by themselves; Login refused ends it. A closed
 * connection of grpc-go is dialed again by whichever stream wants it first; its own back-off and
 * the stream's hold both.
 *
 * manage.c, signaller.c and relayer.c are the three connections; this is what they have in common.
 * Loop thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/crypto/box.h"
#include "libcommon/grpc/client.h"
#include "libcommon/net/conn.h"
#include "tests/bench/fleet/backoff.h"
#include "tests/bench/fleet/fleet.h"
#include "tests/bench/fleet/wheel.h"

enum phase {
    PHASE_OFF,
    PHASE_LOGIN, /* dial, enrol, Login */
    PHASE_RELAY, /* the one try */
    PHASE_SIGNAL,
    PHASE_ENGINE,
    PHASE_WAIT,  /* before the next try of all */
    PHASE_STUCK, /* a person would have to log in */
    PHASE_LEAVING,
};

enum stream_kind {
    STREAM_LOGIN, /* the calls before there is an engine, and Logout */
    STREAM_SYNC,
    STREAM_JOB,
    STREAM_SIGNAL,
    STREAMS,
};

/* A call and what repeats it; `call` is NULL between two tries, and one that is not in it any more
 * reaches nobody. */
struct stream {
    struct rk_grpc_client_call *call;
    uint64_t opened_ns;
    struct alarm retry;
    struct backoff backoff;
    uint8_t kind;
    uint8_t step; /* STREAM_LOGIN: see manage.c */
    bool ready;   /* Sync: its first map has come; ConnectStream: registered */
};

/* A gRPC connection, with grpc-go's keepalive. */
struct link {
    struct rk_grpc_client *grpc;
    struct backoff channel;
    uint64_t not_before_ms; /* dialed again */
    uint32_t frames, moved_s;
    bool pinged, cut;
    bool signal; /* or management */
};

struct relay {
    struct rk_conn *conn;
    struct rk_target *target;
    struct alarm retry;
    struct backoff backoff;
    uint64_t opened_ns;
    uint32_t alive_s; /* of the last HEALTHCHECK */
    uint8_t stage;
    bool cut;
    bool partner;  /* is online, as the relay says */
    uint8_t *part; /* of a frame that has not come whole; NULL: none */
    uint16_t part_n;
};

struct agent {
    struct fleet *fleet;
    uint32_t number, group;
    enum phase phase;
    bool enrolled, online, has_map;
    bool checking;         /* has connected anew to be verified */
    bool under_way;        /* counts against at_once */
    uint64_t dial_ms;      /* of the tries to dial, before the back-off of all */
    uint64_t since_ns;     /* started, or lost what it had */
    bool started;          /* since_ns is of a start */
    uint64_t first_ns;     /* since its start it was online first then; 0: not yet */
    struct backoff engine; /* of the whole */
    struct link management, signal;
    struct stream stream[STREAMS];
    struct relay relay;
    uint8_t server_key[RK_KEY_LEN];
    struct rk_box box;
    char *relay_token; /* binary, as AUTH wants it */
    uint16_t relay_token_n;
    uint64_t address; /* a sum of its address and name, 0: none yet */
    /* The newest map that it has applied. */
    uint64_t serial, digest, map_ns;
    uint32_t members, change;
    bool has_change;
    uint32_t heard_s, probed_s; /* the watchdog of signal's stream; 0: no probe */
};

void agent_init(struct agent *a, struct fleet *f, uint32_t number);
void agent_start(struct agent *a); /* as a service is started */
void agent_stop(struct agent *a);  /* as a process is killed: everything closes, nothing is said */
void agent_cut(struct agent *a);   /* its connections break; it finds out and comes back */
void agent_leave(struct agent *a); /* Logout, and off */
void agent_done(struct agent *a);  /* stopped; frees what it holds */
/* Management is connected anew, and nothing else: whatever map comes is a fresh one. */
void agent_check(struct agent *a);
void agent_sweep(struct agent *a, uint32_t now_s); /* once a second: keepalive and watchdogs */

/* -- among the files of an agent -- */

struct agent *agent_of_stream(struct stream *s);
struct agent *agent_of_link(struct link *l);
void agent_lost(struct agent *a);        /* something that was up is not */
void agent_look(struct agent *a);        /* something has come up: is it online now? */
void agent_relay_tried(struct agent *a); /* the way to signal is open */
void agent_signal_ready(struct agent *a);
void agent_again(struct agent *a); /* the whole connect loop, after its back-off */
void agent_stuck(struct agent *a, const char *what, int status, const char *message);
void agent_failed_call(struct agent *a, int status); /* counted; it is going to be repeated */

/* A connection, opened when there is none; NULL: not yet, *out_wait_ms says when. */
struct rk_grpc_client *link_get(struct link *l, struct rk_target *t, uint64_t *out_wait_ms);
void link_close(struct link *l);
bool link_is_up(const struct link *l);
void link_sweep(struct link *l, uint32_t now_s, bool streams);
void stream_stop(struct stream *s);
void stream_again(struct stream *s, const struct backoff_rule *rule);
