#include "libcommon/account/compile_int.h"

/* Who may log in by SSH. */

void compile_put_ssh_auth(struct compile_view *v, struct rk_buf *b)
{
    (void)v;
    size_t at = rk_wire_begin(b, 13);

    rk_wire_str(b, 1, RK_STR("sub"));
    /* 2 AuthorizedUsers, 3 machine_users */
    rk_wire_end(b, at);
}
