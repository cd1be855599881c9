/* See user_code.h. */

#include "services/dashboard-api/oauth/user_code.h"

#include "libcommon/base/id.h"

static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";
#define HALF 4

void user_code_new(char out[USER_CODE_LEN + 1])
{
    for (size_t i = 0; i < USER_CODE_LEN; i++)
        out[i] = i == HALF ? '-' : letters[rk_random_below(sizeof(letters) - 1)];
    out[USER_CODE_LEN] = '\0';
}

bool user_code_read(struct rk_str typed, char out[USER_CODE_LEN + 1])
{
    char code[USER_CODE_LEN + 1];
    size_t n = 0;

    for (size_t i = 0; i < typed.n; i++) {
        char ch = typed.p[i];

        if (ch == '-' || ch == ' ' || ch == '\t')
            continue;
        if (ch >= 'a' && ch <= 'z')
            ch = (char)(ch - 'a' + 'A');
        if (ch == '\0' || !strchr(letters, ch) || n == USER_CODE_LEN)
            return false;
        if (n == HALF)
            code[n++] = '-';
        code[n++] = ch;
    }
    if (n != USER_CODE_LEN)
        return false;
    code[n] = '\0';
    memcpy(out, code, sizeof(code));
    return true;
}
