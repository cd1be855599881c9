/* See recovery.h. */

#include "services/dashboard-api/login/recovery.h"

#include <string.h>

#include "libcommon/base/id.h"
#include "libcommon/crypto/hash.h"

#define LETTERS 10

/* Nothing that is taken for something else: no I, L, O, U. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void recovery_new(char out[RECOVERY_LEN + 1])
{
    for (size_t i = 0; i < RECOVERY_LEN; i++)
        out[i] = i == LETTERS / 2 ? '-' : alphabet[rk_random_below(sizeof(alphabet) - 1)];
    out[RECOVERY_LEN] = '\0';
}

static char canonical(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    return c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
}

bool recovery_digest(const uint8_t key[RK_SEAL_KEY],
                     const char *user_id,
                     struct rk_str code,
                     uint8_t out[RECOVERY_DIGEST])
{
    static const char label[] = "recovery code\n";
    char text[sizeof(label) + LETTERS + 512];
    size_t n = sizeof(label) - 1, letters = 0, id_n = strlen(user_id);

    if (id_n > 500)
        return false;
    memcpy(text, label, n);
    for (size_t i = 0; i < code.n; i++) {
        char c = canonical(code.p[i]);

        if (c == ' ' || c == '-')
            continue;
        if (c == '\0' || !strchr(alphabet, c) || letters++ == LETTERS)
            return false;
        text[n++] = c;
    }
    if (letters != LETTERS)
        return false;
    text[n++] = '\n';
    memcpy(text + n, user_id, id_n);
    rk_hmac_sha256(key, RK_SEAL_KEY, text, n + id_n, out);
    return true;
}
