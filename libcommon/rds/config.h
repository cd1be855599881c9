#pragma once

/*
 * Settings about Redis: the same keys in every service that uses it. A service's config struct has
 * a `struct rk_rds_config` and RK_RDS_SETTINGS(struct, member) in its table. Start-up only;
 * read-only afterwards.
 */

#include <stdbool.h>

#include "libcommon/base/err.h"
#include "libcommon/conf/settings.h"

/* Members have the names of their keys. NULL counts as empty. */
struct rk_rds_config {
    char *redis; /* unix:/path or host:port; unless one of the next two is set */
    char *redis_user;
    char *redis_password;
    char *redis_password_file;
    bool redis_tls; /* to Redis and to the Sentinels */
    char *redis_ca_file;
    char *redis_cert_file;
    char *redis_key_file;
    char *redis_sentinels; /* comma list of host:port */
    char *redis_cluster;   /* the same */
    char *redis_master;
    char *redis_sentinel_user;
    char *redis_sentinel_password;
    char *redis_sentinel_password_file;
};

#define RK_RDS_ROW(struct_, member_, key_, type_, def_, help_)                                     \
    .key = #key_, .type = RK_SET_##type_, .offset = offsetof(struct_, member_.key_), .def = def_,  \
    .help = help_

#define RK_RDS_SETTINGS(struct_, member_)                                                          \
    { RK_RDS_ROW(struct_, member_, redis, STRING, "unix:/run/redis/redis.sock",                    \
                 "unix:/path or host:port") },                                                     \
        { RK_RDS_ROW(struct_, member_, redis_user, STRING, "",                                     \
                     "name in Redis' access list; empty = its default user") },                    \
        { RK_RDS_ROW(struct_, member_, redis_password, SECRET, "", "password of Redis") },         \
        { RK_RDS_ROW(struct_, member_, redis_password_file, SECRET_FILE, "",                       \
                     "file that holds redis_password"),                                            \
          .secret_offset = offsetof(struct_, member_.redis_password) },                            \
        { RK_RDS_ROW(struct_, member_, redis_tls, BOOL, "false",                                   \
                     "speak TLS to Redis and to its Sentinels") },                                 \
        { RK_RDS_ROW(struct_, member_, redis_ca_file, STRING, "",                                  \
                     "certificates (PEM) that vouch for them; empty = the system's") },            \
        { RK_RDS_ROW(struct_, member_, redis_cert_file, STRING, "",                                \
                     "certificate chain (PEM) shown to them; empty = none") },                     \
        { RK_RDS_ROW(struct_, member_, redis_key_file, STRING, "", "its private key (PEM)") },     \
        { RK_RDS_ROW(struct_, member_, redis_sentinels, STRING, "",                                \
                     "comma list of host:port; they say where Redis is, in place of redis") },     \
        { RK_RDS_ROW(struct_, member_, redis_cluster, STRING, "",                                  \
                     "comma list of host:port, nodes of a Redis Cluster, in place of redis") },    \
        { RK_RDS_ROW(struct_, member_, redis_master, STRING, "mymaster",                           \
                     "the name by which Sentinels know the master") },                             \
        { RK_RDS_ROW(struct_, member_, redis_sentinel_user, STRING, "",                            \
                     "name in the Sentinels' access list; empty = their default user") },          \
        { RK_RDS_ROW(struct_, member_, redis_sentinel_password, SECRET, "",                        \
                     "password of the Sentinels, which have their own") },                         \
    {                                                                                              \
        RK_RDS_ROW(struct_, member_, redis_sentinel_password_file, SECRET_FILE, "",                \
                   "file that holds redis_sentinel_password"),                                     \
            .secret_offset = offsetof(struct_, member_.redis_sentinel_password)                    \
    }

/* Part of a service's own check; the message names the setting and what to write. */
int rk_rds_config_check(const struct rk_rds_config *c, struct rk_err *err);
bool rk_rds_config_clustered(const struct rk_rds_config *c);
/* Who says where Redis is: the comma list of Sentinels or nodes; NULL: it is at `redis`. */
const char *rk_rds_config_guides(const struct rk_rds_config *c);
/* The setting that says where Redis is: redis, redis_sentinels or redis_cluster. */
const char *rk_rds_config_place(const struct rk_rds_config *c);
