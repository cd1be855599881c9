#pragma once

/* For explain*.c. */

#include "libcommon/account/explain/explain.h"

enum cover {
    COVERS_NOTHING,
    COVERS_SOME,
    COVERS_ALL,
};

/* Does a rule with this protocol and these ports (0, 0: all) speak of what was asked for? */
enum cover explain_covers(const struct rk_explain_query *q,
                          enum rk_rule_protocol protocol,
                          unsigned first,
                          unsigned last);
/* Fills out->policies. */
void explain_policies(const struct rk_snapshot *s,
                      const struct rk_explain_query *q,
                      struct rk_arena *arena,
                      struct rk_explanation *out);
