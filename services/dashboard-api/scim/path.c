/* See path.h. */

#include "services/dashboard-api/scim/path.h"

#include "services/dashboard-api/scim/fault.h"

int scim_path_parse(struct rk_str text,
                    struct rk_arena *a,
                    struct scim_path *out,
                    struct rk_err *err)
{
    struct scim_scan s = { .text = rk_str_trim(text), .arena = a };
    struct scim_path_attr end;
    int r;

    *out = (struct scim_path){ .filter = NULL };
    if (text.n > SCIM_FILTER_MAX)
        return scim_fail(err, SCIM_INVALID_PATH, "the path is longer than %d bytes",
                         SCIM_FILTER_MAX);
    if (!scim_scan_attr(&s, &out->attr))
        return scim_fail(err, SCIM_INVALID_PATH, "the path has no attribute");
    if (s.at == s.text.n)
        return 0;
    if (s.text.p[s.at] != '[' || out->attr.sub.n > 0)
        return scim_fail(err, SCIM_INVALID_PATH, "the path is malformed at character %zu",
                         s.at + 1);
    s.at++;
    r = scim_scan_filter(&s, &out->filter, err);
    if (r < 0)
        return r;
    r = scim_filter_check(out->filter, err);
    if (r < 0)
        return r;
    if (s.at == s.text.n)
        return 0;
    if (s.text.p[s.at] != '.')
        return scim_fail(err, SCIM_INVALID_PATH, "the path is malformed at character %zu",
                         s.at + 1);
    s.at++;
    if (!scim_scan_attr(&s, &end) || end.urn.n > 0 || end.sub.n > 0 || s.at != s.text.n)
        return scim_fail(err, SCIM_INVALID_PATH, "the sub-attribute of the path is malformed");
    out->attr.sub = end.name;
    return 0;
}
