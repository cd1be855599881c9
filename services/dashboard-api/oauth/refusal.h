#pragma once

/* Refusal: what the provider says no with, to clients that are told so by code. `error` NULL: it
 * does not say no. Static strings. */

struct refusal {
    const char *error; /* "invalid_grant" */
    const char *why;   /* a sentence for people; no quotes, no '=' */
};
