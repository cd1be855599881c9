#pragma once

/*
 * HTML that escapes by construction: there is no way to write a value but as text or as the value
 * of an attribute, both escaped. Tags and names of attributes are literals of ours. Elements close
 * in the order they were opened in. Not shared between threads.
 */

#include "libcommon/base/buf.h"

#define HTML_MAX_DEPTH 32

struct html {
    struct rk_buf *out;
    const char *open[HTML_MAX_DEPTH];
    unsigned depth;
};

void html_init(struct html *h, struct rk_buf *out); /* appends to `out` */

/*
 * An element with attributes: pairs of name and value, and a NULL at the end. A pair whose value is
 * NULL is left out; "" stands for an attribute without a value. An address (href, src, action) that
 * is not http, https, an image of ours in data:, or a path becomes "#".
 */
void html_open(struct html *h, const char *tag, ...) __attribute__((sentinel));
void html_close(struct html *h);                                                /* the innermost */
void html_void(struct html *h, const char *tag, ...) __attribute__((sentinel)); /* has no end tag */
void html_text(struct html *h, const char *text);
/* An element that holds only text. */
void html_leaf(struct html *h, const char *tag, const char *text, ...) __attribute__((sentinel));
