/* replay.c - runs a fuzz target over the files of a corpus folder, where libFuzzer is not linked. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    static uint8_t input[1 << 20];
    size_t n = fread(input, 1, sizeof input, f);
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* so that AddressSanitizer sees a read past the end */
    if (!exact)
        return 1;
    for (size_t i = 0; i < n; i++)
        exact[i] = input[i];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        perror(argv[1]);
        return 1;
    }
    int files = 0, failed = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        failed |= replay_file(path);
        files++;
    }
    closedir(dir);
    printf("%d inputs replayed\n", files);
    return failed || files == 0;
}
