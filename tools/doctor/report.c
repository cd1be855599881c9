#include "tools/doctor/report.h"

#include "libcommon/base/json.h"

#define TEXT_MAX ((size_t)4 * 1024 * 1024)

static const char *const words[] = {
    [VERDICT_OK] = "ok",
    [VERDICT_WARN] = "warn",
    [VERDICT_FAIL] = "fail",
};

void report_begin(struct report *r, FILE *out, bool json)
{
    *r = (struct report){ .out = out, .json = json };
    rk_buf_init(&r->text, TEXT_MAX);
}

static void put_line(struct report *r, const struct finding *f)
{
    (void)fprintf(r->out, "%-4s  %s%s%s: %s", words[f->verdict], f->topic, *f->subject ? " " : "",
                  f->subject, f->detail);
    if (f->advice)
        (void)fprintf(r->out, ". To do: %s", f->advice);
    (void)fputc('\n', r->out);
}

static void put_object(struct report *r, const struct finding *f)
{
    struct rk_json j;

    if (r->text.n > 0)
        rk_buf_put_u8(&r->text, ',');
    rk_json_init(&j, &r->text);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "check", f->topic);
    rk_json_cstr(&j, "subject", f->subject);
    rk_json_cstr(&j, "status", words[f->verdict]);
    rk_json_cstr(&j, "detail", f->detail);
    rk_json_cstr(&j, "to_do", f->advice ? f->advice : "");
    rk_json_object_end(&j);
}

void report_tell(struct report *r, const struct check *c)
{
    for (unsigned i = 0; i < c->findings; i++) {
        r->count[c->finding[i].verdict]++;
        if (r->json)
            put_object(r, &c->finding[i]);
        else
            put_line(r, &c->finding[i]);
    }
    (void)fflush(r->out);
}

int report_end(struct report *r)
{
    enum verdict worst = r->count[VERDICT_FAIL]   ? VERDICT_FAIL
                         : r->count[VERDICT_WARN] ? VERDICT_WARN
                                                  : VERDICT_OK;

    if (r->json)
        (void)fprintf(r->out, "{\"status\":\"%s\",\"checks\":[%.*s]}\n", words[worst],
                      RK_STR_FMT(rk_buf_str(&r->text)));
    else
        (void)fprintf(r->out, "%u ok, %u to look at, %u failed\n", r->count[VERDICT_OK],
                      r->count[VERDICT_WARN], r->count[VERDICT_FAIL]);
    rk_buf_done(&r->text);
    return (int)worst;
}
