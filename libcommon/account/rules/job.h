#pragma once

/*
 * Jobs that an administrator gives to one agent. A job is a row: made pending over REST, handed to
 * the agent by the replica that has its Job stream, again when the stream ended before the answer,
 * and ended by the answer or by its deadline (due.h). A peer has at most one that is pending. Each
 * call is one transaction on a worker thread; nothing here reaches maps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

/* What whoever made a job publishes after COMMIT, as "<peer id> <job id>". Lost, the job waits
 * until the replica asks for it (rk_job_next). */
#define RK_JOB_DOORBELL "rk:job"

#define RK_JOB_MAX_REASON 4096 /* bytes; more is cut */

/* The one kind of job there is: logs and facts, packed and uploaded. */
struct rk_job_bundle {
    bool bundle_for;         /* wait first, for: */
    int64_t bundle_for_time; /* minutes */
    int64_t log_file_count;
    bool anonymize;
};

/* RK_BAD_REQUEST. Any thread. */
int rk_job_validate(const struct rk_job_bundle *in, struct rk_err *err) RK_CHECKED;

/* RK_NOT_FOUND without the peer, RK_PRECONDITION for an agent that knows no jobs, RK_BAD_REQUEST
 * for one that is away or has a job already. */
int rk_job_create(struct rk_pg *pg,
                  const struct rk_actor *actor,
                  const char *peer_id,
                  const struct rk_job_bundle *in,
                  char out_id[RK_UUID_LEN + 1],
                  struct rk_err *err) RK_CHECKED;

/* For the replica that has the agent's Job stream: */

struct rk_job_pending {
    char id[RK_UUID_LEN + 1];
    struct rk_job_bundle bundle;
};
/* The job that waits for this peer; *out_found false: none. The same job is handed out as often as
 * it is asked for: a stream remembers the id it was told last. */
int rk_job_next(struct rk_pg *pg,
                const char *peer_id,
                struct rk_job_pending *out,
                bool *out_found,
                struct rk_err *err) RK_CHECKED;
/* The agent's answer. `reason` is for a failure, `upload_key` for a success; "" = none.
 * RK_NOT_FOUND for a job that is not this peer's, or no longer pending. */
int rk_job_finish(struct rk_pg *pg,
                  const char *peer_id,
                  const char *job_id,
                  bool succeeded,
                  struct rk_str reason,
                  struct rk_str upload_key,
                  struct rk_err *err) RK_CHECKED;
