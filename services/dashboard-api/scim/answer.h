#pragma once

/*
 * What the SCIM endpoints have in common: the token, errors in SCIM's words, what of a resource is
 * shown, and lists. Worker threads.
 */

#include "libcommon/account/rules/scim.h"
#include "services/dashboard-api/call.h"
#include "services/dashboard-api/scim/filter.h"
#include "services/dashboard-api/scim/schema.h"

#define SCIM_PAGE_MAX 200 /* resources of an answer */
#define SCIM_PAGE_USUAL 100

typedef int scim_handler_fn(struct call *c, const struct rk_scim *scim, struct rk_err *err);

/* Finds whose token it is and calls `handler`; errors become the answer here. A change that is
 * refused leaves an entry in the integration's log. */
int scim_serve(struct call *c, scim_handler_fn *handler, struct rk_err *err);
/* The same for what is no integration's own: the schemas. */
bool scim_token_formed(struct rk_str authorization, struct rk_str *out_token);

/* The URL under which our resources are; it begins with "/" without the setting public_url. */
const char *scim_base(const struct call *c);

/* ?attributes= and ?excludedAttributes= */
#define SCIM_SELECT_MAX 32
struct scim_select {
    struct rk_str name[SCIM_SELECT_MAX];
    size_t n;
    bool exclude;
};
struct scim_select scim_select_read(struct call *c);
/* Whether the attribute, or the part `sub` (NULL: any) of it, is shown. */
bool scim_select_wants(const struct scim_select *sel, const char *name, const char *sub);

struct scim_page {
    int64_t start; /* from 1 */
    int64_t count;
};
struct scim_page scim_page_read(struct call *c);

/* The condition of ?filter=; *out_n = 0 without one. */
int scim_terms_read(struct call *c,
                    struct scim_term out[SCIM_TERMS_MAX],
                    size_t *out_n,
                    struct rk_err *err) RK_CHECKED;
/* Sets *slot, or *out_nobody when it asks for something else already. */
void scim_term_once(struct rk_str value, struct rk_arena *a, const char **slot, bool *out_nobody);

/* A ListResponse, its resources between the two. */
void scim_list_begin(struct call *c);
void scim_list_end(struct call *c, int64_t total, int64_t start, int64_t items);

/* Members that every resource has at its beginning and at its end. */
void scim_resource_begin(struct call *c, const char *urn, struct rk_str id);
void scim_resource_end(struct call *c,
                       const struct scim_select *sel,
                       const char *type,
                       struct rk_str id,
                       int64_t created_us,
                       int64_t updated_us,
                       int64_t version);
/* 201 with the place of what was made. */
void scim_created(struct call *c, const char *type, const char *id);
