#pragma once

/*
 * What nghttp2 allocates for one session. Of that a session that idles uses little: first comes the
 * session itself, last a buffer of 16 KiB for a frame under way, of which a server's header lists
 * and control frames fill the first hundred bytes. From the heap, that buffer lies where something
 * else has been, and all of it is resident. Here it begins at the end of the page that the session
 * is in, and its other pages are not there until they are written to.
 *
 * The session's thread only, but sessions of several threads share what has become free.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

struct rk_h2_memory {
    uint8_t *slot;
    size_t used; /* of the slot's first page */
    bool large;  /* the rest of the slot is in use */
};

/* For nghttp2_session_server_new3 and its like. `m` stays where it is until rk_h2_memory_done. */
nghttp2_mem rk_h2_memory_init(struct rk_h2_memory *m);
/* After nghttp2_session_del. */
void rk_h2_memory_done(struct rk_h2_memory *m);
