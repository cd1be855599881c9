#pragma once

/*
 * The subject of a user of the embedded provider, which is the user's id everywhere: URL-safe
 * base64 without padding of a protobuf message with the user id (1) and the connector id (2) at
 * that connector. Local users have connector "local". Any thread.
 */

#include <stdbool.h>

/* Bytes of a user id with its NUL. An upstream's subject may have 255 characters and is encoded
 * once more here. */
#define RK_USER_ID_MAX 512

/* Of what goes into a subject, with the NUL. */
#define RK_SUBJECT_PART_MAX 320

#define RK_CONNECTOR_LOCAL "local"

/* False when it does not fit. */
bool rk_subject_encode(const char *user_id, const char *connector_id, char out[RK_USER_ID_MAX]);

/* Takes either alphabet, with or without padding. False: no subject of ours, as the ids of other
 * providers and of service users are. */
bool rk_subject_decode(const char *subject,
                       char out_user_id[RK_SUBJECT_PART_MAX],
                       char out_connector_id[RK_SUBJECT_PART_MAX]);
