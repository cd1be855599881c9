#pragma once

/* What is counted of questions. Nothing but an enum: the program in the kernel (xdp/answer.bpf.c)
 * counts the same. */

enum stun_count {
    STUN_COUNT_REQUESTS,
    STUN_COUNT_ANSWERS,
    STUN_COUNT_DROP_MALFORMED,
    STUN_COUNT_DROP_OTHER,
    STUN_COUNT_DROP_RATE,
    STUN_COUNT_DROP_SEND, /* the kernel did not take the answer */
    STUN_COUNT_END,
};
