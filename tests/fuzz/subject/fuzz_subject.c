/* Any text as a user's id: what is decoded is two texts, and encodes to something that decodes to
 * the same two. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/account/rules/subject.h"
#include "libcommon/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char text[RK_USER_ID_MAX], again[RK_USER_ID_MAX];
    char user[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX];
    char same_user[RK_SUBJECT_PART_MAX], same_connector[RK_SUBJECT_PART_MAX];

    if (!rk_str_copy(rk_strn(p, n), text, sizeof(text)) ||
        !rk_subject_decode(text, user, connector))
        return 0;
    assert(*user && *connector);
    if (!rk_subject_encode(user, connector, again))
        return 0; /* it was spelled with fields that stand twice */
    assert(rk_subject_decode(again, same_user, same_connector));
    assert(strcmp(user, same_user) == 0 && strcmp(connector, same_connector) == 0);
    return 0;
}
