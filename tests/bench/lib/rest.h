#pragma once

/*
 * REST calls of a load generator: one blocking request a connection. A call that is not answered
 * with 200 ends the program. Any thread, one a time for each struct.
 */

#include <netinet/in.h>

#include <jansson.h>

struct rest {
    struct sockaddr_in server;
    const char *token; /* personal access token */
};

/* The answer as JSON, the caller's (json_decref); `body` may be NULL. */
json_t *rest_call(const struct rest *r, const char *method, const char *path, const char *body);
