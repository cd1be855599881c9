/* See pages.h. The authenticator app: its code, or setting it up at the first login that wants it.
 */

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "services/dashboard-api/login/factor.h"
#include "services/dashboard-api/login/guess.h"
#include "services/dashboard-api/login/pages.h"
#include "services/dashboard-api/login/qr.h"
#include "services/dashboard-api/login/second.h"

#define ISSUER "Rookery"
#define MAX_URI 2048

static void code_field(struct sheet *s, bool wrong)
{
    page_field(s, &(struct page_field){ .name = "totp",
                                        .label = TEXT_TOTP_CODE,
                                        .autocomplete = "one-time-code",
                                        .inputmode = "numeric",
                                        .maxlength = 10,
                                        .error = wrong ? TEXT_TOTP_WRONG : TEXT_NONE,
                                        .focus = true,
                                        .code = true });
}

static int show_prompt(struct call *c, struct step *st, const struct factor *f, bool wrong)
{
    struct sheet s;

    c->status = wrong ? 401 : 200;
    page_begin(c, &s, TEXT_TOTP_TITLE);
    page_say(&s, "p", TEXT_TOTP_PROMPT, st->user.email, NULL);
    page_form(&s, step_path(c, &st->login, "totp"), step_purpose(c, &st->login, "totp"));
    code_field(&s, wrong);
    page_button(&s, TEXT_TOTP_SUBMIT, NULL, NULL);
    html_close(&s.html);
    if (f->passkeys > 0 && second_passkeys_work(c))
        page_anchor(&s, TEXT_PASSKEY_USE, step_path(c, &st->login, "passkey"));
    if (f->codes_left > 0)
        page_anchor(&s, TEXT_RECOVERY_USE, step_path(c, &st->login, "recovery"));
    return page_end(&s);
}

/* The key in groups of four. */
static const char *grouped(struct call *c, const char *base32)
{
    char *out = rk_arena_alloc(c->arena, strlen(base32) * 2 + 1), *p = out;

    for (size_t i = 0; base32[i]; i++) {
        if (i > 0 && i % 4 == 0)
            *p++ = ' ';
        *p++ = base32[i];
    }
    *p = '\0';
    return out;
}

static int show_enrolment(struct call *c, struct step *st, bool wrong, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf uri = { .max = MAX_URI };
    char base32[TOTP_BASE32_LEN(TOTP_SECRET_BYTES) + 1];
    const char *picture;
    struct sheet s;
    int r;

    if (!st->has_secret) {
        rk_random(st->secret, sizeof(st->secret));
        st->has_secret = true;
        r = step_keep(c, st, err);
        if (r < 0)
            return r;
    }
    totp_base32(st->secret, sizeof(st->secret), base32);
    rk_buf_put_c(&uri, "otpauth://totp/" ISSUER ":");
    rk_url_put(&uri, rk_str(st->user.email));
    rk_buf_printf(&uri, "?secret=%s&issuer=" ISSUER, base32);
    r = qr_picture(c->arena, rk_arena_strn(c->arena, rk_buf_str(&uri)), &picture, err);
    if (r < 0)
        return r;
    c->status = wrong ? 401 : 200;
    page_begin(c, &s, TEXT_ENROL_TITLE);
    page_say(&s, "p", TEXT_ENROL_PROMPT, NULL);
    html_void(&s.html, "img", "class", "qr", "src", picture, "alt",
              text_in(s.lang, TEXT_ENROL_PICTURE), "width", "208", "height", "208", NULL);
    page_say(&s, "p", TEXT_ENROL_KEY, NULL);
    html_leaf(&s.html, "p", grouped(c, base32), "class", "key", NULL);
    page_form(&s, step_path(c, &st->login, "totp"), step_purpose(c, &st->login, "totp"));
    code_field(&s, wrong);
    page_button(&s, TEXT_TOTP_SUBMIT, NULL, NULL);
    return page_end(&s);
}

/* Shown once, here: whoever goes on has kept them. */
static int show_codes(struct call *c, struct step *st, char codes[][RECOVERY_LEN + 1])
{
    static const char prefix[] = "data:text/plain;charset=utf-8;base64,";
    rk_auto(rk_buf_done) struct rk_buf text = { .max = 4096 };
    struct sheet s;
    char *file;

    page_begin(c, &s, TEXT_CODES_TITLE);
    page_say(&s, "p", TEXT_CODES_PROMPT, NULL);
    html_open(&s.html, "ul", "class", "codes", NULL);
    rk_buf_printf(&text, ISSUER " %s\r\n\r\n", st->user.email);
    for (size_t i = 0; i < RECOVERY_CODES; i++) {
        html_leaf(&s.html, "li", codes[i], NULL);
        rk_buf_printf(&text, "%s\r\n", codes[i]);
    }
    html_close(&s.html);
    file = rk_arena_alloc(c->arena, sizeof(prefix) + RK_B64_LEN(text.n));
    memcpy(file, prefix, sizeof(prefix));
    rk_b64_encode(text.p, text.n, file + sizeof(prefix) - 1);
    html_open(&s.html, "p", NULL);
    html_leaf(&s.html, "a", text_in(s.lang, TEXT_CODES_FILE), "href", file, "download",
              "rookery-recovery-codes.txt", NULL);
    html_close(&s.html);
    page_form(&s, step_path(c, &st->login, "offer"), step_purpose(c, &st->login, "offer"));
    page_button(&s, TEXT_CODES_KEPT, "answer", second_passkeys_work(c) ? "ask" : "later");
    return page_end(&s);
}

static int enrol(struct call *c, struct step *st, const char *code, struct rk_err *err)
{
    char codes[RECOVERY_CODES][RECOVERY_LEN + 1];
    int64_t step;
    int r;

    if (!st->has_secret)
        return show_enrolment(c, st, false, err);
    if (!totp_check(st->secret, sizeof(st->secret), rk_wall_s(), 0, rk_str(code), &step)) {
        r = second_failed(c, st, err);
        return r < 0 ? r : r > 0 ? 0 : show_enrolment(c, st, true, err);
    }
    r = factor_enrol(c, st->user.id, st->secret, step, codes, err);
    if (r == RK_EXISTS) /* in another window, meanwhile */
        return page_redirect(c, step_path(c, &st->login, "totp"));
    if (r == 0)
        r = guess_right(c, GUESS_FACTOR, st->user.id, err);
    if (r < 0)
        return r;
    st->proved = true;
    r = step_keep(c, st, err);
    return r < 0 ? r : show_codes(c, st, codes);
}

/* Set up a moment ago, by this very login: who sends the code again has not seen what it brought.
 */
static bool enrols_again(const struct step *st, const char *code)
{
    int64_t step;

    return st->has_secret &&
           totp_check(st->secret, sizeof(st->secret), rk_wall_s(), 0, rk_str(code), &step);
}

int login_totp_get(struct call *c, struct rk_err *err)
{
    struct step st;
    struct factor f;
    int r;

    r = second_find(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = factor_load(c, st.user.id, &f, err);
    if (r < 0)
        return r;
    return f.enrolled ? show_prompt(c, &st, &f, false) : show_enrolment(c, &st, false, err);
}

int login_totp_post(struct call *c, struct rk_err *err)
{
    struct step st;
    struct factor f;
    struct form form;
    const char *code;
    bool right;
    int r;

    r = second_find(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = form_take(c, step_purpose(c, &st.login, "totp"), &form, err);
    if (r == 0)
        r = factor_load(c, st.user.id, &f, err);
    if (r == 0)
        r = second_try(c, &st, err);
    if (r != 0)
        return r < 0 ? r : 0;
    code = form_get(&form, "totp");
    if (!f.enrolled || enrols_again(&st, code))
        return enrol(c, &st, code, err);
    r = factor_try_totp(c, st.user.id, code, &right, err);
    if (r < 0)
        return r;
    if (right)
        return second_right(c, &st, err);
    r = second_failed(c, &st, err);
    return r < 0 ? r : r > 0 ? 0 : show_prompt(c, &st, &f, true);
}
