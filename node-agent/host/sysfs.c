#include "node-agent/host/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, NUMBER_BYTES = 64, MAX_NAMES = 65536, ENTRIES_BYTES = 8192 };

/* Declares path, made of the format and what follows it. */
#define MAKE_PATH(path, format)                                                                              \
    char path[PATH_BYTES];                                                                                   \
    do {                                                                                                     \
        va_list args_;                                                                                       \
        va_start(args_, format);                                                                             \
        vsnprintf(path, sizeof path, format, args_);                                                         \
        va_end(args_);                                                                                       \
    } while (0)

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Such files give all they have at once. */
int sysfs_read(int fd, char *storage, size_t size)
{
    size_t begin = 0;
    ssize_t n = pread(fd, storage, size - 1, 0);
    if (n < 0)
        return -errno;
    size_t len = (size_t)n;
    while (len > 0 && is_blank(storage[len - 1]))
        len--;
    while (begin < len && is_blank(storage[begin]))
        begin++;
    memmove(storage, storage + begin, len - begin);
    storage[len - begin] = '\0';
    return 0;
}

static int read_word(const char *path, char *storage, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = sysfs_read(fd, storage, size);
    close(fd);
    return err;
}

int sysfs_parse_i64(const char *word, int64_t *ret_value)
{
    const char *digits = *word == '-' ? word + 1 : word;
    char *end;
    errno = 0;
    long long value = strtoll(word, &end, strncmp(digits, "0x", 2) == 0 ? 16 : 10);
    if (end == word || *end || errno)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

int sysfs_word(char *storage, size_t size, const char *format, ...)
{
    MAKE_PATH(path, format);
    return read_word(path, storage, size);
}

int sysfs_u64(uint64_t *ret_value, const char *format, ...)
{
    char word[NUMBER_BYTES], *end;
    MAKE_PATH(path, format);
    int err = read_word(path, word, sizeof word);
    if (err < 0)
        return err;
    errno = 0;
    unsigned long long value = strtoull(word, &end, strncmp(word, "0x", 2) == 0 ? 16 : 10);
    if (end == word || *end || errno || *word == '-')
        return -EINVAL;
    *ret_value = value;
    return 0;
}

int sysfs_i64(int64_t *ret_value, const char *format, ...)
{
    char word[NUMBER_BYTES];
    MAKE_PATH(path, format);
    int err = read_word(path, word, sizeof word);
    return err < 0 ? err : sysfs_parse_i64(word, ret_value);
}

int sysfs_double(double *ret_value, const char *format, ...)
{
    char word[NUMBER_BYTES], *end;
    MAKE_PATH(path, format);
    int err = read_word(path, word, sizeof word);
    if (err < 0)
        return err;
    double value = strtod(word, &end);
    if (end == word || *end)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

/* ---- folders ---- */

void sysfs_names_fini(struct sysfs_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct sysfs_names){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct sysfs_names *names, const char *name)
{
    if (names->count == MAX_NAMES)
        return -E2BIG;
    if (names->count % 16 == 0) { /* room in steps of 16 */
        char **items = realloc(names->items, (names->count + 16) * sizeof *items);
        if (!items)
            return -ENOMEM;
        names->items = items;
    }
    names->items[names->count] = strdup(name);
    return names->items[names->count] ? (names->count++, 0) : -ENOMEM;
}

static int add_names(struct sysfs_names *names, int folder)
{
    char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
    ssize_t n;
    while ((n = getdents64(folder, entries, sizeof entries)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            int err = entry->d_name[0] == '.' ? 0 : add_name(names, entry->d_name);
            if (err < 0)
                return err;
            at += entry->d_reclen;
        }
    return n < 0 ? -errno : 0;
}

int sysfs_list(struct sysfs_names *ret_names, const char *format, ...)
{
    MAKE_PATH(path, format);
    struct sysfs_names names = {0};
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_names = names;
    if (folder < 0)
        return -errno;
    int err = add_names(&names, folder);
    close(folder);
    if (err < 0) {
        sysfs_names_fini(&names);
        return err;
    }
    if (names.count)
        qsort(names.items, names.count, sizeof *names.items, compare_names);
    *ret_names = names;
    return 0;
}

int sysfs_folders(const char *format, ...)
{
    MAKE_PATH(path, format);
    struct stat st;
    struct statfs s;
    bool known =
        stat(path, &st) == 0 && S_ISDIR(st.st_mode) && statfs(path, &s) == 0 && s.f_type == SYSFS_MAGIC;
    return known ? (int)st.st_nlink - 2 : -1;
}

bool sysfs_exists(const char *format, ...)
{
    MAKE_PATH(path, format);
    return access(path, F_OK) == 0;
}

int sysfs_link_name(char *storage, size_t size, const char *format, ...)
{
    char target[PATH_BYTES];
    MAKE_PATH(path, format);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    snprintf(storage, size, "%s", basename(target));
    return 0;
}
