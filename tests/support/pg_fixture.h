#pragma once

/*
 * A private Postgres and Redis for the tests of one executable: temporary directory, Unix sockets
 * only, no fsync. Postgres refuses to run as root, so there the server's processes run as an
 * unprivileged user. Both are stopped by pid and the directory removed in the teardown;
 * PR_SET_PDEATHSIG takes them down when the test itself dies.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/clock.h"
#include "libcommon/pg/pg.h"

struct fixture {
    char dir[64];
    char conninfo[160];
    char redis[128]; /* unix:... */
    pid_t postgres_pid;
    pid_t redis_pid;
};

static inline RK_UNUSED int
fixture_rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline RK_UNUSED void fixture_drop_root(void)
{
    const struct passwd *pw;

    if (geteuid() != 0)
        return;
    pw = getpwnam("postgres");
    if (!pw)
        pw = getpwnam("nobody");
    if (!pw || setgroups(0, NULL) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
        _exit(126);
}

/* Starts argv as the unprivileged user, its output in <dir>/<name>.log. */
static inline RK_UNUSED pid_t fixture_spawn(const struct fixture *f,
                                            const char *name,
                                            const char *const argv[])
{
    pid_t pid = fork();

    if (pid == 0) {
        char log[128];
        int fd;

        snprintf(log, sizeof(log), "%s/%s.log", f->dir, name);
        fixture_drop_root();
        prctl(PR_SET_PDEATHSIG, SIGQUIT);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(f->dir) < 0)
            _exit(126);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

static inline RK_UNUSED bool fixture_wait_exit(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Directory of the newest installed server programs. */
static inline RK_UNUSED void fixture_pg_bin(char out[64])
{
    int v;

    for (v = 19; v >= 12; v--) {
        char path[96];

        snprintf(out, 64, "/usr/lib/postgresql/%d/bin", v);
        snprintf(path, sizeof(path), "%s/initdb", out);
        if (access(path, X_OK) == 0)
            return;
    }
    snprintf(out, 64, "/usr/bin");
}

static inline RK_UNUSED void fixture_pause(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

static inline RK_UNUSED bool fixture_start_postgres(struct fixture *f)
{
    char bin[64], prog[96], data[96];
    struct rk_pg *pg;
    bool up = false;
    uint64_t until;

    fixture_pg_bin(bin);
    snprintf(prog, sizeof(prog), "%s/postgres", bin);
    snprintf(data, sizeof(data), "%s/data", f->dir);
    f->postgres_pid = fixture_spawn(f, "postgres",
                                    (const char *const[]){ prog,
                                                           "-D",
                                                           data,
                                                           "-k",
                                                           f->dir,
                                                           "-c",
                                                           "listen_addresses=",
                                                           "-c",
                                                           "fsync=off",
                                                           "-c",
                                                           "full_page_writes=off",
                                                           "-c",
                                                           "synchronous_commit=off",
                                                           "-c",
                                                           "shared_buffers=32MB",
                                                           "-c",
                                                           "deadlock_timeout=200ms",
                                                           "-c",
                                                           "autovacuum=off",
                                                           NULL });
    until = rk_mono_ms() + 20000;
    while (!up && rk_mono_ms() < until) {
        pg = rk_pg_new(f->conninfo, "fixture");
        up = rk_pg_ping(pg, NULL) == 0;
        rk_pg_free(pg);
        if (!up)
            fixture_pause();
    }
    return up;
}

/* SIGQUIT: at once, like a crash. */
static inline RK_UNUSED void fixture_stop_postgres(struct fixture *f)
{
    if (f->postgres_pid <= 0)
        return;
    kill(f->postgres_pid, SIGQUIT);
    (void)fixture_wait_exit(f->postgres_pid);
    f->postgres_pid = 0;
}

static inline RK_UNUSED bool fixture_make_dir(struct fixture *f)
{
    snprintf(f->dir, sizeof(f->dir), "/tmp/rk-test-XXXXXX");
    if (!mkdtemp(f->dir))
        return false;
    snprintf(f->conninfo, sizeof(f->conninfo), "host=%s user=rookery dbname=postgres", f->dir);
    snprintf(f->redis, sizeof(f->redis), "unix:%s/redis.sock", f->dir);
    return geteuid() != 0 || chmod(f->dir, 0777) == 0;
}

/* The data of a new cluster, which whoever runs many tests has made once. */
static inline RK_UNUSED bool fixture_make_data(const struct fixture *f)
{
    const char *image = getenv("RK_TEST_POSTGRES_IMAGE");
    char bin[64], prog[96], data[96];

    snprintf(data, sizeof(data), "%s/data", f->dir);
    if (image)
        return fixture_wait_exit(
            fixture_spawn(f, "copy", (const char *const[]){ "/bin/cp", "-a", image, data, NULL }));
    fixture_pg_bin(bin);
    snprintf(prog, sizeof(prog), "%s/initdb", bin);
    return fixture_wait_exit(
        fixture_spawn(f, "initdb",
                      (const char *const[]){ prog, "-D", data, "-U", "rookery", "-A", "trust", "-N",
                                             "-E", "UTF8", "--locale=C", NULL }));
}

static inline RK_UNUSED bool fixture_postgres(struct fixture *f)
{
    return (f->dir[0] || fixture_make_dir(f)) && fixture_make_data(f) && fixture_start_postgres(f);
}

static inline RK_UNUSED bool fixture_start_redis(struct fixture *f)
{
    char path[96];
    uint64_t until = rk_mono_ms() + 10000;

    if (!f->dir[0] && !fixture_make_dir(f))
        return false;
    snprintf(path, sizeof(path), "%s/redis.sock", f->dir);
    (void)remove(path);
    f->redis_pid =
        fixture_spawn(f, "redis",
                      (const char *const[]){ "/usr/bin/redis-server", "--port", "0", "--unixsocket",
                                             path, "--unixsocketperm", "777", "--save", "",
                                             "--appendonly", "no", NULL });
    while (access(path, F_OK) < 0 && rk_mono_ms() < until)
        fixture_pause();
    return access(path, F_OK) == 0;
}

static inline RK_UNUSED void fixture_stop_redis(struct fixture *f)
{
    if (f->redis_pid <= 0)
        return;
    kill(f->redis_pid, SIGKILL);
    (void)fixture_wait_exit(f->redis_pid);
    f->redis_pid = 0;
}

/* A port of loopback that nothing listens on now. */
static inline RK_UNUSED uint16_t fixture_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        abort();
    (void)close(fd);
    return ntohs(at.sin_port);
}

/* One more Redis, or with "--sentinel" a Sentinel, whose settings are `text`; the caller ends it.
 */
static inline RK_UNUSED pid_t fixture_redis_with(struct fixture *f,
                                                 const char *name,
                                                 const char *kind,
                                                 const char *text)
{
    char path[128];
    FILE *out;

    if (!f->dir[0] && !fixture_make_dir(f))
        return -1;
    snprintf(path, sizeof(path), "%s/%s.conf", f->dir, name);
    out = fopen(path, "we");
    if (!out || fputs(text, out) < 0 || fclose(out) != 0 || chmod(path, 0666) < 0)
        return -1;
    return fixture_spawn(f, name,
                         (const char *const[]){ "/usr/bin/redis-server", path, kind, NULL });
}

static inline RK_UNUSED void fixture_done(struct fixture *f)
{
    fixture_stop_postgres(f);
    fixture_stop_redis(f);
    if (f->dir[0])
        nftw(f->dir, fixture_rm_one, 16, FTW_DEPTH | FTW_PHYS);
    f->dir[0] = '\0';
}

/* The one of this test, and how a group of tests that needs no more than Postgres starts and ends.
 */
static RK_UNUSED struct fixture fx;

static inline RK_UNUSED int fixture_start(void **state)
{
    (void)state;
    return fixture_postgres(&fx) ? 0 : -1;
}

static inline RK_UNUSED int fixture_stop(void **state)
{
    (void)state;
    fixture_done(&fx);
    return 0;
}
