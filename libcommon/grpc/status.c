#include "libcommon/grpc/status.h"

#include "libcommon/base/err.h"

int rk_grpc_status_of(int rk_code)
{
    switch ((enum rk_code)rk_code) {
    case RK_OK:
        return RK_GRPC_OK;
    case RK_INVALID:
    case RK_BAD_REQUEST:
        return RK_GRPC_INVALID_ARGUMENT;
    case RK_NOT_FOUND:
        return RK_GRPC_NOT_FOUND;
    case RK_EXISTS:
        return RK_GRPC_ALREADY_EXISTS;
    case RK_DENIED:
        return RK_GRPC_PERMISSION_DENIED;
    case RK_EXHAUSTED:
        return RK_GRPC_RESOURCE_EXHAUSTED;
    case RK_PRECONDITION:
        return RK_GRPC_FAILED_PRECONDITION;
    case RK_UNIMPLEMENTED:
        return RK_GRPC_UNIMPLEMENTED;
    case RK_INTERNAL:
        return RK_GRPC_INTERNAL;
    case RK_UNAVAILABLE:
        return RK_GRPC_UNAVAILABLE;
    case RK_UNAUTHENTICATED:
        return RK_GRPC_UNAUTHENTICATED;
    case RK_CONFLICT:
        return RK_GRPC_UNAVAILABLE; /* gave up retrying: the caller may try again */
    }
    return RK_GRPC_UNKNOWN;
}
