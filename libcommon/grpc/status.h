#pragma once

/* gRPC status codes, and the table from our error codes. Any thread. */

enum rk_grpc_status {
    RK_GRPC_OK = 0,
    RK_GRPC_CANCELLED = 1,
    RK_GRPC_UNKNOWN = 2,
    RK_GRPC_INVALID_ARGUMENT = 3,
    RK_GRPC_DEADLINE_EXCEEDED = 4,
    RK_GRPC_NOT_FOUND = 5,
    RK_GRPC_ALREADY_EXISTS = 6,
    RK_GRPC_PERMISSION_DENIED = 7,
    RK_GRPC_RESOURCE_EXHAUSTED = 8,
    RK_GRPC_FAILED_PRECONDITION = 9,
    RK_GRPC_ABORTED = 10,
    RK_GRPC_OUT_OF_RANGE = 11,
    RK_GRPC_UNIMPLEMENTED = 12,
    RK_GRPC_INTERNAL = 13,
    RK_GRPC_UNAVAILABLE = 14,
    RK_GRPC_DATA_LOSS = 15,
    RK_GRPC_UNAUTHENTICATED = 16,
};

int rk_grpc_status_of(int rk_code);
