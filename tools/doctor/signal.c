/* Signal, as an agent uses it: a stream, and a message to ourselves that must come out of it. */

#include <stdio.h>

#include "libcommon/base/clock.h"
#include "proto/signalexchange.pb-c.h"
#include "tools/doctor/visit.h"

#define SERVICE "/signalexchange.SignalExchange/"
#define MESSAGE_MAX 256

static const char topic[] = "signal";

struct echo {
    struct visit visit;
    struct rk_grpc_client_call *stream;
    char key[RK_KEY_B64_LEN + 1];
    uint64_t sent_ns;
    bool registered, sent, heard;
    int status;
    char message[256];
};

static void failed(struct echo *e, int status, const char *message)
{
    e->status = status;
    (void)snprintf(e->message, sizeof(e->message), "%s", message ? message : "");
    visit_end(&e->visit);
}

static void ignore(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    (void)call;
    (void)message;
    (void)arg;
}

static void send_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct echo *e = arg;

    (void)call;
    e->sent = status == 0;
    if (status != 0)
        failed(e, status, message);
}

static void send_to_ourselves(struct echo *e)
{
    static const struct rk_grpc_client_ops ops = { .on_message = ignore, .on_done = send_done };
    static uint8_t body[] = "rookery-doctor";
    Signalexchange__EncryptedMessage m;
    uint8_t bytes[MESSAGE_MAX];
    size_t n;

    signalexchange__encrypted_message__init(&m);
    m.key = m.remotekey = e->key;
    m.body = (ProtobufCBinaryData){ sizeof(body), body };
    n = signalexchange__encrypted_message__pack(&m, bytes);
    e->sent_ns = rk_mono_ns();
    rk_grpc_call_send(rk_grpc_call(e->visit.grpc, SERVICE "Send", NULL, NULL, ANSWER_MS, &ops, e),
                      rk_strn(bytes, n), true);
}

static void on_headers(struct rk_grpc_client_call *call, void *arg)
{
    struct echo *e = arg;

    if (rk_grpc_call_header(call, "x-wiretrustee-peer-registered").n == 0)
        return; /* its end says why */
    e->registered = true;
    send_to_ourselves(e);
}

static void on_message(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct echo *e = arg;

    (void)call;
    (void)message;
    e->heard = true;
    visit_end(&e->visit);
}

static void
stream_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct echo *e = arg;

    (void)call;
    e->stream = NULL;
    failed(e, status, message);
}

static void say(struct check *c, const struct echo *e)
{
    if (e->heard)
        check_say(c, VERDICT_OK, topic, NULL, "brings a message to ourselves after %.1f ms",
                  (double)(rk_mono_ns() - e->sent_ns) / 1e6);
    else if (e->sent)
        check_say(c, VERDICT_FAIL, topic,
                  "see `redis`: with several replicas messages between them go through it",
                  "takes a message to ourselves and does not bring it within %d s",
                  ANSWER_MS / 1000);
    else
        check_say(c, VERDICT_FAIL, topic,
                  "see that the proxy at this URL passes /signalexchange.SignalExchange/ on to "
                  "signal (HTTP/2, unbuffered), and that its replicas are ready",
                  "%s: status %d %s%s%s", e->registered ? "Send" : "ConnectStream", e->status,
                  e->message, e->visit.lost[0] ? ": " : "", e->visit.lost);
}

static void visit(struct check *c, const struct rk_target *to)
{
    static const struct rk_grpc_client_ops ops = { on_headers, on_message, stream_done };
    struct rk_keypair pair;
    struct echo e = { .status = 0 };

    if (!visit_open(&e.visit, c, topic, to))
        return;
    rk_keypair_new(&pair); /* nobody's */
    rk_key_format(pair.public_key, e.key);
    rk_wipe(&pair, sizeof(pair));
    e.stream = rk_grpc_call(e.visit.grpc, SERVICE "ConnectStream", "x-wiretrustee-peer-id", e.key,
                            ANSWER_MS, &ops, &e);
    visit_run(&e.visit);
    say(c, &e);
    visit_close(&e.visit);
}

void check_signal(struct check *c)
{
    struct rk_targets targets = { .count = 0 };
    struct rk_err err = { 0 };
    struct rk_target *to;

    if (rk_targets_get(&targets, rk_str(c->arg), &to, &err) < 0)
        check_say(c, VERDICT_FAIL, topic, "correct `signal_url` of management", "%s", err.msg);
    else
        visit(c, to);
    rk_targets_done(&targets);
}
