#pragma once

/*
 * Domain names as administrators write them and as they are stored: lower-case ASCII, names of
 * other scripts as punycode. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

#define RK_DOMAIN_SIZE 254

/* A name, possibly with "*." before it, to the form that is stored. False when it is none: labels
 * of 1 to 63 letters, digits, hyphens and underscores, which do not begin or end with a hyphen nor
 * end with an underscore; the last label begins with a letter or digit. */
bool rk_domain_parse(struct rk_str text, char out[RK_DOMAIN_SIZE]) RK_CHECKED;
bool rk_domain_is_wildcard(const char *domain);

/* The stored form as people read it; the stored form itself where it cannot be shown otherwise.
 * Free it. */
char *rk_domain_show(const char *domain);
