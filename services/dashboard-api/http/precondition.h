#pragma once

/*
 * If-Match: a change is made only while the object is as the caller has seen it. The check runs
 * inside the transaction of the change, behind the lock that all writers of the account take, so
 * that of two replicas at once the second sees what the first has done. The tag is that of the GET
 * of the same path, or, where a path has none (users, accounts), of the nearest one above it.
 * Worker thread.
 */

#include "services/dashboard-api/http/request.h"

/* Puts the check before the changes of the handler that runs next on this connection, if the
 * request has one. */
void precondition_set(struct request *q);
void precondition_clear(struct request *q);
