/* One row a method; whatever is not here is answered UNIMPLEMENTED, which agents understand as "not
 * this server". */

#include "services/management/rpc/methods.h"

#include "libcommon/base/attr.h"
#include "libcommon/edge/claim.h"

#define SERVICE "/management.ManagementService/"
#define SEALED_MAX (256u * 1024)

const struct rk_grpc_method methods[] = {
    { .path = SERVICE "GetServerKey", .max_in = 64, .on_message = rpc_server_key },
    { .path = SERVICE "isHealthy", .max_in = 64, .on_message = rpc_is_healthy },
    { .path = SERVICE "Login", .max_in = SEALED_MAX, .on_message = rpc_login, .on_gone = rpc_gone },
    { .path = SERVICE "Sync",
      .max_in = SEALED_MAX,
      .streams = true,
      .on_message = rpc_sync,
      .on_writable = rpc_sync_writable,
      .on_gone = rpc_gone },
    { .path = SERVICE "SyncMeta",
      .max_in = SEALED_MAX,
      .on_message = rpc_sync_meta,
      .on_gone = rpc_gone },
    { .path = SERVICE "Logout", .max_in = 4096, .on_message = rpc_logout, .on_gone = rpc_gone },
    { .path = SERVICE "ExtendAuthSession",
      .max_in = SEALED_MAX,
      .on_message = rpc_extend_session,
      .on_gone = rpc_gone },
    { .path = SERVICE "GetDeviceAuthorizationFlow", .max_in = 4096, .on_message = rpc_device_flow },
    { .path = SERVICE "GetPKCEAuthorizationFlow", .max_in = 4096, .on_message = rpc_pkce_flow },
    { .path = SERVICE "Job",
      .max_in = SEALED_MAX,
      .streams = true,
      .on_message = rpc_job,
      .on_gone = rpc_job_gone },
    { .path = RK_EDGE_METHOD,
      .max_in = RK_CLAIM_MAX * 2,
      .on_message = rpc_renew_edge,
      .on_gone = rpc_renew_edge_gone },
};
const size_t methods_count = RK_COUNT(methods);
