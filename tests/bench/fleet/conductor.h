#pragma once

/*
 * The process that leads: makes the account's groups, starts the players, has them do one step
 * after the other, makes the changes over REST meanwhile, and reports. One thread.
 */

#include "tests/bench/fleet/account.h"
#include "tests/bench/fleet/scenario.h"

#define CONDUCTOR_MANAGEMENTS_MAX 16

struct conductor_options {
    struct scenario scenario;
    const char *name;  /* of the scenario */
    const char *at;    /* where agents connect, as it was said */
    char **management; /* the same, URLs: each process is at one of them, in turn */
    unsigned managements;
    const char *api_url, *token, *ca_file;
    const char *json_file, *histogram_dir; /* NULL: none */
    unsigned processes;                    /* 0: as many as their descriptors need */
    char **watch;                          /* process ids of servers on this machine */
    unsigned watched;
};

/* The exit status: 0 when all steps were done and nothing was wrong. */
int conductor_run(const struct conductor_options *o);
