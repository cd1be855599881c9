#pragma once

/*
 * Doctor: all checks, at the same time. One that gets no answer holds up no other; whoever is not
 * through at the deadline is reported as such, and its thread is left behind. Main thread.
 */

#include "tools/doctor/check.h"

#define DOCTOR_LIMIT_MS 12000
#define DOCTOR_CHECKS_MAX 256

struct doctor;

struct doctor *doctor_new(const struct config *config, const char *ca_file);
/* `arg` and `subject`: see struct check. More than DOCTOR_CHECKS_MAX are not taken: false. */
bool doctor_add(struct doctor *d,
                const char *topic,
                const char *subject,
                const char *arg,
                void (*run)(struct check *c));
/* Tells each check in the order of their adding, as soon as it and those before it are through. */
void doctor_run(struct doctor *d, void (*tell)(const struct check *c, void *arg), void *arg);
/* After the run, for what many of them found together: NULL past the last. Those that are not
 * through have no facts. */
const struct check *doctor_each(const struct doctor *d, unsigned *at);
/* Nothing is freed while threads are left behind: the process is about to end. */
void doctor_free(struct doctor *d);
