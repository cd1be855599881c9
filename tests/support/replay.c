/*
 * Replays a fuzz corpus without a fuzzer: feeds every file of the directories named on the command
 * line to the target. Fails when there is none, so that a lost corpus is noticed.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_FILE ((off_t)16 * 1024 * 1024)

static int replay_file(const char *path)
{
    struct stat st;
    uint8_t *data;
    size_t size;
    FILE *f;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
        return 0;
    f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    /* Exactly the size of the file, so that the sanitizer sees a read past the end. */
    size = (size_t)st.st_size;
    data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, f) != size) {
        perror(path);
        exit(1);
    }
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static unsigned replay_directory(const char *dir)
{
    unsigned count = 0;
    struct dirent *e;
    char path[4096];
    DIR *d = opendir(dir);

    if (!d) {
        perror(dir);
        exit(1);
    }
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
            exit(1);
        count += (unsigned)replay_file(path);
    }
    (void)closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++)
        count += replay_directory(argv[i]);
    printf("%u inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
