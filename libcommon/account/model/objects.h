#pragma once

/*
 * The objects of an account beside its peers, groups and policies, as rows: users, posture checks,
 * routes, networks with their resources and routers, nameserver groups and zones. Like the rows of
 * model.h they are read from Postgres, counted, never changed once handed over; all strings are
 * NUL-terminated UTF-8 and never NULL ("" when unset) unless said otherwise. Any thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/id.h"
#include "libcommon/base/prefix.h"

/* What a change names in account_change.kind. */
enum rk_object_kind {
    /* Rows of model.h: */
    RK_OBJ_ACCOUNT,    /* 'account': settings, network; object_id = account id */
    RK_OBJ_PEER,       /* 'peer' */
    RK_OBJ_GROUP,      /* 'group': the group itself and all of its members */
    RK_OBJ_GROUP_PEER, /* 'group_peer': one membership; object_id = '<group id>:<peer id>' */
    RK_OBJ_POLICY,     /* 'policy': with its rules */
    /* Rows of this header: */
    RK_OBJ_USER,             /* 'user' */
    RK_OBJ_POSTURE_CHECK,    /* 'posture_check' */
    RK_OBJ_ROUTE,            /* 'route' */
    RK_OBJ_NETWORK,          /* 'network' */
    RK_OBJ_RESOURCE,         /* 'network_resource' */
    RK_OBJ_ROUTER,           /* 'network_router' */
    RK_OBJ_NAMESERVER_GROUP, /* 'nameserver_group' */
    RK_OBJ_ZONE,             /* 'zone': with its records */
};
#define RK_OBJ_FIRST_ROW RK_OBJ_USER
#define RK_OBJ_COUNT (RK_OBJ_ZONE + 1)

/* Users are no xids: an identity provider's subject may be any string. */
#define RK_OBJECT_ID_MAX 511

/* What every row here begins with. */
struct rk_row {
    _Atomic unsigned refs;
    enum rk_object_kind kind;
    char *id;
};

struct rk_ids {
    char (*v)[RK_XID_LEN + 1];
    size_t n;
};
struct rk_strings {
    char **v;
    size_t n;
};

/* SSH rules name them as authorised; only the active count. */
struct rk_user_row {
    struct rk_row row;
    bool active; /* neither blocked nor a service user */
    bool blocked;
    struct rk_ids auto_groups;
};

enum rk_posture_os {
    RK_OS_ANDROID,
    RK_OS_DARWIN,
    RK_OS_IOS,
    RK_OS_LINUX,   /* its version is the kernel's */
    RK_OS_WINDOWS, /* likewise */
    RK_OS_COUNT,
};

struct rk_geo_location {
    char *country, *city; /* city "" = anywhere in the country */
};
struct rk_posture_process {
    char *linux_path, *mac_path, *windows_path;
};

/* A sub-check that is not there passes. */
struct rk_posture_row {
    struct rk_row row;
    char public_id[RK_XID_LEN + 1];
    bool has_nb_version, has_os_version, has_geo, has_ranges, has_processes;
    char *nb_min;
    char *os_min[RK_OS_COUNT]; /* NULL: not configured, which fails that system */
    bool geo_allow;
    struct rk_geo_location *locations;
    size_t locations_n;
    bool ranges_allow;
    struct rk_prefix *ranges;
    size_t ranges_n;
    struct rk_posture_process *processes;
    size_t processes_n;
};

enum rk_network_type {
    RK_NET_IPV4 = 1, /* wire values of Route.NetworkType */
    RK_NET_IPV6 = 2,
    RK_NET_DOMAIN = 3,
};

struct rk_route_row {
    struct rk_row row;
    char public_id[RK_XID_LEN + 1];
    char *description;
    char *net_id;
    enum rk_network_type type;
    struct rk_prefix network;  /* masked; 192.0.2.0/32 for domains */
    struct rk_strings domains; /* lower-case punycode */
    char peer[RK_XID_LEN + 1]; /* or "" with peer_groups */
    struct rk_ids peer_groups, groups, access_groups;
    uint32_t metric;
    bool masquerade, keep_route, skip_auto_apply, enabled;
};

struct rk_network_row {
    struct rk_row row;
    char public_id[RK_XID_LEN + 1];
    char *name;
};

enum rk_resource_type {
    RK_RESOURCE_HOST,
    RK_RESOURCE_SUBNET,
    RK_RESOURCE_DOMAIN,
};

/* The groups that hold a resource are found in the groups' rows. */
struct rk_resource_row {
    struct rk_row row;
    char public_id[RK_XID_LEN + 1];
    char network[RK_XID_LEN + 1];
    char *name, *description;
    enum rk_resource_type type;
    struct rk_prefix prefix; /* host and subnet; not masked */
    char *domain;            /* domain: may begin with "*." */
    bool enabled;
};

struct rk_router_row {
    struct rk_row row;
    char public_id[RK_XID_LEN + 1];
    char network[RK_XID_LEN + 1];
    char peer[RK_XID_LEN + 1];
    struct rk_ids peer_groups;
    uint32_t metric;
    bool masquerade, enabled;
};

struct rk_nameserver {
    char *ip;
    uint16_t port;
};
struct rk_nsgroup_row {
    struct rk_row row;
    char public_id[RK_XID_LEN + 1];
    struct rk_nameserver *servers; /* all of them UDP */
    size_t servers_n;
    struct rk_ids groups;
    struct rk_strings domains;
    bool primary, search_domains, enabled;
};

struct rk_zone_record {
    char *name, *content;
    uint32_t type; /* DNS: A 1, CNAME 5, AAAA 28 */
    int64_t ttl;
};
struct rk_zone_row {
    struct rk_row row;
    char *domain;
    bool enabled, search_domain;
    struct rk_ids groups;
    struct rk_zone_record *records;
    size_t records_n;
};

/* One of the kinds above, zeroed, with one reference; the creator fills it (strings and arrays
 * malloc'ed, freed with the row). */
struct rk_row *rk_row_new(enum rk_object_kind kind, const char *id);
struct rk_row *rk_row_ref(struct rk_row *r);
void rk_row_unref(struct rk_row *r); /* NULL is fine */
RK_DEFINE_AUTO(struct rk_row, rk_row_unref)
