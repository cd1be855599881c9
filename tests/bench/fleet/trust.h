#pragma once

/*
 * Thousands of agents are shown the same few certificates. Who signed one is looked up once a
 * minute for each name; until then the same certificate under that name is believed as it was. An
 * agent looks each time, but each on its own machine: here that was a sixth of the generator's CPU
 * when all come back at once. One thread.
 */

#include <openssl/ssl.h>

void trust_seen(SSL_CTX *client);
