#pragma once

/*
 * Jobs: brings what administrators ask of agents (libcommon/account/rules/job.h) to the Job streams
 * that are open here, and their answers to Postgres. Postgres is asked when a stream opens, when
 * the doorbell names a peer, and every few seconds for whatever a lost message would have named. A
 * stream is told a job once; a job whose stream ends before the answer is told again on the next
 * one, on whichever replica that is, until its deadline. Loop thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/job.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/box.h"
#include "services/management/fanout/session.h"

struct app;
struct jobs;

/* One open stream; its call's end frees it (rpc/job.c). */
struct job_stream {
    enum call_kind kind; /* CALL_SESSION: not a request any more */
    struct rk_grpc_call *call;
    uint8_t key[RK_KEY_LEN];
    struct rk_box box;
    char peer_id[RK_XID_LEN + 1];
    char told[RK_UUID_LEN + 1]; /* the job it was told last, or "" */
    bool open;                  /* which it has not answered yet */
    bool asking;                /* Postgres, for what there is */
    bool again;                 /* and once more after that */
};

struct jobs *jobs_new(struct app *app);
void jobs_close(struct jobs *j); /* frees on a later turn; answers not yet stored are lost */
/* Every answer is in Postgres. */
bool jobs_idle(const struct jobs *j);

/* Asks what there is for this stream. */
void jobs_ask(struct app *app, struct job_stream *s);
/* The peer may have no stream any more. */
void jobs_end(struct app *app, const char *peer_id);
/* RK_JOB_DOORBELL: "<peer id> <job id>". */
void jobs_heard(struct app *app, struct rk_str payload);
/* The stream's peer has answered its job. The texts are copied. */
void jobs_answered(struct app *app,
                   struct job_stream *s,
                   bool succeeded,
                   struct rk_str reason,
                   struct rk_str upload_key);
