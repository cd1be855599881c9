#pragma once

/* The RPC table of management, and its handlers. `arg` is the struct app. Loop thread. */

#include "libcommon/grpc/server.h"

extern const struct rk_grpc_method methods[];
extern const size_t methods_count;

void rpc_server_key(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_is_healthy(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_login(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_sync(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_sync_writable(struct rk_grpc_call *call, void *arg);
void rpc_sync_meta(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_logout(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_extend_session(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_device_flow(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_pkce_flow(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_gone(struct rk_grpc_call *call, bool finished, void *arg);
void rpc_job(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_job_gone(struct rk_grpc_call *call, bool finished, void *arg);
void rpc_renew_edge(struct rk_grpc_call *call, struct rk_str message, void *arg);
void rpc_renew_edge_gone(struct rk_grpc_call *call, bool finished, void *arg);

struct job_stream;
void rpc_job_end(struct job_stream *j); /* status 0: the agent opens another one elsewhere */
