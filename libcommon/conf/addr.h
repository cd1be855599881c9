#pragma once

/* "host:port" and URLs as text. Any thread. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

struct rk_addr {
    struct sockaddr_storage ss;
    socklen_t len;
};

/* Numeric "1.2.3.4:80", "[::1]:80", ":80" (all interfaces, dual-stack); "localhost" is 127.0.0.1.
 * Brackets may stand around any, for who puts them there does not always know the family. No name
 * lookup. */
int rk_addr_parse(struct rk_str s, struct rk_addr *out, struct rk_err *err);
/* Of a Unix socket; RK_INVALID when there is no path, or it is too long for one. */
int rk_addr_unix(struct rk_str path, struct rk_addr *out);
#define RK_ADDR_LEN 64
void rk_addr_format(const struct sockaddr *sa,
                    char out[RK_ADDR_LEN]); /* with port; IPv4-mapped as IPv4 */
void rk_addr_format_ip(const struct sockaddr *sa, char out[RK_ADDR_LEN]);

/* Whom an address, as rk_addr_format_ip writes it, stands for where tries are counted: itself, or
 * the /64 of an IPv6 address, which one customer has whole. */
void rk_addr_source(const char *ip, char out[RK_ADDR_LEN]);

/* CIDR list "127.0.0.0/8,::1": bad text is an error; contains() compares IPv4-mapped as IPv4. */
struct rk_cidrs;
struct rk_cidrs *rk_cidrs_parse(struct rk_str s, struct rk_err *err); /* NULL on error */
void rk_cidrs_free(struct rk_cidrs *c);
RK_DEFINE_AUTO(struct rk_cidrs, rk_cidrs_free)
bool rk_cidrs_contains(const struct rk_cidrs *c, const struct sockaddr *sa);

/* scheme://host:port without path; *out_host points into url, IPv6 brackets kept off. */
int rk_url_parse(struct rk_str url,
                 struct rk_str *out_scheme,
                 struct rk_str *out_host,
                 uint16_t *out_port,
                 struct rk_err *err);
