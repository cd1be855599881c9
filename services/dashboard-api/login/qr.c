/* See qr.h. libqrencode makes the squares. */

#include "services/dashboard-api/login/qr.h"

#include <stdlib.h>

#include <qrencode.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/encode.h"

#define QUIET 4 /* empty squares around, which scanners want */
#define MAX_PICTURE ((size_t)256 << 10)

/* One line of the path a row of dark squares. */
static void draw(const QRcode *qr, struct rk_buf *out)
{
    int side = qr->width + 2 * QUIET;

    rk_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "shape-rendering=\"crispEdges\"><rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>"
                  "<path d=\"",
                  side, side, side, side);
    for (int y = 0; y < qr->width; y++) {
        for (int x = 0; x < qr->width;) {
            int from = x;

            while (x < qr->width && (qr->data[y * qr->width + x] & 1))
                x++;
            if (x > from)
                rk_buf_printf(out, "M%d %dh%dv1h-%dz", from + QUIET, y + QUIET, x - from, x - from);
            else
                x++;
        }
    }
    rk_buf_put_c(out, "\"/></svg>");
}

int qr_picture(struct rk_arena *a, const char *text, const char **out, struct rk_err *err)
{
    static const char prefix[] = "data:image/svg+xml;base64,";
    rk_auto(rk_buf_done) struct rk_buf svg;
    QRcode *qr;
    char *picture;

    rk_buf_init(&svg, MAX_PICTURE);
    qr = QRcode_encodeData((int)strlen(text), (const unsigned char *)text, 0, QR_ECLEVEL_M);
    if (!qr)
        return rk_fail(err, RK_INVALID, "too long for a QR code");
    draw(qr, &svg);
    QRcode_free(qr);
    picture = rk_arena_alloc(a, sizeof(prefix) + RK_B64_LEN(svg.n));
    memcpy(picture, prefix, sizeof(prefix));
    rk_b64_encode(svg.p, svg.n, picture + sizeof(prefix) - 1);
    *out = picture;
    return 0;
}
